// A record's content in its one form, from what a client sends: a text, or the parts in `data`.

import JSON
import Limits

/// Content that fits its type.
struct RecordContent: Sendable, Equatable {
    /// As the API shows it, without the priority where the type has one.
    var text: String
    var priority: Int64?
    /// The parts, of types that have some.
    var data: JSONObject?

    /// - Parameters:
    ///   - content: The text; nil where the client sent `data`.
    ///   - priority: As it stands beside the content.
    /// - Throws: `APIError` that says which part is wrong.
    init(_ type: RecordType, content: String?, data: JSONObject?, priority: Int64?) throws(APIError) {
        guard case .parts(let parts) = type.shape else {
            guard let content else { throw .invalid("content", "the content of \(type.name)", found: "nothing") }
            text = try Self.whole(content, type)
            if type.hasPriority { self.priority = try Self.checked(priority ?? 0) }
            return
        }
        var values: JSONObject
        if let data {
            values = try Self.checked(data, parts, priority: priority, type)
        } else {
            values = try Self.parsed(content ?? "", parts, type, priority: priority)
        }
        for (name, part) in parts { values[name] = try Self.normalized(values[name] ?? .null, part, name) }
        self.data = values
        if type.hasPriority { self.priority = values["priority"]?.integer }
        text = Self.text(values, type.hasPriority ? Array(parts.dropFirst()) : parts, type)
    }

    private static func checked(_ priority: Int64) throws(APIError) -> Int64 {
        guard (0...65_535).contains(priority) else {
            throw .invalid("priority", "a whole number from 0 to 65535", found: "\(priority)")
        }
        return priority
    }

    // MARK: Contents that are one thing

    private static func whole(_ content: String, _ type: RecordType) throws(APIError) -> String {
        func need(_ value: String?, _ expected: String) throws(APIError) -> String {
            guard let value else {
                throw APIError(
                    400, 9005,
                    "Content for \(type.name) record is invalid: expected \(expected), found \(content.prefix(100))")
            }
            return value
        }
        switch type.shape {
        case .address4: return try need(AddressText.version4(content), "an IPv4 address")
        case .address6: return try need(AddressText.version6(content), "an IPv6 address")
        case .name: return try need(DomainName(content)?.text ?? (content == "." ? "." : nil), "a domain name")
        case .base64: return try need(isBase64(content) ? content : nil, "base64")
        case .text:
            let isGood =
                !content.isEmpty && content.utf8.count <= Limits.apiTextRecordBytesMax && !content.utf8.contains(0)
            return try need(isGood ? content : nil, "1 to \(Limits.apiTextRecordBytesMax) bytes of text")
        case .parts: return content
        }
    }

    // MARK: Contents made of parts

    private static func checked(
        _ data: JSONObject, _ parts: [(name: String, part: RecordType.Part)], priority: Int64?, _ type: RecordType
    ) throws(APIError) -> JSONObject {
        var values: JSONObject = [:]
        for (name, _) in parts {
            let given = data[name] ?? (name == "priority" ? priority.map { .number(JSONNumber($0)) } : nil)
            guard let value = given ?? RecordType.standardParts[name] else {
                throw .invalid("data.\(name)", "a value: \(type.name) records have one", found: "nothing")
            }
            values[name] = value
        }
        return values
    }

    private static func parsed(
        _ content: String, _ parts: [(name: String, part: RecordType.Part)], _ type: RecordType, priority: Int64?
    ) throws(APIError) -> JSONObject {
        if type.name == "LOC" { return try LocationText.parse(content) }
        var words = RecordWords(content)
        var values: JSONObject = [:]
        let wordCount = words.count
        for (name, part) in parts {
            // The priority stands beside the content, or in front of it as in a zone file.
            if name == "priority", type.hasPriority, let priority, wordCount < parts.count {
                values[name] = .number(JSONNumber(priority))
                continue
            }
            let isRest = if case .rest = part { true } else { false }
            guard let word = isRest ? words.rest() : words.next() else {
                let names = parts.map(\.name).joined(separator: " ")
                throw APIError(
                    400, 9005,
                    "Content for \(type.name) record is invalid: expected \(names), found \(content.prefix(100))")
            }
            switch part {
            case .integer, .number: values[name] = JSONNumber(word).map { .number($0) } ?? .string(word)
            default: values[name] = .string(word)
            }
        }
        return values
    }

    private static func normalized(_ value: JSONValue, _ part: RecordType.Part, _ name: String) throws(APIError)
        -> JSONValue
    {
        let path = "data.\(name)"
        switch part {
        case .integer(let range):
            // Numbers in quotes are common.
            let number = value.string.flatMap { Int64($0) } ?? value.integer
            guard let number, range.contains(number) else {
                throw .invalid(
                    path, "a whole number from \(range.lowerBound) to \(range.upperBound)",
                    found: BodySchema.shown(value))
            }
            return .number(JSONNumber(number))
        case .number(let range):
            try BodySchema.number(range).check(value, at: path)
            return value
        case .name:
            guard let text = value.string, let name = text == "." ? "." : DomainName(text)?.text else {
                throw .invalid(path, "a domain name", found: BodySchema.shown(value))
            }
            return .string(name)
        case .choice(let words): try BodySchema.choice(words).check(value, at: path)
        case .hexadecimal:
            let digits = value.string?.filter { $0 != " " }.lowercased() ?? ""
            guard !digits.isEmpty, digits.utf8.count % 2 == 0, digits.utf8.count <= 4096,
                digits.utf8.allSatisfy({
                    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                        || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
                })
            else {
                throw .invalid(path, "an even number of hexadecimal digits", found: BodySchema.shown(value))
            }
            return .string(digits)
        case .base64:
            let text = value.string?.filter { $0 != " " } ?? ""
            guard isBase64(text) else { throw .invalid(path, "base64", found: BodySchema.shown(value)) }
            return .string(text)
        case .token:
            guard let text = value.string, (1...64).contains(text.utf8.count),
                text.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) })
            else { throw .invalid(path, "letters and digits", found: BodySchema.shown(value)) }
        case .quoted, .rest: try BodySchema.text(2048).check(value, at: path)
        }
        return value
    }

    private static func isBase64(_ text: String) -> Bool {
        let digits = text.utf8.prefix { $0 != UInt8(ascii: "=") }
        let padding = text.utf8.dropFirst(digits.count)
        return !digits.isEmpty && text.utf8.count % 4 == 0 && text.utf8.count <= 16_384 && padding.count <= 2
            && padding.allSatisfy { $0 == UInt8(ascii: "=") }
            && digits.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"): true
                default: false
                }
            }
    }

    private static func text(
        _ values: JSONObject, _ parts: [(name: String, part: RecordType.Part)], _ type: RecordType
    ) -> String {
        if type.name == "LOC" { return LocationText.render(values) }
        return parts.compactMap { name, part -> String? in
            let value = values[name] ?? .null
            if case .quoted = part { return RecordWords.quoted(value.string ?? "") }
            let word = value.string ?? value.text
            return word.isEmpty ? nil : word
        }.joined(separator: " ")
    }
}

extension JSONNumber {
    /// A number as it stands in a zone file.
    init?(_ word: String) {
        guard let value = try? JSONValue(parsing: word), case .number(let number) = value else { return nil }
        self = number
    }
}

/// The words of a content: separated by blanks, or in quotes with `\"` and `\\` within.
struct RecordWords {
    private var bytes: ArraySlice<UInt8>

    init(_ text: String) { bytes = Array(text.utf8)[...] }

    /// How many words there are.
    var count: Int {
        var copy = self
        var count = 0
        while copy.next() != nil { count += 1 }
        return count
    }

    mutating func next() -> String? {
        bytes = bytes.drop { $0 == 0x20 || $0 == 0x09 }
        guard let first = bytes.first else { return nil }
        guard first == UInt8(ascii: "\"") else {
            let word = bytes.prefix { $0 != 0x20 && $0 != 0x09 }
            bytes = bytes.dropFirst(word.count)
            return String(decoding: word, as: UTF8.self)
        }
        bytes = bytes.dropFirst()
        var word: [UInt8] = []
        while let byte = bytes.popFirst(), byte != UInt8(ascii: "\"") {
            if byte != UInt8(ascii: "\\") {
                word.append(byte)
            } else if let value = UInt8(String(decoding: bytes.prefix(3), as: UTF8.self)), bytes.count >= 3 {
                // `\DDD` (RFC 1035, section 5.1)
                word.append(value)
                bytes = bytes.dropFirst(3)
            } else if let escaped = bytes.popFirst() {
                word.append(escaped)
            }
        }
        return String(decoding: word, as: UTF8.self)
    }

    /// All that is left, as it stands.
    mutating func rest() -> String? {
        bytes = bytes.drop { $0 == 0x20 || $0 == 0x09 }
        defer { bytes = [] }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func quoted(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"), UInt8(ascii: "\""): bytes += [UInt8(ascii: "\\"), byte]
            case 0..<0x20, 0x7f: bytes += Array("\\\(String(1000 + Int(byte)).dropFirst())".utf8)
            default: bytes.append(byte)
            }
        }
        return "\"" + String(decoding: bytes, as: UTF8.self) + "\""
    }
}

/// LOC in the text of a zone file (RFC 1876, section 3): `52 22 23.000 N 4 53 32.000 E -2.00m 1.00m 10000.00m 10.00m`.
enum LocationText {
    static func parse(_ text: String) throws(APIError) -> JSONObject {
        var words = text.split(separator: " ").map(String.init)[...]
        var values: JSONObject = [:]
        try angle("lat", ["N", "S"], &words, &values)
        try angle("long", ["E", "W"], &words, &values)
        for name in ["altitude", "size", "precision_horz", "precision_vert"] {
            guard let word = words.popFirst() else {
                guard let standard = RecordType.standardParts[name] else { throw problem(text) }
                values[name] = standard
                continue
            }
            guard let number = JSONNumber(word.hasSuffix("m") ? String(word.dropLast()) : word) else {
                throw problem(text)
            }
            values[name] = .number(number)
        }
        return values
    }

    private static func angle(
        _ prefix: String, _ directions: [String], _ words: inout ArraySlice<String>, _ values: inout JSONObject
    ) throws(APIError) {
        let names = ["degrees", "minutes", "seconds"]
        for name in names { values["\(prefix)_\(name)"] = 0 }
        var place = 0
        while let word = words.popFirst() {
            if directions.contains(word.uppercased()) {
                values["\(prefix)_direction"] = .string(word.uppercased())
                return
            }
            guard place < names.count, let number = JSONNumber(word) else { throw problem(word) }
            values["\(prefix)_\(names[place])"] = .number(number)
            place += 1
        }
        throw problem("the end")
    }

    private static func problem(_ found: String) -> APIError {
        APIError(
            400, 9005,
            "Content for LOC record is invalid: expected degrees minutes seconds N|S degrees minutes seconds E|W altitude, found \(found.prefix(100))"
        )
    }

    static func render(_ values: JSONObject) -> String {
        func value(_ name: String) -> String { values[name].map { $0.string ?? $0.text } ?? "0" }
        let angles = ["lat", "long"].flatMap { prefix in
            ["degrees", "minutes", "seconds", "direction"].map { value("\(prefix)_\($0)") }
        }
        let lengths = ["altitude", "size", "precision_horz", "precision_vert"].map { value($0) + "m" }
        return (angles + lengths).joined(separator: " ")
    }
}
