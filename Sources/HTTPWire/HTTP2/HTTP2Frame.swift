// Frames (RFC 9113, section 4.1): nine bytes of header, then the payload.
//
//     0        3      4      5         9
//     ├ length ┼ type ┼ flags┼ stream  ┼ payload …
//     24 bits    8      8      1 + 31

internal import Limits

/// The types of frames (RFC 9113, section 6; RFC 9218, section 7.1). Others are unknown, and ignored.
package struct HTTP2FrameType: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt8

    @inlinable package init(rawValue: UInt8) { self.rawValue = rawValue }

    @inlinable package static var data: Self { Self(rawValue: 0x00) }
    @inlinable package static var headers: Self { Self(rawValue: 0x01) }
    @inlinable package static var priority: Self { Self(rawValue: 0x02) }
    @inlinable package static var rstStream: Self { Self(rawValue: 0x03) }
    @inlinable package static var settings: Self { Self(rawValue: 0x04) }
    @inlinable package static var pushPromise: Self { Self(rawValue: 0x05) }
    @inlinable package static var ping: Self { Self(rawValue: 0x06) }
    @inlinable package static var goAway: Self { Self(rawValue: 0x07) }
    @inlinable package static var windowUpdate: Self { Self(rawValue: 0x08) }
    @inlinable package static var continuation: Self { Self(rawValue: 0x09) }
    @inlinable package static var priorityUpdate: Self { Self(rawValue: 0x10) }
}

/// The flags of frames. The same bit means ACK or END_STREAM, as the type has it.
package struct HTTP2FrameFlags: OptionSet, Hashable, Sendable {
    package var rawValue: UInt8

    @inlinable package init(rawValue: UInt8) { self.rawValue = rawValue }

    @inlinable package static var endStream: Self { Self(rawValue: 0x01) }
    @inlinable package static var ack: Self { Self(rawValue: 0x01) }
    @inlinable package static var endHeaders: Self { Self(rawValue: 0x04) }
    @inlinable package static var padded: Self { Self(rawValue: 0x08) }
    @inlinable package static var priority: Self { Self(rawValue: 0x20) }
}

/// What stands before each payload.
package struct HTTP2FrameHeader: Sendable, Equatable {
    /// Bytes of the payload.
    package var length: Int
    package var type: HTTP2FrameType
    package var flags: HTTP2FrameFlags
    /// 31 bits; the reserved one is ignored (RFC 9113, section 4.1).
    package var stream: UInt32

    /// Bytes of the header itself.
    @inlinable package static var byteCount: Int { 9 }

    @inlinable package init(length: Int, type: HTTP2FrameType, flags: HTTP2FrameFlags = [], stream: UInt32) {
        self.length = length
        self.type = type
        self.flags = flags
        self.stream = stream
    }

    /// Reads the nine bytes from `position` on; nil if they are not all there.
    @inline(__always)
    package init?(_ bytes: Span<UInt8>, at position: Int) {
        guard position >= 0, bytes.count &- position >= Self.byteCount else { return nil }
        let word = UInt64(bigEndian: bytes.bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self))
        length = Int(truncatingIfNeeded: word &>> 40)
        type = HTTP2FrameType(rawValue: UInt8(truncatingIfNeeded: word &>> 32))
        flags = HTTP2FrameFlags(rawValue: UInt8(truncatingIfNeeded: word &>> 24))
        let high = UInt32(truncatingIfNeeded: word & 0x7F_FFFF)
        stream = high &<< 8 | UInt32(bytes[position &+ 8])
    }
}

extension ByteWriter {
    /// Writes a frame's header. Lengths have 24 bits, stream identifiers 31.
    @inline(__always)
    package mutating func write(_ header: HTTP2FrameHeader) {
        guard let place = take(HTTP2FrameHeader.byteCount) else { return }
        place.store(header)
    }
}

extension UnsafeMutableRawPointer {
    /// Puts the nine bytes of a frame's header here.
    @inline(__always)
    func store(_ header: HTTP2FrameHeader) {
        var word = UInt64(truncatingIfNeeded: header.length & 0xFF_FFFF) &<< 40
        word |= UInt64(header.type.rawValue) &<< 32
        word |= UInt64(header.flags.rawValue) &<< 24
        word |= UInt64(header.stream &>> 8 & 0x7F_FFFF)
        storeBytes(of: word.bigEndian, as: UInt64.self)
        storeBytes(of: UInt8(truncatingIfNeeded: header.stream), toByteOffset: 8, as: UInt8.self)
    }
}

extension Span where Element == UInt8 {
    /// Four bytes from `position` on as a number; the caller has compared with `count`.
    @inline(__always)
    func integer32(at position: Int) -> UInt32 {
        UInt32(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt32.self))
    }

    /// Two bytes from `position` on as a number; the caller has compared with `count`.
    @inline(__always)
    func integer16(at position: Int) -> UInt16 {
        UInt16(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt16.self))
    }
}

/// What a client's side of a connection begins with (RFC 9113, section 3.4).
package enum HTTP2Preface {
    package static var text: StaticString { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" }
    package static var byteCount: Int { 24 }

    /// Whether `bytes` begin with the preface: true or false once that is sure, nil while more bytes could tell.
    package static func begins(_ bytes: Span<UInt8>) -> Bool? {
        let expected = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        let count = min(bytes.count, expected.count)
        for index in 0..<count where bytes[index] != expected[index] { return false }
        return count == expected.count ? true : nil
    }
}
