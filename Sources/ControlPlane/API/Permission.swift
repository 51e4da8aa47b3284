// What tokens allow: permission groups on resources, as in Cloudflare's API tokens.

import Crypto
import JSON

/// One thing that a token may allow.
struct Permission: Sendable, Hashable {
    enum Level: Sendable { case read, write }
    /// On what it is given.
    enum Scope: String, Sendable {
        case zone = "com.cloudflare.api.account.zone"
        case account = "com.cloudflare.api.account"
        case user = "com.cloudflare.api.user"
    }

    let subject: String
    let scope: Scope
    let level: Level

    /// The group's name in the API: `DNS Read`, `DNS Write`.
    var name: String { subject + (level == .read ? " Read" : " Write") }

    /// Who may write may read.
    func isGranted(by group: PermissionGroup) -> Bool {
        if group == .everything { return true }
        return group.name == name || level == .read && group.name == subject + " Write"
    }
}

extension Permission {
    static func zone(_ subject: String, _ level: Level) -> Permission {
        Permission(subject: subject, scope: .zone, level: level)
    }
    static func account(_ subject: String, _ level: Level) -> Permission {
        Permission(subject: subject, scope: .account, level: level)
    }
    static func user(_ subject: String, _ level: Level) -> Permission {
        Permission(subject: subject, scope: .user, level: level)
    }
}

/// A permission by its identifier, which tokens list.
struct PermissionGroup: Sendable, Hashable {
    let id: String
    let name: String
    let scopes: [Permission.Scope]

    /// All there is and will be: what the first token has.
    static let everything = PermissionGroup(
        id: identifier("All Privileges"), name: "All Privileges", scopes: [.zone, .account, .user])

    private static let subjects: [(String, Permission.Scope)] = [
        ("Zone", .zone), ("Zone Settings", .zone), ("DNS", .zone), ("Cache Purge", .zone),
        ("SSL and Certificates", .zone),
        ("Load Balancers", .zone), ("Health Checks", .zone), ("Zone WAF", .zone), ("Page Rules", .zone),
        ("Workers Routes", .zone), ("Account Settings", .account), ("Account API Tokens", .account),
        ("Account Rulesets", .account), ("Account Filter Lists", .account),
        ("Load Balancing: Monitors and Pools", .account),
        ("Account Audit Logs", .account), ("Edges", .account), ("API Tokens", .user), ("User Details", .user),
        ("Memberships", .user),
    ]

    /// In the order they are listed in. Identifiers that clients are known to write out are Cloudflare's own; the others
    /// come from the names, the same in every installation.
    static let all: [PermissionGroup] =
        [everything]
        + subjects.flatMap { subject, scope in
            [" Read", " Write"].map { ending in
                let name = subject + ending
                return PermissionGroup(id: knownIdentifiers[name] ?? identifier(name), name: name, scopes: [scope])
            }
        }
    private static let byIdentifier = Dictionary(all.map { ($0.id, $0) }) { first, _ in first }

    private static let knownIdentifiers = [
        "DNS Read": "82e64a83756745bbbb1c9c2701bf816b", "DNS Write": "4755a26eedb94da69e1066d98aa820be",
        "Zone Read": "c8fed203ed3043cba015a93ad1616f1f", "Zone Write": "e6d2666161e84845a636613608cee8d5",
    ]

    private static func identifier(_ name: String) -> String {
        ObjectID.digits(SHA256.hash(data: Array("permission group: \(name)".utf8)).prefix(16))
    }

    static func find(_ id: String) -> PermissionGroup? { byIdentifier[id] }

    var json: JSONValue {
        ["id": .string(id), "name": .string(name), "scopes": .array(scopes.map { .string($0.rawValue) })]
    }
}

/// One policy of a token: groups, on resources, allowed or denied.
struct TokenPolicy: Sendable {
    let isAllow: Bool
    let groups: [PermissionGroup]
    /// As they were given: `com.cloudflare.api.account.zone.*`, within an account where `account` is set.
    let resources: [(account: String?, resource: String)]

    /// Of what the API took before (`TokenShape`); unknown groups and resources allow nothing.
    init(_ json: JSONValue) {
        isAllow = json["effect"]?.string == "allow"
        groups = (json["permission_groups"]?.array ?? []).compactMap { $0["id"]?.string.flatMap(PermissionGroup.find) }
        var resources: [(account: String?, resource: String)] = []
        for (name, value) in json["resources"]?.object?.members ?? [] {
            if let inner = value.object {
                for resource in inner.names { resources.append((name, resource)) }
            } else {
                resources.append((nil, name))
            }
        }
        self.resources = resources
    }

    /// Whether all that a group allows on a resource is allowed by this policy as well.
    func covers(_ group: PermissionGroup, _ resource: String, within outer: String?) -> Bool {
        guard isAllow, groups.contains(.everything) || groups.contains(group) else { return false }
        return resources.contains { held in
            let isSame = held.resource == resource
            // `scope.*` is every resource of that scope.
            let isWider = held.resource.hasSuffix(".*") && Self.scope(of: resource) == held.resource.dropLast(2)
            return (isSame || isWider) && (held.account == nil || held.account == outer)
        }
    }

    /// Without the identifier behind the last dot.
    private static func scope(of resource: String) -> Substring {
        resource.lastIndex(of: ".").map { resource[..<$0] } ?? resource[...]
    }

    func applies(_ permission: Permission, to target: Target) -> Bool {
        groups.contains { permission.isGranted(by: $0) }
            && resources.contains { target.isMeant(by: $0.resource, within: $0.account) }
    }
}

/// What something is done to.
struct Target: Sendable, Equatable {
    var scope: Permission.Scope
    var id: String
    /// Of a zone and an account: which account it is.
    var account: String?

    static func zone(_ id: String, account: String) -> Target { Target(scope: .zone, id: id, account: account) }
    static func account(_ id: String) -> Target { Target(scope: .account, id: id, account: id) }
    static func user(_ id: String) -> Target { Target(scope: .user, id: id, account: nil) }

    func isMeant(by resource: String, within outer: String?) -> Bool {
        if let outer {
            guard let account,
                outer == Permission.Scope.account.rawValue + "." + account
                    || outer == Permission.Scope.account.rawValue + ".*"
            else { return false }
        }
        return resource == scope.rawValue + "." + id || resource == scope.rawValue + ".*"
    }
}
