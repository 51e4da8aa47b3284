// API tokens: for people, and policies from what people type.

package import JSON

package enum TokenViews {
    package static func table(_ tokens: [JSONValue]) -> TextTable {
        var table = TextTable([
            .left("name"), .left("status"), .left("allows"), .left("expires"), .left("last used"), .whole("id"),
        ])
        for token in tokens {
            let groups = (token["policies"]?.array ?? []).flatMap { policy in
                (policy["permission_groups"]?.array ?? []).map { group in
                    (policy["effect"]?.string == "deny" ? "not " : "") + group.text("name")
                }
            }
            table.add([
                token.text("name"), token.text("status"), groups.joined(separator: ", "),
                token["expires_on"]?.string.map(ScreenText.time) ?? "never",
                token["last_used_on"]?.string.map(ScreenText.time) ?? "never", token.text("id"),
            ])
        }
        return table
    }

    package static func groups(_ groups: [JSONValue]) -> TextTable {
        var table = TextTable([.left("permission"), .left("on"), .whole("id")])
        for group in groups {
            let scopes = (group["scopes"]?.array ?? []).compactMap {
                $0.string?.split(separator: ".").last.map(String.init)
            }
            table.add([group.text("name"), scopes.joined(separator: ", "), group.text("id")])
        }
        return table
    }
}

/// A token that somebody wants to have.
package struct TokenWish: Sendable {
    package var name: String
    /// Names of permission groups, such as `DNS Write`, whatever their case.
    package var permissions: [String]
    /// Identifiers of zones; none: all.
    package var zones: [String]
    /// Identifier of an account; nil: all.
    package var account: String?
    /// Address blocks that it may be used from; none: any.
    package var addresses: [String]
    /// RFC 3339.
    package var expiresOn: String?

    package init(
        name: String, permissions: [String], zones: [String] = [], account: String? = nil, addresses: [String] = [],
        expiresOn: String? = nil
    ) {
        self.name = name
        self.permissions = permissions
        self.zones = zones
        self.account = account
        self.addresses = addresses
        self.expiresOn = expiresOn
    }

    private static let zoneScope = "com.cloudflare.api.account.zone"
    private static let accountScope = "com.cloudflare.api.account"

    /// The body for `POST …/tokens`: one policy for each kind of resource.
    ///
    /// - Parameter groups: What the API lists below `permission_groups`.
    /// - Throws: `OperatorProblem` for a name that no group has.
    package func body(groups: [JSONValue]) throws(OperatorProblem) -> JSONValue {
        var byScope: [(scope: String, groups: [JSONValue])] = []
        for permission in permissions {
            let group = try Self.group(permission, groups)
            for scope in (group["scopes"]?.array ?? []).compactMap(\.string) {
                let place = byScope.firstIndex { $0.scope == scope } ?? byScope.count
                if place == byScope.count { byScope.append((scope, [])) }
                byScope[place].groups.append(["id": group["id"] ?? .null])
            }
        }
        let policies = byScope.map { scope, groups -> JSONValue in
            ["effect": "allow", "permission_groups": .array(groups), "resources": .object(resources(scope))]
        }
        var body: JSONObject = ["name": .string(name), "policies": .array(policies)]
        if let expiresOn { body["expires_on"] = .string(expiresOn) }
        if !addresses.isEmpty {
            body["condition"] = ["request_ip": ["in": .array(addresses.map { .string($0) })]]
        }
        return .object(body)
    }

    private static func group(_ name: String, _ groups: [JSONValue]) throws(OperatorProblem) -> JSONValue {
        let wanted = name.lowercased()
        if let group = groups.first(where: { $0.text("name").lowercased() == wanted || $0.text("id") == name }) {
            return group
        }
        let near = groups.map { $0.text("name") }.filter { $0.lowercased().contains(wanted.prefix(4)) }.prefix(4)
        throw OperatorProblem(
            .input,
            "there is no permission \(name.prefix(64))"
                + (near.isEmpty ? "" : "; there is \(near.joined(separator: ", "))"),
            help: "martlet token permissions lists them")
    }

    private func resources(_ scope: String) -> JSONObject {
        var resources = JSONObject()
        switch scope {
        case Self.zoneScope where !zones.isEmpty:
            for zone in zones { resources["\(scope).\(zone)"] = "*" }
        case Self.zoneScope:
            if let account {
                resources["\(Self.accountScope).\(account)"] = .object(["\(scope).*": "*"])
            } else {
                resources["\(scope).*"] = "*"
            }
        case Self.accountScope: resources["\(scope).\(account ?? "*")"] = "*"
        default: resources["\(scope).*"] = "*"
        }
        return resources
    }
}
