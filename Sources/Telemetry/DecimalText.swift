// Decimal digits into raw bytes, without a String.

/// Writes numbers for log lines.
enum DecimalText {
    /// Digits of `UInt64.max`.
    static let digitsMax = 20

    /// Writes a number and returns where it ends. `target` must have room for `digitsMax` bytes.
    static func write(_ value: UInt64, to target: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        if value < 10 {
            target.storeBytes(of: digit(value), as: UInt8.self)
            return target + 1
        }
        let count = digitCount(value)
        var rest = value
        var offset = count
        while offset > 0 {
            offset &-= 1
            let quotient = rest / 10
            target.storeBytes(of: digit(rest &- quotient &* 10), toByteOffset: offset, as: UInt8.self)
            rest = quotient
        }
        return target + count
    }

    /// Writes the last digits of a number, with leading zeros.
    static func writePadded(_ value: UInt64, digits: Int, to target: UnsafeMutableRawPointer) {
        var rest = value
        var offset = digits
        while offset > 0 {
            offset &-= 1
            let quotient = rest / 10
            target.storeBytes(of: digit(rest &- quotient &* 10), toByteOffset: offset, as: UInt8.self)
            rest = quotient
        }
    }

    @inline(__always)
    private static func digit(_ value: UInt64) -> UInt8 {
        UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value)
    }

    private static func digitCount(_ value: UInt64) -> Int {
        var count = 1
        var rest = value
        while rest >= 10_000 {
            rest /= 10_000
            count &+= 4
        }
        if rest >= 1000 { return count &+ 3 }
        if rest >= 100 { return count &+ 2 }
        return rest >= 10 ? count &+ 1 : count
    }
}
