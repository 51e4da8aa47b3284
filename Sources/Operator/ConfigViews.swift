// The configuration's history, what holds for all edges, and how it is rolled out, for people.

package import JSON

package enum ConfigViews {
    package static func history(_ entries: [JSONValue]) -> TextTable {
        var table = TextTable([
            .left("at"), .left("actor"), .left("action"), .left("resource"), .left("summary"), .right("sequence"),
            .whole("id"),
        ])
        for entry in entries {
            table.add([
                ScreenText.time(entry.text("at")), entry.text("actor"), entry.text("action"), entry.text("resource"),
                entry.text("summary"), range(entry["sequence"]), entry.text("id"),
            ])
        }
        return table
    }

    private static func range(_ value: JSONValue?) -> String {
        guard let from = value?["from"]?.integer, let to = value?["to"]?.integer else { return "-" }
        return from == to ? "\(from)" : "\(from)…\(to)"
    }

    /// One object after the other, with the members that changed.
    package static func difference(_ changes: [JSONValue]) -> String {
        changes.map { change in
            let sign =
                switch change.text("change") {
                case "create": "+"
                case "delete": "-"
                default: "~"
                }
            func side(_ name: String) -> JSONValue? {
                guard let value = change[name], !value.isNull else { return Optional.none }
                return value
            }
            let lines = sign == "~" ? JSONDifference.lines(from: side("before"), to: side("after")) : []
            let head = ScreenText.plain("\(sign) \(change.text("resource")) (\(change.text("scope")))")
            return ([head] + lines.map { "    \($0)" }).joined(separator: "\n")
        }.joined(separator: "\n")
    }

    /// What a rollback would do, or has done.
    package static func rollback(_ plan: JSONValue) -> String {
        let steps = (plan["steps"]?.array ?? []).map { step in
            let summary = step.text("summary")
            return "\(step.text("action")) \(step.text("resource"))" + (summary.isEmpty ? "" : ": \(summary)")
        }
        let skipped = (plan["skipped"]?.array ?? []).map { "skipped \($0.text("resource")): \($0.text("reason"))" }
        let lines = steps + skipped
        return lines.isEmpty ? "nothing to do" : lines.map(ScreenText.plain).joined(separator: "\n")
    }

    package static func globals(_ globals: [JSONValue]) -> TextTable {
        var table = TextTable([.left("object"), .right("version"), .left("stage"), .left("value"), .left("changed")])
        for global in globals {
            let body = global["body"] ?? .null
            table.add([
                "\(global.text("kind"))/\(global.text("id"))", global["version"]?.integer.map { "\($0)" } ?? "-",
                stage(global["stage"]), body.isNull ? "none" : body.text, ScreenText.time(global.text("modified_on")),
            ])
        }
        return table
    }

    /// Of a roll-out: edges by their share, before it the canaries, before them nobody.
    private static func stage(of rollout: JSONValue) -> String {
        let stage = rollout.text("stage")
        if stage.isEmpty { return "nowhere yet" }
        return stage.allSatisfy(\.isNumber) ? "\(stage) %" : stage
    }

    private static func stage(_ stage: JSONValue?) -> String {
        guard let percent = stage?["percent"]?.integer else { return "-" }
        if percent >= 100 { return "everywhere" }
        return percent > 0 ? "\(percent) %" : stage?["canary"]?.boolean == true ? "canaries" : "nowhere yet"
    }

    package static func switches(_ switches: [JSONValue]) -> TextTable {
        var table = TextTable([.left("switch"), .left("state"), .left("changed")])
        for item in switches {
            table.add([
                item.text("name"), item["enabled"]?.boolean == true ? "on" : "off",
                item["modified_on"]?.string.map(ScreenText.time) ?? "never",
            ])
        }
        return table
    }

    package static func rollouts(_ rollouts: [JSONValue]) -> TextTable {
        var table = TextTable([
            .left("object"), .right("version"), .left("state"), .left("stage"), .left("since"), .optional("reason"),
            .whole("id"),
        ])
        for rollout in rollouts {
            table.add([
                "\(rollout.text("kind"))/\(rollout.text("object_id"))",
                rollout["version"]?.integer.map { "\($0)" } ?? "-", rollout.text("state"), stage(of: rollout),
                ScreenText.time(rollout.text("stage_started_on")), rollout.text("reason"), rollout.text("id"),
            ])
        }
        return table
    }

    package static func rollout(_ rollout: JSONValue) -> String {
        var facts = FactList()
        facts.add("object", "\(rollout.text("kind"))/\(rollout.text("object_id"))")
        facts.add("version", rollout["version"]?.integer.map { "\($0)" })
        facts.add("state", rollout.text("state"))
        facts.add("stage", stage(of: rollout))
        facts.add("reason", rollout.text("reason").isEmpty ? nil : rollout.text("reason"))
        for event in rollout["events"]?.array ?? [] {
            facts.add(ScreenText.time(event.text("at")), "\(event.text("event"))  \(event.text("detail"))")
        }
        return facts.text
    }
}

/// `limits.connections=1000`, as somebody types it, into the object that holds for the clients of all edges.
package enum LimitsWish {
    /// - Parameter current: The object as it is; nil or null: there is none.
    /// - Returns: The object as it shall be. Nothing behind `=` takes a member away.
    /// - Throws: `OperatorProblem` for what is no such text. Names and values are the API's to check.
    package static func body(_ texts: [String], current: JSONValue?) throws(OperatorProblem) -> JSONObject {
        var body = current?.object ?? [:]
        for text in texts {
            let sides = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let path = sides.first?.split(separator: ".", omittingEmptySubsequences: false).map(String.init) ?? []
            guard sides.count == 2, path.count == 2, let section = path.first, let name = path.last,
                ["limits", "timeouts"].contains(section), !name.isEmpty, let typed = sides.last
            else {
                throw OperatorProblem(
                    .input, "expected limits.NAME=VALUE or timeouts.NAME=VALUE, found \(text.prefix(100))",
                    help: "names and values as in martlet.yaml: timeouts.idle=60s; nothing behind = removes it")
            }
            var members = body[section]?.object ?? [:]
            // Said in full: a bare nil would be JSON's null.
            members[name] = typed.isEmpty ? Optional<JSONValue>.none : value(typed)
            body[section] = members.isEmpty ? Optional<JSONValue>.none : .object(members)
        }
        return body
    }

    /// As the configuration file would have it: digits are a number.
    private static func value(_ typed: String) -> JSONValue {
        if typed == "true" || typed == "false" { return .boolean(typed == "true") }
        return Int64(typed).flatMap { "\($0)" == typed ? .number(JSONNumber($0)) : nil } ?? .string(typed)
    }
}
