// Structured Field Values (RFC 9651), read one member at a time: no allocation, no copy, only ranges into the bytes.
//
//     a=1;x, b=(1 "two");y=?0, c          a dictionary of three members
//     ┬ ┬ ┬     └──┬───┘ └─┬─┘
//     │ │ └ parameters     └ parameters
//     key value  inner list
//
// A structured field is valid as a whole or not at all (section 4.2): whoever acts on members before `next` has said
// that there are no more of them must be able to take that back. A field that came in several lines is read line by
// line; a string that was cut in two by a line's end is then an error, which section 4.2 allows.
//
// `StructuredCursor` has the grammar of what values are made of, this file that of what holds them together.

/// What is wrong with a structured field. Which way it is broken matters to nobody: such a field is ignored.
package struct StructuredFieldError: Error, Sendable, Equatable {
    /// Where in the bytes it was noticed.
    package let position: Int
}

/// A value: a bare item (RFC 9651, section 3.3) or an inner list (section 3.1.1).
package enum StructuredValue: Sendable, Equatable {
    /// At most 15 digits.
    case integer(Int64)
    /// In thousandths, which is as exact as decimals are: 1.5 is 1500.
    case decimal(thousandths: Int64)
    /// The bytes between the quotes, in which `\"` and `\\` are still two bytes.
    case string(ByteRange)
    case token(ByteRange)
    /// The base64 text between the colons.
    case byteSequence(ByteRange)
    case boolean(Bool)
    /// Seconds since 1970.
    case date(Int64)
    /// The bytes between the quotes, still percent-encoded; they stand for valid UTF-8.
    case displayString(ByteRange)
    /// The bytes between the parentheses, for `StructuredInnerList`. Its items have been checked.
    case innerList(ByteRange)
}

/// A member of a list or dictionary, or an item of an inner list.
package struct StructuredMember: Sendable, Equatable {
    /// Empty in lists.
    package var key: ByteRange = .empty
    package var value: StructuredValue
    package var parameters: StructuredParameters
}

/// Walks a dictionary (RFC 9651, section 3.2).
///
/// A key that comes twice is reported twice: its last value is the one that counts.
package struct StructuredDictionary: Sendable {
    private var cursor: StructuredCursor

    /// - Parameter value: the field's value, without white space around it.
    package init(_ value: ByteRange) { cursor = StructuredCursor(value) }

    /// The next member, or nil once the whole value has been found to be a dictionary.
    package mutating func next(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredMember? {
        guard try cursor.beginMember(in: bytes) else { return nil }
        let key = try cursor.key(in: bytes)
        var member: StructuredMember
        if cursor.take(UInt8(ascii: "="), in: bytes) {
            member = try cursor.member(in: bytes)
        } else {
            member = StructuredMember(value: .boolean(true), parameters: try cursor.parameters(in: bytes))
        }
        member.key = key
        return member
    }
}

/// Walks a list (RFC 9651, section 3.1).
package struct StructuredList: Sendable {
    private var cursor: StructuredCursor

    /// - Parameter value: the field's value, without white space around it.
    package init(_ value: ByteRange) { cursor = StructuredCursor(value) }

    /// The next member, or nil once the whole value has been found to be a list.
    package mutating func next(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredMember? {
        guard try cursor.beginMember(in: bytes) else { return nil }
        return try cursor.member(in: bytes)
    }
}

/// Walks the items of an inner list (RFC 9651, section 3.1.1), which its list or dictionary has already checked.
package struct StructuredInnerList: Sendable {
    private var cursor: StructuredCursor

    /// - Parameter range: of `StructuredValue.innerList`.
    package init(_ range: ByteRange) { cursor = StructuredCursor(range) }

    /// The next item, or nil behind the last.
    package mutating func next(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredMember? {
        cursor.skipSpaces(in: bytes)
        guard !cursor.isAtEnd(of: bytes) else { return nil }
        return try cursor.item(in: bytes)
    }
}

/// Walks the parameters of a member (RFC 9651, section 3.1.2), which have been checked together with it.
///
/// A key that comes twice is reported twice: its last value is the one that counts.
package struct StructuredParameters: Sendable, Equatable {
    private var cursor: StructuredCursor

    /// - Parameter range: from the first semicolon to the end of the last parameter.
    init(_ range: ByteRange) { cursor = StructuredCursor(range) }

    /// The next parameter, or nil behind the last.
    package mutating func next(
        in bytes: Span<UInt8>
    ) throws(StructuredFieldError) -> (key: ByteRange, value: StructuredValue)? {
        try cursor.parameter(in: bytes)
    }
}

/// A field that is a single item (RFC 9651, section 3.3).
package enum StructuredItem {
    /// The item that the whole of `value` is.
    package static func parse(
        _ bytes: Span<UInt8>, _ value: ByteRange
    ) throws(StructuredFieldError) -> StructuredMember {
        var cursor = StructuredCursor(value)
        cursor.skipSpaces(in: bytes)
        let member = try cursor.item(in: bytes)
        cursor.skipSpaces(in: bytes)
        guard cursor.isAtEnd(of: bytes) else { throw cursor.error }
        return member
    }
}

/// A position in a structured field, and what may follow there.
struct StructuredCursor: Sendable, Equatable {
    var position: Int
    private let end: Int
    private var isFirst = true

    init(_ range: ByteRange) {
        position = Int(range.start)
        end = range.end
    }

    var error: StructuredFieldError { StructuredFieldError(position: position) }

    /// The byte here, or nil at the end.
    @inline(__always)
    func peek(in bytes: Span<UInt8>) -> UInt8? {
        position < end && position < bytes.count ? bytes[position] : nil
    }

    func isAtEnd(of bytes: Span<UInt8>) -> Bool { peek(in: bytes) == nil }

    /// Steps over `byte` if it comes next.
    @inline(__always)
    mutating func take(_ byte: UInt8, in bytes: Span<UInt8>) -> Bool {
        guard peek(in: bytes) == byte else { return false }
        position &+= 1
        return true
    }

    /// Steps over whatever comes next.
    @inline(__always)
    mutating func takeAny(in bytes: Span<UInt8>) throws(StructuredFieldError) -> UInt8 {
        guard let byte = peek(in: bytes) else { throw error }
        position &+= 1
        return byte
    }

    mutating func skipSpaces(in bytes: Span<UInt8>) {
        while take(ASCII.space, in: bytes) {}
    }

    private mutating func skipBlanks(in bytes: Span<UInt8>) {
        while let byte = peek(in: bytes), ASCII.isBlank(byte) { position &+= 1 }
    }

    // MARK: What holds values together

    /// Moves to the next member of a list or dictionary; false at the end.
    mutating func beginMember(in bytes: Span<UInt8>) throws(StructuredFieldError) -> Bool {
        if isFirst {
            isFirst = false
            skipSpaces(in: bytes)
            return !isAtEnd(of: bytes)
        }
        skipBlanks(in: bytes)
        guard !isAtEnd(of: bytes) else { return false }
        guard take(ASCII.comma, in: bytes) else { throw error }
        skipBlanks(in: bytes)
        // Also at the end: behind a comma a member is missed (section 4.2.1).
        return true
    }

    /// An item or an inner list, with its parameters.
    mutating func member(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredMember {
        guard peek(in: bytes) == UInt8(ascii: "(") else { return try item(in: bytes) }
        position &+= 1
        let start = position
        while true {
            skipSpaces(in: bytes)
            let itemStart = position
            if take(UInt8(ascii: ")"), in: bytes) {
                let list = StructuredValue.innerList(ByteRange(start, itemStart))
                return StructuredMember(value: list, parameters: try parameters(in: bytes))
            }
            _ = try item(in: bytes)
            guard let next = peek(in: bytes), next == ASCII.space || next == UInt8(ascii: ")") else { throw error }
        }
    }

    /// A bare item with its parameters.
    mutating func item(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredMember {
        let value = try bareItem(in: bytes)
        return StructuredMember(value: value, parameters: try parameters(in: bytes))
    }

    /// Checks the parameters that follow, if any.
    mutating func parameters(in bytes: Span<UInt8>) throws(StructuredFieldError) -> StructuredParameters {
        let start = position
        while try parameter(in: bytes) != nil {}
        return StructuredParameters(ByteRange(start, position))
    }

    /// One parameter, or nil if none follows.
    mutating func parameter(
        in bytes: Span<UInt8>
    ) throws(StructuredFieldError) -> (key: ByteRange, value: StructuredValue)? {
        guard take(UInt8(ascii: ";"), in: bytes) else { return nil }
        skipSpaces(in: bytes)
        let key = try key(in: bytes)
        guard take(UInt8(ascii: "="), in: bytes) else { return (key, .boolean(true)) }
        return (key, try bareItem(in: bytes))
    }

    /// A key (section 4.2.3.3): lower case only.
    mutating func key(in bytes: Span<UInt8>) throws(StructuredFieldError) -> ByteRange {
        let start = position
        guard let first = peek(in: bytes), Self.isLowerCase(first) || first == ASCII.asterisk else { throw error }
        position &+= 1
        while let byte = peek(in: bytes), Self.isKeyByte(byte) { position &+= 1 }
        return ByteRange(start, position)
    }

    private static func isLowerCase(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "a") < 26 }

    private static func isKeyByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "_"), UInt8(ascii: "-"), ASCII.dot, ASCII.asterisk: true
        default: isLowerCase(byte) || ASCII.isDigit(byte)
        }
    }
}
