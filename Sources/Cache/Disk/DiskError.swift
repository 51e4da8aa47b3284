import Glibc

/// Why the disk store could not be opened.
package struct DiskError: Error, CustomStringConvertible {
    package enum Kind: Sendable {
        /// Another process has the directory. It may be a predecessor that drains: trying again helps.
        case locked
        /// The operating system refused something. The description says what.
        case file
    }

    package let kind: Kind
    package let description: String

    /// What the operating system refused, with the reason in `code`.
    static func file(_ path: String, _ what: String, _ code: Int32 = errno) -> DiskError {
        let reason = strerror(code).map { text in String(cString: text) } ?? "error \(code)"
        return DiskError(kind: .file, description: "\(path) \(what): \(reason)")
    }
}
