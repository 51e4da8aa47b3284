import Limits
import Testing

@testable import ConfigModel

/// A file whose `cache` and whose zone's `cache` say this; empty for no such key.
private func file(store: String = "", zone: String = "") -> String {
    let cache = store.isEmpty ? "" : "cache: \(store)\n"
    let ofZone = zone.isEmpty ? "" : "\n  cache: \(zone)"
    return "listen: { http: \"127.0.0.1:8080\" }\n\(cache)zones: { a.test: {\n  origins: http://b,\(ofZone)\n  } }\n"
}

private func store(_ text: String) throws -> CacheStoreSettings? {
    let loaded = try parse(file(store: text))
    #expect(loaded.warnings.isEmpty, "\(loaded.warnings)")
    return loaded.configuration.cacheStore
}

private func zone(_ text: String) throws -> CacheSettings {
    let loaded = try parse(file(zone: text))
    #expect(loaded.warnings.isEmpty, "\(loaded.warnings)")
    return try #require(loaded.configuration.zones.first).cache
}

@Suite struct CacheConfigurationTests {
    @Test func everyKeyOfTheStoresArrives() throws {
        var expected = CacheStoreSettings()
        expected.memoryBytesMax = 1 << 30
        expected.memoryObjectBytesMax = 8 << 20
        expected.diskBytesMax = 2 << 40
        expected.path = "/etc/martlet/kept"
        expected.objectBytesMax = 1 << 30
        #expect(try store("{ memory: 1GiB, memory_object: 8MiB, disk: 2TiB, path: kept, object: 1GiB }") == expected)
    }

    @Test func offMeansNoCache() throws {
        #expect(try store("off") == nil)
        #expect(try zone("off").isEnabled == false)
        #expect(try zone("on") == CacheSettings())
        #expect(try store("on") == store("{}"))
        #expect(try parse(file(store: "off", zone: "on")).warnings.isEmpty)
    }

    @Test func defaultsGiveWayToSmallerStores() throws {
        let small = try #require(try store("{ memory: 10MiB, disk: 512MiB }"))
        #expect(small.memoryObjectBytesMax == 1 << 20)
        #expect(small.objectBytesMax == 256 << 20)
        let tiny = try #require(try store("{ object: 64KiB }"))
        #expect(tiny.memoryObjectBytesMax == 64 << 10)
        let withoutDisk = try #require(try store("{ disk: off }"))
        #expect(withoutDisk.diskBytesMax == nil)
        #expect(withoutDisk.objectBytesMax == Limits.cacheMemoryObjectBytesDefault)
        #expect(try store("{ disk: off, memory_object: 1MiB }")?.objectBytesMax == 1 << 20)
    }

    @Test func defaultsLieWithinTheirRanges() {
        #expect(Limits.cacheMemoryBytesRange.contains(Limits.cacheMemoryBytesDefault))
        #expect(Limits.cacheDiskBytesRange.contains(Limits.cacheDiskBytesDefault))
        #expect(Limits.cacheObjectBytesRange.contains(Limits.cacheObjectBytesDefault))
        #expect(Limits.cacheObjectBytesRange.contains(Limits.cacheMemoryObjectBytesDefault))
        #expect(Limits.cacheTTLMillisecondsRange.contains(Limits.cacheDefaultTTLMillisecondsDefault))
        // The smallest stores hold the smallest objects, and the default of one object needs no default to give way.
        let least = Limits.cacheObjectBytesRange.lowerBound
        #expect(Limits.cacheMemoryBytesRange.lowerBound / Limits.cacheMemoryObjectShare >= least)
        #expect(Limits.cacheMemoryBytesDefault / Limits.cacheMemoryObjectShare >= Limits.cacheMemoryObjectBytesDefault)
        #expect(Limits.cacheDiskBytesDefault / Limits.cacheDiskObjectShare >= Limits.cacheObjectBytesDefault)
        // A lifetime that may be configured is one that may be reckoned with.
        #expect(Int64(Limits.cacheTTLMillisecondsRange.upperBound) <= Limits.cacheLifetimeMillisecondsMax)
    }

    @Test func thePathFollowsTheDataDirectory() throws {
        let loaded = try parse(file(store: "{ disk: 1GiB }") + "data: /srv/martlet\n")
        #expect(loaded.configuration.cacheStore?.path == "/srv/martlet/cache")
        #expect(try parse(file() + "data: /\n").configuration.cacheStore?.path == "/cache")
    }

    @Test func everyKeyOfAZoneArrives() throws {
        let settings = try zone(
            """
            {
                query: { except: [utm_source, gclid] }, sort_query: true,
                key: { headers: [X-Country, x-shop], cookies: Currency, device: true, language: true },
                bypass_cookies: [session, "wordpress_*"], everything: true, default_ttl: 1h,
                ttl: { "200-299": 1h, 404: 1m, 5xx: 0, "204": 2s }, heuristic: 10%, client_directives: ignore,
                always_online: true, stale_while_revalidate: 30s, stale_if_error: 1d,
                memory: 64MiB, disk: 1GiB, normalize_accept_encoding: false }
            """)
        var expected = CacheSettings()
        expected.key.query = .except(["utm_source", "gclid"])
        expected.key.sortsQuery = true
        expected.key.headers = ["x-country", "x-shop"]
        expected.key.cookies = ["Currency"]
        expected.key.device = true
        expected.key.language = true
        expected.bypassCookies = ["session", "wordpress_*"]
        expected.everything = true
        expected.defaultTTL = 3_600_000
        // The narrowest first, so that the first that covers a status is the one that counts.
        expected.ttlByStatus = [
            .init(statuses: 204...204, ttl: 2000), .init(statuses: 404...404, ttl: 60_000),
            .init(statuses: 200...299, ttl: 3_600_000), .init(statuses: 500...599, ttl: 0),
        ]
        expected.heuristicPercent = 10
        expected.respectsClientDirectives = false
        expected.alwaysOnline = true
        expected.staleWhileRevalidate = 30_000
        expected.staleIfError = 86_400_000
        expected.memoryBytesMax = 64 << 20
        expected.diskBytesMax = 1 << 30
        expected.normalizesAcceptEncoding = false
        #expect(settings == expected)
    }

    @Test(arguments: [
        ("ignore_query: true", CacheKeySettings.Query.none), ("ignore_query: false", .all),
        ("query: { only: page }", .only(["page"])), ("query: { only: [] }", .only([])),
        ("query: { except: [\"a%5B%5D\"] }", .except(["a%5B%5D"])),
    ]) func queries(written: String, expected: CacheKeySettings.Query) throws {
        #expect(try zone("{ \(written) }").key.query == expected)
    }

    static let zoneProblems: [(written: String, message: String)] = [
        ("false", "expected on, off or a mapping for \"cache\" in zone \"a.test\", found \"false\""),
        ("{ tll: 1 }", "unknown key \"tll\" in {cache}; did you mean \"ttl\"?"),
        ("{ ignore_query: true, query: { only: a } }", "expected \"ignore_query\" or \"query\" in {cache}, found both"),
        ("{ query: {} }", "expected \"only\" or \"except\" for \"query\" in {cache}, found neither"),
        (
            "{ query: { only: a, except: b } }",
            "expected \"only\" or \"except\" for \"query\" in {cache}, found both"
        ),
        (
            "{ query: { only: \"utm_*\" } }",
            "expected the name of a query parameter such as utm_source for \"only\" in query of {cache}, "
                + "found \"utm_*\""
        ),
        (
            "{ query: { only: \"a=b\" } }",
            "expected the name of a query parameter such as utm_source for \"only\" in query of {cache}, "
                + "found \"a=b\""
        ),
        (
            "{ key: { headers: Host } }",
            "expected a field that may be part of a key for \"headers\" in key of {cache}, found \"Host\""
        ),
        (
            "{ key: { headers: \"X-A:\" } }",
            "expected a field name such as X-Country for \"headers\" in key of {cache}, found \"X-A:\""
        ),
        (
            "{ key: { cookies: \"a*\" } }",
            "expected a cookie name such as session for \"cookies\" in key of {cache}, found \"a*\""
        ),
        (
            "{ bypass_cookies: \"a*b\" }",
            "expected a cookie name such as session or wordpress_* for \"bypass_cookies\" in {cache}, found \"a*b\""
        ),
        (
            "{ bypass_cookies: \"*\" }",
            "expected a cookie name such as session or wordpress_* for \"bypass_cookies\" in {cache}, found \"*\""
        ),
        ("{ ttl: 1h }", "expected a mapping of statuses to durations for \"ttl\" in {cache}, found \"1h\""),
        ("{ ttl: { 199: 1h } }", "expected a status for \"ttl\" in {cache}, found \"199\""),
        ("{ ttl: { 1xx: 1h } }", "expected a status for \"ttl\" in {cache}, found \"1xx\""),
        ("{ ttl: { \"299-200\": 1h } }", "expected a status for \"ttl\" in {cache}, found \"299-200\""),
        ("{ ttl: { \"200-299-\": 1h } }", "expected a status for \"ttl\" in {cache}, found \"200-299-\""),
        (
            "{ ttl: { 404: 1h, \"404-404\": 2h } }",
            "expected ranges that lie apart or within each other for \"ttl\" in {cache}, "
                + "found \"404-404\" beside \"404\""
        ),
        (
            "{ ttl: { \"200-299\": 1h, \"250-350\": 2h } }",
            "expected ranges that lie apart or within each other for \"ttl\" in {cache}, "
                + "found \"250-350\" beside \"200-299\""
        ),
        (
            "{ ttl: { 404: 366d } }",
            "expected a duration from 1s to 365d, or 0, for \"404\" in ttl of {cache}, found \"366d\""
        ),
        (
            "{ everything: true, default_ttl: 0 }",
            "expected a duration from 1s to 365d for \"default_ttl\" in {cache}, found \"0\""
        ),
        (
            "{ heuristic: 10 }",
            "expected a percentage from 1% to 100%, or off, for \"heuristic\" in {cache}, found \"10\""
        ),
        (
            "{ heuristic: 101% }",
            "expected a percentage from 1% to 100%, or off, for \"heuristic\" in {cache}, found \"101%\""
        ),
        (
            "{ client_directives: obey }",
            "expected respect or ignore for \"client_directives\" in {cache}, found \"obey\""
        ),
        (
            "{ memory: 1GiB }",
            "expected at most the \"memory\" of the whole cache (256MiB) for \"memory\" in {cache}, found \"1GiB\""
        ),
        (
            "{ disk: 1TiB }",
            "expected at most the \"disk\" of the whole cache (10GiB) for \"disk\" in {cache}, found \"1TiB\""
        ),
    ]

    @Test(arguments: zoneProblems.indices) func aWrongZoneIsAnError(index: Int) throws {
        let (written, message) = Self.zoneProblems[index]
        let found = problems(file(zone: written))
        try #require(found.count == 1, "\(found)")
        #expect(found[0].severity == .error)
        #expect(found[0].message == message.replacing("{cache}", with: "cache of zone \"a.test\""))
        #expect(found[0].line == 4 || found[0].line == 3)
    }

    static let storeProblems: [(written: String, message: String)] = [
        ("none", "expected a mapping or off for \"cache\", found \"none\""),
        ("[1]", "expected a mapping for \"cache\", found a list"),
        ("{ memory: 1KiB }", "expected a size from 1MiB to 16TiB for \"memory\" in cache, found \"1KiB\""),
        (
            "{ memory: 10MiB, memory_object: 2MiB }",
            "expected at most a tenth of \"memory\" (1MiB) for \"memory_object\" in cache, found \"2MiB\""
        ),
        (
            "{ memory_object: 2MiB, object: 1MiB }",
            "expected at most \"object\" (1MiB) for \"memory_object\" in cache, found \"2MiB\""
        ),
        (
            "{ disk: 1GiB, object: 1GiB }",
            "expected at most half of \"disk\" (512MiB) for \"object\" in cache, found \"1GiB\""
        ),
        ("{ disk: 1MiB }", "expected a size from 256MiB to 1024TiB for \"disk\" in cache, found \"1MiB\""),
        (
            "{ disk: no }",
            "expected a size such as 512, 16KiB, 100MiB or 10GB for \"disk\" in cache, found \"no\""
        ),
    ]

    @Test(arguments: storeProblems.indices) func aWrongStoreIsAnError(index: Int) throws {
        let (written, message) = Self.storeProblems[index]
        let found = problems(file(store: written))
        try #require(found.count == 1, "\(found)")
        #expect(found[0].severity == .error)
        #expect(found[0].message == message)
        #expect(found[0].line == 2)
    }

    @Test(arguments: [
        ("", "{ default_ttl: 1h }", "this has no effect without \"everything\""),
        ("off", "{ everything: true }", "this has no effect: \"cache\" of the file is off"),
        ("{ disk: off }", "{ disk: 1MiB }", "this has no effect: the cache has no disk"),
        ("{ disk: off, path: x }", "", "nothing is written there: \"disk\" is off"),
        (
            "{ disk: off, object: 1GiB }", "",
            "objects above 4MiB are not cached: \"disk\" is off, and \"memory_object\" is 4MiB"
        ),
        ("", "{ key: { cookies: [a, a] } }", "\"a\" is given twice"),
    ]) func whatHasNoEffectIsAWarning(store: String, zone: String, message: String) throws {
        let loaded = try parse(file(store: store, zone: zone))
        #expect(loaded.warnings.map(\.message) == [message])
    }

    @Test func listsAreBounded() {
        func list(_ count: Int) -> String { (0..<count).map { "c\($0)" }.joined(separator: ", ") }
        #expect(problems(file(zone: "{ bypass_cookies: [\(list(Limits.cacheNamesMax))] }")).isEmpty)
        #expect(problems(file(zone: "{ bypass_cookies: [\(list(Limits.cacheNamesMax + 1))] }")).count == 1)
        let rows = (200...200 + Limits.cacheStatusTTLsMax).map { "\($0): 1s" }.joined(separator: ", ")
        #expect(problems(file(zone: "{ ttl: { \(rows) } }")).count == 1)
    }
}
