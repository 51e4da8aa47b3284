// Bytes from the network into the inside of a JSON string (RFC 8259, section 7). The result is always valid JSON in
// valid UTF-8, whatever comes in: a log that one odd request can break is no log.
//
//     0x20…0x7e without " and \    as they are, eight at a time
//     " \ \n \r \t                 their short escapes
//     other controls, DEL, C1      \u00xx
//     valid UTF-8                  as it is
//     anything else                U+FFFD for each maximal part of a sequence (Unicode 16, section 3.9)

/// Escaping for JSON strings.
enum JSONString {
    /// Most bytes that one byte becomes.
    static let expansionMax = 6
    /// Bytes that may be scribbled on behind the end of the result.
    static let slackBytes = 8

    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080

    /// Writes the escaped form and returns where it ends.
    ///
    /// `target` must have room for `source.count * expansionMax + slackBytes` bytes.
    static func write(_ source: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        let count = source.count
        var cursor = target
        var index = 0
        while index < count {
            let left = count &- index
            if left >= 8 {
                let word = source.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                let special = specialBytes(word)
                cursor.storeBytes(of: word, as: UInt64.self)
                let plain = special == 0 ? 8 : special.trailingZeroBitCount &>> 3
                index &+= plain
                cursor += plain
                if special == 0 { continue }
            } else if count >= 8 {
                // The last few bytes are read again with those before them and shifted down; blanks fill the word.
                let shift = UInt64(truncatingIfNeeded: (8 &- left) &* 8)
                let word = source.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self) &>> shift
                let special = specialBytes(word | (ones &* 0x20) &<< (64 &- shift))
                cursor.storeBytes(of: word, as: UInt64.self)
                let plain = special == 0 ? left : special.trailingZeroBitCount &>> 3
                index &+= plain
                cursor += plain
                if special == 0 { continue }
            }
            let byte = source[index]
            if byte >= 0x80 {
                index &+= writeSequence(source, at: index, to: &cursor)
            } else {
                writeASCII(byte, to: &cursor)
                index &+= 1
            }
        }
        return cursor
    }

    /// Has the high bit set in the first byte (from the low end) that is not plain ASCII; what lies above it may be
    /// noise, because borrows and carries only run upwards.
    @inline(__always)
    private static func specialBytes(_ word: UInt64) -> UInt64 {
        // Flipping one bit puts the quote (0x22) right behind the controls, so that one subtraction finds both. One
        // addition finds DEL (0x7f), and bytes above 0x7f show by themselves.
        let controlsAndQuotes = (word ^ (ones &* 0x02)) &- (ones &* 0x21)
        let slashes = (word ^ (ones &* 0x5c)) &- ones
        let deletes = word &+ ones
        return (controlsAndQuotes | slashes | deletes | word) & highs
    }

    private static func writeASCII(_ byte: UInt8, to cursor: inout UnsafeMutableRawPointer) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): writeShort(byte, to: &cursor)
        case UInt8(ascii: "\n"): writeShort(UInt8(ascii: "n"), to: &cursor)
        case UInt8(ascii: "\r"): writeShort(UInt8(ascii: "r"), to: &cursor)
        case UInt8(ascii: "\t"): writeShort(UInt8(ascii: "t"), to: &cursor)
        case 0..<0x20, 0x7f: writeUnicodeEscape(byte, to: &cursor)
        default:
            cursor.storeBytes(of: byte, as: UInt8.self)
            cursor += 1
        }
    }

    private static func writeShort(_ byte: UInt8, to cursor: inout UnsafeMutableRawPointer) {
        cursor.storeBytes(of: UInt8(ascii: "\\"), as: UInt8.self)
        cursor.storeBytes(of: byte, toByteOffset: 1, as: UInt8.self)
        cursor += 2
    }

    /// `\u00xx` for a code point below 256.
    private static func writeUnicodeEscape(_ value: UInt8, to cursor: inout UnsafeMutableRawPointer) {
        // "\u00", low byte first.
        cursor.storeBytes(of: UInt32(littleEndian: 0x3030_755c), as: UInt32.self)
        cursor.storeBytes(of: hexDigit(value &>> 4), toByteOffset: 4, as: UInt8.self)
        cursor.storeBytes(of: hexDigit(value & 15), toByteOffset: 5, as: UInt8.self)
        cursor += 6
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "a") &+ (value &- 10)
    }

    /// Writes what begins with a byte above 0x7f; returns how many bytes it took.
    private static func writeSequence(
        _ source: UnsafeRawBufferPointer, at index: Int, to cursor: inout UnsafeMutableRawPointer
    ) -> Int {
        let (length, isValid) = sequence(source, at: index)
        guard isValid else {
            // U+FFFD is EF BF BD.
            cursor.storeBytes(of: 0xef, as: UInt8.self)
            cursor.storeBytes(of: 0xbf, toByteOffset: 1, as: UInt8.self)
            cursor.storeBytes(of: 0xbd, toByteOffset: 2, as: UInt8.self)
            cursor += 3
            return length
        }
        if length == 2, source[index] == 0xc2, source[index &+ 1] < 0xa0 {
            // C1 controls move the cursor of some terminals.
            writeUnicodeEscape(source[index &+ 1], to: &cursor)
            return 2
        }
        for offset in 0..<length {
            cursor.storeBytes(of: source[index &+ offset], toByteOffset: offset, as: UInt8.self)
        }
        cursor += length
        return length
    }

    /// The length of the sequence at an index, or of the longest beginning of one if it is not valid (Unicode 16,
    /// table 3-7).
    private static func sequence(_ source: UnsafeRawBufferPointer, at index: Int) -> (length: Int, isValid: Bool) {
        let lead = source[index]
        let length: Int
        // Only the second byte has bounds of its own; they shut out overlong forms, surrogates and what lies
        // beyond U+10FFFF.
        var second: ClosedRange<UInt8> = 0x80...0xbf
        switch lead {
        case 0xc2...0xdf: length = 2
        case 0xe0...0xef:
            length = 3
            if lead == 0xe0 { second = 0xa0...0xbf }
            if lead == 0xed { second = 0x80...0x9f }
        case 0xf0...0xf4:
            length = 4
            if lead == 0xf0 { second = 0x90...0xbf }
            if lead == 0xf4 { second = 0x80...0x8f }
        default: return (1, false)
        }
        var position = 1
        while position < length {
            let allowed = position == 1 ? second : 0x80...0xbf
            guard index &+ position < source.count, allowed.contains(source[index &+ position]) else {
                return (position, false)
            }
            position &+= 1
        }
        return (length, true)
    }

    /// The longest beginning of a value that is at most `bytesMax` long and does not cut a character in two.
    static func prefix(_ source: UnsafeRawBufferPointer, bytesMax: Int) -> UnsafeRawBufferPointer {
        guard bytesMax >= 0, source.count > bytesMax else { return source }
        var end = bytesMax
        // A sequence has at most three bytes behind its first.
        while end > 0, bytesMax - end < 3, source[end] & 0xc0 == 0x80 {
            end -= 1
        }
        // More of them than that is no character: any border will do.
        if source[end] & 0xc0 == 0x80 { end = bytesMax }
        return UnsafeRawBufferPointer(rebasing: source[..<end])
    }
}
