// What a body must look like. One description checks what comes in and is shown in the OpenAPI document.

import JSON

/// A JSON value's rule.
indirect enum BodySchema: Sendable {
    case anything
    case boolean
    case integer(ClosedRange<Int64>)
    case number(ClosedRange<Double>)
    /// Length in Unicode scalars.
    case string(ClosedRange<Int>, Format = .text)
    /// One of these.
    case choice([String])
    case array(BodySchema, count: ClosedRange<Int>)
    case object([Member])
    /// Any names, all values alike.
    case map(BodySchema)
    case nullable(BodySchema)
    case oneOf([BodySchema])
    /// An object of the API with a name of its own in the OpenAPI document.
    case named(String, BodySchema)

    enum Format: Sendable {
        case text
        /// 32 hexadecimal digits.
        case identifier
        /// RFC 3339.
        case time
        case url
        case hostname
        case address
    }

    struct Member: Sendable {
        var name: String
        var schema: BodySchema
        var isRequired = false
        /// The server sets it; what a client sends for it is not looked at.
        var isReadOnly = false
        var about = ""
    }

    static let id = BodySchema.string(32...32, .identifier)
    static let time = BodySchema.string(1...64, .time)
    static func text(_ maximum: Int) -> BodySchema { .string(0...maximum) }
    static func count(_ range: ClosedRange<Int64>) -> BodySchema { .integer(range) }
}

extension BodySchema.Member {
    /// A member that must be there.
    static func required(_ name: String, _ schema: BodySchema, _ about: String = "") -> BodySchema.Member {
        BodySchema.Member(name: name, schema: schema, isRequired: true, about: about)
    }
    static func optional(_ name: String, _ schema: BodySchema, _ about: String = "") -> BodySchema.Member {
        BodySchema.Member(name: name, schema: schema, about: about)
    }
    static func readOnly(_ name: String, _ schema: BodySchema, _ about: String = "") -> BodySchema.Member {
        BodySchema.Member(name: name, schema: schema, isReadOnly: true, about: about)
    }
}

// MARK: Checking

extension BodySchema {
    /// - Parameters:
    ///   - isPartial: Of an object's own members none need be there (PATCH).
    /// - Throws: The first thing that is not as it must be, with its place.
    func check(_ value: JSONValue, at path: String = "", isPartial: Bool = false) throws(APIError) {
        switch self {
        case .anything: return
        case .boolean: guard value.boolean != nil else { throw .invalid(path, "true or false", found: value.kind) }
        case .integer(let range):
            guard let number = value.integer, range.contains(number) else {
                throw .invalid(
                    path, "a whole number from \(range.lowerBound) to \(range.upperBound)", found: Self.shown(value))
            }
        case .number(let range):
            guard let number = value.double, range.contains(number) else {
                throw .invalid(
                    path, "a number from \(range.lowerBound) to \(range.upperBound)", found: Self.shown(value))
            }
        case .string(let range, let format): try Self.checkString(value, range, format, at: path)
        case .choice(let choices):
            guard let text = value.string, choices.contains(text) else {
                throw .invalid(path, "one of \(choices.joined(separator: ", "))", found: Self.shown(value))
            }
        case .array(let element, let range): try Self.checkArray(value, element, range, at: path)
        case .object(let members): try Self.checkObject(value, members, at: path, isPartial: isPartial)
        case .map(let element):
            guard let object = value.object else { throw .invalid(path, "an object", found: value.kind) }
            for (name, value) in object.members { try element.check(value, at: Self.join(path, name)) }
        case .nullable(let schema): if !value.isNull { try schema.check(value, at: path) }
        case .oneOf(let schemas):
            for schema in schemas { if (try? schema.check(value, at: path)) != nil { return } }
            throw .invalid(path, schemas.map(\.expectation).joined(separator: " or "), found: Self.shown(value))
        case .named(_, let schema): try schema.check(value, at: path, isPartial: isPartial)
        }
    }

    private static func checkObject(
        _ value: JSONValue, _ members: [Member], at path: String, isPartial: Bool
    ) throws(APIError) {
        guard let object = value.object else { throw .invalid(path, "an object", found: value.kind) }
        for member in members where !member.isReadOnly {
            if let value = object[member.name] {
                try member.schema.check(value, at: join(path, member.name))
            } else if member.isRequired, !isPartial {
                throw .invalid(join(path, member.name), member.schema.expectation, found: "nothing")
            }
        }
    }

    private static func checkArray(
        _ value: JSONValue, _ element: BodySchema, _ range: ClosedRange<Int>, at path: String
    ) throws(APIError) {
        guard let values = value.array else { throw .invalid(path, "an array", found: value.kind) }
        guard range.contains(values.count) else {
            throw .invalid(path, "\(range.lowerBound) to \(range.upperBound) elements", found: "\(values.count)")
        }
        for (index, value) in values.enumerated() { try element.check(value, at: join(path, "\(index)")) }
    }

    private static func checkString(
        _ value: JSONValue, _ range: ClosedRange<Int>, _ format: Format, at path: String
    ) throws(APIError) {
        guard let text = value.string else { throw .invalid(path, "a string", found: value.kind) }
        guard range.contains(text.unicodeScalars.count) else {
            throw .invalid(
                path, "\(range.lowerBound) to \(range.upperBound) characters", found: "\(text.unicodeScalars.count)")
        }
        guard !text.utf8.contains(0) else { throw .invalid(path, "text without NUL") }
        guard format.accepts(text) else { throw .invalid(path, format.expectation, found: shown(value)) }
    }

    private static func join(_ path: String, _ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    static func shown(_ value: JSONValue) -> String {
        let text = value.text
        return text.utf8.count <= 80 ? text : value.kind
    }

    private var expectation: String {
        switch self {
        case .anything: "a value"
        case .boolean: "true or false"
        case .integer, .number: "a number"
        case .string(_, let format): format.expectation
        case .choice(let choices): "one of \(choices.joined(separator: ", "))"
        case .array: "an array"
        case .object, .map: "an object"
        case .nullable(let schema): "null or \(schema.expectation)"
        case .oneOf(let schemas): schemas.map(\.expectation).joined(separator: " or ")
        case .named(_, let schema): schema.expectation
        }
    }
}

extension BodySchema.Format {
    var expectation: String {
        switch self {
        case .text: "a string"
        case .identifier: "an identifier of 32 hexadecimal digits"
        case .time: "a time such as 2030-01-31T12:00:00Z"
        case .url: "an http or https URL"
        case .hostname: "a host name"
        case .address: "an IP address or CIDR block"
        }
    }

    func accepts(_ text: String) -> Bool {
        switch self {
        case .text: true
        case .identifier: ObjectID.isValid(text)
        case .time: APITime(parsing: text) != nil
        case .url: text.hasPrefix("http://") && text.utf8.count > 7 || text.hasPrefix("https://") && text.utf8.count > 8
        case .hostname: DomainName(text, allowsWildcard: true) != nil
        case .address: AddressText.block(text) != nil
        }
    }
}
