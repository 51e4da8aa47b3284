// JSON (RFC 8259) as the API speaks it: members keep their order, numbers their text, so that what a client wrote comes
// back as it was written.

/// One JSON value.
package enum JSONValue: Sendable, Hashable {
    case null
    case boolean(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

/// A number, in the text it came in.
package struct JSONNumber: Sendable, Hashable {
    /// Valid by the grammar of RFC 8259, section 6.
    package let text: String

    init(validated text: String) { self.text = text }
    package init(_ value: Int) { text = String(value) }
    package init(_ value: Int64) { text = String(value) }
    /// Numbers that JSON cannot say become 0.
    package init(_ value: Double) { text = value.isFinite ? "\(value)" : "0" }

    /// The value if it is a whole number that 64 bits hold; `1e3` and `5.0` are whole.
    package var integer: Int64? {
        if let exact = Int64(text) { return exact }
        return Double(text).flatMap { Int64(exactly: $0) }
    }
    package var double: Double { Double(text) ?? 0 }
}

/// Members in the order they came in. Names are unique: of two that are alike, the parser refuses the second.
package struct JSONObject: Sendable, Hashable {
    package private(set) var members: [(name: String, value: JSONValue)] = []
    /// Places of the names once there are many; few are found faster by looking at all.
    private var places: [String: Int] = [:]
    private static let fewMax = 12

    package init() {}

    package var isEmpty: Bool { members.isEmpty }
    package var count: Int { members.count }
    package var names: [String] { members.map(\.name) }

    private func place(of name: String) -> Int? {
        members.count > Self.fewMax ? places[name] : members.firstIndex { $0.name == name }
    }

    package subscript(_ name: String) -> JSONValue? {
        get { place(of: name).map { members[$0].value } }
        set {
            switch (place(of: name), newValue) {
            case (let place?, let value?): members[place].value = value
            case (let place?, nil):
                members.remove(at: place)
                index()
            case (nil, let value?):
                members.append((name, value))
                if members.count == Self.fewMax + 1 { index() } else { places[name] = members.count - 1 }
            case (nil, nil): break
            }
        }
    }

    private mutating func index() {
        places = [:]
        for (place, member) in members.enumerated() { places[member.name] = place }
    }

    /// The members of another object take the places of those with their names, or come behind (RFC 7396, without its
    /// removals: a null is a value).
    package func merging(_ other: JSONObject) -> JSONObject {
        var merged = self
        for (name, value) in other.members { merged[name] = value }
        return merged
    }

    /// Equal with the same members, in whatever order.
    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.members.allSatisfy { right[$0.name] == $0.value }
    }

    package func hash(into hasher: inout Hasher) {
        for name in names.sorted() {
            hasher.combine(name)
            hasher.combine(self[name])
        }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        for (name, value) in elements { self[name] = value }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(booleanLiteral value: Bool) { self = .boolean(value) }
    package init(integerLiteral value: Int) { self = .number(JSONNumber(value)) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSONValue)...) {
        var object = JSONObject()
        for (name, value) in elements { object[name] = value }
        self = .object(object)
    }
    package init(nilLiteral: ()) { self = .null }
}

extension JSONValue {
    package var string: String? { if case .string(let value) = self { value } else { nil } }
    package var boolean: Bool? { if case .boolean(let value) = self { value } else { nil } }
    package var integer: Int64? { if case .number(let value) = self { value.integer } else { nil } }
    package var double: Double? { if case .number(let value) = self { value.double } else { nil } }
    package var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    package var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
    package var isNull: Bool { self == .null }

    /// A member of an object; nil also where this is none.
    package subscript(_ name: String) -> JSONValue? { object?[name] }

    /// What it is, for errors.
    package var kind: String {
        switch self {
        case .null: "null"
        case .boolean: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
