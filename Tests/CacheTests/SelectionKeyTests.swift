// Keys: two requests share one exactly if every server must take them for the same.

import Cache
import ConfigModel
import HTTPWire
import Limits
import Testing

private let secret = KeySecret(k0: 0x0706_0504_0302_0100, k1: 0x0f0e_0d0c_0b0a_0908)

@Suite("Cache keys")
struct SelectionKeyTests {
    private func key(
        _ lines: String, isSecure: Bool = true, settings: CacheKeySettings = CacheKeySettings()
    ) throws -> CacheKey {
        let request = try SelectionRequest(lines)
        return try key(request, isSecure: isSecure, settings: settings)
    }

    private func key(
        _ request: SelectionRequest, isSecure: Bool = true, settings: CacheKeySettings = CacheKeySettings()
    ) throws -> CacheKey {
        let recipe = KeyRecipe(zoneName: "example.test", settings: settings, secret: secret)
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: Limits.cacheKeyBytesMax, alignment: 8)
        defer { scratch.deallocate() }
        let rendered = recipe.render(request.head, request.bytes.span, isSecure: isSecure, into: scratch)
        return try #require(rendered?.stored())
    }

    private func text(_ key: CacheKey) -> String { String(decoding: key.bytes, as: UTF8.self) }

    @Test("what a key looks like")
    func drawing() throws {
        let key = try key("GET /path?query HTTP/1.1\nHost: www.example.test:8443")
        #expect(text(key) == "example.test\nhttps\nwww.example.test\n8443\n/path?query")
        #expect(key.hash == key.urlHash)
        #expect(key.hash == key.bytes.withUnsafeBytes { SipHasher128.hash($0, secret) })
    }

    @Test(
        "other spellings of one URL",
        arguments: [
            "GET /a?b HTTP/1.1\nHost: www.example.test:443",
            "GET /a?b HTTP/1.1\nHost: WWW.Example.TEST",
            "GET /a?b HTTP/1.1\nHost: www.example.test.",
            "GET /a?b HTTP/1.1\nHost: WWW.EXAMPLE.TEST.:443",
            "HEAD /a?b HTTP/1.1\nHost: www.example.test",
            "GET https://www.example.test/a?b HTTP/1.1\nHost: www.example.test",
            "GET HTTPS://WWW.example.test:443/a?b HTTP/1.1\nHost: www.example.test",
            "GET https://www.example.test/a?b HTTP/1.0",
        ])
    func sameURL(_ lines: String) throws {
        #expect(try text(key(lines)) == "example.test\nhttps\nwww.example.test\n443\n/a?b")
    }

    @Test(
        "another URL each",
        arguments: [
            "GET /a HTTP/1.1\nHost: www.example.test", "GET /a? HTTP/1.1\nHost: www.example.test",
            "GET /a?b& HTTP/1.1\nHost: www.example.test", "GET /A?b HTTP/1.1\nHost: www.example.test",
            "GET /%61?b HTTP/1.1\nHost: www.example.test", "GET //a?b HTTP/1.1\nHost: www.example.test",
            "GET /./a?b HTTP/1.1\nHost: www.example.test", "GET /a?b HTTP/1.1\nHost: example.test",
            "GET /a?b HTTP/1.1\nHost: www.example.test:80", "GET /a?b HTTP/1.1\nHost: www.example.testa",
            "GET /a%3Fb HTTP/1.1\nHost: www.example.test", "GET /a?b HTTP/1.0",
        ])
    func otherURL(_ lines: String) throws {
        let one = try key("GET /a?b HTTP/1.1\nHost: www.example.test")
        let other = try key(lines)
        #expect(one.bytes != other.bytes)
        #expect(one.hash != other.hash)
    }

    @Test("scheme, default port and zone count; an empty path is the root")
    func schemeAndRoot() throws {
        let plain = "example.test\nhttp\nwww.example.test\n80\n/"
        #expect(try text(key("GET http://www.example.test HTTP/1.0", isSecure: false)) == plain)
        #expect(try text(key("GET / HTTP/1.1\nHost: www.example.test", isSecure: false)) == plain)
        #expect(try text(key("GET http://www.example.test?x HTTP/1.0", isSecure: false)) == plain + "?x")
        let upper = "GET / HTTP/1.1\nHost: [2001:DB8::FFFF]:8080"
        #expect(try text(key(upper)) == "example.test\nhttps\n[2001:db8::ffff]\n8080\n/")
    }

    @Test("every letter of a host is folded, and nothing else")
    func hostFolding() throws {
        let host = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-abcdefghijklmnopqrstuvwxyz_0123456789~.Zz"
        let key = try key("GET / HTTP/1.1\nHost: \(host)")
        #expect(text(key).contains("\n\(host.lowercased())\n"))
    }

    @Test("a key that does not fit is none")
    func tooLong() throws {
        let request = try SelectionRequest("GET /aaaaaaaaaaaaaaaa HTTP/1.1\nHost: www.example.test")
        let recipe = KeyRecipe(zoneName: "example.test", settings: CacheKeySettings(), secret: secret)
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 60, alignment: 8)
        defer { scratch.deallocate() }
        let fits = UnsafeMutableRawBufferPointer(rebasing: scratch[..<57])
        let rendered = recipe.render(request.head, request.bytes.span, isSecure: true, into: fits)
        #expect(rendered?.urlEnd == 57)
        let short = UnsafeMutableRawBufferPointer(rebasing: scratch[..<56])
        let none = recipe.render(request.head, request.bytes.span, isSecure: true, into: short)
        #expect(none == nil)
    }

    // MARK: The query

    private func query(_ query: String, _ rule: CacheKeySettings.Query, isSorted: Bool = false) throws -> String {
        var settings = CacheKeySettings()
        settings.query = rule
        settings.sortsQuery = isSorted
        let all = try text(key("GET /p\(query) HTTP/1.1\nHost: www.example.test", settings: settings))
        return String(all.dropFirst("example.test\nhttps\nwww.example.test\n443\n/p".count))
    }

    @Test("the query is left out as a whole")
    func queryNone() throws {
        for text in ["", "?", "?a=1", "?a=1&b"] { #expect(try query(text, .none).isEmpty) }
    }

    @Test(
        "only some parameters count",
        arguments: [
            ("", ""), ("?", ""), ("?x=1", ""), ("?q=1", "?q=1"), ("?x=1&q=2&y=3&q=4", "?q=2&q=4"), ("?q", "?q"),
            ("?qq=1", ""), ("?Q=1", ""), ("?a=q", ""),
            // An origin decodes names before it looks for them.
            ("?%71=evil", "?%71=evil"), ("?x+y=1", "?x+y=1"), ("?x%20y=1", "?x%20y=1"), ("?q%=1", ""), ("?q%7=1", ""),
            // An origin may split here.
            ("?x=1;q=evil", "?x=1;q=evil"),
        ])
    func queryOnly(_ sent: String, _ kept: String) throws {
        #expect(try query(sent, .only(["q", "x y"])) == kept)
    }

    @Test(
        "all but some parameters count",
        arguments: [
            ("", ""), ("?", "?"), ("?utm_source=a", ""), ("?a=1&utm_source=b&c", "?a=1&c"), ("?utm%5Fsource=a", ""),
            ("?utm_source", ""), ("?utm_sourcex=1", "?utm_sourcex=1"), ("?a=utm_source", "?a=utm_source"),
            ("?utm_source=1;a=evil", "?utm_source=1;a=evil"), ("?utm_source=1&", "?"), ("?&&a", "?&&a"),
        ])
    func queryExcept(_ sent: String, _ kept: String) throws {
        #expect(try query(sent, .except(["utm_source"])) == kept)
    }

    @Test("sorted by name, those of one name in the order they came")
    func querySorted() throws {
        #expect(try query("?b=1&a=2&b=0&aa=1&a=1", .all, isSorted: true) == "?a=2&a=1&aa=1&b=1&b=0")
        #expect(try query("?b&utm=1&a", .except(["utm"]), isSorted: true) == "?a&b")
        #expect(try query("?", .all, isSorted: true) == "?")
        #expect(try query("?b&a&", .all, isSorted: true) == "?&a&b")
        let many = "?" + (0...Limits.cacheSortedParametersMax).map { "p\(999 - $0)" }.joined(separator: "&")
        #expect(try query(many, .all, isSorted: true) == many)
    }

    @Test("the origin gets the order that the key has, and the parameters that it leaves out")
    func forwardedQuery() throws {
        let request = try SelectionRequest("GET /p?b=1&utm=x&a HTTP/1.1\nHost: www.example.test")
        for (isSorted, expected) in [(true, "a&b=1&utm=x"), (false, "b=1&utm=x&a")] {
            var settings = CacheKeySettings()
            settings.query = .except(["utm"])
            settings.sortsQuery = isSorted
            let recipe = KeyRecipe(zoneName: "example.test", settings: settings, secret: secret)
            #expect(recipe.sortsQuery == isSorted)
            let forwarded = selectionText { writer in
                recipe.writeForwardedQuery(request.head, request.bytes.span, to: &writer)
            }
            #expect(forwarded == expected)
        }
    }

    // MARK: Custom parts

    private func parts(_ fields: String, _ change: (inout CacheKeySettings) -> Void) throws -> String {
        var settings = CacheKeySettings()
        change(&settings)
        let key = try key(SelectionRequest(fields: fields), settings: settings)
        let url = "example.test\nhttps\nwww.example.test\n443\n/a"
        #expect(text(key).hasPrefix(url))
        #expect(key.urlHash == Array(url.utf8).withUnsafeBytes { SipHasher128.hash($0, secret) })
        return String(text(key).dropFirst(url.count))
    }

    @Test(
        "a request field as part of the key",
        arguments: [
            ("", "\nh:x-kind"), ("X-Kind:", "\nh:x-kind="), ("X-Kind: a", "\nh:x-kind=a"),
            ("x-KIND: a\nX-Kind: b", "\nh:x-kind=a,b"), ("X-Kindred: a", "\nh:x-kind"),
            ("X-Kind: a%b\tc", "\nh:x-kind=a%25b%09c"),
            // The origin does not see what Connection strikes out.
            ("X-Kind: a\nConnection: x-kind", "\nh:x-kind"),
        ])
    func header(_ fields: String, _ expected: String) throws {
        #expect(try parts(fields) { $0.headers = ["x-kind"] } == expected)
    }

    @Test("a known field as part of the key")
    func knownHeader() throws {
        #expect(try parts("Accept: a\nAccept: b") { $0.headers = ["accept"] } == "\nh:accept=a,b")
        #expect(try parts("Accept-Encoding: a") { $0.headers = ["accept"] } == "\nh:accept")
    }

    @Test(
        "a cookie as part of the key",
        arguments: [
            ("", "\nc:sid"), ("Cookie: sid=1", "\nc:sid=1"), ("Cookie: a=b; sid=1; c", "\nc:sid=1"),
            ("Cookie: sid=", "\nc:sid="), ("Cookie: sid", "\nc:sid="), ("Cookie: SID=1", "\nc:sid"),
            ("Cookie: sid=1; sid=2", "\nc:sid=1;2"), ("Cookie: sid=1\nCookie: sid=2", "\nc:sid=1;2"),
            ("Cookie: a=sid=1", "\nc:sid"), ("Cookie: ;;=;sid=a=b;", "\nc:sid=a=b"),
        ])
    func cookie(_ fields: String, _ expected: String) throws {
        #expect(try parts(fields) { $0.cookies = ["sid"] } == expected)
    }

    @Test(
        "kinds of devices",
        arguments: [
            ("", "desktop"),
            ("User-Agent: Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0", "desktop"),
            ("User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile/15E148", "mobile"),
            ("User-Agent: Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) Mobile/15E148", "tablet"),
            ("User-Agent: Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/126.0 Mobile Safari/537.36", "mobile"),
            ("User-Agent: Mozilla/5.0 (Linux; Android 14; SM-X910) Chrome/126.0 Safari/537.36", "tablet"),
            ("User-Agent: Mozilla/5.0 (Android 14; Mobile; rv:127.0) Firefox/127.0", "mobile"),
            ("User-Agent: curl/8.5", "desktop"),
        ])
    func device(_ fields: String, _ expected: String) throws {
        #expect(try parts(fields) { $0.device = true } == "\nd:\(expected)")
    }

    @Test(
        "the first language",
        arguments: [
            ("", ""), ("Accept-Language: de-AT,de;q=0.9", "de-at"), ("Accept-Language: ,EN ;q=1", "en"),
            ("Accept-Language: *", ""), ("Accept-Language: de/at", ""), ("Accept-Language: fr;q=0", "fr"),
        ])
    func language(_ fields: String, _ expected: String) throws {
        #expect(try parts(fields) { $0.language = true } == "\nl:\(expected)")
    }

    @Test("several parts")
    func allParts() throws {
        let all = try parts("X-Kind: a\nCookie: sid=1\nAccept-Language: en") {
            $0.headers = ["x-kind", "x-other"]
            $0.cookies = ["sid"]
            $0.device = true
            $0.language = true
        }
        #expect(all == "\nh:x-kind=a\nh:x-other\nc:sid=1\nd:desktop\nl:en")
    }

    // MARK: URLs as text

    @Test(
        "a URL as text makes the key of its request",
        arguments: [
            ("https://www.example.test/a?b", "GET /a?b HTTP/1.1\nHost: www.example.test"),
            ("HTTPS://WWW.example.test.:443/a?b#fragment", "GET /a?b HTTP/1.1\nHost: www.example.test"),
            ("https://www.example.test", "GET / HTTP/1.1\nHost: www.example.test"),
            ("https://www.example.test#x", "GET / HTTP/1.1\nHost: www.example.test"),
            ("https://www.example.test:8443?z&y", "GET /?z&y HTTP/1.1\nHost: www.example.test:8443"),
            ("https://www.example.test/ä b", "GET /%C3%A4%20b HTTP/1.1\nHost: www.example.test"),
        ])
    func urlText(_ url: String, _ lines: String) throws {
        for isSorted in [false, true] {
            var settings = CacheKeySettings()
            settings.sortsQuery = isSorted
            let recipe = KeyRecipe(zoneName: "example.test", settings: settings, secret: secret)
            #expect(try recipe.key(forURL: url) == key(lines, settings: settings))
        }
    }

    @Test("a URL's scheme tells whether it is secure, and its hash does not depend on custom parts")
    func urlScheme() throws {
        var settings = CacheKeySettings()
        settings.headers = ["x-kind"]
        settings.device = true
        let recipe = KeyRecipe(zoneName: "example.test", settings: settings, secret: secret)
        let request = try SelectionRequest(fields: "X-Kind: a")
        for (scheme, isSecure) in [("http", false), ("https", true)] {
            let named = try #require(recipe.key(forURL: "\(scheme)://www.example.test/a"))
            let requested = try key(request, isSecure: isSecure, settings: settings)
            #expect(named.urlHash == requested.urlHash)
            #expect(named.hash != requested.hash)
        }
    }

    @Test(
        "what is no URL has no key",
        arguments: [
            "", "/a", "www.example.test/a", "ftp://www.example.test/", "https://", "https:///a",
            "https://u@example.test/",
            "https://a b/", "https://example.test:0/", "https://example.test/\r\nHost: x", "https://example.test/\0",
        ])
    func noURL(_ url: String) {
        let recipe = KeyRecipe(zoneName: "example.test", settings: CacheKeySettings(), secret: secret)
        #expect(recipe.key(forURL: url) == nil)
    }

    // MARK: Properties

    /// What a request means, spelling apart.
    private struct Meaning: Hashable {
        var isSecure: Bool
        var host: String
        var port: Int
        var target: String
        var kind: String?
        var cookie: String?
    }

    @Test("keys are equal exactly if requests mean the same")
    func injective() throws {
        var random = SelectionRandom(0x006b_6579)
        var settings = CacheKeySettings()
        settings.headers = ["x-kind"]
        settings.cookies = ["c"]
        var keys: [Meaning: [UInt8]] = [:]
        var meanings: [[UInt8]: Meaning] = [:]
        for _ in 0..<4000 {
            let (lines, meaning) = generate(&random)
            let bytes = try key(lines, isSecure: meaning.isSecure, settings: settings).bytes
            #expect(keys[meaning, default: bytes] == bytes, "two keys: \(lines)")
            #expect(meanings[bytes, default: meaning] == meaning, "one key for two: \(lines)")
            keys[meaning] = bytes
            meanings[bytes] = meaning
        }
        // Both directions were put to the test.
        #expect(keys.count > 500 && keys.count < 3900)
    }

    private func generate(_ random: inout SelectionRandom) -> (String, Meaning) {
        let isSecure = random.below(2) == 0
        let name = random.one(of: ["a.test", "b.test", "a.tes"])
        let spelled = random.one(of: [name, name.uppercased(), name + "."])
        let defaultPort = isSecure ? 443 : 80
        let port = random.one(of: [nil, defaultPort, 80, 443, 8080])
        let authority = spelled + (port.map { ":\($0)" } ?? "")
        let path = random.one(of: ["/", "/a", "/a/", "/%0A", "/443"])
        let query = random.one(of: ["", "?", "?a", "?a\\nh:x-kind=1", "?b=1"])
        var lines: String
        if random.below(2) == 0 {
            lines = "GET \(path)\(query) HTTP/1.1\nHost: \(authority)"
        } else {
            let shown = path == "/" && random.below(2) == 0 ? "" : path
            lines = "GET http://\(authority)\(shown)\(query) HTTP/1.1\nHost: \(authority)"
        }
        let kind = random.one(of: [nil, "", "1", "1,2", "%0A"])
        switch kind {
        case "1,2"? where random.below(2) == 0: lines += "\nX-Kind: 1\nx-kind: 2"
        case let value?: lines += "\nX-KIND: \(value)"
        case nil: break
        }
        let cookie = random.one(of: [nil, "", "1", "%"])
        if let cookie { lines += "\nCookie: b=2; c=\(cookie)" }
        let meaning = Meaning(
            isSecure: isSecure, host: name, port: port ?? defaultPort, target: path + query, kind: kind, cookie: cookie)
        return (lines, meaning)
    }
}

@Suite("Bounds of selection")
struct SelectionBoundTests {
    @Test("the longest request line's key fits, whatever the zone is called")
    func key() {
        // Zone and host, scheme and port, and a target as long as the line.
        let most = 253 + Limits.hostBytesMax + "https".utf8.count + "65535".utf8.count + 4
        #expect(most + Limits.requestLineBytesRange.upperBound <= Limits.cacheKeyBytesMax)
    }

    @Test("the names of one Vary may be of some length each")
    func vary() {
        #expect(Limits.cacheVaryNameBytesMax >= Limits.cacheVaryNamesMax * "access-control-request-headers".utf8.count)
        #expect(Limits.cacheVaryNameBytesMax < Limits.responseHeadBytesMax)
    }

    @Test("a body in full blocks, the largest that memory takes by default, is not too many pieces")
    func pieces() {
        #expect(Limits.cachePartialPiecesMax * Limits.cacheBlockBytes >= Int(Limits.cacheMemoryObjectBytesDefault))
    }
}

@Suite("Cookies that bypass the cache")
struct SelectionCookieNameTests {
    @Test(
        "names exactly, families by their beginning",
        arguments: [
            ("", false), ("Cookie: a=1", false), ("Cookie: session=1", true), ("Cookie: Session=1", false),
            ("Cookie: a=1; session", true), ("Cookie: sessions=1", false), ("Cookie: wp_1=x", true),
            ("Cookie: wp_", true), ("Cookie: xwp_=1", false), ("Cookie: a=session", false),
            ("Cookie: a=1\nCookie: session=1", true), ("Cookie: wp", false),
        ])
    func match(_ fields: String, _ expected: Bool) throws {
        let request = try SelectionRequest(fields: fields)
        let names = CookieNames(["session", "wp_*"])
        #expect(!names.isEmpty)
        let isMatch = names.match(request.head, request.bytes.span)
        #expect(isMatch == expected)
        let matchesNone = CookieNames([]).match(request.head, request.bytes.span)
        #expect(!matchesNone)
    }

    @Test("a lone star covers every cookie")
    func star() throws {
        let request = try SelectionRequest(fields: "Cookie: x")
        let isMatch = CookieNames(["*"]).match(request.head, request.bytes.span)
        #expect(isMatch)
        let none = try SelectionRequest(fields: "Accept: x")
        let matchesNothing = CookieNames(["*"]).match(none.head, none.bytes.span)
        #expect(!matchesNothing)
    }
}

@Suite("SipHash with 128 bits")
struct SelectionHashTests {
    /// Input 00 01 02 …, key 00 01 … 0f: as OpenSSL's SIPHASH of size 16 gives.
    @Test(
        "known results",
        arguments: [
            (0, "A3817F04BA25A8E66DF67214C7550293"), (1, "DA87C1D86B99AF44347659119B22FC45"),
            (7, "A1F1EBBED8DBC153C0B84AA61FF08239"), (8, "3B62A9BA6258F5610F83E264F31497B4"),
            (9, "264499060AD9BAABC47F8B02BB6D71ED"), (15, "5493E99933B0A8117E08EC0F97CFC3D9"),
            (16, "6EE2A4CA67B054BBFD3315BF85230577"), (63, "5150D1772F50834A503E069A973FBD7C"),
            (64, "1EAF077DC0D4CD3F8CAD4D383658A74B"),
        ])
    func vectors(_ count: Int, _ expected: String) {
        let input = (0..<count).map { UInt8($0) }
        let hash = input.withUnsafeBytes { SipHasher128.hash($0, secret) }
        #expect(hex(hash.low) + hex(hash.high) == expected)
        // However it is cut.
        for cut in 0...count {
            var hasher = SipHasher128(secret)
            input[..<cut].withUnsafeBytes { hasher.update($0) }
            for byte in input[cut...] { hasher.update(byte: byte) }
            #expect(hasher.finish() == hash)
        }
    }

    private func hex(_ word: UInt64) -> String {
        let digits = String(word.byteSwapped, radix: 16, uppercase: true)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    @Test("another secret, another hash; a zone's tag is its name's")
    func secrets() {
        let other = KeySecret(k0: secret.k0 ^ 1, k1: secret.k1)
        #expect(ZoneTag(name: "example.test", secret) == ZoneTag(name: "example.test", secret))
        #expect(ZoneTag(name: "example.test", secret) != ZoneTag(name: "example.test", other))
        #expect(ZoneTag(name: "example.test", secret) != ZoneTag(name: "example.tesu", secret))
        #expect(KeySecret.random() != KeySecret.random())
    }
}
