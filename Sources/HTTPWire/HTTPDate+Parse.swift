// Reading dates. The three formats are told apart by the bytes behind the first three letters; each is then matched
// exactly, in case and in white space, as RFC 9110, section 5.6.7, has it. The day of the week is checked to be one,
// not to be right: origins get it wrong, and nothing depends on it.

extension HTTPDate {
    /// Seconds since the epoch of the date that the whole of `range` is, or nil if it is none.
    /// - Parameter now: seconds since the epoch; a two-digit year more than 50 years ahead of it lies in the past.
    package static func parse(_ bytes: Span<UInt8>, _ range: ByteRange, now: Int64) -> Int64? {
        guard range.end <= bytes.count, range.count >= 24, range.count <= 33 else { return nil }
        var reader = DateReader(bytes, range)
        switch bytes.byte(at: Int(range.start) + 3) {
        case ASCII.comma: return parseFixdate(&reader)
        case ASCII.space: return parseAsctime(&reader)
        default: return parseRFC850(&reader, now: now)
        }
    }

    private static func parseFixdate(_ reader: inout DateReader) -> Int64? {
        guard reader.oneOf(dayNames) != nil, reader.take(", "),
            let day = reader.digits(2), reader.take(" "),
            let month = reader.oneOf(monthNames), reader.take(" "),
            let year = reader.digits(4), reader.take(" "),
            let second = reader.time(), reader.take(" GMT"), reader.isAtEnd
        else { return nil }
        return seconds(year: year, month: month + 1, day: day, secondOfDay: second)
    }

    private static func parseAsctime(_ reader: inout DateReader) -> Int64? {
        guard reader.oneOf(dayNames) != nil, reader.take(" "),
            let month = reader.oneOf(monthNames), reader.take(" "),
            let day = reader.take(" ") ? reader.digits(1) : reader.digits(2), reader.take(" "),
            let second = reader.time(), reader.take(" "),
            let year = reader.digits(4), reader.isAtEnd
        else { return nil }
        return seconds(year: year, month: month + 1, day: day, secondOfDay: second)
    }

    private static func parseRFC850(_ reader: inout DateReader, now: Int64) -> Int64? {
        let names: InlineArray<7, StaticString> = [
            "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
        ]
        guard reader.oneOf(names) != nil, reader.take(", "),
            let day = reader.digits(2), reader.take("-"),
            let month = reader.oneOf(monthNames), reader.take("-"),
            let shortYear = reader.digits(2), reader.take(" "),
            let second = reader.time(), reader.take(" GMT"), reader.isAtEnd
        else { return nil }
        let today = min(max(now, secondsRange.lowerBound), secondsRange.upperBound)
        let thisYear = civil(days: floorDivide(today, by: 86_400)).year
        // The year with these two digits that is at most 50 years ahead, and less than 50 back.
        var year = thisYear / 100 * 100 + shortYear
        if year > thisYear + 50 {
            year -= 100
        } else if year <= thisYear - 50 {
            year += 100
        }
        return seconds(year: year, month: month + 1, day: day, secondOfDay: second)
    }

    private static func seconds(year: Int, month: Int, day: Int, secondOfDay: Int) -> Int64? {
        guard year >= 1, year <= 9999, day >= 1, day <= dayCount(year: year, month: month) else { return nil }
        return days(year: year, month: month, day: day) * 86_400 + Int64(secondOfDay)
    }
}

/// Takes a date apart from left to right. Works on a copy, as the longest date is so short.
private struct DateReader {
    private var bytes = InlineArray<33, UInt8>(repeating: 0)
    private var position = 0
    private let end: Int

    /// `range` lies within `source` and has at most 33 bytes.
    init(_ source: Span<UInt8>, _ range: ByteRange) {
        end = Int(range.count)
        for offset in 0..<end { bytes[offset] = source.byte(at: Int(range.start) + offset) }
    }

    var isAtEnd: Bool { position == end }

    /// Takes `text` if it comes next.
    mutating func take(_ text: StaticString) -> Bool {
        let expected = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard end - position >= expected.count else { return false }
        for offset in 0..<expected.count where bytes[position + offset] != expected[offset] { return false }
        position += expected.count
        return true
    }

    /// Takes the first of `texts` that comes next and returns its index.
    mutating func oneOf<let count: Int>(_ texts: InlineArray<count, StaticString>) -> Int? {
        for index in texts.indices where take(texts[index]) { return index }
        return nil
    }

    /// Takes exactly `count` digits, at most 4.
    mutating func digits(_ count: Int) -> Int? {
        guard end - position >= count else { return nil }
        var value = 0
        for _ in 0..<count {
            guard ASCII.isDigit(bytes[position]) else { return nil }
            value = value * 10 + Int(bytes[position] - ASCII.zero)
            position += 1
        }
        return value
    }

    /// Takes `hh:mm:ss` and returns the second of the day. A leap second counts as the one before it.
    mutating func time() -> Int? {
        guard let hour = digits(2), take(":"), let minute = digits(2), take(":"), let second = digits(2),
            hour <= 23, minute <= 59, second <= 60
        else { return nil }
        return hour * 3600 + minute * 60 + min(second, 59)
    }
}
