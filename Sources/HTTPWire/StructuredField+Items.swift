// Bare items of structured fields (RFC 9651, section 4.2.3.1), told apart by their first byte.

extension StructuredCursor {
    /// One bare item.
    mutating func bareItem(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredValue {
        guard let first = peek(in: bytes) else { throw error }
        switch first {
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number(in: bytes)
        case UInt8(ascii: "\""): return try string(in: bytes)
        case UInt8(ascii: "?"): return try boolean(in: bytes)
        case ASCII.colon: return try byteSequence(in: bytes)
        case UInt8(ascii: "@"): return try date(in: bytes)
        case UInt8(ascii: "%"): return try displayString(in: bytes)
        case ASCII.asterisk: return try token(in: bytes)
        case _ where (first | 0x20) &- UInt8(ascii: "a") < 26: return try token(in: bytes)
        default: throw error
        }
    }

    /// An integer of at most 15 digits, or a decimal of at most 12 and three (section 4.2.4).
    private mutating func number(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredValue {
        let isNegative = take(UInt8(ascii: "-"), in: bytes)
        let start = position
        var value: Int64 = 0
        while let digit = digit(in: bytes) {
            guard position &- start < 15 else { throw error }
            value = value &* 10 &+ digit
            position &+= 1
        }
        guard position > start else { throw error }
        let wholeDigits = position &- start
        guard take(ASCII.dot, in: bytes) else { return .integer(isNegative ? -value : value) }
        guard wholeDigits <= 12 else { throw error }
        var fractionDigits = 0
        while let digit = digit(in: bytes) {
            guard fractionDigits < 3 else { throw error }
            value = value &* 10 &+ digit
            fractionDigits &+= 1
            position &+= 1
        }
        guard fractionDigits > 0 else { throw error }
        for _ in fractionDigits..<3 { value = value &* 10 }
        return .decimal(thousandths: isNegative ? -value : value)
    }

    private func digit(in bytes: Span<UInt8>) -> Int64? {
        guard let byte = peek(in: bytes), ASCII.isDigit(byte) else { return nil }
        return Int64(byte &- ASCII.zero)
    }

    /// A string (section 4.2.5): visible ASCII and SP; a backslash stands before `"` and `\` only.
    private mutating func string(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredValue {
        position &+= 1
        let start = position
        while true {
            let byte = try takeAny(in: bytes)
            switch byte {
            case UInt8(ascii: "\""): return .string(ByteRange(start, position &- 1))
            case UInt8(ascii: "\\"):
                let escaped = try takeAny(in: bytes)
                guard escaped == UInt8(ascii: "\"") || escaped == UInt8(ascii: "\\") else { throw error }
            case 0x20...0x7E: break
            default: throw error
            }
        }
    }

    /// A token (section 4.2.6), which may hold `:` and `/` beside what HTTP's tokens are made of.
    private mutating func token(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredValue {
        let start = position
        while let byte = peek(in: bytes),
            CharacterClass.token.contains(byte) || byte == ASCII.colon || byte == ASCII.slash
        {
            position &+= 1
        }
        return .token(ByteRange(start, position))
    }

    /// A byte sequence (section 4.2.7). Padding may be missing, but what is there must be base64.
    private mutating func byteSequence(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredValue {
        position &+= 1
        let start = position
        var padding = 0
        while true {
            let byte = try takeAny(in: bytes)
            switch byte {
            case ASCII.colon:
                let count = position &- 1 &- start
                guard (count &- padding) % 4 != 1, padding == 0 || count % 4 == 0, padding <= 2 else { throw error }
                return .byteSequence(ByteRange(start, position &- 1))
            case UInt8(ascii: "="): padding &+= 1
            case UInt8(ascii: "+"), ASCII.slash, UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"):
                guard padding == 0 else { throw error }
            default: throw error
            }
        }
    }

    private mutating func boolean(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredValue {
        position &+= 1
        switch try takeAny(in: bytes) {
        case UInt8(ascii: "0"): return .boolean(false)
        case UInt8(ascii: "1"): return .boolean(true)
        default: throw error
        }
    }

    /// A date (section 4.2.9): `@` and an integer.
    private mutating func date(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredValue {
        position &+= 1
        guard case .integer(let seconds) = try number(in: bytes) else { throw error }
        return .date(seconds)
    }

    /// A display string (section 4.2.10): percent-encoded in lower case, and UTF-8 once decoded.
    private mutating func displayString(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredValue {
        position &+= 1
        guard take(UInt8(ascii: "\""), in: bytes) else { throw error }
        let start = position
        var text = UTF8Check()
        while true {
            let byte = try takeAny(in: bytes)
            switch byte {
            case UInt8(ascii: "\""):
                guard text.isComplete else { throw error }
                return .displayString(ByteRange(start, position &- 1))
            case UInt8(ascii: "%"):
                let high = try lowerHexDigit(in: bytes)
                let low = try lowerHexDigit(in: bytes)
                guard text.take(high << 4 | low) else { throw error }
            case 0x20...0x7E:
                guard text.take(byte) else { throw error }
            default: throw error
            }
        }
    }

    private mutating func lowerHexDigit(in bytes: Span<UInt8>) throws(StructuredFieldError) -> UInt8 {
        let byte = try takeAny(in: bytes)
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return byte &- ASCII.zero
        case UInt8(ascii: "a")...UInt8(ascii: "f"): return byte &- UInt8(ascii: "a") &+ 10
        default: throw error
        }
    }
}

/// Whether bytes that come one by one are well-formed UTF-8 (RFC 3629, section 4).
private struct UTF8Check {
    private var missing = 0
    /// What the next byte may be: narrower behind the first bytes that could begin an overlong form, a surrogate or
    /// something beyond U+10FFFF.
    private var lowest: UInt8 = 0x80
    private var highest: UInt8 = 0xBF

    var isComplete: Bool { missing == 0 }

    /// False once the bytes so far cannot be UTF-8.
    mutating func take(_ byte: UInt8) -> Bool {
        if missing > 0 {
            guard byte >= lowest, byte <= highest else { return false }
            missing &-= 1
            lowest = 0x80
            highest = 0xBF
            return true
        }
        switch byte {
        case 0x00...0x7F: return true
        case 0xC2...0xDF: missing = 1
        case 0xE0...0xEF:
            missing = 2
            if byte == 0xE0 { lowest = 0xA0 }
            if byte == 0xED { highest = 0x9F }
        case 0xF0...0xF4:
            missing = 3
            if byte == 0xF0 { lowest = 0x90 }
            if byte == 0xF4 { highest = 0x8F }
        default: return false
        }
        return true
    }
}
