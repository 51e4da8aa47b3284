package import HTTPWire
package import NIOCore

extension ByteBuffer {
    /// Writes by `body`, and again with more room if it did not fit.
    ///
    /// - Parameter capacity: bytes reserved the first time; a good guess saves the second.
    @inline(__always)
    package mutating func writeHead(capacity: Int, _ body: (inout ByteWriter) -> Void) {
        var room = capacity
        while true {
            var isDone = false
            writeWithUnsafeMutableBytes(minimumWritableBytes: room) { memory in
                var writer = ByteWriter(memory)
                body(&writer)
                guard !writer.hasOverflowed else { return 0 }
                isDone = true
                return writer.count
            }
            if isDone { return }
            room = max(room, writableBytes) * 2
        }
    }

    /// Calls `body` with the readable bytes as a span.
    @inline(__always)
    package func withBytes<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(readableBytesUInt8Span)
    }
}

extension ByteWriter {
    /// Writes the canonical text of an address.
    package mutating func write(_ address: IPAddress) {
        address.appendText { write(byte: $0) }
    }

    /// Writes 16 hex digits, leading zeros included.
    package mutating func write(identifier: UInt64) {
        write(hex16: identifier)
    }
}
