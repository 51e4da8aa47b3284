// `POST /zones/{zone_id}/purge_cache`: what edges are to forget. A purge travels on the same road as every change, in its
// order: what was purged behind a change is never served with what was there before it.

import ConfigLog
import JSON
import Limits

enum Purges {
    private static let list = BodySchema.array(
        .oneOf([.string(1...8192), .object([.required("url", .string(1...8192))])]), count: 1...Limits.apiPurgeItemsMax)
    private static let shape = BodySchema.object([
        .optional("purge_everything", .boolean), .optional("files", list, "URLs, all their variants."),
        .optional("tags", list, "Values of Cache-Tag."), .optional("hosts", list),
        .optional("prefixes", list, "Host and path, without a scheme."),
        .optional("soft", .boolean, "Mark stale instead of forgetting: Martlet's own."),
    ])

    static let routes: [Route] = [
        Route(
            .post, "/zones/{zone_id}/purge_cache", "Cache", "Purge by URL, tag, host, prefix, or everything",
            needs: .zone(.zone("Cache Purge", .write)), payload: .json(shape), handle: purge)
    ]

    private static func purge(_ call: APICall) throws -> APIAnswer {
        let kinds = ["files", "tags", "hosts", "prefixes"].filter { call.body[$0] != nil }
        let isEverything = call.body["purge_everything"]?.boolean == true
        guard isEverything != !kinds.isEmpty else {
            throw APIError(
                400, 1012,
                "Request must contain one of \"purge_everything\", or \"files\", \"tags\", \"hosts\" or \"prefixes\"")
        }
        let zone = try call.theZone()
        let id = StoreID.ordered(at: call.now.microseconds)
        var purge: JSONObject = [
            "everything": .boolean(isEverything), "soft": .boolean(call.body["soft"]?.boolean ?? false),
            "at": .number(JSONNumber(call.now.microseconds)),
        ]
        for kind in kinds { purge[kind] = .array(try items(kind, call)) }
        // Edges that were away find it in a snapshot too, for as long as it is kept.
        try ObjectRow(kind: kind, scopeID: zone.id, id: id, name: id, body: [:], at: call.now).insert(call.transaction)
        call.transaction.publish(Change(key: key(zone.id, id), value: JSONValue.object(purge).bytes))
        try forgetOld(zone, call)
        call.audit("purge", "zone", zone.id, after: .object(purge))
        return .result(["id": .string(zone.id)])
    }

    static let kind = "purge"
    static func key(_ zoneID: String, _ id: String) -> String { "purge/\(zoneID)/\(id)" }

    /// The newest of a zone are kept, for a day.
    private static func forgetOld(_ zone: ZoneRow, _ call: APICall) throws {
        let dayAgo = call.now.microseconds - Limits.apiPurgesKeptSeconds * 1_000_000
        let old = try call.transaction.query(
            """
            SELECT id FROM objects WHERE kind = ? AND scope_id = ? AND (created_on < ? OR id NOT IN \
            (SELECT id FROM objects WHERE kind = ? AND scope_id = ? ORDER BY id DESC LIMIT ?)) ORDER BY id LIMIT ?
            """,
            [
                .text(kind), .text(zone.id), .integer(dayAgo), .text(kind), .text(zone.id),
                SQLValue(Limits.apiPurgesKeptMax), SQLValue(Limits.apiPurgesKeptMax),
            ])
        for row in old {
            let id = try row.text(0)
            call.transaction.publish(Change(key: key(zone.id, id), value: nil))
            try call.transaction.execute(
                "DELETE FROM objects WHERE kind = ? AND scope_id = ? AND id = ?",
                [.text(kind), .text(zone.id), .text(id)])
        }
    }

    /// Of what ends at the path, the query or the fragment (RFC 3986, section 3.2). Nobody's name stands before a host, and
    /// nothing but digits behind it: whoever reads it otherwise would purge elsewhere.
    private static func host(_ text: Substring) -> Substring? {
        let authority = text.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let host = authority.prefix { $0 != ":" }
        let port = authority.dropFirst(host.count).dropFirst()
        guard !authority.contains("@"), !authority.contains("\\"), port.utf8.count <= 5,
            port.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        return host
    }

    private static func items(_ kind: String, _ call: APICall) throws -> [JSONValue] {
        let zone = try call.theZone()
        return try (call.body[kind]?.array ?? []).map { item in
            let text = item.string ?? item["url"]?.string ?? ""
            guard kind != "tags" else { return .string(text) }
            var rest = text[...]
            if kind == "files" {
                guard let start = text.firstRange(of: "://"),
                    ["http", "https"].contains(text[..<start.lowerBound].lowercased())
                else {
                    throw APIError.invalid(kind, "http or https URLs", found: String(text.prefix(100)))
                }
                rest = text[start.upperBound...]
            }
            guard let host = host(rest) else {
                throw APIError.invalid(
                    kind, "a host, and no more than a port before the path", found: String(text.prefix(100)))
            }
            // It has no name of its own: it is whatever no other zone is.
            if zone.name == "*" { return .string(text) }
            guard let name = DomainName(String(host)), let apex = DomainName(zone.name), name.isIn(apex) else {
                throw APIError(
                    400, 1017,
                    "Unable to purge \(text.prefix(100)): only what lies in the zone \(zone.name) can be purged by it")
            }
            return .string(text)
        }
    }
}
