/// Reading and writing the log's bytes: integers in network order, nothing beyond the end, nothing left over.

/// Reads from the front of some bytes. Every read is checked; none traps.
struct WireReader {
    /// Shared with whoever received them: reading copies nothing but what is kept.
    private let bytes: [UInt8]
    private(set) var offset: Int
    private let end: Int
    /// What is being read, for the error.
    private let what: StaticString

    init(_ bytes: [UInt8], _ what: StaticString) { self.init(bytes, 0..<bytes.count, what) }

    /// Of the part of the bytes that lies within `range`.
    init(_ bytes: [UInt8], _ range: Range<Int>, _ what: StaticString) {
        let range = range.clamped(to: 0..<bytes.count)
        self.bytes = bytes
        offset = range.lowerBound
        end = range.upperBound
        self.what = what
    }

    var remaining: Int { end - offset }

    func fail(_ kind: ConfigLogError.Kind, expected: String, found: String) -> ConfigLogError {
        ConfigLogError(kind, "\(what)", expected: expected, found: found)
    }

    private func require(_ count: Int, _ part: StaticString) throws(ConfigLogError) {
        guard count >= 0, count <= remaining else {
            throw fail(.truncated, expected: "\(count) bytes of \(part)", found: "\(remaining) bytes")
        }
    }

    mutating func integer<I: FixedWidthInteger & UnsignedInteger>(
        _ type: I.Type, _ part: StaticString
    ) throws(ConfigLogError) -> I {
        let count = I.bitWidth / 8
        try require(count, part)
        var value: I = 0
        for index in 0..<count { value = value << 8 | I(truncatingIfNeeded: bytes[offset + index]) }
        offset += count
        return value
    }

    mutating func hash(_ part: StaticString) throws(ConfigLogError) -> ChainHash {
        ChainHash(
            try integer(UInt64.self, part), try integer(UInt64.self, part),
            try integer(UInt64.self, part), try integer(UInt64.self, part))
    }

    mutating func array(_ count: Int, _ part: StaticString) throws(ConfigLogError) -> [UInt8] {
        try require(count, part)
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    mutating func text(_ count: Int, _ part: StaticString) throws(ConfigLogError) -> String {
        try require(count, part)
        let text = String(validating: bytes[offset..<offset + count], as: UTF8.self)
        guard let text else { throw fail(.malformed, expected: "UTF-8 as \(part)", found: "other bytes") }
        offset += count
        return text
    }

    /// A byte of the length, then the text.
    mutating func name(_ part: StaticString, bytesMax: Int) throws(ConfigLogError) -> String {
        let count = Int(try integer(UInt8.self, part))
        guard count <= bytesMax else {
            throw fail(.tooLarge, expected: "at most \(bytesMax) bytes of \(part)", found: "\(count)")
        }
        return try text(count, part)
    }

    func atEnd() throws(ConfigLogError) {
        guard remaining == 0 else { throw fail(.malformed, expected: "its end", found: "\(remaining) bytes more") }
    }
}

extension [UInt8] {
    mutating func write<I: FixedWidthInteger & UnsignedInteger>(_ value: I) {
        var shift = I.bitWidth
        while shift > 0 {
            shift -= 8
            append(UInt8(truncatingIfNeeded: value >> I(shift)))
        }
    }

    mutating func write(_ hash: ChainHash) {
        let words = hash.words
        write(words.0)
        write(words.1)
        write(words.2)
        write(words.3)
    }

    /// A byte of the length, then as many whole characters of the text as `bytesMax` (up to 255) has room for.
    mutating func write(name: String, bytesMax: Int) {
        var name = name[...]
        while name.utf8.count > Swift.min(bytesMax, 255) { name.removeLast() }
        append(UInt8(name.utf8.count))
        append(contentsOf: name.utf8)
    }
}
