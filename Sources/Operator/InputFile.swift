// Files that the operator names: read within a bound, written whole.

import Glibc
import Limits

/// What a command reads.
package enum InputFile {
    /// All of a file; `-` is standard input.
    ///
    /// - Throws: `OperatorProblem` with the reason.
    package static func bytes(_ path: String, bytesMax: Int = Limits.apiImportBytesMax) throws(OperatorProblem)
        -> [UInt8]
    {
        let isStandard = path == "-"
        let descriptor = isStandard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw OperatorProblem(.input, "cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { if !isStandard { close(descriptor) } }
        guard let bytes = read(descriptor, bytesMax: bytesMax) else {
            throw OperatorProblem(.input, "cannot read \(path), or it has more than \(bytesMax) bytes")
        }
        return bytes
    }

    /// The same as text.
    package static func text(_ path: String, bytesMax: Int = Limits.apiImportBytesMax) throws(OperatorProblem) -> String
    {
        guard let text = String(validating: try bytes(path, bytesMax: bytesMax), as: UTF8.self) else {
            throw OperatorProblem(.input, "expected UTF-8 in \(path), found other bytes")
        }
        return text
    }

    /// nil if it cannot be read or is too large.
    static func read(_ descriptor: Int32, bytesMax: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return bytes }
            guard bytes.count + count <= bytesMax else { return nil }
            bytes += chunk.prefix(count)
        }
    }
}

/// What a command writes.
package enum OutputFile {
    /// A whole file, new or in place of the one that is there.
    ///
    /// - Throws: `OperatorProblem` with the reason.
    package static func write(_ bytes: [UInt8], path: String) throws(OperatorProblem) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        let isWritten = descriptor >= 0 && write(bytes, to: descriptor)
        let reason = String(cString: strerror(errno))
        let isClosed = descriptor >= 0 && close(descriptor) == 0
        guard isWritten, isClosed else { throw OperatorProblem(.input, "cannot write \(path): \(reason)") }
    }

    /// Whether all was written.
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
