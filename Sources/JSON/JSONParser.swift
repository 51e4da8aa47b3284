// Bytes to JSON values. What comes in is hostile: depth, values and bytes are bounded, and nothing traps.

import Limits

/// Why text is not JSON that is taken.
package struct JSONProblem: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
}

/// Reads one JSON text (RFC 8259), strictly.
struct JSONParser {
    private let bytes: ArraySlice<UInt8>
    private var position: Int
    private var valuesLeft: Int
    private let depthMax: Int

    static func parse(_ bytes: [UInt8]) throws(JSONProblem) -> JSONValue {
        try parse(bytes[...])
    }

    static func parse(_ bytes: ArraySlice<UInt8>) throws(JSONProblem) -> JSONValue {
        try parse(bytes, depthMax: Limits.apiJSONDepthMax, valuesMax: Limits.apiJSONValuesMax)
    }

    static func parse(_ bytes: ArraySlice<UInt8>, depthMax: Int, valuesMax: Int) throws(JSONProblem) -> JSONValue {
        var parser = JSONParser(bytes: bytes, position: bytes.startIndex, depthMax: depthMax, valuesMax: valuesMax)
        let value = try parser.value(depth: 0)
        parser.skipBlanks()
        guard parser.position == bytes.endIndex else { throw parser.problem("nothing more behind the value") }
        return value
    }

    private init(bytes: ArraySlice<UInt8>, position: Int, depthMax: Int, valuesMax: Int) {
        self.bytes = bytes
        self.position = position
        self.depthMax = depthMax
        valuesLeft = valuesMax
    }

    private func problem(_ expected: String) -> JSONProblem {
        let found = position < bytes.endIndex ? Self.shown(bytes[position]) : "the end"
        return JSONProblem(
            description: "expected \(expected), found \(found) at byte \(position - bytes.startIndex)")
    }

    private static func shown(_ byte: UInt8) -> String {
        (0x21...0x7e).contains(byte) ? "'\(Character(Unicode.Scalar(byte)))'" : "byte 0x\(String(byte, radix: 16))"
    }

    private var next: UInt8? { position < bytes.endIndex ? bytes[position] : nil }

    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws(JSONProblem) -> JSONValue {
        guard depth <= depthMax else { throw problem("at most \(depthMax) levels") }
        guard valuesLeft > 0 else { throw problem("fewer values than stand here") }
        valuesLeft -= 1
        skipBlanks()
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .boolean(true))
        case UInt8(ascii: "f"): return try word("false", .boolean(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"): return .number(try number())
        case let byte? where (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte): return .number(try number())
        default: throw problem("a JSON value")
        }
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws(JSONProblem) -> JSONValue {
        let count = text.utf8CodeUnitCount
        guard bytes.endIndex - position >= count,
            bytes[position..<position + count].elementsEqual(
                UnsafeBufferPointer(start: text.utf8Start, count: count))
        else { throw problem("\(text)") }
        position += count
        return value
    }

    private mutating func array(depth: Int) throws(JSONProblem) -> JSONValue {
        position += 1
        var values: [JSONValue] = []
        skipBlanks()
        if take(UInt8(ascii: "]")) { return .array(values) }
        while true {
            values.append(try value(depth: depth + 1))
            skipBlanks()
            if take(UInt8(ascii: "]")) { return .array(values) }
            guard take(UInt8(ascii: ",")) else { throw problem("',' or ']'") }
        }
    }

    private mutating func object(depth: Int) throws(JSONProblem) -> JSONValue {
        position += 1
        var object = JSONObject()
        skipBlanks()
        if take(UInt8(ascii: "}")) { return .object(object) }
        while true {
            skipBlanks()
            guard next == UInt8(ascii: "\"") else { throw problem("a member's name in quotes") }
            let name = try string()
            guard object[name] == nil else {
                throw JSONProblem(description: "the member \"\(name.prefix(64))\" stands there twice")
            }
            skipBlanks()
            guard take(UInt8(ascii: ":")) else { throw problem("':'") }
            object[name] = try value(depth: depth + 1)
            skipBlanks()
            if take(UInt8(ascii: "}")) { return .object(object) }
            guard take(UInt8(ascii: ",")) else { throw problem("',' or '}'") }
        }
    }

    /// `-? (0 | [1-9][0-9]*) (\.[0-9]+)? ([eE][+-]?[0-9]+)?` (RFC 8259, section 6)
    private mutating func number() throws(JSONProblem) -> JSONNumber {
        let start = position
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try digits() }
        if take(UInt8(ascii: ".")) { try digits() }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        guard position - start <= Limits.apiJSONNumberBytesMax else {
            throw JSONProblem(description: "a number has at most \(Limits.apiJSONNumberBytesMax) digits")
        }
        return JSONNumber(validated: String(decoding: bytes[start..<position], as: UTF8.self))
    }

    private mutating func digits() throws(JSONProblem) {
        let start = position
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        guard position > start else { throw problem("a digit") }
    }

    private mutating func string() throws(JSONProblem) -> String {
        position += 1
        var text: [UInt8] = []
        var start = position
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                text += bytes[start..<position]
                position += 1
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw JSONProblem(description: "a string holds bytes that are not UTF-8")
                }
                return string
            case UInt8(ascii: "\\"):
                text += bytes[start..<position]
                position += 1
                try escape(into: &text)
                start = position
            case 0..<0x20: throw problem("control characters of a string escaped")
            default: position += 1
            }
        }
        throw problem("'\"' at the end of a string")
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONProblem) {
        guard let byte = next else { throw problem("an escape") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0c)
        case UInt8(ascii: "n"): text.append(0x0a)
        case UInt8(ascii: "r"): text.append(0x0d)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text += Array(String(Character(try scalar())).utf8)
        default:
            position -= 1
            throw problem("one of \" \\ / b f n r t u behind '\\'")
        }
    }

    /// `\uXXXX`, two of them for what lies beyond the first plane.
    private mutating func scalar() throws(JSONProblem) -> Unicode.Scalar {
        let first = try hexadecimal()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard (0xd800..<0xdc00).contains(first), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
            throw problem("the other half of a surrogate pair")
        }
        let second = try hexadecimal()
        guard (0xdc00..<0xe000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
        else { throw problem("the other half of a surrogate pair") }
        return scalar
    }

    private mutating func hexadecimal() throws(JSONProblem) -> UInt32 {
        guard bytes.endIndex - position >= 4,
            let value = UInt32(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16),
            next != UInt8(ascii: "+"), next != UInt8(ascii: "-")
        else { throw problem("four hexadecimal digits") }
        position += 4
        return value
    }
}

extension JSONValue {
    /// Reads one JSON text, strictly: no member twice, no bytes that are not UTF-8, and nothing behind it.
    package init(parsing bytes: [UInt8]) throws(JSONProblem) { self = try JSONParser.parse(bytes) }
    package init(parsing text: String) throws(JSONProblem) { self = try JSONParser.parse(Array(text.utf8)) }

    /// What was stored: it may lie deeper, and be more, than one body that comes in. Its bytes are what bounds it.
    package init(stored text: String) throws(JSONProblem) {
        let bytes = Array(text.utf8)
        self = try JSONParser.parse(bytes[...], depthMax: 2 * Limits.apiJSONDepthMax, valuesMax: bytes.count + 1)
    }
}
