// `/zones/{zone_id}/martlet/site`: a zone as martlet.yaml has it, origins and all. It is held against the file's own
// reader, so what an edge is sent is what an edge can read.

import ConfigLog
import ConfigModel
import JSON
import Limits

enum Sites {
    private static let read = Need.zone(.zone("Zone Settings", .read))
    private static let write = Need.zone(.zone("Zone Settings", .write))
    private static let path = "/zones/{zone_id}/martlet/site"
    private static let shape = BodySchema.map(.anything)
    /// Names outside their zone are claimed over all accounts.
    private static let locks: @Sendable ([String: String]) -> [String] = { _ in ["site_names"] }

    static let routes: [Route] = [
        Route(.get, path, "Martlet", "Show the zone's site: its mapping of martlet.yaml, or null", needs: read) {
            call in
            guard let row = try find(call) else { return .result(.null) }
            return .result(row.body)
        },
        Route(
            .put, path, "Martlet", "Serve the zone by a mapping of martlet.yaml", needs: write, payload: .json(shape),
            locks: locks, handle: put),
        Route(
            .delete, path, "Martlet", "Serve the zone by its records alone", needs: write, locks: locks, handle: delete),
    ]

    private static func find(_ call: APICall) throws -> ObjectRow? {
        try ObjectRow.find("site", call.theZone().id, "site", call.transaction)
    }

    private static func put(_ call: APICall) throws -> APIAnswer {
        let zone = try call.theZone()
        // A site opens files of the edge, reaches any port, and takes hosts outside its zone: it is the operator's.
        try call.caller.require(.account("Edges", .write), .account(zone.accountID))
        guard let body = call.body.object else { throw APIError.invalid("", "an object") }
        let parsed: Zone
        do { parsed = try Zone.parse(site: body, named: zone.name) } catch {
            let first = error.problems.first { $0.severity == .error }
            throw APIError(400, 1004, first.map { $0.message + ($0.help.map { " (\($0))" } ?? "") } ?? "\(error)")
        }
        let before = try find(call)
        try claim(parsed, zone, call)
        var row: ObjectRow
        if let before {
            row = before
            row.body = body
            try row.update(at: call.now, call.transaction)
        } else {
            row = ObjectRow(kind: "site", scopeID: zone.id, id: "site", name: "site", body: body, at: call.now)
            try row.insert(call.transaction)
        }
        call.transaction.publish(Change(key: key(zone), value: JSONValue.object(body).bytes))
        call.audit(
            before == nil ? "create" : "update", "site", zone.id, before: before.map { .object($0.body) },
            after: .object(body))
        return .result(body)
    }

    private static func delete(_ call: APICall) throws -> APIAnswer {
        let zone = try call.theZone()
        if let row = try find(call) {
            try release(zone, call.transaction)
            try row.delete(call.transaction)
            call.transaction.publish(Change(key: key(zone), value: nil))
            call.audit("delete", "site", zone.id, before: .object(row.body))
        }
        return .result(["id": .string(zone.id)])
    }

    private static func key(_ zone: ZoneRow) -> String { zone.key("site") }

    // MARK: Names outside the zone

    private static let claims = "site_name"

    /// The names under which edges must find the zone although they do not end in its own.
    private static func foreignNames(_ site: Zone, _ zone: ZoneRow) throws -> [String] {
        guard zone.name != "*" else { return [] }
        var names: [String] = []
        for hostname in site.hostnames {
            let name = hostname.hasPrefix("*.") ? String(hostname.dropFirst(2)) : hostname
            guard name != "*", name == zone.name || !hostname.hasPrefix("*.") || name.contains(".") else {
                throw APIError.invalid(
                    "hostnames", "names of one zone; every host is the zone \"*\"'s", found: hostname)
            }
            if name != zone.name, !name.hasSuffix("." + zone.name), !names.contains(name) { names.append(name) }
        }
        return names
    }

    private static func claim(_ site: Zone, _ zone: ZoneRow, _ call: APICall) throws {
        try release(zone, call.transaction)
        for name in try foreignNames(site, zone) {
            if let other = try owner(of: name, call.transaction) {
                throw APIError(
                    409, 1106,
                    "\(name) belongs to the zone \(other): give it as a hostname there, or remove it there first")
            }
            try ObjectRow(
                kind: claims, scopeID: "", id: name, name: name, body: ["zone": .string(zone.id)], at: call.now
            ).insert(call.transaction)
            call.transaction.publish(Change(key: "name/\(name)", value: ObjectID.bytes(zone.id)))
        }
    }

    /// Gives back what the zone has claimed.
    static func release(_ zone: ZoneRow, _ transaction: Transaction) throws {
        let rows = try transaction.query(
            "SELECT id FROM objects WHERE kind = ? AND scope_id = '' AND body = ?",
            [.text(claims), .text(JSONValue.object(["zone": .string(zone.id)]).text)])
        for row in rows {
            let name = try row.text(0)
            transaction.publish(Change(key: "name/\(name)", value: nil))
            try transaction.execute(
                "DELETE FROM objects WHERE kind = ? AND scope_id = '' AND id = ?", [.text(claims), .text(name)])
        }
    }

    /// The zone that answers for a name, or for one above it.
    private static func owner(of name: String, _ transaction: Transaction) throws -> String? {
        let labels = name.split(separator: ".")
        let names = labels.indices.map { labels[$0...].joined(separator: ".") }
        let marks = names.map { _ in "?" }.joined(separator: ", ")
        if let zone = try transaction.first(
            "SELECT name FROM zones WHERE name IN (\(marks)) LIMIT 1", names.map { .text($0) })
        {
            return try zone.text(0)
        }
        return try claimant(of: names, transaction)
    }

    /// The zone that has claimed one of some names.
    static func claimant(of names: [String], _ transaction: Transaction) throws -> String? {
        let marks = names.map { _ in "?" }.joined(separator: ", ")
        let claim = try transaction.first(
            "SELECT body FROM objects WHERE kind = ? AND scope_id = '' AND id IN (\(marks)) LIMIT 1",
            [.text(claims)] + names.map { .text($0) })
        guard let id = try claim.flatMap({ try JSONValue(stored: $0.text(0))["zone"]?.string }) else { return nil }
        return try transaction.first("SELECT name FROM zones WHERE id = ?", [.text(id)])?.text(0)
    }
}
