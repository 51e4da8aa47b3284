import Limits

/// What stands behind the `?`.
struct Query: Sendable {
    private let items: [(name: String, value: String)]

    static let none = Query(items: [])

    private init(items: [(String, String)]) { self.items = items }

    /// - Throws: `APIError` if it has too many parts, or something in it is not percent-encoded UTF-8.
    init(parsing text: Substring) throws(APIError) {
        var items: [(String, String)] = []
        for part in text.split(separator: "&") {
            guard items.count < Limits.apiQueryItemsMax else {
                throw .invalid("the query", "at most \(Limits.apiQueryItemsMax) parameters")
            }
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentText.decode(sides[0], plusIsBlank: true),
                let value = PercentText.decode(sides.count > 1 ? sides[1] : "", plusIsBlank: true)
            else { throw .invalid("the query", "percent-encoded UTF-8", found: String(part.prefix(64))) }
            guard value.utf8.count <= Limits.apiQueryValueBytesMax else {
                throw .invalid(
                    String(name.prefix(64)), "at most \(Limits.apiQueryValueBytesMax) bytes",
                    found: "\(value.utf8.count)")
            }
            items.append((name, value))
        }
        self.items = items
    }

    /// The first of that name; an empty one counts as none.
    subscript(_ name: String) -> String? {
        items.first { $0.name == name && !$0.value.isEmpty }?.value
    }

    /// Whether the name stands there, with or without a value.
    func has(_ name: String) -> Bool { items.contains { $0.name == name } }

    /// All values of a name, also those joined by commas.
    func list(_ name: String) -> [String] {
        items.filter { $0.name == name }.flatMap { $0.value.split(separator: ",").map(String.init) }
    }

    func boolean(_ name: String) throws(APIError) -> Bool? {
        guard let text = self[name] else { return nil }
        switch text.lowercased() {
        case "true", "1": return true
        case "false", "0": return false
        default: throw .invalid(name, "true or false", found: String(text.prefix(32)))
        }
    }

    func integer(_ name: String) throws(APIError) -> Int? {
        guard let text = self[name] else { return nil }
        // SDKs whose numbers are floating point write 2.0.
        guard let value = Int(text) ?? Double(text).flatMap({ Int(exactly: $0) }) else {
            throw .invalid(name, "a whole number", found: String(text.prefix(32)))
        }
        return value
    }

    func choice(_ name: String, _ choices: [String]) throws(APIError) -> String? {
        guard let text = self[name] else { return nil }
        guard choices.contains(text) else {
            throw .invalid(name, "one of \(choices.joined(separator: ", "))", found: String(text.prefix(32)))
        }
        return text
    }
}

/// Which page of a list is asked for.
struct Paging: Sendable, Equatable {
    var page: Int
    var perPage: Int
    var offset: Int { (page - 1) * perPage }

    /// Too large a page is made as large as may be, without a word: clients ask for what they would like to have.
    init(_ query: Query, standard: Int, maximum: Int) throws(APIError) {
        page = min(max(try query.integer("page") ?? 1, 1), Limits.apiPageMax)
        perPage = min(max(try query.integer("per_page") ?? standard, 1), maximum)
    }

    func info(count: Int, total: Int) -> PageInfo {
        PageInfo(page: page, perPage: perPage, count: count, totalCount: total)
    }

    /// The same of a list that is in memory.
    func slice<Element>(_ elements: [Element]) -> ArraySlice<Element> {
        elements.dropFirst(offset).prefix(perPage)
    }
}

/// Percent-encoding (RFC 3986, section 2.1).
enum PercentText {
    static func decode(_ text: Substring, plusIsBlank: Bool = false) -> String? {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) else {
            return String(text)
        }
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsBlank: bytes.append(0x20)
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
