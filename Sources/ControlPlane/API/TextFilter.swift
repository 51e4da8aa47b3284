/// How a text must be for a row to be shown. The letters of ASCII count without their case: what lies beyond, the two
/// databases do not fold alike.
struct TextFilter: Sendable, Equatable {
    enum Operation: String, Sendable { case exact, contains, startswith, endswith, not }

    var operation: Operation
    var value: String

    init(_ operation: Operation, _ value: String) {
        self.operation = operation
        self.value = value
    }

    /// `contains:text`, as zones are filtered; without a word in front, exactly the text.
    init(prefixed text: String) {
        let words: [(String, Operation)] = [
            ("contains:", .contains), ("starts_with:", .startswith), ("ends_with:", .endswith),
            ("starts_with_case_sensitive:", .startswith), ("ends_with_case_sensitive:", .endswith),
            ("contains_case_sensitive:", .contains), ("equal:", .exact), ("not_equal:", .not), ("not:", .not),
        ]
        for (word, operation) in words where text.hasPrefix(word) {
            self.init(operation, String(text.dropFirst(word.count)))
            return
        }
        self.init(.exact, text)
    }

    /// Of a query with `name`, `name.exact`, `name.contains` and so on: all of them.
    static func all(_ name: String, in query: Query) -> [TextFilter] {
        var filters: [TextFilter] = query[name].map { [TextFilter(.exact, $0)] } ?? []
        for operation in [Operation.exact, .contains, .startswith, .endswith] {
            if let value = query["\(name).\(operation.rawValue)"] { filters.append(TextFilter(operation, value)) }
        }
        return filters
    }

    /// A condition on a column with one placeholder.
    func condition(_ column: String) -> (sql: String, values: [SQLValue]) {
        let lower = Self.lowered(value)
        let pattern = Self.escaped(lower)
        return switch operation {
        case .exact: ("lower(\(column)) = ?", [.text(lower)])
        case .not: ("lower(\(column)) <> ?", [.text(lower)])
        case .contains: ("lower(\(column)) LIKE ? ESCAPE '\\'", [.text("%\(pattern)%")])
        case .startswith: ("lower(\(column)) LIKE ? ESCAPE '\\'", [.text("\(pattern)%")])
        case .endswith: ("lower(\(column)) LIKE ? ESCAPE '\\'", [.text("%\(pattern)")])
        }
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        // By scalars: a mark behind a wildcard makes another character of it, for Swift alone.
        for scalar in text.unicodeScalars {
            if scalar == "%" || scalar == "_" || scalar == "\\" { result.unicodeScalars.append("\\") }
            result.unicodeScalars.append(scalar)
        }
        return result
    }

    private static func lowered(_ text: String) -> String {
        String(
            decoding: text.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 },
            as: UTF8.self)
    }
}
