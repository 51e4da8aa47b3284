// What is read from a stored head: other caches' Cache-Status, and the conditions that validate it.

package import HTTPWire
import NIOCore

extension StoredHead {
    static var cacheStatusPrefix: StaticString { "Cache-Status: " }

    /// Behind the line with the Cache-Status of caches before us, which is the first if there is one; else 0.
    package var upstreamCacheStatusEnd: Int {
        // The eight bytes "Cache-St": no other first line begins so.
        let word = bytes.getInteger(at: bytes.readerIndex, endianness: .big, as: UInt64.self)
        guard word == 0x4361_6368_652D_5374 else { return 0 }
        let line = bytes.readableBytesView.prefix(notModifiedEnd)
        guard let lineFeed = line.firstIndex(of: UInt8(ascii: "\n")) else { return 0 }
        return lineFeed &+ 1 &- line.startIndex
    }

    /// The members that caches before us have written; empty if there are none.
    package var upstreamCacheStatus: Range<Int> {
        let end = upstreamCacheStatusEnd
        let start = Self.cacheStatusPrefix.utf8CodeUnitCount
        return end >= start &+ 2 ? start..<end &- 2 : 0..<0
    }

    /// Whether it can be validated (RFC 9111, section 4.3.1).
    package var hasValidator: Bool { !eTag.isEmpty || !lastModified.isEmpty }

    /// Writes the lines that make a request conditional on this response not being current any more: both validators,
    /// as RFC 9111, section 4.3.1, asks for.
    package func writeConditions(to writer: inout ByteWriter) {
        bytes.withUnsafeReadableBytes { source in
            if !eTag.isEmpty, eTag.upperBound <= source.count {
                writer.write(field: "If-None-Match", value: UnsafeRawBufferPointer(rebasing: source[eTag]))
            }
            if !lastModified.isEmpty, lastModified.upperBound <= source.count {
                writer.write(field: "If-Modified-Since", value: UnsafeRawBufferPointer(rebasing: source[lastModified]))
            }
        }
    }
}
