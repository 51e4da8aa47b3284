// The same descriptions as JSON BodySchema (2020-12), which OpenAPI 3.1 is made of.

import JSON

extension BodySchema {
    /// - Parameter components: Collects the named ones, which are referred to.
    func openAPI(_ components: inout JSONObject) -> JSONObject {
        switch self {
        case .anything: return [:]
        case .boolean: return ["type": "boolean"]
        case .integer(let range):
            return [
                "type": "integer", "minimum": .number(JSONNumber(range.lowerBound)),
                "maximum": .number(JSONNumber(range.upperBound)),
            ]
        case .number(let range):
            return [
                "type": "number", "minimum": .number(JSONNumber(range.lowerBound)),
                "maximum": .number(JSONNumber(range.upperBound)),
            ]
        case .string(let range, let format):
            var schema: JSONObject = ["type": "string"]
            if range.lowerBound > 0 { schema["minLength"] = .number(JSONNumber(range.lowerBound)) }
            schema["maxLength"] = .number(JSONNumber(range.upperBound))
            if let name = format.openAPI { schema["format"] = .string(name) }
            if format == .identifier { schema["pattern"] = "^[0-9a-f]{32}$" }
            return schema
        case .choice(let choices): return ["type": "string", "enum": .array(choices.map { .string($0) })]
        case .array(let element, let range):
            var schema: JSONObject = ["type": "array", "items": .object(element.openAPI(&components))]
            if range.lowerBound > 0 { schema["minItems"] = .number(JSONNumber(range.lowerBound)) }
            schema["maxItems"] = .number(JSONNumber(range.upperBound))
            return schema
        case .object(let members): return Self.openAPI(members, &components)
        case .map(let element):
            return ["type": "object", "additionalProperties": .object(element.openAPI(&components))]
        case .nullable(let schema):
            return ["anyOf": [.object(schema.openAPI(&components)), ["type": "null"]]]
        case .oneOf(let schemas):
            return ["anyOf": .array(schemas.map { .object($0.openAPI(&components)) })]
        case .named(let name, let schema):
            if components[name] == nil {
                // Stands there before its own members are looked at, which may lead back to it.
                components[name] = [:]
                components[name] = .object(schema.openAPI(&components))
            }
            return ["$ref": .string("#/components/schemas/\(name)")]
        }
    }

    private static func openAPI(_ members: [Member], _ components: inout JSONObject) -> JSONObject {
        var properties: JSONObject = [:]
        for member in members {
            var schema = member.schema.openAPI(&components)
            if !member.about.isEmpty { schema["description"] = .string(member.about) }
            if member.isReadOnly { schema["readOnly"] = true }
            properties[member.name] = .object(schema)
        }
        var schema: JSONObject = ["type": "object", "properties": .object(properties)]
        let required = members.filter(\.isRequired).map { JSONValue.string($0.name) }
        if !required.isEmpty { schema["required"] = .array(required) }
        return schema
    }
}

extension BodySchema.Format {
    fileprivate var openAPI: String? {
        switch self {
        case .text, .identifier, .address: nil
        case .time: "date-time"
        case .url: "uri"
        case .hostname: "hostname"
        }
    }
}
