// Why the access log could not be opened.

import Glibc

/// The access log cannot be opened, or its thread not be started. The operator's to repair.
package struct AccessLogError: Error, Sendable, CustomStringConvertible {
    /// What open(2) says of a FIFO that nobody reads.
    static let noReader = ENXIO

    package let path: String
    /// The errno of the call that failed.
    package let errorNumber: Int32

    init(destination: AccessLog.Destination, errorNumber: Int32) {
        switch destination {
        case .standardOutput: path = "standard output"
        case .file(let path): self.path = path
        }
        self.errorNumber = errorNumber
    }

    package var description: String {
        "cannot open the access log \(path): \(String(cString: strerror(errorNumber)))"
    }
}
