// Writing heads and chunk frames into memory that is already there.
//
// A write that does not fit writes nothing and sets `hasOverflowed`, after which every write does nothing: the caller
// checks once, at the end, and starts again with more room. Nothing is ever written beyond the buffer.

/// A cursor over an output buffer. Valid as long as the buffer is.
package struct ByteWriter {
    @usableFromInline let buffer: UnsafeMutableRawBufferPointer
    @usableFromInline var position = 0
    @usableFromInline var overflow = false

    @inlinable package init(_ buffer: UnsafeMutableRawBufferPointer) { self.buffer = buffer }

    /// Bytes written so far.
    @inlinable package var count: Int { position }
    /// Something did not fit: what is written is only a prefix of what was to be.
    @inlinable package var hasOverflowed: Bool { overflow }
    /// Bytes that still fit.
    @inlinable package var room: Int { buffer.count &- position }

    /// Where to put `length` bytes, or nil (and the overflow noted) if they do not fit. Nil also for no bytes.
    @inlinable @inline(__always)
    mutating func take(_ length: Int) -> UnsafeMutableRawPointer? {
        guard reserve(length), length > 0, let base = buffer.baseAddress else { return nil }
        let place = base + position
        position &+= length
        return place
    }

    /// Whether `length` bytes fit; if not, the overflow is noted.
    @inlinable @inline(__always)
    package mutating func reserve(_ length: Int) -> Bool {
        if length > buffer.count &- position { overflow = true }
        return !overflow
    }

    /// Writes the bytes of a literal.
    @inlinable package mutating func write(_ text: StaticString) {
        guard text.hasPointerRepresentation, let place = take(text.utf8CodeUnitCount) else { return }
        place.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
    }

    /// Writes all of `bytes`.
    @inlinable package mutating func write(_ bytes: UnsafeRawBufferPointer) {
        guard let place = take(bytes.count), let source = bytes.baseAddress else { return }
        place.copyMemory(from: source, byteCount: bytes.count)
    }

    /// Writes all of `bytes`.
    @inlinable package mutating func write(_ bytes: Span<UInt8>) {
        bytes.withUnsafeBytes { write($0) }
    }

    /// Writes `range` of `bytes`; a range that does not lie within them overflows.
    @inlinable package mutating func write(_ bytes: Span<UInt8>, _ range: ByteRange) {
        guard range.end <= bytes.count else {
            overflow = true
            return
        }
        bytes.withUnsafeBytes { write(UnsafeRawBufferPointer(rebasing: $0[range.range])) }
    }

    /// Writes one byte.
    @inlinable package mutating func write(byte: UInt8) {
        take(1)?.storeBytes(of: byte, as: UInt8.self)
    }

    /// Writes `number` in decimal, without leading zeros.
    package mutating func write(decimal number: UInt64) {
        var digits = 1
        var rest = number
        while rest >= 10 {
            rest /= 10
            digits &+= 1
        }
        guard let place = take(digits) else { return }
        rest = number
        while digits > 0 {
            digits &-= 1
            place.storeBytes(
                of: ASCII.zero &+ UInt8(truncatingIfNeeded: rest % 10), toByteOffset: digits, as: UInt8.self)
            rest /= 10
        }
    }

    /// Writes `number` as 16 lower-case hexadecimal digits, leading zeros included.
    package mutating func write(hex16 number: UInt64) {
        guard let place = take(16) else { return }
        place.storeBytes(of: Self.hexDigits(UInt32(truncatingIfNeeded: number >> 32)), as: UInt64.self)
        place.storeBytes(of: Self.hexDigits(UInt32(truncatingIfNeeded: number)), toByteOffset: 8, as: UInt64.self)
    }

    /// Eight digits at once: each nibble is spread into a byte of its own, then all bytes become digits or letters.
    private static func hexDigits(_ number: UInt32) -> UInt64 {
        var spread = UInt64(number)
        spread = (spread << 16 | spread) & 0x0000_ffff_0000_ffff
        spread = (spread << 8 | spread) & 0x00ff_00ff_00ff_00ff
        spread = (spread << 4 | spread) & 0x0f0f_0f0f_0f0f_0f0f
        // 1 in the bytes whose nibble is above 9.
        let letters = ((spread &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
        return (spread &+ 0x3030_3030_3030_3030 &+ letters &* 39).bigEndian
    }

    /// Writes `number` in lower-case hexadecimal, without leading zeros.
    package mutating func write(hex number: UInt64) {
        let digits = max(1, (67 &- number.leadingZeroBitCount) / 4)
        guard let place = take(digits) else { return }
        var rest = number
        for offset in stride(from: digits &- 1, through: 0, by: -1) {
            let digit = UInt8(truncatingIfNeeded: rest & 0xF)
            let byte = digit < 10 ? ASCII.zero &+ digit : UInt8(ascii: "a") &+ digit &- 10
            place.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
            rest &>>= 4
        }
    }
}

// MARK: Messages

extension ByteWriter {
    /// Writes a received field as it came, with `: ` and CRLF. One that must enter no table of HPACK has no blank behind
    /// its colon (RFC 9112, section 5, lets it be left out), which is how `HPACKEncoder.encode(lines:to:)` knows it again.
    @inlinable package mutating func write(field: Field, of bytes: Span<UInt8>) {
        write(bytes, field.name)
        if field.isNeverIndexed { write(":") } else { write(": ") }
        write(bytes, field.value)
        write("\r\n")
    }

    /// Writes `name: value` and CRLF. The value must be a field value, see `isFieldValue`.
    @inlinable package mutating func write(field name: StaticString, value: UnsafeRawBufferPointer) {
        write(name)
        write(": ")
        write(value)
        write("\r\n")
    }

    /// Writes `name: value` and CRLF, both literals.
    @inlinable package mutating func write(field name: StaticString, value: StaticString) {
        write(name)
        write(": ")
        write(value)
        write("\r\n")
    }

    /// Writes `name: number` and CRLF, for instance Content-Length.
    @inlinable package mutating func write(field name: StaticString, decimal number: UInt64) {
        write(name)
        write(": ")
        write(decimal: number)
        write("\r\n")
    }

    /// Writes all fields that are not dropped.
    @inlinable package mutating func write(forwarded fields: borrowing ContiguousArray<Field>, of bytes: Span<UInt8>) {
        for index in fields.indices where !fields[index].isDropped { write(field: fields[index], of: bytes) }
    }

    /// Writes what stands before the data of one chunk (RFC 9112, section 7.1). `size` must not be 0: that would be the
    /// last chunk. Behind the data comes `ChunkedCoding.chunkEnd`.
    @inlinable package mutating func write(chunkSize size: UInt64) {
        write(hex: size)
        write("\r\n")
    }
}

/// The fixed parts of a chunked body (RFC 9112, section 7.1).
package enum ChunkedCoding {
    /// Behind the data of each chunk.
    @inlinable package static var chunkEnd: StaticString { "\r\n" }
    /// The end of a body without trailers. With trailers: `lastChunk`, the fields, and an empty line.
    @inlinable package static var end: StaticString { "0\r\n\r\n" }
    /// The chunk of size 0; trailer fields and an empty line must follow.
    @inlinable package static var lastChunk: StaticString { "0\r\n" }
    /// Most bytes that `write(chunkSize:)` takes: 16 digits and CRLF.
    @inlinable package static var sizeLineBytesMax: Int { 18 }
}
