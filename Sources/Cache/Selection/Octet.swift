import HTTPWire

/// What single bytes of field values mean, and how two runs of them compare. None of it can trap: a range that does not
/// lie within its bytes is equal to nothing.
enum Octet {
    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    @inline(__always)
    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// The digit's value, or nil.
    @inline(__always)
    static func digit(_ byte: UInt8) -> UInt8? { byte &- 0x30 < 10 ? byte &- 0x30 : nil }

    /// The hexadecimal digit's value, or nil.
    static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte &- 0x30
        case 0x41...0x46: byte &- 0x37
        case 0x61...0x66: byte &- 0x57
        default: nil
        }
    }

    /// Whether two runs are equal, ASCII letters compared without case.
    static func equalIgnoringCase(
        _ one: Span<UInt8>, _ oneRange: Range<Int>, _ other: Span<UInt8>, _ otherRange: Range<Int>
    ) -> Bool {
        guard oneRange.count == otherRange.count, isWithin(oneRange, one), isWithin(otherRange, other) else {
            return false
        }
        for offset in 0..<oneRange.count
        where lowercased(one[oneRange.lowerBound &+ offset]) != lowercased(other[otherRange.lowerBound &+ offset]) {
            return false
        }
        return true
    }

    /// Whether two runs are equal, byte by byte.
    static func equal(
        _ one: Span<UInt8>, _ oneRange: Range<Int>, _ other: Span<UInt8>, _ otherRange: Range<Int>
    ) -> Bool {
        guard oneRange.count == otherRange.count, isWithin(oneRange, one), isWithin(otherRange, other) else {
            return false
        }
        for offset in 0..<oneRange.count
        where one[oneRange.lowerBound &+ offset] != other[otherRange.lowerBound &+ offset] {
            return false
        }
        return true
    }

    @inline(__always)
    static func isWithin(_ range: Range<Int>, _ bytes: Span<UInt8>) -> Bool {
        range.lowerBound >= 0 && range.upperBound <= bytes.count
    }
}

extension ByteRange {
    /// From two positions of a head, which is always far shorter than 4 GiB.
    @inline(__always)
    init(from start: Int, to end: Int) {
        self.init(
            start: UInt32(truncatingIfNeeded: start), count: UInt32(truncatingIfNeeded: max(0, end &- start)))
    }
}
