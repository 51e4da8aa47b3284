// RFC 3339 times in UTC. All but the milliseconds stays the same for a second, so it is kept.

/// The last second written out.
struct TimestampText {
    /// Bytes of `2026-01-02T03:04:05.678Z`.
    static let byteCount = 24

    private var second = UInt64.max
    /// `2026-01-02T03:04:05.` and 4 spare bytes, so that it is copied in three words.
    private var text = InlineArray<3, UInt64>(repeating: 0)

    /// Writes a time. `target` must have room for `byteCount` bytes.
    ///
    /// - Parameter unixNanoseconds: Since 1970-01-01T00:00:00Z. The type reaches to the year 2554.
    mutating func write(unixNanoseconds: UInt64, to target: UnsafeMutableRawPointer) {
        let now = unixNanoseconds / 1_000_000_000
        if now != second {
            second = now
            Self.format(second: now, into: &text)
        }
        target.storeBytes(of: text[0], as: UInt64.self)
        target.storeBytes(of: text[1], toByteOffset: 8, as: UInt64.self)
        target.storeBytes(of: text[2], toByteOffset: 16, as: UInt64.self)
        let milliseconds = unixNanoseconds / 1_000_000 % 1000
        DecimalText.writePadded(milliseconds, digits: 3, to: target + 20)
        target.storeBytes(of: UInt8(ascii: "Z"), toByteOffset: 23, as: UInt8.self)
    }

    private static func format(second: UInt64, into text: inout InlineArray<3, UInt64>) {
        let (year, month, day) = date(daysSinceEpoch: second / 86_400)
        let secondOfDay = second % 86_400
        withUnsafeMutableBytes(of: &text) { bytes in
            guard let start = bytes.baseAddress, bytes.count >= byteCount else { return }
            DecimalText.writePadded(year, digits: 4, to: start)
            DecimalText.writePadded(month, digits: 2, to: start + 5)
            DecimalText.writePadded(day, digits: 2, to: start + 8)
            DecimalText.writePadded(secondOfDay / 3600, digits: 2, to: start + 11)
            DecimalText.writePadded(secondOfDay / 60 % 60, digits: 2, to: start + 14)
            DecimalText.writePadded(secondOfDay % 60, digits: 2, to: start + 17)
            bytes[4] = UInt8(ascii: "-")
            bytes[7] = UInt8(ascii: "-")
            bytes[10] = UInt8(ascii: "T")
            bytes[13] = UInt8(ascii: ":")
            bytes[16] = UInt8(ascii: ":")
            bytes[19] = UInt8(ascii: ".")
        }
    }

    /// The Gregorian date of a day. Years are taken to begin in March, so that the leap day comes last and the
    /// lengths of the months follow one straight line.
    private static func date(daysSinceEpoch: UInt64) -> (year: UInt64, month: UInt64, day: UInt64) {
        // From 0000-03-01, the beginning of a 400-year cycle of 146,097 days.
        let days = daysSinceEpoch + 719_468
        let cycle = days / 146_097
        let dayOfCycle = days % 146_097
        let leapDays = dayOfCycle / 1460 + dayOfCycle / 146_096
        let yearOfCycle = (dayOfCycle + dayOfCycle / 36_524 - leapDays) / 365
        let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = cycle * 400 + yearOfCycle + (month <= 2 ? 1 : 0)
        return (year, month, day)
    }
}
