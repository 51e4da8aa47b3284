import Limits

/// Finds the endpoint for a method and a path.
struct RouteTable: Sendable {
    /// What was found.
    enum Match: Sendable {
        case route(Route, parameters: [String: String])
        /// The path exists, for these methods.
        case otherMethods([String])
        case nothing
    }

    private struct Node: Sendable {
        var fixed: [Substring: Int] = [:]
        /// Any text; all endpoints that meet here call it by one name.
        var variable: Int?
        var routes: [(route: Route, names: [String])] = []
    }

    let routes: [Route]
    private var nodes: [Node] = [Node()]

    init(_ routes: [Route]) {
        self.routes = routes
        for route in routes { add(route) }
    }

    private mutating func add(_ route: Route) {
        var place = 0
        var names: [String] = []
        for part in route.parts {
            let isVariable = part.hasPrefix("{")
            if isVariable { names.append(String(part.dropFirst().dropLast())) }
            let known = isVariable ? nodes[place].variable : nodes[place].fixed[part]
            if let known {
                place = known
            } else {
                nodes.append(Node())
                if isVariable {
                    nodes[place].variable = nodes.count - 1
                } else {
                    nodes[place].fixed[part] = nodes.count - 1
                }
                place = nodes.count - 1
            }
        }
        nodes[place].routes.append((route, names))
    }

    /// - Parameter path: Below `/client/v4`. Slashes at its end do not count.
    func find(_ method: String, _ path: Substring) -> Match {
        var place = 0
        var values: [String] = []
        let parts = path.split(separator: "/")
        guard parts.count <= Limits.apiPathPartsMax else { return .nothing }
        for part in parts {
            if let next = nodes[place].fixed[part] {
                place = next
            } else if let next = nodes[place].variable, let value = PercentText.decode(part) {
                values.append(value)
                place = next
            } else {
                return .nothing
            }
        }
        let found = nodes[place].routes
        guard !found.isEmpty else { return .nothing }
        guard let match = found.first(where: { $0.route.method.rawValue == method }) else {
            return .otherMethods(found.map(\.route.method.rawValue))
        }
        return .route(match.route, parameters: Dictionary(zip(match.names, values)) { first, _ in first })
    }
}
