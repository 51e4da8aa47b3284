import Limits
import Testing

@testable import Cache

private typealias Stage = MemoryStage

@Suite("Purge scopes")
struct PurgeScopeTests {
    static func covers(_ scope: PurgeScope?, _ key: CacheKey, tags: [UInt64] = []) -> Bool {
        scope?.covers(Stage.response(key, tags: tags)) ?? false
    }

    @Test("A URL covers all keys of it, whatever their custom parts")
    func url() {
        let scope = PurgeScope.url(Stage.key("/a?b").urlHash)
        #expect(Self.covers(scope, Stage.key("/a?b")))
        #expect(Self.covers(scope, Stage.key("/a?b", parts: "device=mobile")))
        #expect(!Self.covers(scope, Stage.key("/a")))
    }

    @Test("A tag is found among any number of others")
    func tag() {
        let tags: [UInt64] = [2, 4, 6, 8, 10, .max]
        for count in 0...tags.count {
            let own = Array(tags.prefix(count))
            for tag in [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, UInt64.max] {
                #expect(Self.covers(.tag(tag), Stage.key("/"), tags: own) == own.contains(tag))
            }
        }
    }

    @Test(
        "Hosts as they are written",
        arguments: [
            ("www.example.test", true), ("WWW.Example.Test", true), ("https://www.example.test", true),
            ("HTTP://www.example.test/", true), ("www.example.test.", true), ("www.example.test:8443", true),
            ("www.example.test:08443", true), ("www.example.test:443", false), ("example.test", false),
            ("ww.example.test", false), ("www.example.tes", false),
        ])
    func host(text: String, covers: Bool) {
        let scope = PurgeScope.host(parsing: text)
        #expect(scope != nil)
        for scheme in ["http", "https"] {
            #expect(Self.covers(scope, Stage.key("/x", scheme: scheme, port: 8443)) == covers)
        }
    }

    @Test("Literal addresses keep their brackets")
    func address() {
        #expect(Self.covers(.host(parsing: "[2001:DB8::1]"), Stage.key("/", host: "[2001:db8::1]")))
        #expect(Self.covers(.host(parsing: "[2001:db8::1]:443"), Stage.key("/", host: "[2001:db8::1]")))
        #expect(!Self.covers(.host(parsing: "[2001:db8::1]:80"), Stage.key("/", host: "[2001:db8::1]")))
    }

    @Test(
        "What names no host is no scope",
        arguments: [
            "", ":80", "a.test:0", "a.test:65536", "a.test:", "a.test:x", "user@a.test", "a test", "a\ntest", "é.test",
            "2001:db8::1", "[::1", "https://", ".", String(repeating: "a", count: 300), "a.test/path", "a.test?q",
        ])
    func noHost(text: String) {
        #expect(PurgeScope.host(parsing: text) == nil)
    }

    @Test(
        "Prefixes as they are written",
        arguments: [
            ("www.example.test/images", "/images/a.png", true), ("www.example.test/images", "/images", true),
            ("www.example.test/images", "/imagesX", true), ("www.example.test/images/", "/images", false),
            ("https://WWW.example.test/images", "/images?x", true), ("www.example.test/Images", "/images", false),
            ("www.example.test/a?b=", "/a?b=1", true), ("www.example.test/a?b=", "/a?c=1", false),
            ("www.example.test", "/any", true), ("www.example.test/", "/any", true), ("a.test/", "/any", false),
            ("www.example.test/ü x", "/%C3%BC%20x", true), ("www.example.test/a#b", "/ac", true),
            ("www.example.test:443/a", "/a", true), ("www.example.test:80/a", "/a", false),
            ("www.example.test/a", "/", false),
        ])
    func prefix(text: String, path: String, covers: Bool) {
        let scope = PurgeScope.prefix(parsing: text)
        #expect(scope != nil)
        #expect(Self.covers(scope, Stage.key(path)) == covers)
    }

    @Test("Prefixes that are none, or too long")
    func noPrefix() {
        #expect(PurgeScope.prefix(parsing: "/images") == nil)
        #expect(PurgeScope.prefix(parsing: "a.test?q") == nil)
        #expect(PurgeScope.prefix(parsing: "a.test/a\nb") == nil)
        let long = String(repeating: "a", count: Limits.cachePurgePrefixBytesMax + 1)
        #expect(PurgeScope.prefix(parsing: "a.test/" + long) == nil)
        #expect(PurgeScope.prefix(parsing: "a.test/" + long.dropLast(8)) != nil)
    }

    @Test("A prefix ends where the URL does: custom parts are no part of a path")
    func parts() {
        let key = Stage.key("/a", parts: "b")
        #expect(Self.covers(.prefix(parsing: "www.example.test/a"), key))
        #expect(!Self.covers(.prefix(parsing: "www.example.test/ab"), key))
    }

    @Test("What is no key is covered by nothing that names a host")
    func noKey() {
        for bytes in ["", "\n", "\n\n", "\n\n\n", "a\nb\nc\nd"] {
            let key = CacheKey(hash: Stage.hash("x"), urlHash: Stage.hash("x"), bytes: Array(bytes.utf8))
            #expect(!Self.covers(.host(PurgeHost(name: [], port: nil)), key))
            #expect(!Self.covers(.prefix(PurgeHost(name: [], port: nil), path: [0x2F]), key))
        }
    }
}

@Suite("Purge records")
struct PurgeRecordTests {
    static func records() -> [PurgeRecord] {
        let host = PurgeHost(name: Array("www.example.test".utf8), port: nil)
        let port = PurgeHost(name: Array("[::1]".utf8), port: Array("8443".utf8))
        let scopes: [PurgeScope] = [
            .url(KeyHash(high: 1, low: .max)), .host(host), .host(port), .prefix(host, path: Array("/a?b".utf8)),
            .prefix(port, path: []), .tag(0xFEDC_BA98_7654_3210), .everything,
        ]
        return scopes.enumerated().map { index, scope in
            PurgeRecord(sequence: UInt64(index) << 40, zone: Stage.zone(index), scope: scope, isSoft: index % 2 == 0)
        } + [PurgeRecord(sequence: .max, zone: nil, scope: .everything, isSoft: true)]
    }

    static func decode(_ bytes: [UInt8]) -> PurgeRecord? { bytes.withUnsafeBytes { PurgeRecord(decoding: $0) } }

    @Test("Every record is read as it was written")
    func roundTrip() {
        for record in Self.records() {
            var bytes: [UInt8] = []
            record.encode(into: &bytes)
            #expect(Self.decode(bytes) == record)
        }
    }

    @Test("What was cut short or changed is refused or is another record; nothing traps")
    func damaged() {
        for record in Self.records() {
            var bytes: [UInt8] = []
            record.encode(into: &bytes)
            let hasOpenEnd = if case .prefix = record.scope { true } else { false }
            for count in 0..<bytes.count {
                let read = Self.decode(Array(bytes.prefix(count)))
                #expect(read == nil || hasOpenEnd)
            }
            if !hasOpenEnd { #expect(Self.decode(bytes + [0]) == nil) }
            for place in 0..<min(bytes.count, 24) {
                for bit in 0..<8 {
                    var changed = bytes
                    changed[place] ^= 1 << UInt8(bit)
                    #expect(Self.decode(changed) != record)
                }
            }
        }
        var random = MemoryRandom(1)
        for _ in 0..<20_000 { _ = Self.decode((0..<random.below(40)).map { _ in UInt8(random.below(5)) }) }
    }
}
