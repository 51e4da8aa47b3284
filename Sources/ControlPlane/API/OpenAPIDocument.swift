// The OpenAPI 3.1 document, from the descriptions that route and check.

import JSON

enum OpenAPIDocument {
    static func make(_ routes: [Route]) -> JSONValue {
        var components: JSONObject = [:]
        var paths: JSONObject = [:]
        for route in routes {
            var path = paths[route.path]?.object ?? [:]
            path[route.method.rawValue.lowercased()] = .object(operation(route, &components))
            paths[route.path] = .object(path)
        }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Martlet's control plane",
                "description": "The parts of Cloudflare's v4 API that Martlet speaks, with the same shapes and codes.",
                "version": "4", "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
            ],
            "servers": [["url": .string(APIService.root)]],
            "security": [["token": []], ["key": [], "email": []]],
            "paths": .object(paths),
            "components": [
                "schemas": .object(components),
                "securitySchemes": [
                    "token": ["type": "http", "scheme": "bearer"],
                    "key": ["type": "apiKey", "in": "header", "name": "X-Auth-Key"],
                    "email": ["type": "apiKey", "in": "header", "name": "X-Auth-Email"],
                ],
            ],
        ]
    }

    private static func operation(_ route: Route, _ components: inout JSONObject) -> JSONObject {
        var operation: JSONObject = [
            "operationId": .string(identifier(route)), "tags": [.string(route.tag)], "summary": .string(route.summary),
        ]
        if let permission = route.need.permission { operation["description"] = .string("Needs \(permission.name).") }
        if route.need == .nothing { operation["security"] = [] }
        let parameters = self.parameters(route, &components)
        if !parameters.isEmpty { operation["parameters"] = .array(parameters) }
        if let body = body(route.payload, &components) { operation["requestBody"] = .object(body) }
        operation["responses"] = [
            "200": [
                "description": "Done.",
                "content": ["application/json": ["schema": .object(envelope(route, &components))]],
            ],
            "4XX": ["description": "Refused: errors say why.", "content": ["application/json": ["schema": failure]]],
        ]
        return operation
    }

    private static func identifier(_ route: Route) -> String {
        ([route.method.rawValue.lowercased()] + route.parts.map { $0.filter { $0 != "{" && $0 != "}" } }).joined(
            separator: "-")
    }

    private static func parameters(_ route: Route, _ components: inout JSONObject) -> [JSONValue] {
        var parameters: [JSONValue] = []
        for part in route.parts where part.hasPrefix("{") {
            parameters.append([
                "name": .string(String(part.dropFirst().dropLast())), "in": "path", "required": true,
                "schema": ["type": "string"],
            ])
        }
        let paging: [Route.Parameter] =
            route.isPaged
            ? [
                .init(name: "page", schema: .integer(1...1_000_000), about: "From 1."),
                .init(name: "per_page", schema: .integer(1...50_000), about: "More than may be is as much as may be."),
            ] : []
        for parameter in paging + route.query {
            var shown: JSONObject = [
                "name": .string(parameter.name), "in": "query",
                "schema": .object(parameter.schema.openAPI(&components)),
            ]
            if !parameter.about.isEmpty { shown["description"] = .string(parameter.about) }
            parameters.append(.object(shown))
        }
        return parameters
    }

    private static func body(_ payload: Route.Payload, _ components: inout JSONObject) -> JSONObject? {
        switch payload {
        case .none: return nil
        case .json(let schema, let isPartial):
            var shown = schema.openAPI(&components)
            // What a change leaves out stays as it is.
            if isPartial, case .named(_, let inner) = schema { shown = inner.openAPI(&components) }
            if isPartial { shown["required"] = nil }
            return ["required": true, "content": ["application/json": ["schema": .object(shown)]]]
        case .optional(let schema):
            return ["content": ["application/json": ["schema": .object(schema.openAPI(&components))]]]
        case .file:
            let form: JSONValue = ["type": "object", "properties": ["file": ["type": "string"]], "required": ["file"]]
            return ["required": true, "content": ["multipart/form-data": ["schema": form]]]
        }
    }

    private static func envelope(_ route: Route, _ components: inout JSONObject) -> JSONObject {
        var properties: JSONObject = [
            "success": ["type": "boolean"], "errors": ["type": "array"], "messages": ["type": "array"],
            "result": .object(route.result.openAPI(&components)),
        ]
        if route.isPaged { properties["result_info"] = ["type": "object"] }
        return ["type": "object", "properties": .object(properties)]
    }

    private static let failure: JSONValue = [
        "type": "object",
        "properties": [
            "success": ["const": false], "messages": ["type": "array"], "result": ["type": "null"],
            "errors": [
                "type": "array",
                "items": [
                    "type": "object",
                    "properties": ["code": ["type": "integer"], "message": ["type": "string"]],
                    "required": ["code", "message"],
                ],
            ],
        ],
    ]
}
