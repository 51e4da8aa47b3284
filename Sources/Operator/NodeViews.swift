// Edges and relays, and the tokens they join with, for people.

package import JSON

package enum NodeViews {
    package static func table(_ nodes: [JSONValue]) -> TextTable {
        var table = TextTable([
            .whole("name"), .left("role"), .left("parent").minor, .left("state"), .left("canary").minor,
            .right("sequence"), .right("behind"), .right("lag ms"), .right("req/s"), .right("5xx"), .right("p99 ms"),
            .left("version").minor, .left("seen").minor,
        ])
        for node in nodes {
            let health = node["health"]
            table.add([
                node.text("name"), node.text("role"), node.text("parent"), state(node),
                node["canary"]?.boolean == true ? "yes" : "no", number(node["sequence"]), number(node["behind"]),
                number(node["lag_ms"]), perSecond(health?["requests"]), share(health), milliseconds(health?["p99_us"]),
                node.text("version"), node["seen_at"]?.string.map(ScreenText.time) ?? "never",
            ])
        }
        return table
    }

    package static func facts(_ node: JSONValue) -> String {
        var facts = FactList()
        facts.add("name", node.text("name"))
        facts.add("role", node.text("role"))
        facts.add("state", state(node))
        facts.add("parent", node["parent"]?.string)
        facts.add("canary", node["canary"]?.boolean.map { $0 ? "yes" : "no" })
        facts.add("version", node["version"]?.string)
        facts.add("epoch", node["epoch"]?.integer.map { "\($0)" })
        facts.add("sequence", node["sequence"]?.integer.map { "\($0)" })
        facts.add("behind", node["behind"]?.integer.map { ScreenText.count(Int(clamping: $0), "change") })
        facts.add("lag", node["lag_ms"]?.integer.map { "\($0) ms" })
        for (name, member) in [
            ("applied", "applied_at"), ("seen", "seen_at"), ("enrolled", "enrolled_on"),
            ("certificate until", "certificate_expires_on"),
        ] { facts.add(name, node[member]?.string.map(ScreenText.time)) }
        // All counts are of the last minute.
        for (name, value) in node["health"]?.object?.members ?? [] { facts.add("last minute: \(name)", number(value)) }
        return facts.text
    }

    package static func joinTokens(_ tokens: [JSONValue]) -> TextTable {
        var table = TextTable([
            .left("role"), .left("name"), .left("state"), .left("expires"), .optional("used by"), .whole("id"),
        ])
        for token in tokens {
            table.add([
                token.text("role"), token["name"]?.string ?? "any", token.text("state"),
                ScreenText.time(token.text("expires_on")), token["used_by"]?.string ?? "", token.text("id"),
            ])
        }
        return table
    }

    private static func state(_ node: JSONValue) -> String {
        guard node.text("state") == "enrolled" else { return node.text("state") }
        return node["connected"]?.boolean == true ? "connected" : "away"
    }

    private static func number(_ value: JSONValue?) -> String {
        value.flatMap { $0.isNull ? nil : $0.integer.map { "\($0)" } ?? $0.text } ?? "-"
    }

    /// Of a count in a minute, to a tenth.
    private static func perSecond(_ value: JSONValue?) -> String {
        guard let count = value?.integer, count >= 0 else { return "-" }
        return "\(count / 60).\(count % 60 / 6)"
    }

    private static func milliseconds(_ value: JSONValue?) -> String {
        guard let microseconds = value?.integer, microseconds >= 0 else { return "-" }
        return "\(microseconds / 1000).\(microseconds % 1000 / 100)"
    }

    /// Of the responses, to a tenth of a percent.
    private static func share(_ health: JSONValue?) -> String {
        guard let requests = health?["requests"]?.integer, let errors = health?["server_errors"]?.integer,
            requests > 0, errors >= 0
        else { return "-" }
        let permille = Int64((Double(errors) / Double(requests) * 1000).rounded())
        return "\(permille / 10).\(permille % 10) %"
    }
}
