// HTTP dates (RFC 9110, section 5.6.7): written as IMF-fixdate, read in all three formats.
//
//     Sun, 06 Nov 1994 08:49:37 GMT      IMF-fixdate, the only one that is written
//     Sunday, 06-Nov-94 08:49:37 GMT     RFC 850, obsolete
//     Sun Nov  6 08:49:37 1994           asctime, obsolete
//
// No calendar library: days are counted in eras of 400 years of the proleptic Gregorian calendar, years beginning in
// March. Months are 1 to 12 and days 1 to 31 throughout.

/// Dates as whole seconds since 1970-01-01T00:00:00Z, negative before.
package enum HTTPDate {
    /// Length of an IMF-fixdate, in bytes.
    @inlinable package static var byteCount: Int { 29 }
    /// 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z: what four digits of a year can say.
    package static var secondsRange: ClosedRange<Int64> { -62_135_596_800...253_402_300_799 }

    static var dayNames: InlineArray<7, StaticString> { ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] }
    static var monthNames: InlineArray<12, StaticString> {
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    }

    /// Writes a date as IMF-fixdate, always 29 bytes. Times beyond `secondsRange` are written as its nearer end.
    package static func write(_ seconds: Int64, to writer: inout ByteWriter) {
        guard writer.reserve(byteCount) else { return }
        let time = min(max(seconds, secondsRange.lowerBound), secondsRange.upperBound)
        let days = floorDivide(time, by: 86_400)
        let secondOfDay = time - days * 86_400
        let date = civil(days: days)
        // 1970-01-01 was a Thursday.
        let weekday = days + 4 - floorDivide(days + 4, by: 7) * 7
        writer.write(dayNames[Int(weekday)])
        writer.write(", ")
        write2(date.day, to: &writer)
        writer.write(" ")
        writer.write(monthNames[date.month - 1])
        writer.write(" ")
        write2(date.year / 100, to: &writer)
        write2(date.year % 100, to: &writer)
        writer.write(" ")
        write2(Int(secondOfDay / 3600), to: &writer)
        writer.write(byte: ASCII.colon)
        write2(Int(secondOfDay / 60 % 60), to: &writer)
        writer.write(byte: ASCII.colon)
        write2(Int(secondOfDay % 60), to: &writer)
        writer.write(" GMT")
    }

    private static func write2(_ number: Int, to writer: inout ByteWriter) {
        writer.write(byte: ASCII.zero &+ UInt8(truncatingIfNeeded: number / 10))
        writer.write(byte: ASCII.zero &+ UInt8(truncatingIfNeeded: number % 10))
    }

    // MARK: Calendar

    static func floorDivide(_ number: Int64, by divisor: Int64) -> Int64 {
        let quotient = number / divisor
        return number % divisor < 0 ? quotient - 1 : quotient
    }

    /// Days since 1970-01-01 of a valid date in the years 1 to 9999.
    static func days(year: Int, month: Int, day: Int) -> Int64 {
        let marchYear = Int64(month <= 2 ? year - 1 : year)
        let era = floorDivide(marchYear, by: 400)
        let yearOfEra = marchYear - era * 400
        let marchMonth = Int64((month + 9) % 12)
        let dayOfYear = (153 * marchMonth + 2) / 5 + Int64(day) - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The date of a day within `secondsRange`.
    static func civil(days: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = floorDivide(shifted, by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = Int(dayOfYear - (153 * marchMonth + 2) / 5 + 1)
        let month = Int(marchMonth < 10 ? marchMonth + 3 : marchMonth - 9)
        let year = Int(yearOfEra + era * 400) + (month <= 2 ? 1 : 0)
        return (year, month, day)
    }

    static func dayCount(year: Int, month: Int) -> Int {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }
}
