// Durations and sizes as they are written in the configuration file, in both directions.
//
// Strict about units on purpose: `10M` could be mega, mebi, minutes or months, so it is refused with a suggestion
// rather than guessed.

/// Durations: `250ms`, `10s`, `5m`, `1h`, `1d`; a bare number means seconds.
package enum DurationText {
    private static let units: [(unit: String, milliseconds: Int)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1),
    ]
    private static let expected = "a duration such as 250ms, 10s, 5m, 1h or 1d"

    /// Reads a duration in milliseconds.
    /// - Throws: `Misread` for anything else, and for what does not fit in 63 bits.
    package static func milliseconds(_ text: String) throws(Misread) -> Int {
        guard let (number, unit) = Quantity.split(text) else {
            throw Misread(expected: expected, help: "a number and a unit without a space; a bare number means seconds")
        }
        guard let scale = unit.isEmpty ? 1_000 : units.first(where: { $0.unit == unit })?.milliseconds else {
            throw Misread(expected: expected, help: help(number: number, unit: unit))
        }
        guard let product = Int(number)?.multipliedReportingOverflow(by: scale), !product.overflow else {
            throw Misread(expected: expected, help: "the number is too large")
        }
        return product.partialValue
    }

    /// Writes milliseconds in the largest unit that leaves no remainder.
    package static func text(milliseconds: Int) -> String {
        guard milliseconds != 0 else { return "0s" }
        for (unit, scale) in units where milliseconds % scale == 0 { return "\(milliseconds / scale)\(unit)" }
        return "\(milliseconds)ms"
    }

    private static func help(number: String, unit: String) -> String {
        let names = [
            "s": ["sec", "secs", "second", "seconds"], "m": ["min", "mins", "minute", "minutes"],
            "h": ["hr", "hrs", "hour", "hours"], "d": ["day", "days"],
            "ms": ["msec", "milli", "millis", "millisecond", "milliseconds"],
        ]
        let lower = unit.lowercased()
        if let known = names.first(where: { $0.key == lower || $0.value.contains(lower) }) {
            return "write \(number)\(known.key)"
        }
        if unit.hasPrefix(".") { return "fractions are not read; use the next smaller unit, as in 1500ms for 1.5s" }
        if unit.utf8.contains(where: Quantity.isDigit) { return "one number and one unit, as in 90m for 1h30m" }
        return "the units are ms, s, m, h and d; a bare number means seconds"
    }
}

/// Sizes: `512`, `16KiB`, `100MiB`, `10GiB`, and the decimal `kB`, `MB`, `GB`; a bare number means bytes.
package enum SizeText {
    private static let units: [(unit: String, bytes: UInt64)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
        ("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000),
    ]
    private static let expected = "a size such as 512, 16KiB, 100MiB or 10GB"

    /// Reads a size in bytes.
    /// - Throws: `Misread` for anything else, and for what does not fit in 63 bits.
    package static func bytes(_ text: String) throws(Misread) -> UInt64 {
        guard let (number, unit) = Quantity.split(text) else {
            throw Misread(expected: expected, help: "a number and a unit without a space; a bare number means bytes")
        }
        guard let scale = unit.isEmpty ? 1 : units.first(where: { $0.unit == unit })?.bytes else {
            throw Misread(expected: expected, help: help(number: number, unit: unit))
        }
        guard let product = UInt64(number)?.multipliedReportingOverflow(by: scale), !product.overflow,
            product.partialValue <= UInt64(Int64.max)
        else {
            throw Misread(expected: expected, help: "the number is too large")
        }
        return product.partialValue
    }

    /// Writes bytes in the largest binary unit that leaves no remainder, else as a bare number.
    package static func text(bytes: UInt64) -> String {
        guard bytes != 0 else { return "0" }
        for (unit, scale) in units where unit.hasSuffix("iB") && bytes % scale == 0 { return "\(bytes / scale)\(unit)" }
        return "\(bytes)"
    }

    private static func help(number: String, unit: String) -> String {
        if let first = unit.first, ["", "b", "ib"].contains(unit.dropFirst().lowercased()),
            "kmgt".contains(first.lowercased())
        {
            let prefix = first.uppercased()
            let decimal = prefix == "K" ? "kB" : "\(prefix)B"
            return "write \(number)\(prefix)iB (powers of 1024) or \(number)\(decimal) (powers of 1000)"
        }
        if unit.hasPrefix(".") { return "fractions are not read; use the next smaller unit, as in 1536KiB for 1.5MiB" }
        return "the units are B, KiB, MiB, GiB, TiB and kB, MB, GB, TB; a bare number means bytes"
    }
}

/// What durations and sizes share.
enum Quantity {
    static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    /// The leading digits and the rest; nil without digits or when something is wrong beyond the unit.
    static func split(_ text: String) -> (number: String, unit: String)? {
        let digits = text.utf8.prefix(while: isDigit)
        let unit = text.utf8.dropFirst(digits.count)
        guard !digits.isEmpty, unit.count <= 16, !unit.contains(0x20) else { return nil }
        return (String(Substring(digits)), String(Substring(unit)))
    }
}
