// `/zones/{zone_id}/settings`: what is switched on and off for a whole zone. Settings that were never touched have their
// standard value and no row.

import ConfigLog
import JSON

/// One setting: its values and the one it has from the start.
struct ZoneSetting: Sendable {
    let id: String
    let schema: BodySchema
    let standard: JSONValue

    private static let onOff = BodySchema.choice(["on", "off"])

    private static func toggle(_ id: String, _ standard: JSONValue) -> ZoneSetting {
        ZoneSetting(id: id, schema: onOff, standard: standard)
    }
    private static func choice(_ id: String, _ choices: [String], _ standard: JSONValue) -> ZoneSetting {
        ZoneSetting(id: id, schema: .choice(choices), standard: standard)
    }

    static let all: [ZoneSetting] = [
        toggle("0rtt", "off"), toggle("always_online", "off"), toggle("always_use_https", "off"),
        toggle("automatic_https_rewrites", "on"), toggle("brotli", "on"),
        ZoneSetting(id: "browser_cache_ttl", schema: .integer(0...31_536_000), standard: 14_400),
        toggle("browser_check", "on"), choice("cache_level", ["aggressive", "basic", "simplified"], "aggressive"),
        ZoneSetting(id: "challenge_ttl", schema: .integer(300...31_536_000), standard: 1800),
        ZoneSetting(id: "ciphers", schema: .array(.text(64), count: 0...64), standard: []),
        toggle("development_mode", "off"), toggle("early_hints", "off"), toggle("email_obfuscation", "on"),
        toggle("h2_prioritization", "off"), toggle("hotlink_protection", "off"), toggle("http2", "on"),
        toggle("http3", "on"), toggle("ip_geolocation", "on"), toggle("ipv6", "on"),
        ZoneSetting(id: "max_upload", schema: .integer(1...5_000), standard: 100),
        choice("min_tls_version", ["1.0", "1.1", "1.2", "1.3"], "1.2"), toggle("opportunistic_encryption", "on"),
        toggle("opportunistic_onion", "off"), toggle("origin_error_page_pass_thru", "off"),
        choice("origin_max_http_version", ["1", "2"], "2"), choice("polish", ["off", "lossless", "lossy"], "off"),
        toggle("prefetch_preload", "off"), toggle("privacy_pass", "off"),
        ZoneSetting(id: "proxy_read_timeout", schema: .integer(1...6000), standard: 100),
        choice("pseudo_ipv4", ["off", "add_header", "overwrite_header"], "off"), toggle("replace_insecure_js", "on"),
        toggle("response_buffering", "off"), toggle("rocket_loader", "off"),
        ZoneSetting(
            id: "security_header", schema: .object([.optional("strict_transport_security", .map(.anything))]),
            standard: [
                "strict_transport_security": [
                    "enabled": false, "max_age": 0, "include_subdomains": false, "preload": false, "nosniff": false,
                ]
            ]),
        choice("security_level", ["off", "essentially_off", "low", "medium", "high", "under_attack"], "medium"),
        toggle("server_side_exclude", "on"), toggle("sort_query_string_for_cache", "off"),
        choice("ssl", ["off", "flexible", "full", "strict", "origin_pull"], "full"), toggle("tls_1_3", "on"),
        toggle("tls_client_auth", "off"), toggle("true_client_ip_header", "off"), toggle("waf", "off"),
        toggle("webp", "off"), toggle("websockets", "on"),
    ]
    private static let byID = Dictionary(all.map { ($0.id, $0) }) { first, _ in first }

    static func find(_ id: String) -> ZoneSetting? { byID[id] }
}

enum ZoneSettings {
    private static let read = Need.zone(.zone("Zone Settings", .read))
    private static let write = Need.zone(.zone("Zone Settings", .write))
    private static let root = "/zones/{zone_id}/settings"
    private static let change = BodySchema.object([
        .readOnly("id", .text(64)), .optional("value", .anything), .optional("enabled", .boolean),
    ])
    /// How long the cache stands aside for somebody who works on the site.
    private static let developmentSeconds: Int64 = 3 * 3600

    static let routes: [Route] = [
        Route(.get, root, "Zone Settings", "List all settings", needs: read, handle: list),
        Route(
            .patch, root, "Zone Settings", "Change several settings, all or none", needs: write,
            payload: .json(
                .object([
                    .required(
                        "items",
                        .array(.object([.required("id", .text(64)), .required("value", .anything)]), count: 1...100))
                ])), handle: editMany),
        Route(.get, root + "/{setting_id}", "Zone Settings", "Show a setting", needs: read) {
            .result(try shown(setting($0.parameter("setting_id")), stored(on: $0), $0))
        },
        Route(
            .patch, root + "/{setting_id}", "Zone Settings", "Change a setting", needs: write, payload: .json(change),
            handle: edit),
    ]

    private struct Stored {
        var value: JSONValue
        var modifiedOn: APITime
    }

    private static func setting(_ id: String) throws(APIError) -> ZoneSetting {
        guard let setting = ZoneSetting.find(id) else {
            throw APIError(400, 1006, "Unrecognized zone setting name: \(id.prefix(64)); GET …/settings lists them")
        }
        return setting
    }

    /// By setting.
    private static func stored(on call: APICall) throws -> [String: Stored] {
        let rows = try call.transaction.query(
            "SELECT id, body, modified_on FROM objects WHERE kind = 'setting' AND scope_id = ?",
            [.text(try call.theZone().id)])
        var stored: [String: Stored] = [:]
        for row in rows {
            stored[try row.text(0)] = Stored(
                value: try JSONValue(stored: try row.text(1)),
                modifiedOn: APITime(microseconds: try row.integer(2)))
        }
        return stored
    }

    private static func shown(_ setting: ZoneSetting, _ stored: [String: Stored], _ call: APICall) throws -> JSONObject
    {
        var value = stored[setting.id]?.value ?? setting.standard
        var shown: JSONObject = ["id": .string(setting.id), "value": value, "editable": true]
        if setting.id == "development_mode" {
            // Read again: it may have been set just now.
            let zone = try ZoneRow.find(call.theZone().id, call.transaction)
            let seconds = zone?.developmentSeconds(at: call.now) ?? 0
            value = seconds > 0 ? "on" : "off"
            shown["value"] = value
            shown["time_remaining"] = .number(JSONNumber(max(seconds, 0)))
        }
        shown["modified_on"] = stored[setting.id]?.modifiedOn.json ?? .null
        return shown
    }

    private static func list(_ call: APICall) throws -> APIAnswer {
        let stored = try stored(on: call)
        return .result(.array(try ZoneSetting.all.map { .object(try shown($0, stored, call)) }))
    }

    private static func edit(_ call: APICall) throws -> APIAnswer {
        let setting = try setting(call.parameter("setting_id"))
        let enabled = call.body["enabled"]?.boolean.map { JSONValue.string($0 ? "on" : "off") }
        guard let value = call.body["value"] ?? enabled else {
            throw APIError.invalid("value", "the setting's value", found: "nothing")
        }
        try set(setting, value, call)
        return .result(try shown(setting, stored(on: call), call))
    }

    private static func editMany(_ call: APICall) throws -> APIAnswer {
        var changed: [ZoneSetting] = []
        for item in call.body["items"]?.array ?? [] {
            let setting = try setting(item["id"]?.string ?? "")
            try set(setting, item["value"] ?? .null, call)
            changed.append(setting)
        }
        let stored = try stored(on: call)
        return .result(.array(try changed.map { .object(try shown($0, stored, call)) }))
    }

    private static func set(_ setting: ZoneSetting, _ value: JSONValue, _ call: APICall) throws {
        try setting.schema.check(value, at: setting.id)
        var zone = try call.theZone()
        let before = try stored(on: call)[setting.id]?.value ?? setting.standard
        try call.transaction.execute(
            """
            INSERT INTO objects (kind, scope_id, id, name, body, version, created_on, modified_on) \
            VALUES ('setting', ?, ?, ?, ?, 1, ?, ?) ON CONFLICT (kind, scope_id, id) DO UPDATE \
            SET body = excluded.body, version = objects.version + 1, modified_on = excluded.modified_on
            """,
            [
                .text(zone.id), .text(setting.id), .text(setting.id), .text(value.text),
                .integer(call.now.microseconds), .integer(call.now.microseconds),
            ])
        call.transaction.publish(Change(key: zone.key("setting/\(setting.id)"), value: value.bytes))
        if setting.id == "development_mode" {
            let end = value == "on" ? call.now.microseconds + developmentSeconds * 1_000_000 : call.now.microseconds
            zone.developmentMode = APITime(microseconds: end)
            try zone.update(at: call.now, call.transaction)
        }
        call.audit("update", "setting", setting.id, before: before, after: value)
    }
}
