import Foundation
import Testing

/// What a zone's `cache:` changes.
@Suite("Cache: settings of a zone", .onStageThreads)
struct ZoneSettingJourneys {
    @Test("everything: what has no lifetime gets the zone's; what says no is still not stored")
    func everything() throws {
        let plain = try Resource("X-None: 1", in: .everything)
        _ = try plain.get()
        let hit = try plain.get()
        hit.expectHit("v1")
        #expect((3000...3600).contains(hit.cache.ttl ?? 0), "\(hit.head)")
        let short = try Resource("Cache-Control: max-age=60", in: .everything)
        _ = try short.get()
        #expect(try (1...60).contains(short.get().cache.ttl ?? 0))
        for field in ["Cache-Control: no-store", "Cache-Control: private", "Set-Cookie: id=1", "Vary: *"] {
            let page = try Resource(field, in: .everything)
            _ = try page.get()
            #expect(try page.get().text == "v2", "\(field)")
        }
    }

    @Test("everything does not share what an Authorization asked for")
    func everythingAuthorized() throws {
        let page = try Resource("X-None: 1", in: .everything)
        _ = try page.get("Authorization: Basic eDp5")
        #expect(try page.get().text == "v2")
    }

    @Test("ttl by status: replaces the origin's lifetime; 0s stores nothing; no-store stays no-store")
    func lifetimes() throws {
        func ttl(_ status: String, _ fields: String...) throws -> Int? {
            let page = try Resource(in: .lifetimes) { _, number in response(status, fields: fields, body: "v\(number)")
            }
            _ = try page.get()
            let second = try page.get()
            return second.cache.isHit ? second.cache.ttl : nil
        }
        #expect(try (3000...3600).contains(ttl("200 OK") ?? 0))
        #expect(try (3000...3600).contains(ttl("203 Odd", "Cache-Control: max-age=5") ?? 0))
        #expect(try (1...60).contains(ttl("404 Not Found") ?? 0), "negative caching")
        #expect(try ttl("500 Error") == nil)
        #expect(try ttl("503 Error", "Cache-Control: max-age=600") == nil)
        #expect(try ttl("301 Moved") == nil)
        #expect(try (1...600).contains(ttl("301 Moved", "Cache-Control: max-age=600") ?? 0))
        #expect(try ttl("200 OK", "Cache-Control: no-store") == nil)
        #expect(try ttl("200 OK", "Cache-Control: private") == nil)
        #expect(try ttl("404 Not Found", "Set-Cookie: id=1") == nil)
    }

    @Test("heuristic: a tenth of the time since Last-Modified, where the origin names no lifetime (§4.2.2)")
    func heuristic() throws {
        let page = try Resource("Last-Modified: \(HTTPDate.at(-10_000))", in: .heuristic)
        _ = try page.get()
        let hit = try page.get()
        hit.expectHit("v1")
        #expect((700...1001).contains(hit.cache.ttl ?? 0), "\(hit.head)")
        for fields in [["X-None: 1"], ["Last-Modified: \(HTTPDate.at(-10_000))", "Cache-Control: max-age=0"]] {
            let other = try Resource(in: .heuristic) { _, number in
                response("200 OK", fields: fields, body: "v\(number)")
            }
            _ = try other.get()
            #expect(try other.get().text == "v2", "\(fields)")
        }
        let odd = try Resource(in: .heuristic) { _, number in
            response("302 Found", fields: ["Last-Modified: \(HTTPDate.at(-10_000))"], body: "v\(number)")
        }
        _ = try odd.get()
        #expect(try odd.get().text == "v2", "302 is not heuristically cacheable")
    }

    @Test("bypass_cookies: such a client is the origin's, and leaves nothing behind")
    func bypassCookies() throws {
        let page = try Resource("Cache-Control: max-age=600", in: .cookies)
        for cookie in ["session=1", "a=b; session=x", "wp_logged_in=1", "a=b;wp_=", "session"] {
            let before = page.requestCount
            try page.get("Cookie: \(cookie)").expectForwarded("bypass", stored: false)
            #expect(page.requestCount == before + 1, "\(cookie)")
        }
        let filled = try page.get()
        #expect(!filled.cache.isHit)
        for cookie in ["sessions=1", "mysession=1", "Session=1", "wp=1", "a=session", "a=\"wp_x=1\""] {
            try page.get("Cookie: \(cookie)").expectHit(filled.text)
        }
        try page.get("Cookie: a=b", "Cookie: session=1").expectForwarded("bypass", stored: false)
    }

    // MARK: Keys

    @Test("By default every character of the query counts")
    func query() throws {
        let page = try Resource("Cache-Control: max-age=600")
        var bodies: Set<String> = []
        for query in ["", "?", "?a", "?a=", "?a=1", "?a=1&b=2", "?b=2&a=1", "?A=1", "?a=%31", "?a=1&", "?a=1#"] {
            bodies.insert(try page.get(query: query == "?a=1#" ? "?a=1%23" : query).text)
        }
        #expect(bodies.count == 11, "\(bodies)")
        #expect(page.requests.map(\.target).contains("\(page.path)?b=2&a=1"))
    }

    @Test("ignore_query: one object, whatever the query; the origin sees the first client's")
    func ignoreQuery() throws {
        let page = try Resource("Cache-Control: max-age=600", in: .ignoreQuery)
        #expect(try page.get(query: "?a=1").text == "v1")
        for query in ["", "?", "?a=2", "?b=1&c"] { try page.get(query: query).expectHit("v1") }
        #expect(page.requests.first?.target == "\(page.path)?a=1")
    }

    @Test("query only: the parameters named, in the order they came")
    func onlyQuery() throws {
        let page = try Resource("Cache-Control: max-age=600", in: .onlyQuery)
        #expect(try page.get(query: "?page=1&utm=x").text == "v1")
        try page.get(query: "?utm=y&page=1").expectHit("v1")
        try page.get(query: "?page=1").expectHit("v1")
        #expect(try page.get(query: "?page=2").text == "v2")
        #expect(try page.get(query: "?page=1&lang=de").text == "v3")
        #expect(try page.get(query: "?pages=1").text == "v4")
        try page.get(query: "").expectHit("v4")
        try page.get(query: "?Page=1").expectHit("v4")
        // A name in disguise is the name that the origin will read.
        #expect(try page.get(query: "?p%61ge=3").text == "v5")
    }

    @Test("query except: all but the parameters named")
    func exceptQuery() throws {
        let page = try Resource("Cache-Control: max-age=600", in: .exceptQuery)
        #expect(try page.get(query: "?id=1&utm_source=x").text == "v1")
        try page.get(query: "?fbclid=z&id=1").expectHit("v1")
        try page.get(query: "?id=1").expectHit("v1")
        #expect(try page.get(query: "?id=2").text == "v2")
        #expect(try page.get(query: "?id=1&utm_sources=x").text == "v3")
    }

    @Test("sort_query: one object for every order, and the origin gets the sorted one")
    func sortQuery() throws {
        let page = try Resource("Cache-Control: max-age=600", in: .sortQuery)
        #expect(try page.get(query: "?c=3&a=1&b=2").text == "v1")
        #expect(page.requests.first?.target == "\(page.path)?a=1&b=2&c=3")
        try page.get(query: "?b=2&c=3&a=1").expectHit("v1")
        #expect(try page.get(query: "?a=1&b=2&c=4").text == "v2")
        // The order of values of one name is kept: it may mean something.
        #expect(try page.get(query: "?x=2&x=1").text == "v3")
        #expect(try page.get(query: "?x=1&x=2").text == "v4")
    }

    @Test("Further parts of the key: a field, a cookie, the device, the language")
    func parts() throws {
        let page = try Resource("Cache-Control: max-age=600", in: .parts)
        let phone = "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148"
        let desktop = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0"
        let kinds: [[String]] = [
            [], ["X-Tier: gold"], ["X-Tier: silver"], ["Cookie: shop=1"], ["Cookie: shop=2; other=3"], [phone],
            ["Accept-Language: de-DE,de;q=0.9,en;q=0.1"], ["X-Tier: gold", phone],
        ]
        var bodies: [String] = []
        for kind in kinds {
            bodies.append(try page.get(kind.joined(separator: "\r\n") + (kind.isEmpty ? "X-A: 1" : "")).text)
        }
        #expect(Set(bodies).count == kinds.count, "\(bodies)")
        try page.get("X-Tier: gold", "X-Other: 1").expectHit(bodies[1])
        try page.get("Cookie: other=9; shop=2").expectHit(bodies[4])
        try page.get(phone.replacing("17_0", with: "16_5")).expectHit(bodies[5])
        try page.get("Accept-Language: de-de;q=0.8, fr;q=0.5").expectHit(bodies[6])
        try page.get(desktop).expectHit(bodies[0])
    }

    @Test("A reload that changes the settings changes what is served, not what is stored")
    func reload() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage)
        let page = try Resource("Cache-Control: max-age=600", on: cast)
        _ = try page.get()
        try page.get().expectHit("v1")
        let origins = [cast.origin.url]
        try cast.edge.rewrite { $0.zones = zone("example.test", origins: origins, ["cache: off"]) }
        cast.edge.reload()
        #expect(try eventually { try !page.get().cache.isHit })
        try cast.edge.rewrite { $0.zones = zone("example.test", origins: origins) }
        cast.edge.reload()
        #expect(try eventually { try page.get().cache.isHit })
        try page.get().expectHit("v1")
    }

    @Test("The cache can be off for the whole process")
    func off() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: "off")
        let page = try Resource("Cache-Control: max-age=600", on: cast)
        for number in 1...2 { #expect(try page.get().text == "v\(number)") }
        #expect(try cast.edge.admin("/readyz").status == 200)
    }
}
