// Several ranges in one body (RFC 9110, section 14.6; RFC 2046, section 5.1.1). Everything but the ranges themselves is
// rendered before the first byte is sent, so that Content-Length is known.
//
//     --BOUNDARY CRLF
//     Content-Type: text/html CRLF
//     Content-Range: bytes 0-9/100 CRLF
//     CRLF
//     ten bytes
//     CRLF --BOUNDARY CRLF …
//     CRLF --BOUNDARY-- CRLF

package import HTTPWire
package import NIOCore

/// What separates the parts: 128 random bits, which no body can foresee.
package struct MultipartBoundary: Sendable, Equatable {
    private let high: UInt64
    private let low: UInt64

    package init(_ high: UInt64, _ low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func random() -> MultipartBoundary {
        var generator = SystemRandomNumberGenerator()
        return MultipartBoundary(generator.next(), generator.next())
    }

    /// 32 hexadecimal digits.
    func write(to writer: inout ByteWriter) {
        writer.write(hex16: high)
        writer.write(hex16: low)
    }
}

/// A multipart/byteranges body before it is sent: each part's head, then its range, and at last the tail.
package struct MultipartPlan: Sendable {
    package struct Part: Sendable {
        /// What goes before the range's bytes.
        package let head: ByteBuffer
        package let range: Range<UInt64>
    }

    package let boundary: MultipartBoundary
    package let parts: [Part]
    package let tail: ByteBuffer
    /// Bytes of the whole body: its Content-Length.
    package let totalBytes: UInt64

    /// - Parameters:
    ///   - ranges: of `RangeSelection.multiple`.
    ///   - length: bytes of the representation.
    ///   - contentType: the representation's own; empty for none.
    package init(
        ranges: [Range<UInt64>], length: UInt64, contentType: Span<UInt8>, boundary: MultipartBoundary
    ) {
        self.boundary = boundary
        let headBytes = Self.headBytesMax + contentType.count
        // One buffer for all heads, of which each part has a slice.
        var buffer = ByteBuffer()
        buffer.reserveCapacity(ranges.count * headBytes + Self.tailBytes)
        var parts: [Part] = []
        parts.reserveCapacity(ranges.count)
        var total: UInt64 = 0
        for range in ranges {
            Self.append(headBytes, to: &buffer) { writer in
                if !parts.isEmpty { writer.write("\r\n") }
                writer.write("--")
                boundary.write(to: &writer)
                if contentType.count > 0 {
                    writer.write("\r\nContent-Type: ")
                    writer.write(contentType)
                }
                writer.write("\r\nContent-Range: ")
                ContentRange.write(range, of: length, to: &writer)
                writer.write("\r\n\r\n")
            }
            let head = buffer.readSlice(length: buffer.readableBytes) ?? ByteBuffer()
            parts.append(Part(head: head, range: range))
            total &+= UInt64(head.readableBytes) &+ (range.upperBound &- range.lowerBound)
        }
        Self.append(Self.tailBytes, to: &buffer) { writer in
            writer.write("\r\n--")
            boundary.write(to: &writer)
            writer.write("--\r\n")
        }
        tail = buffer
        totalBytes = total &+ UInt64(buffer.readableBytes)
        self.parts = parts
    }

    /// The value of the response's Content-Type.
    package func writeContentType(to writer: inout ByteWriter) {
        writer.write("multipart/byteranges; boundary=")
        boundary.write(to: &writer)
    }

    /// A part's head without its Content-Type: line ends, names, the boundary and three numbers of up to 20 digits.
    private static let headBytesMax = 160
    private static let tailBytes = 40

    private static func append(_ room: Int, to buffer: inout ByteBuffer, _ body: (inout ByteWriter) -> Void) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { memory in
            var writer = ByteWriter(memory)
            body(&writer)
            return writer.count
        }
    }
}
