// One line of the access log, written straight into the buffer that will be handed to the disk: no String, no
// allocation, no copy.
//
// Every member begins with a comma, and the first comma becomes the opening brace when the line ends. A value longer
// than `Limits.accessLogValueBytesMax` is cut, a member for which the line has no room is left out, and either is told
// by `"cut":true` at the line's end. The caller decides what is logged; see `AccessLog` for what must not be.

import Limits

/// Writes the members of one JSON object, in the order of the calls. Made by `AccessLogShard.beginLine`.
package struct JSONLineWriter: ~Copyable {
    /// What the end of a line takes: `,"cut":true}` and a line feed.
    static let tailBytes = 16

    private let start: UnsafeMutableRawPointer
    private var cursor: UnsafeMutableRawPointer
    /// Members end before it; behind it is room for the tail.
    private let limit: UnsafeMutableRawPointer
    private let timestamps: UnsafeMutablePointer<TimestampText>
    private var isCut = false

    /// A writer of one line of at most `byteCount` bytes; without room for the tail, one that writes nothing at all.
    init(
        at start: UnsafeMutableRawPointer, byteCount: Int, timestamps: UnsafeMutablePointer<TimestampText>
    ) {
        self.start = start
        cursor = start
        limit = start + max(byteCount - Self.tailBytes, 0)
        self.timestamps = timestamps
    }

    /// A string of arbitrary bytes, cut at `Limits.accessLogValueBytesMax`.
    package mutating func string(_ key: StaticString, _ value: UnsafeRawBufferPointer) {
        let overhead = JSONString.slackBytes + 2
        guard open(key, valueBytes: overhead) else { return }
        let room = limit - cursor - overhead
        var whole = value
        // Within the bound, and within the line even if every byte is escaped; else cut to both.
        if value.count > Limits.accessLogValueBytesMax || value.count &* JSONString.expansionMax > room {
            let bytesMax = min(Limits.accessLogValueBytesMax, room / JSONString.expansionMax)
            whole = JSONString.prefix(value, bytesMax: bytesMax)
            isCut = true
        }
        put(UInt8(ascii: "\""))
        cursor = JSONString.write(whole, to: cursor)
        put(UInt8(ascii: "\""))
    }

    /// A string of arbitrary bytes, cut at `Limits.accessLogValueBytesMax`.
    package mutating func string(_ key: StaticString, _ value: Span<UInt8>) {
        value.withUnsafeBytes { string(key, $0) }
    }

    /// A string written in the source.
    package mutating func string(_ key: StaticString, _ value: StaticString) {
        guard value.hasPointerRepresentation else { return }
        string(key, UnsafeRawBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount))
    }

    /// A number.
    package mutating func number(_ key: StaticString, _ value: UInt64) {
        guard open(key, valueBytes: DecimalText.digitsMax) else { return }
        cursor = DecimalText.write(value, to: cursor)
    }

    /// A number.
    package mutating func number(_ key: StaticString, _ value: Int) {
        guard open(key, valueBytes: DecimalText.digitsMax + 1) else { return }
        if value < 0 { put(UInt8(ascii: "-")) }
        cursor = DecimalText.write(UInt64(value.magnitude), to: cursor)
    }

    /// A duration as a number of milliseconds with three decimals, rounded down.
    package mutating func milliseconds(_ key: StaticString, nanoseconds: UInt64) {
        guard open(key, valueBytes: DecimalText.digitsMax + 4) else { return }
        let microseconds = nanoseconds / 1000
        let whole = microseconds / 1000
        cursor = DecimalText.write(whole, to: cursor)
        put(UInt8(ascii: "."))
        DecimalText.writePadded(microseconds &- whole &* 1000, digits: 3, to: cursor)
        cursor += 3
    }

    /// A time as an RFC 3339 string in UTC with milliseconds.
    package mutating func timestamp(_ key: StaticString, unixNanoseconds: UInt64) {
        guard open(key, valueBytes: TimestampText.byteCount + 2) else { return }
        put(UInt8(ascii: "\""))
        timestamps.pointee.write(unixNanoseconds: unixNanoseconds, to: cursor)
        cursor += TimestampText.byteCount
        put(UInt8(ascii: "\""))
    }

    /// A truth value.
    package mutating func bool(_ key: StaticString, _ value: Bool) {
        guard open(key, valueBytes: 5) else { return }
        put(value ? "true" : "false")
    }

    /// Ends the line and returns its length in bytes, 0 if it had no room at all.
    consuming func finish() -> Int {
        guard limit > start else { return 0 }
        if isCut { put(",\"cut\":true") }
        if cursor == start { cursor += 1 }
        start.storeBytes(of: UInt8(ascii: "{"), as: UInt8.self)
        put(UInt8(ascii: "}"))
        put(UInt8(ascii: "\n"))
        return cursor - start
    }

    /// Writes comma, key and colon if the member fits, or marks the line as cut. Keys are the source's own words and
    /// need no escaping.
    private mutating func open(_ key: StaticString, valueBytes: Int) -> Bool {
        guard key.hasPointerRepresentation, key.utf8CodeUnitCount + 4 + valueBytes <= limit - cursor else {
            isCut = true
            return false
        }
        cursor.storeBytes(of: UInt16(littleEndian: 0x222c), as: UInt16.self)
        let count = key.utf8CodeUnitCount
        (cursor + 2).copyMemory(from: key.utf8Start, byteCount: count)
        (cursor + 2 + count).storeBytes(of: UInt16(littleEndian: 0x3a22), as: UInt16.self)
        cursor += count + 4
        return true
    }

    private mutating func put(_ byte: UInt8) {
        cursor.storeBytes(of: byte, as: UInt8.self)
        cursor += 1
    }

    private mutating func put(_ text: StaticString) {
        cursor.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        cursor += text.utf8CodeUnitCount
    }
}
