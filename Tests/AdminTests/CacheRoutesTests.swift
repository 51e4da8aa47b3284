// The operator's words to the cache: what they may be, what they become, and what comes back. Without a socket.

import Limits
import Synchronization
import Testing

@testable import Admin

/// A cache that remembers what it was asked.
private final class AskedCache: Sendable {
    let purges = Mutex<[CachePurge]>([])
    let inspections = Mutex<[String]>([])

    var operations: CacheOperations {
        CacheOperations(
            purge: { purge throws(CacheProblem) in
                self.purges.withLock { $0.append(purge) }
                if let zone = purge.zone, zone != "a.test" { throw .unknownZone(zone) }
                return CachePurgeAnswer(objects: 3, memoryObjects: 1, diskObjects: 2, zones: ["a.test"])
            },
            inspect: { url, zone throws(CacheProblem) in
                self.inspections.withLock { $0.append("\(url) \(zone ?? "-")") }
                if url.contains("off") { throw .cacheOff(zone: "off.test") }
                return CacheInspection(zone: "a.test", key: url, hash: "00")
            },
            statistics: { CacheStatistics(memory: .init(bytes: 1, bytesMax: 2, objects: 3, evictions: 4)) })
    }
}

private func post(_ body: String, type: String = "application/json", hasOrigin: Bool = false) -> AdminServer.Request {
    var request = AdminServer.Request(.post, path: "/cache/purge")
    request.contentType = type
    request.hasOrigin = hasOrigin
    request.body = Array(body.utf8)
    return request
}

private func text(_ answer: AdminServer.Answer) -> String { String(decoding: answer.body, as: UTF8.self) }

@Suite("CacheRoutes")
struct CacheRoutesTests {
    private func answer(_ request: AdminServer.Request, _ cache: AskedCache) async throws -> AdminServer.Answer {
        try #require(await CacheRoutes.answer(request, cache.operations))
    }

    @Test("a purge arrives as it was written, and its answer is JSON")
    func purge() async throws {
        let cache = AskedCache()
        let body = """
            {"zone": "A.test", "files": ["HTTPS://A.test/x?y=%20"], "hosts": ["WWW.a.test."],
             "prefixes": ["https://A.test:8443/Blog", "b.test"], "tags": ["News", "x y"], "soft": true}
            """
        let refused = try await answer(post(body), cache)
        #expect(refused.status == 400)
        let made = try await answer(post(body.replacing("x y", with: "x-y")), cache)
        #expect(made.status == 200)
        #expect(made.contentType == "application/json")
        var expected = CachePurge()
        expected.zone = "a.test"
        expected.files = ["HTTPS://A.test/x?y=%20"]
        expected.hosts = ["www.a.test"]
        expected.prefixes = ["a.test:8443/Blog", "b.test/"]
        expected.tags = ["News", "x-y"]
        expected.isSoft = true
        #expect(cache.purges.withLock { $0 } == [expected])
        let report = try #require(CacheJSON.value(CachePurgeReport.self, from: made.body))
        #expect([report.objects, report.memoryObjects, report.diskObjects] == [3, 1, 2])
        #expect(report.zones == ["a.test"] && report.isSoft && !report.isDryRun && report.tookMilliseconds >= 0)
        #expect(text(made).hasPrefix("{\"dry_run\":false,\"in_memory\":1,\"objects\":3,\"on_disk\":2,\"soft\":true,"))
        #expect(text(made).hasSuffix("}\n"))
    }

    @Test("everything is purged by saying so, and a dry run says so too")
    func everything() async throws {
        let cache = AskedCache()
        #expect(try await answer(post(#"{"everything": true, "dry_run": true}"#), cache).status == 200)
        let purge = try #require(cache.purges.withLock { $0.first })
        #expect(purge.everything && purge.isDryRun && !purge.isSoft && purge.zone == nil)
    }

    @Test("what a browser's page could send purges nothing")
    func browsers() async throws {
        let cache = AskedCache()
        let body = #"{"everything": true}"#
        #expect(try await answer(post(body, hasOrigin: true), cache).status == 403)
        for type in ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"] {
            #expect(try await answer(post(body, type: type), cache).status == 415, "\(type)")
        }
        var get = AdminServer.Request(.get, path: "/cache/purge")
        get.query = "everything=true"
        let refused = try await answer(get, cache)
        #expect(refused.status == 405 && refused.allow == "POST")
        #expect(cache.purges.withLock { $0.isEmpty })
        for type in ["application/json", "Application/JSON; charset=utf-8", " application/json ;x"] {
            #expect(try await answer(post(body, type: type), cache).status == 200, "\(type)")
        }
    }

    static let refusals: [(body: String, message: String)] = [
        ("", "expected a JSON object, found something else"),
        ("nonsense", "expected a JSON object, found something else"),
        ("[]", "expected a JSON object"), ("{}", "expected \\\"files\\\""),
        ("{\"tags\": []}", "expected \\\"files\\\""),
        (#"{"everything": false}"#, "expected \\\"files\\\""),
        (#"{"everything": true, "tags": ["a"]}"#, "expected \\\"everything\\\" alone"),
        (#"{"everything": "yes"}"#, "expected true or false for \\\"everything\\\""),
        (#"{"everything": 1}"#, "expected true or false for \\\"everything\\\""),
        (#"{"tags": "a"}"#, "expected a list of texts for \\\"tags\\\""),
        (#"{"tags": [1]}"#, "expected a list of texts for \\\"tags\\\""),
        (#"{"tags": ["a"], "zone": 1}"#, "expected text for \\\"zone\\\""),
        (#"{"tag": ["a"]}"#, "unknown member \\\"tag\\\"; expected: zone, files, hosts"),
        (#"{"purge_everything": true}"#, "unknown member \\\"purge_everything\\\""),
        (#"{"tags": ["a,b"]}"#, "expected a tag"), (#"{"tags": [""]}"#, "expected a tag"),
        (#"{"tags": ["é"]}"#, "expected a tag"), (#"{"zone": "", "tags": ["a"]}"#, "expected the name of a zone"),
        (#"{"files": ["/a"]}"#, "expected a URL"), (#"{"files": ["ftp://a/b"]}"#, "expected a URL"),
        (#"{"files": ["http://u@a/"]}"#, "expected a URL"), (#"{"files": ["http:///x"]}"#, "expected a URL"),
        (#"{"files": ["http://a/#x"]}"#, "expected a URL"), (#"{"files": ["http://a/ b"]}"#, "expected a URL"),
        (#"{"files": ["http://a/\n"]}"#, "found \\\"http://a/?\\\""),
        (#"{"hosts": ["http://a.test"]}"#, "expected a host such"),
        (#"{"hosts": ["a.test:x"]}"#, "expected a host such"),
        (#"{"hosts": ["*.a.test"]}"#, "expected a host such"), (#"{"hosts": ["a.test/x"]}"#, "expected a host such"),
        (#"{"prefixes": ["/blog"]}"#, "expected a prefix"), (#"{"prefixes": ["a.test?x"]}"#, "expected a prefix"),
        (#"{"prefixes": ["*.test/"]}"#, "expected a prefix"), (#"{"prefixes": ["https://"]}"#, "expected a prefix"),
        (#"{"tags": ["a"], "zone": "b.test"}"#, "no zone is called \\\"b.test\\\""),
    ]

    @Test("a body that is not one says what was expected", arguments: refusals.indices)
    func wrongBody(index: Int) async throws {
        let (body, message) = Self.refusals[index]
        let made = try await answer(post(body), AskedCache())
        #expect(made.status == (message.hasPrefix("no zone") ? 404 : 400))
        #expect(text(made).contains(message), "\(text(made))")
        let report = try #require(CacheJSON.value(CacheProblemReport.self, from: made.body))
        #expect(["bad_request", "bad_url", "unknown_zone"].contains(report.error))
    }

    @Test("deep nesting is refused and harms nothing")
    func deep() async throws {
        let body = String(repeating: "[", count: 100_000)
        #expect(try await answer(post("{\"tags\": \(body)"), AskedCache()).status == 400)
    }

    @Test("the number of items and the length of each are bounded")
    func bounds() throws {
        var purge = CachePurge()
        purge.tags = (0..<Limits.cachePurgeItemsMax).map { "t\($0)" }
        #expect(try purge.checked() == purge)
        purge.hosts = ["a.test"]
        #expect(throws: CacheProblem.self) { try purge.checked() }
        var long = CachePurge()
        long.tags = [String(repeating: "a", count: Limits.cacheTagBytesMax)]
        #expect(try long.checked() == long)
        long.tags = [String(repeating: "a", count: Limits.cacheTagBytesMax + 1)]
        #expect(throws: CacheProblem.self) { try long.checked() }
        long.tags = []
        long.files = ["http://a/" + String(repeating: "a", count: PurgeText.urlBytesMax)]
        #expect(throws: CacheProblem.self) { try long.checked() }
    }

    @Test("the largest purge of tags fits into a body")
    func largest() {
        var purge = CachePurge()
        purge.zone = String(repeating: "z", count: Limits.hostBytesMax)
        purge.tags = (0..<Limits.cachePurgeItemsMax).map { index in
            String(repeating: "t", count: Limits.cacheTagBytesMax - 4) + String(1000 + index)
        }
        #expect(CacheJSON.bytes(CachePurgeMessage(purge)).count <= Limits.adminBodyBytesMax)
    }

    @Test("IPv6 addresses keep their brackets")
    func literals() throws {
        var purge = CachePurge()
        purge.hosts = ["[2001:DB8::1]"]
        purge.prefixes = ["[::1]:8080/a"]
        purge.files = ["http://[::1]:8080/a"]
        let checked = try purge.checked()
        #expect(checked.hosts == ["[2001:db8::1]"])
        #expect(checked.prefixes == ["[::1]:8080/a"])
    }

    @Test("ports are kept, final dots are not, and what lies beyond ASCII is encoded")
    func spelling() throws {
        var purge = CachePurge()
        purge.hosts = ["A.test.:8443", "a.test:65535"]
        purge.prefixes = ["HTTP://A.test./é/Ü"]
        purge.files = ["http://a.test/é?ü"]
        let checked = try purge.checked()
        #expect(checked.hosts == ["a.test:8443", "a.test:65535"])
        #expect(checked.prefixes == ["a.test/%C3%A9/%C3%9C"])
        #expect(checked.files == ["http://a.test/%C3%A9?%C3%BC"])
        for host in ["a.test:0", "a.test:65536", "a.test:", ":80", "a.test:+1", "::1", "[::1", ".", "a b", "é.test"] {
            var purge = CachePurge()
            purge.hosts = [host]
            #expect(throws: CacheProblem.self, "\(host)") { try purge.checked() }
        }
    }

    @Test("a message read again is the same")
    func roundTrip() throws {
        var purge = CachePurge()
        purge.zone = "a.test"
        purge.files = ["https://a.test/é".replacing("é", with: "%C3%A9")]
        purge.tags = ["quote\"back\\slash"]
        purge.isDryRun = true
        #expect(try CacheJSON.purge(from: CacheJSON.bytes(CachePurgeMessage(purge))) == purge)
        var all = CachePurge()
        all.everything = true
        all.isSoft = true
        #expect(
            String(decoding: CacheJSON.bytes(CachePurgeMessage(all)), as: UTF8.self)
                == "{\"everything\":true,\"soft\":true}\n")
    }

    // MARK: Looking into it

    private func inspect(_ query: String, _ cache: AskedCache) async throws -> AdminServer.Answer {
        var request = AdminServer.Request(.get, path: "/cache/inspect")
        request.query = query
        return try await answer(request, cache)
    }

    @Test("an inspection decodes its URL once")
    func inspection() async throws {
        let cache = AskedCache()
        let made = try await inspect("zone=A.test&url=https://a.test/x%3Fy%3D%2520%26z+1=2", cache)
        #expect(made.status == 200)
        #expect(cache.inspections.withLock { $0 } == ["https://a.test/x?y=%20&z+1=2 a.test"])
        let inspection = try #require(CacheJSON.value(CacheInspection.self, from: made.body))
        #expect(inspection.variants.isEmpty && inspection.zone == "a.test")
    }

    @Test(
        "an inspection that names no URL is refused",
        arguments: [
            "", "url", "url=", "url=%", "url=%4", "url=%GG", "url=%FF", "uri=http://a/", "url=a.test/x",
            "url=http://a/%0A",
        ])
    func wrongInspection(query: String) async throws {
        let cache = AskedCache()
        #expect(try await inspect(query, cache).status == 400)
        #expect(cache.inspections.withLock { $0.isEmpty })
    }

    @Test("a zone without a cache says so, and so does a process without one")
    func off() async throws {
        let made = try await inspect("url=http://off.test/", AskedCache())
        #expect(made.status == 404)
        #expect(text(made).contains("\"error\":\"cache_off\""))
        let none = try #require(await CacheRoutes.answer(post("{}"), nil))
        #expect(none.status == 404)
        #expect(CacheJSON.value(CacheProblemReport.self, from: none.body)?.error == "cache_off")
    }

    @Test("statistics are JSON in words with underscores")
    func statistics() async throws {
        let made = try await answer(AdminServer.Request(.get, path: "/cache/stats"), AskedCache())
        #expect(
            text(made) == """
                {"fills_active":0,"memory":{"bytes":1,"bytes_max":2,"evictions":4,"objects":3},"waiters":0,\
                "zone_count":0,"zones":[]}

                """)
        let posted = try await answer(AdminServer.Request(.post, path: "/cache/stats"), AskedCache())
        #expect(posted.status == 405 && posted.allow == "GET, HEAD")
    }

    @Test("a variant read again is the same, every member of it")
    func variants() throws {
        var variant = CacheInspection.Variant()
        variant.vary = ["accept-encoding"]
        variant.varyHash = "0a"
        variant.status = 206
        variant.age = 1
        variant.freshnessLifetime = 2
        variant.freshFor = -3
        variant.staleWhileRevalidate = 4
        variant.staleIfError = 5
        variant.isSoftPurged = true
        variant.flags = ["immutable"]
        variant.isInMemory = true
        variant.isOnDisk = true
        variant.bytes = .max
        variant.memoryBytes = 6
        variant.tagCount = 7
        variant.eTag = "\"é\u{9B}\""
        variant.lastModified = "x"
        variant.contentType = "text/html"
        variant.storedAt = 8
        variant.ranges = ["0-1"]
        let inspection = CacheInspection(
            zone: "z", key: "k", hash: "h", isFilling: true, uncacheable: "no_store", variants: [variant])
        #expect(CacheJSON.value(CacheInspection.self, from: CacheJSON.bytes(inspection)) == inspection)
        var zone = CacheStatistics.Zone(name: "a.test")
        zone.requests = ["hit": 1]
        zone.bytesServed = 2
        zone.diskBytes = 3
        let statistics = CacheStatistics(memory: .init(), disk: .init(bytes: 9), zones: [zone])
        #expect(CacheJSON.value(CacheStatistics.self, from: CacheJSON.bytes(statistics)) == statistics)
    }

    @Test("other paths are not the cache's", arguments: ["/", "/cache", "/cache/", "/cache/purge/", "/metrics"])
    func others(path: String) async {
        let made = await CacheRoutes.answer(AdminServer.Request(.get, path: path), AskedCache().operations)
        #expect(made?.status == nil)
    }
}
