// Dates in all three formats (RFC 9110, section 5.6.7), against Foundation's calendar.

import Foundation
import HTTPWire
import Testing

@Suite("HTTPDate")
struct HTTPDateTests {
    private func parse(_ text: String, now: Int64 = 1_700_000_000) -> Int64? {
        let bytes = text.latin1
        return HTTPDate.parse(bytes.span, ByteRange(start: 0, count: UInt32(bytes.count)), now: now)
    }

    private func write(_ seconds: Int64) -> String { String(bytes: WireProperties.writeDate(seconds)) }

    @Test(
        "read",
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Int64(784_111_777)), ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Sun Nov  6 08:49:37 1994", 784_111_777), ("Sun Nov 16 08:49:37 1994", 784_975_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
            ("Mon, 01 Jan 0001 00:00:00 GMT", -62_135_596_800), ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
            ("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800), ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
            ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_799),
            // The day's name is not compared with the date.
            ("Mon, 06 Nov 1994 08:49:37 GMT", 784_111_777),
        ])
    func read(_ text: String, _ seconds: Int64) { #expect(parse(text) == seconds) }

    @Test(
        "not dates",
        arguments: [
            "", "0", "-1", "now", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000", "sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT", "Sun,  06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ", " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT", "Wed, 29 Feb 2023 00:00:00 GMT", "Thu, 29 Feb 1900 00:00:00 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT", "Xxx, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Xxx 1994 08:49:37 GMT",
            "Sunday, 06 Nov 94 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994",
            "Sun Nov 06 08:49:37 94 GMT", "Sun, +6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08-49-37 GMT",
            "Sun\u{E9} 06 Nov 1994 08:49:37 GMT",
        ])
    func refused(_ text: String) { #expect(parse(text) == nil) }

    @Test("a year of two digits is at most 50 years ahead")
    func shortYears() {
        let year2023: Int64 = 1_700_000_000
        #expect(parse("Friday, 01-Jan-73 00:00:00 GMT", now: year2023) == parse("Sun, 01 Jan 2073 00:00:00 GMT"))
        #expect(parse("Friday, 01-Jan-74 00:00:00 GMT", now: year2023) == parse("Sun, 01 Jan 1974 00:00:00 GMT"))
        #expect(parse("Friday, 01-Jan-23 00:00:00 GMT", now: year2023) == parse("Sun, 01 Jan 2023 00:00:00 GMT"))
        let year2090: Int64 = 3_800_000_000
        #expect(parse("Friday, 01-Jan-30 00:00:00 GMT", now: year2090) == parse("Sun, 01 Jan 2130 00:00:00 GMT"))
        #expect(parse("Friday, 01-Jan-99 00:00:00 GMT", now: .max) == parse("Fri, 01 Jan 9999 00:00:00 GMT"))
        #expect(parse("Friday, 01-Jan-30 00:00:00 GMT", now: .max) == nil)
        #expect(parse("Friday, 01-Jan-30 00:00:00 GMT", now: .min) != nil)
    }

    @Test("written as Foundation writes it, and read back")
    func writtenDates() {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(secondsFromGMT: 0)
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        // Every 41 days, at an hour that moves, from 1900 to 2200: leap years, centuries and the epoch are among them.
        for seconds in stride(from: Int64(-2_208_988_800), to: 7_258_118_400, by: 41 * 86_400 + 7_919) {
            let text = write(seconds)
            #expect(text == formatter.string(from: Date(timeIntervalSince1970: TimeInterval(seconds))))
            #expect(parse(text) == seconds)
        }
    }

    @Test("times beyond four-digit years are written as the nearer end")
    func clamped() {
        #expect(write(.max) == "Fri, 31 Dec 9999 23:59:59 GMT")
        #expect(write(.min) == "Mon, 01 Jan 0001 00:00:00 GMT")
    }
}
