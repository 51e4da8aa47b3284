// Zone files (RFC 1035, section 5): read into lines, and written from records.

import JSON
import Limits

/// A record of a zone file.
struct ZoneFileLine: Sendable, Equatable {
    /// Of the line that it begins in, from 1.
    var number: Int
    /// Complete, in lower case, without the dot at its end.
    var name: String
    var ttl: Int64?
    var type: String
    /// In front of the content, of types that the API shows it beside.
    var priority: Int64?
    var content: String
}

enum ZoneFile {
    /// - Throws: `APIError` with the line that cannot be read.
    static func parse(_ bytes: [UInt8], origin: String) throws(APIError) -> [ZoneFileLine] {
        var parser = ZoneFileParser(origin: origin)
        for (number, words, startsWithBlank) in try ZoneFileWords.lines(bytes) {
            try parser.take(words, startsWithBlank: startsWithBlank, number)
        }
        return parser.lines
    }

    /// Records as a zone file that can be read back.
    static func render(_ zone: String, _ records: [RecordRow], at now: APITime) -> String {
        var text = ";; Domain: \(zone).\n;; Exported: \(now.text)\n$ORIGIN \(zone).\n"
        for record in records {
            let ttl = record.ttl == 1 ? 300 : record.ttl
            var comments: [String] = []
            if let comment = record.comment {
                comments.append(
                    String(String.UnicodeScalarView(comment.unicodeScalars.map { $0.value < 0x20 ? " " : $0 })))
            }
            if record.isProxied { comments.append("cf_tags=cf-proxied:true") }
            let end = comments.isEmpty ? "" : " ; " + comments.joined(separator: " ")
            text += "\(record.name).\t\(ttl)\tIN\t\(record.type.name)\t\(content(record))\(end)\n"
        }
        return text
    }

    private static func content(_ record: RecordRow) -> String {
        let priority = record.type.hasPriority ? "\(record.content.priority ?? 0) " : ""
        switch record.type.shape {
        case .name: return priority + (record.content.text == "." ? "." : record.content.text + ".")
        case .text: return strings(record.content.text)
        case .parts(let parts):
            // Names in the middle of a content are complete there, and need their dot.
            guard let data = record.content.data, record.type.name != "LOC" else {
                return priority + record.content.text
            }
            return parts.map { name, part in
                let value = data[name].map { $0.string ?? $0.text } ?? ""
                switch part {
                case .name: return value == "." ? "." : value + "."
                case .quoted: return RecordWords.quoted(value)
                default: return value
                }
            }.joined(separator: " ")
        default: return priority + record.content.text
        }
    }

    /// Character-strings of at most 255 bytes (RFC 1035, section 3.3.14). Text in quotes already is as it shall be.
    private static func strings(_ text: String) -> String {
        if text.hasPrefix("\""), text.hasSuffix("\""), text.utf8.count > 1, !text.utf8.contains(where: { $0 < 0x20 }) {
            return text
        }
        var strings: [String] = []
        var rest = text[...]
        while !rest.isEmpty {
            var end = rest.startIndex
            while end < rest.endIndex, rest[..<rest.index(after: end)].utf8.count <= 255 {
                end = rest.index(after: end)
            }
            if end == rest.startIndex { end = rest.index(after: end) }
            strings.append(RecordWords.quoted(String(rest[..<end])))
            rest = rest[end...]
        }
        return strings.isEmpty ? "\"\"" : strings.joined(separator: " ")
    }
}

/// Lines of words, with what parentheses join and without comments.
private enum ZoneFileWords {
    static func lines(_ bytes: [UInt8]) throws(APIError) -> [(number: Int, words: [String], startsWithBlank: Bool)] {
        guard String(validating: bytes, as: UTF8.self) != nil else { throw .invalid("file", "UTF-8 text") }
        var lines: [(number: Int, words: [String], startsWithBlank: Bool)] = []
        var open: (number: Int, words: [String], startsWithBlank: Bool)?
        var depth = 0
        for (index, line) in bytes.split(separator: 0x0a, omittingEmptySubsequences: false).enumerated() {
            let startsWithBlank = line.first == 0x20 || line.first == 0x09
            var current = open ?? (index + 1, [], startsWithBlank)
            try add(line, to: &current.words, &depth, number: index + 1)
            if depth > 0 {
                open = current
            } else {
                open = nil
                if !current.words.isEmpty { lines.append(current) }
            }
        }
        guard depth == 0 else { throw .invalid("file", "a closing parenthesis before the end") }
        return lines
    }

    private static func add(_ line: ArraySlice<UInt8>, to words: inout [String], _ depth: inout Int, number: Int)
        throws(APIError)
    {
        var rest = line.filter { $0 != 0x0d }[...]
        while let byte = rest.first {
            switch byte {
            case 0x20, 0x09: rest = rest.dropFirst()
            case UInt8(ascii: ";"): return
            case UInt8(ascii: "("), UInt8(ascii: ")"):
                depth += byte == UInt8(ascii: "(") ? 1 : -1
                guard (0...1).contains(depth) else { throw .invalid("file, line \(number)", "parentheses in pairs") }
                rest = rest.dropFirst()
            default:
                let count = try wordCount(rest, number)
                words.append(String(decoding: rest.prefix(count), as: UTF8.self))
                rest = rest.dropFirst(count)
            }
            guard words.count <= Limits.apiZoneFileWordsMax else {
                throw .invalid("file, line \(number)", "at most \(Limits.apiZoneFileWordsMax) words in a record")
            }
        }
    }

    /// A word ends at a blank; what stands in quotes within it, as in `alpn="h3,h2"`, belongs to it.
    private static func wordCount(_ bytes: ArraySlice<UInt8>, _ number: Int) throws(APIError) -> Int {
        var count = 0
        while count < bytes.count {
            let rest = bytes.dropFirst(count)
            if rest.first == UInt8(ascii: "\"") {
                guard let quoted = quotedCount(rest) else { throw .invalid("file, line \(number)", "quotes in pairs") }
                count += quoted
                // Two strings side by side are two words.
                if count == quoted { break }
            } else {
                let plain = rest.prefix { !" \t;()\"".utf8.contains($0) }.count
                if plain == 0 { break }
                count += plain
            }
        }
        return count
    }

    /// With both quotes.
    private static func quotedCount(_ bytes: ArraySlice<UInt8>) -> Int? {
        var isEscaped = false
        for (offset, byte) in bytes.enumerated().dropFirst() {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                return offset + 1
            }
        }
        return nil
    }
}

private struct ZoneFileParser {
    var lines: [ZoneFileLine] = []
    private var origin: String
    private var ttl: Int64?
    private var lastName: String?

    init(origin: String) { self.origin = origin }

    mutating func take(_ words: [String], startsWithBlank: Bool, _ number: Int) throws(APIError) {
        var words = words[...]
        switch words.first?.uppercased() {
        case "$ORIGIN":
            guard words.count == 2, let name = DomainName(words[words.startIndex + 1]) else {
                throw Self.problem(number, "$ORIGIN and a name")
            }
            origin = name.text
            return
        case "$TTL":
            guard words.count == 2, let value = Self.seconds(words[words.startIndex + 1]) else {
                throw Self.problem(number, "$TTL and seconds")
            }
            ttl = value
            return
        case let word? where word.hasPrefix("$"):
            throw Self.problem(number, "$ORIGIN, $TTL or a record: \(word.prefix(16)) is not taken")
        default: break
        }
        if !startsWithBlank, let word = words.popFirst() { lastName = try absolute(word, number) }
        guard let name = lastName else { throw Self.problem(number, "a name in the first record") }
        var line = ZoneFileLine(number: number, name: name, ttl: ttl, type: "", priority: nil, content: "")
        // TTL and class, in either order, either left out (section 5.1).
        while let word = words.first {
            if let value = Self.seconds(word) {
                line.ttl = value
            } else if !["IN", "CH", "HS"].contains(word.uppercased()) {
                break
            }
            words = words.dropFirst()
        }
        guard let type = words.popFirst()?.uppercased() else { throw Self.problem(number, "a type") }
        line.type = type
        try takeContent(Array(words), into: &line)
        lines.append(line)
    }

    private func takeContent(_ words: [String], into line: inout ZoneFileLine) throws(APIError) {
        guard let type = RecordType.find(line.type) else {
            line.content = words.joined(separator: " ")
            return
        }
        var words = words
        switch type.shape {
        case .name:
            if type.hasPriority {
                guard words.count == 2, let priority = Int64(words.removeFirst()) else {
                    throw Self.problem(line.number, "a preference and a name")
                }
                line.priority = priority
            }
            guard words.count == 1 else { throw Self.problem(line.number, "one name") }
            line.content = try absolute(words[0], line.number)
        case .parts(let parts):
            for (index, part) in parts.enumerated() where index < words.count {
                if case .name = part.part { words[index] = try absolute(words[index], line.number) }
            }
            line.content = words.joined(separator: " ")
        case .text: line.content = words.count == 1 ? RecordWords.unquoted(words[0]) : words.joined(separator: " ")
        case .base64: line.content = words.joined()
        default: line.content = words.joined(separator: " ")
        }
    }

    private func absolute(_ word: String, _ number: Int) throws(APIError) -> String {
        if word == "@" { return origin }
        if word == "." { return "." }
        let text = word.hasSuffix(".") ? word : "\(word).\(origin)"
        guard let name = DomainName(text, allowsWildcard: true) else {
            throw Self.problem(number, "a domain name, found \(word.prefix(64))")
        }
        return name.text
    }

    /// `3600`, or with units as most servers read them: `1h30m`.
    private static func seconds(_ word: String) -> Int64? {
        guard word.utf8.first.map({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) == true,
            word.utf8.count <= 16
        else { return nil }
        var total: Int64 = 0
        var value: Int64 = 0
        var hasDigits = false
        for byte in word.lowercased().utf8 {
            if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                value = value &* 10 &+ Int64(byte - UInt8(ascii: "0"))
                hasDigits = true
                guard value <= 0xffff_ffff else { return nil }
                continue
            }
            let units: [UInt8: Int64] = [
                UInt8(ascii: "s"): 1, UInt8(ascii: "m"): 60, UInt8(ascii: "h"): 3600, UInt8(ascii: "d"): 86_400,
                UInt8(ascii: "w"): 604_800,
            ]
            guard hasDigits, let unit = units[byte] else { return nil }
            total += value * unit
            (value, hasDigits) = (0, false)
        }
        return total + value
    }

    private static func problem(_ number: Int, _ expected: String) -> APIError {
        APIError(400, 9005, "Line \(number) of the zone file: expected \(expected)")
    }
}

extension RecordWords {
    /// The text within quotes; as it is without any.
    static func unquoted(_ word: String) -> String {
        guard word.hasPrefix("\"") else { return word }
        var words = RecordWords(word)
        return words.next() ?? ""
    }
}
