// Zones and their settings, for people.

package import JSON

package enum ZoneViews {
    package static func table(_ zones: [JSONValue]) -> TextTable {
        var table = TextTable([.left("name"), .left("status"), .left("type"), .left("changed"), .whole("id")])
        for zone in zones {
            table.add([
                zone.text("name"), zone["paused"]?.boolean == true ? "paused" : zone.text("status"), zone.text("type"),
                ScreenText.time(zone.text("modified_on")), zone.text("id"),
            ])
        }
        return table
    }

    /// - Parameter site: Of `/zones/ID/martlet/site`; nil if the API knows none.
    package static func facts(_ zone: JSONValue, records: Int, certificates: Int, site: JSONValue?) -> String {
        var facts = FactList()
        facts.add("name", zone.text("name"))
        facts.add("id", zone.text("id"))
        facts.add("status", zone["paused"]?.boolean == true ? "paused" : zone.text("status"))
        facts.add("type", zone.text("type"))
        facts.add("account", "\(zone["account"]?.text("name") ?? "") (\(zone["account"]?.text("id") ?? ""))")
        let servers = (zone["name_servers"]?.array ?? []).compactMap(\.string)
        if !servers.isEmpty { facts.add("name servers", servers.joined(separator: ", ")) }
        facts.add("created", ScreenText.time(zone.text("created_on")))
        facts.add("changed", ScreenText.time(zone.text("modified_on")))
        facts.add("records", "\(records)")
        facts.add("certificates", "\(certificates)")
        if let site {
            let maker = site["managed_by"]?.string.map { ", made by \($0)" } ?? ""
            facts.add("site", site.isNull ? "none: edges do not serve it" : "\(origins(site))\(maker)")
        }
        return facts.text
    }

    /// The origins of a site as one text.
    static func origins(_ site: JSONValue) -> String {
        let list: [JSONValue] = site["origins"]?.array ?? site["origins"].map { [$0] } ?? []
        let urls = list.compactMap { $0.string ?? $0["url"]?.string }
        return urls.isEmpty ? "no origins" : urls.joined(separator: ", ")
    }

    package static func settings(_ settings: [JSONValue]) -> TextTable {
        var table = TextTable([.whole("setting"), .left("value"), .left("changed")])
        for setting in settings {
            let value = setting["value"] ?? .null
            table.add([
                setting.text("id"), value.string ?? value.text,
                setting["modified_on"]?.string.map(ScreenText.time) ?? "never",
            ])
        }
        return table
    }
}

/// `name=value`, as somebody types it, against what the setting is now.
package enum SettingWish {
    /// - Parameter current: The settings as the API lists them.
    /// - Returns: Items for `PATCH /zones/ID/settings`, and what changes, in words.
    /// - Throws: `OperatorProblem` for unknown names and values of another kind.
    package static func items(_ texts: [String], current: [JSONValue]) throws(OperatorProblem) -> (
        items: [JSONValue], changes: [String]
    ) {
        var items: [JSONValue] = []
        var changes: [String] = []
        for text in texts {
            let sides = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard sides.count == 2, let name = sides.first, let typed = sides.last else {
                throw OperatorProblem(
                    .input, "expected SETTING=VALUE, found \(text.prefix(100))", help: "such as brotli=off")
            }
            guard let setting = current.first(where: { $0["id"]?.string == name }), let now = setting["value"] else {
                throw OperatorProblem(
                    .notFound, "there is no setting \(name.prefix(64))",
                    help: "martlet zone settings ZONE lists them")
            }
            let wanted = try value(typed, like: now, of: name)
            items.append(["id": .string(name), "value": wanted])
            let same = wanted == now
            changes.append(
                "\(name): \(now.string ?? now.text)" + (same ? " (as it is)" : " → \(wanted.string ?? wanted.text)"))
        }
        return (items, changes)
    }

    /// Text stays text where the setting is one: `min_tls_version=1.2`.
    private static func value(_ typed: String, like now: JSONValue, of name: String) throws(OperatorProblem)
        -> JSONValue
    {
        if case .string = now { return .string(typed) }
        let expected = now.kind
        guard let value = try? JSONValue(parsing: typed), value.kind == expected else {
            throw OperatorProblem(
                .input, "expected \(expected) for \(name), found \(typed.prefix(100))",
                help: "now it is \(now.text.prefix(200))")
        }
        return value
    }
}

extension JSONValue {
    /// The text of a member; empty where there is none, or it is no text.
    package func text(_ name: String) -> String { self[name]?.string ?? "" }
}
