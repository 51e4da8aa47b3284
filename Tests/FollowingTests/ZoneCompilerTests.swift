import ConfigModel
import JSON
import Origin
import Replica
import Testing

@testable import Following
@testable import Pipeline

@Suite("From what the control plane says to what is served") struct ZoneCompilerTests {
    private func record(_ name: String, _ content: String, type: String = "A", proxied: Bool = true) -> JSONValue {
        ["name": .string(name), "type": .string(type), "content": .string(content), "proxied": .boolean(proxied)]
    }

    @Test("proxied addresses are origins, in the clear on 80 and over TLS on 443") func records() throws {
        let stage = try FollowingStage()
        try stage.makeZone([
            ("dns/1", record("example.test", "192.0.2.1")), ("dns/2", record("example.test", "192.0.2.2")),
            ("dns/3", record("www.example.test", "origin.other.test", type: "CNAME")),
            ("dns/4", record("mail.example.test", "192.0.2.3", proxied: false)),
            ("dns/5", record("example.test", "text", type: "TXT")),
        ])
        let zones = stage.follower().zones
        let clear = try #require(zones.served("example.test")).configuration
        #expect(clear.origins.map(\.host).sorted() == ["192.0.2.1", "192.0.2.2"])
        #expect(clear.origins.allSatisfy { $0.scheme == .http && $0.port == 80 })
        let secure = try #require(zones.served("example.test", isSecure: true)).configuration
        #expect(secure.origins.allSatisfy { $0.scheme == .https && $0.port == 443 && !$0.tls.verify })
        #expect(secure.origins.allSatisfy { $0.tls.serverName == "example.test" })
        #expect(zones.served("www.example.test")?.configuration.origins.map(\.host) == ["origin.other.test"])
        #expect(zones.served("mail.example.test") == nil)
        #expect(zones.served("other.test") == nil)
    }

    @Test(
        "ssl decides how origins are reached",
        arguments: [("off", 80, false), ("flexible", 80, false), ("full", 443, false), ("strict", 443, true)])
    func security(mode: String, port: Int, verifies: Bool) throws {
        let stage = try FollowingStage()
        try stage.makeZone([
            ("dns/1", record("*.example.test", "192.0.2.1")), ("setting/ssl", .string(mode)),
        ])
        let zone = try #require(stage.follower().zones.served("a.example.test", isSecure: true)).configuration
        #expect(zone.origins.map(\.port) == [port])
        #expect(zone.origins.allSatisfy { $0.tls.verify == (port == 80 || verifies) })
        // One pool for all hosts of a wildcard.
        if port == 443 { #expect(zone.origins.first?.tls.serverName == "example.test") }
    }

    @Test("settings change how the zone is served, and a change of one is a change at once") func settings() throws {
        let stage = try FollowingStage()
        try stage.makeZone([("dns/1", record("example.test", "192.0.2.1"))])
        let follower = stage.follower()
        var zone = try #require(follower.zones.served("example.test")).configuration
        #expect(zone.bodyBytesMax == 100 << 20)
        #expect(zone.cache.isEnabled && zone.cache.key.query == .all && !zone.cache.alwaysOnline)
        let prefix = "zone/\(FollowingStage.zone)/setting/"
        follower.applied(
            try stage.apply([
                (prefix + "max_upload", 7), (prefix + "proxy_read_timeout", 30), (prefix + "always_online", "on"),
                (prefix + "cache_level", "simplified"), (prefix + "sort_query_string_for_cache", "on"),
            ]))
        zone = try #require(follower.zones.served("example.test")).configuration
        #expect(zone.bodyBytesMax == 7 << 20)
        #expect(zone.timeouts.firstByte == 30_000)
        #expect(zone.cache.alwaysOnline && zone.cache.key.sortsQuery && zone.cache.key.query == .none)
    }

    @Test("a zone that cannot be read keeps its last good version, and is reported") func badObject() throws {
        let stage = try FollowingStage()
        try stage.makeZone([("site", ["origins": ["http://192.0.2.1"]])])
        let follower = stage.follower()
        #expect(follower.zones.served("example.test")?.configuration.origins.map(\.host) == ["192.0.2.1"])
        let key = "zone/\(FollowingStage.zone)/site"
        follower.applied(try stage.apply([(key, ["origins": ["nonsense://"]])]))
        #expect(follower.zones.served("example.test")?.configuration.origins.map(\.host) == ["192.0.2.1"])
        #expect(follower.refusedCount == 1)
        #expect(follower.faults.first?.reason.contains("nonsense") == true)
        follower.applied(try stage.applyBytes([(key, Array("{broken".utf8))]))
        #expect(follower.faults.first?.reason.contains("expected JSON") == true)
        follower.applied(try stage.apply([(key, ["origins": ["http://192.0.2.9"]])]))
        #expect(follower.zones.served("example.test")?.configuration.origins.map(\.host) == ["192.0.2.9"])
        #expect(follower.refusedCount == 0)
    }

    @Test("who began with a zone ends with it") func pinned() throws {
        let stage = try FollowingStage()
        try stage.makeZone([("site", ["origins": ["http://192.0.2.1"]])])
        let follower = stage.follower()
        let before = try #require(follower.zones.served("example.test"))
        follower.applied(
            try stage.apply([("zone/\(FollowingStage.zone)/site", ["origins": ["http://192.0.2.2"]])]))
        #expect(before.configuration.origins.map(\.host) == ["192.0.2.1"])
        #expect(before.balancer.servers.map(\.name) == ["http://192.0.2.1:80"])
        #expect(follower.zones.served("example.test")?.configuration.origins.map(\.host) == ["192.0.2.2"])
    }

    @Test("a paused zone is served to nobody") func paused() throws {
        let stage = try FollowingStage()
        try stage.makeZone([("dns/1", record("example.test", "192.0.2.1"))], paused: true)
        #expect(stage.follower().zones.served("example.test") == nil)
    }

    @Test("development mode switches the cache off, and its end is seen") func developmentMode() throws {
        let stage = try FollowingStage()
        try stage.makeZone([("dns/1", record("example.test", "192.0.2.1"))])
        let follower = stage.follower()
        func meta(until: Int64) -> JSONValue {
            [
                "name": "example.test", "account": .string(FollowingStage.account),
                "development_mode_until": .number(JSONNumber(until)),
            ]
        }
        let key = "zone/\(FollowingStage.zone)/meta"
        follower.applied(try stage.apply([(key, meta(until: .max))]))
        #expect(follower.zones.served("example.test")?.cache == nil)
        follower.applied(try stage.apply([(key, meta(until: 1))]))
        #expect(follower.zones.served("example.test")?.cache != nil)
    }

    @Test("the switch takes the cache from every zone, and gives it back") func cacheSwitch() throws {
        let stage = try FollowingStage()
        try stage.makeZone([("dns/1", record("example.test", "192.0.2.1"))])
        let follower = stage.follower()
        #expect(follower.zones.served("example.test")?.cache != nil)
        var globals = FollowedGlobals()
        globals.cacheIsOn = false
        follower.set(globals)
        #expect(follower.zones.served("example.test")?.cache == nil)
        follower.set(FollowedGlobals())
        #expect(follower.zones.served("example.test")?.cache != nil)
    }

    @Test("pools stand in for each other in their order, and a changed pool changes the zones that use it")
    func pools() throws {
        let stage = try FollowingStage()
        let pool = "account/\(FollowingStage.account)/pool/"
        func origins(_ addresses: String...) -> JSONValue {
            [
                "name": "p", "enabled": true,
                "origins": .array(
                    addresses.map {
                        ["name": .string($0), "address": .string($0), "enabled": true, "weight": 0.5, "port": 8080]
                    }),
            ]
        }
        try stage.apply([(pool + "one", origins("192.0.2.1", "192.0.2.2")), (pool + "two", origins("192.0.2.3"))])
        try stage.makeZone([
            (
                "load_balancer/1",
                [
                    "name": "lb.example.test", "enabled": true, "proxied": true, "default_pools": ["one"],
                    "fallback_pool": "two", "session_affinity": "cookie",
                ]
            )
        ])
        let follower = stage.follower()
        var zone = try #require(follower.zones.served("lb.example.test")).configuration
        #expect(zone.origins.map(\.backup) == [false, false, true])
        #expect(zone.origins.map(\.port) == [8080, 8080, 8080])
        #expect(zone.origins.map(\.weight) == [1, 1, 1])
        #expect(zone.balance == .sticky(cookie: "__cflb"))
        follower.applied(try stage.apply([(pool + "one", origins("192.0.2.9"))]))
        zone = try #require(follower.zones.served("lb.example.test")).configuration
        #expect(zone.origins.map(\.host) == ["192.0.2.9", "192.0.2.3"])
    }

    @Test(
        "what would reach an origin's socket as it stands is refused",
        arguments: [
            ("address", "a b"), ("address", "http://x"), ("address", "[::1]"), ("address", "127.0.0.1:80"),
            ("Host", "a\r\nX: 1"), ("Host", "a b"), ("Host", ""),
        ])
    func hostileOrigin(member: String, value: String) throws {
        let stage = try FollowingStage()
        var origin: JSONObject = ["name": "o", "address": "192.0.2.1"]
        origin[member == "Host" ? "header" : "address"] =
            member == "Host" ? ["Host": [.string(value)]] : .string(value)
        try stage.apply([
            ("account/\(FollowingStage.account)/pool/one", ["name": "p", "origins": [.object(origin)]])
        ])
        try stage.makeZone([
            (
                "load_balancer/1",
                ["name": "lb.example.test", "proxied": true, "default_pools": ["one"], "fallback_pool": "one"]
            ), ("dns/1", record("example.test", "a\r\nb")),
        ])
        let follower = stage.follower()
        #expect(follower.zones.served("lb.example.test") == nil)
        #expect(follower.refusedCount == 1)
    }

    @Test(
        "expected codes of a monitor",
        arguments: [("200", 200...200), ("2xx", 200...299), ("200,302", 200...302), ("2XX, 404", 200...404)])
    func codes(text: String, range: ClosedRange<Int>) {
        #expect(BalancedOrigins.statuses(text) == range)
    }

    @Test("codes that are none", arguments: ["", "99", "xx", "2x", "200;300", "600", "6xx"])
    func badCodes(text: String) { #expect(BalancedOrigins.statuses(text) == nil) }
}

extension JSONValue: ExpressibleByFloatLiteral {
    /// For weights.
    public init(floatLiteral value: Double) { self = .number(JSONNumber(value)) }
}
