import Testing

@testable import ConfigModel

@Suite struct QuantityTests {
    @Test(arguments: [
        ("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), ("1d", 86_400_000), ("7", 7000),
        ("0", 0), ("007s", 7000), ("9223372036854775807ms", Int.max),
    ]) func durations(text: String, milliseconds: Int) throws {
        #expect(try DurationText.milliseconds(text) == milliseconds)
    }

    @Test(arguments: [
        ("10sec", "write 10s"), ("5 m", "a number and a unit without a space; a bare number means seconds"),
        ("5Min", "write 5m"), ("1.5s", "fractions are not read; use the next smaller unit, as in 1500ms for 1.5s"),
        ("1h30m", "one number and one unit, as in 90m for 1h30m"), ("10S", "write 10s"),
        ("3w", "the units are ms, s, m, h and d; a bare number means seconds"),
        ("", "a number and a unit without a space; a bare number means seconds"),
        ("-1s", "a number and a unit without a space; a bare number means seconds"),
        ("9223372036854775808ms", "the number is too large"), ("9223372036854775807s", "the number is too large"),
        ("99999999999999999999999999d", "the number is too large"),
    ]) func durationsRefused(text: String, help: String) {
        let misread = #expect(throws: Misread.self) { try DurationText.milliseconds(text) }
        #expect(misread?.expected == "a duration such as 250ms, 10s, 5m, 1h or 1d")
        #expect(misread?.help == help)
    }

    @Test(arguments: [
        ("512", 512), ("512B", 512), ("16KiB", 16_384), ("100MiB", 104_857_600), ("10GiB", 10_737_418_240),
        ("1TiB", 1 << 40), ("1kB", 1000), ("2MB", 2_000_000), ("3GB", 3_000_000_000), ("1TB", 1_000_000_000_000),
        ("0", 0), ("9223372036854775807", UInt64(Int64.max)),
    ]) func sizes(text: String, bytes: UInt64) throws {
        #expect(try SizeText.bytes(text) == bytes)
    }

    @Test(arguments: [
        ("16K", "write 16KiB (powers of 1024) or 16kB (powers of 1000)"),
        ("16kb", "write 16KiB (powers of 1024) or 16kB (powers of 1000)"),
        ("16kib", "write 16KiB (powers of 1024) or 16kB (powers of 1000)"),
        ("1g", "write 1GiB (powers of 1024) or 1GB (powers of 1000)"),
        ("1.5GiB", "fractions are not read; use the next smaller unit, as in 1536KiB for 1.5MiB"),
        ("5 MiB", "a number and a unit without a space; a bare number means bytes"),
        ("5bits", "the units are B, KiB, MiB, GiB, TiB and kB, MB, GB, TB; a bare number means bytes"),
        ("9223372036854775808", "the number is too large"), ("99999999999TiB", "the number is too large"),
    ]) func sizesRefused(text: String, help: String) {
        let misread = #expect(throws: Misread.self) { try SizeText.bytes(text) }
        #expect(misread?.help == help)
    }

    @Test func whatIsWrittenIsReadAgain() throws {
        var generator = SeededGenerator(state: 1)
        for _ in 0..<1000 {
            let value = Int.random(in: 0...1 << Int.random(in: 1...40, using: &generator), using: &generator)
            #expect(try DurationText.milliseconds(DurationText.text(milliseconds: value)) == value)
            #expect(try SizeText.bytes(SizeText.text(bytes: UInt64(value))) == UInt64(value))
        }
        #expect(DurationText.text(milliseconds: 90_000) == "90s")
        #expect(DurationText.text(milliseconds: 86_400_000) == "1d")
        #expect(SizeText.text(bytes: 1536) == "1536")
        #expect(SizeText.text(bytes: 64 << 20) == "64MiB")
    }

    @Test func nearestKeys() {
        let keys = ["hostnames", "origins", "round_robin", "warning", "ca"]
        #expect(NearestKey.nearest(to: "hostname", among: keys) == "hostnames")
        #expect(NearestKey.nearest(to: "Origin", among: keys) == "origins")
        #expect(NearestKey.nearest(to: "orgiins", among: keys) == "origins")
        #expect(NearestKey.nearest(to: "round-robin", among: keys) == "round_robin")
        #expect(NearestKey.nearest(to: "warn", among: keys) == "warning")
        #expect(NearestKey.nearest(to: "x", among: keys) == nil)
        #expect(NearestKey.nearest(to: "zz", among: keys) == nil)
        #expect(NearestKey.nearest(to: "", among: keys) == nil)
        #expect(NearestKey.nearest(to: String(repeating: "hostname", count: 1000), among: keys) == nil)
        #expect(NearestKey.distance(Array("ab".utf8), Array("ba".utf8)) == 1)
        #expect(NearestKey.distance(Array("kitten".utf8), Array("sitting".utf8)) == 3)
        #expect(NearestKey.distance([], Array("abc".utf8)) == 3)
    }
}
