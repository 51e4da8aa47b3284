// Updates by 304 and by HEAD (RFC 9111, sections 3.2, 4.3.3 to 4.3.5).

import Cache
import ConfigModel
import HTTPWire
import NIOCore
import Testing

@Suite("Freshening")
struct RulesFresheningTests {
    private let fresh = "Cache-Control: max-age=60"
    private let eTag = "ETag: \"a\""

    private func by304(
        _ old: StoredResponse, _ lines: [String], at seconds: Int64 = 100, _ settings: CacheSettings = CacheSettings(),
        asking: [String] = []
    ) -> FresheningVerdict {
        let request = TestRequest("GET", "/page?q=1", asking)
        let response = TestResponse(304, lines, dated: false)
        let now = arrival + seconds * 1000
        return Freshening.by304(
            old, request: request.head, request.bytes.span, response: response.head, response.bytes.span,
            StorageContext(settings, sentAt: now, receivedAt: now))
    }

    private func byHEAD(_ old: StoredResponse, _ lines: [String], status: Int = 200) -> FresheningVerdict {
        let request = TestRequest("HEAD")
        let response = TestResponse(status, lines, dated: false, answering: .head)
        let now = arrival + 100_000
        return Freshening.byHEAD(
            old, request: request.head, request.bytes.span, response: response.head, response.bytes.span,
            StorageContext(CacheSettings(), sentAt: now, receivedAt: now))
    }

    // MARK: 304

    @Test("§4.3.4: new fields replace stored ones, the others stay, and it is fresh again")
    func update() throws {
        let old = try stored(TestResponse(200, [fresh, eTag, "X-Old: 1", "x-both: old", "Content-Type: text/plain"]))
        let new = try #require(by304(old, ["Cache-Control: max-age=90", eTag, "X-Both: new", "X-New: 2"]).freshened)
        let lines = new.head.lines
        #expect(lines.contains("Cache-Control: max-age=90") && !lines.contains(fresh))
        #expect(lines.contains("X-Both: new") && !lines.contains { $0.hasSuffix("old") })
        #expect(lines.contains("X-Old: 1") && lines.contains("X-New: 2") && lines.contains("Content-Type: text/plain"))
        #expect(new.facts.freshnessLifetime == 90_000)
        #expect(new.facts.age(at: arrival + 100_000) == 0)
        #expect(old.facts.age(at: arrival + 100_000) == 100_000)
    }

    @Test("§3.2: what tells how to read the stored content stays")
    func keptFields() throws {
        let old = try stored(TestResponse(200, [fresh, eTag, "Content-Encoding: br", "Content-Length: 7"]))
        let new = try #require(
            by304(old, [eTag, "Content-Encoding: gzip", "Content-Length: 0", "Content-Range: bytes 0-1/2"]).freshened)
        #expect(new.head.lines.contains("Content-Encoding: br") && new.head.lines.contains("Content-Length: 7"))
        #expect(!new.head.lines.contains { $0.hasPrefix("Content-Range") || $0.hasSuffix("gzip") })
        #expect(new.facts.representationBytes == 7)
    }

    @Test("the content behind the head goes along")
    func inlineBody() throws {
        let old = try stored(TestResponse(200, [fresh, eTag]), body: "the content")
        let new = try #require(by304(old, [eTag, "X-New: 1"]).freshened)
        #expect(new.head.text(new.head.end..<new.head.bytes.readableBytes) == "the content")
        #expect(new.head.bytes.storageCapacity == new.head.bytes.readableBytes)
    }

    @Test("§4.2.3: a 304 without Date is dated by its arrival, not by the stored Date")
    func date304() throws {
        let old = try stored(TestResponse(200, [fresh, eTag]))
        let new = try #require(by304(old, [eTag]).freshened)
        #expect(new.head.lines.first == "Date: \(date(100))")
        #expect(new.facts.age(at: arrival + 100_000) == 0)
    }

    @Test("§4.2.3: the Age of a 304 counts")
    func age304() throws {
        let old = try stored(TestResponse(200, [fresh, eTag, "Age: 40"]))
        #expect(try #require(by304(old, [eTag]).freshened).facts.initialAge == 0)
        #expect(try #require(by304(old, [eTag, "Age: 20"]).freshened).facts.initialAge == 20_000)
    }

    @Test(
        "§4.3.4: which 304 is about it",
        arguments: [
            (["ETag: \"a\""], ["ETag: \"a\""], true), (["ETag: \"a\""], ["ETag: \"b\""], false),
            (["ETag: \"a\""], ["ETag: W/\"a\""], true), (["ETag: W/\"a\""], ["ETag: W/\"a\""], true),
            // A strong validator is about what has the same strong one.
            (["ETag: W/\"a\""], ["ETag: \"a\""], false), (["ETag: \"a\""], [], true),
            (["ETag: \"a\"", "Last-Modified: \(date(-500))"], ["Last-Modified: \(date(-500))"], true),
            (["ETag: \"a\"", "Last-Modified: \(date(-500))"], ["Last-Modified: \(date(-400))"], false),
            (["ETag: \"a\"", "Last-Modified: \(date(-500))"], ["ETag: \"a\"", "Last-Modified: \(date(-400))"], true),
            (["Last-Modified: \(date(-500))"], ["Last-Modified: \(date(-500))"], true),
            (["Last-Modified: \(date(-500))"], ["Last-Modified: \(date(-499))"], false),
        ])
    func about(_ old: [String], _ new: [String], _ isAbout: Bool) throws {
        let verdict = by304(try stored(TestResponse(200, [fresh] + old)), new)
        if isAbout {
            #expect(verdict.freshened != nil, "\(verdict)")
        } else {
            guard case .otherResponse = verdict else {
                Issue.record("\(verdict)")
                return
            }
        }
    }

    @Test("§3: a 304 may forbid to keep it")
    func forbidden() throws {
        let old = try stored(TestResponse(200, [fresh, eTag]))
        for (line, refusal) in [
            ("Cache-Control: no-store", StorageRefusal.noStore), ("Cache-Control: private", .isPrivate),
            ("Vary: *", .varyStar), ("CDN-Cache-Control: no-store", .noStore),
        ] {
            guard case .refused(let found) = by304(old, [eTag, line]) else {
                Issue.record("\(line)")
                continue
            }
            #expect(found == refusal)
        }
    }

    @Test(
        "§3.5, 5.2.1.5: what came to a request whose answers are not stored updates nothing",
        arguments: ["Authorization: Basic eDp5", "Cache-Control: no-store"])
    func notStored(_ line: String) throws {
        guard case .unaffected = by304(try stored(TestResponse(200, [fresh, eTag])), [eTag], asking: [line]) else {
            Issue.record("\(line)")
            return
        }
    }

    @Test("the cookie of a 304 is its client's alone")
    func cookie304() throws {
        let old = try stored(TestResponse(200, [fresh, eTag]))
        let new = try #require(by304(old, [eTag, "Set-Cookie: a=b"]).freshened)
        #expect(!new.head.lines.contains { $0.hasPrefix("Set-Cookie") })
    }

    @Test("Martlet-CDN-Cache-Control goes on governing, though it is not among the stored fields")
    func targeted() throws {
        let targeted = "Martlet-CDN-Cache-Control: max-age=600, must-revalidate, immutable"
        let old = try stored(TestResponse(200, [targeted, "Cache-Control: no-store", eTag]))
        let same = try #require(by304(old, ["Cache-Control: no-store", eTag]).freshened)
        #expect(same.facts.freshnessLifetime == 600_000)
        #expect(same.facts.flags == old.facts.flags)
        let window = "Martlet-CDN-Cache-Control: s-maxage=6, stale-while-revalidate=7, stale-if-error=8"
        let other = try #require(by304(old, [window, eTag]).freshened)
        #expect(other.facts.freshnessLifetime == 6000 && other.facts.staleWhileRevalidate == 7000)
        #expect(other.facts.staleIfError == 8000 && other.facts.flags.contains(.staleOnlyByOrigin))
        let again = try #require(by304(try stored(TestResponse(200, [window, eTag])), [eTag]).freshened)
        #expect(again.facts.staleIfError == 8000 && again.facts.flags.contains([.staleOnlyByOrigin, .isTargeted]))
        #expect(!again.head.lines.contains { $0.hasPrefix("Martlet") })
    }

    @Test("tags stay unless the 304 names others")
    func tags() throws {
        let old = try stored(TestResponse(200, [fresh, eTag]), tags: [1, 2])
        #expect(try #require(by304(old, [eTag]).freshened).tags == [1, 2])
        #expect(try #require(by304(old, [eTag, "Cache-Tag: x"]).freshened).tags == [CacheTag.hash("x")])
        #expect(try #require(by304(old, [eTag, "Cache-Tag:"]).freshened).tags.isEmpty)
    }

    @Test("a Vary that differs is said")
    func vary304() throws {
        let old = try stored(TestResponse(200, [fresh, eTag, "Vary: Accept"]))
        #expect(try #require(by304(old, [eTag]).freshened).changesVary == false)
        #expect(try #require(by304(old, [eTag, "Vary: accept"]).freshened).changesVary == false)
        #expect(try #require(by304(old, [eTag, "Vary: Origin"]).freshened).changesVary)
        let plain = try stored(TestResponse(200, [fresh, eTag]))
        #expect(try #require(by304(plain, [eTag, "Vary: Origin"]).freshened).changesVary)
    }

    @Test("other statuses than 200 keep theirs")
    func status304() throws {
        let old = try stored(TestResponse(404, [fresh, eTag]))
        #expect(try #require(by304(old, [eTag]).freshened).facts.status == 404)
    }

    // MARK: HEAD

    @Test("§4.3.5: a matching answer to HEAD updates")
    func headUpdates() throws {
        let old = try stored(TestResponse(200, [fresh, eTag, "Content-Length: 7", "X-One: 1"]))
        let new = try #require(
            byHEAD(old, ["Cache-Control: max-age=9", eTag, "Content-Length: 7", "X-One: 2"]).freshened)
        #expect(new.facts.freshnessLifetime == 9000)
        #expect(new.head.lines.contains("X-One: 2") && !new.head.lines.contains("X-One: 1"))
        #expect(new.head.lines.contains("Content-Length: 7"))
    }

    @Test(
        "§4.3.5: one that differs invalidates",
        arguments: ["Content-Length: 8", "ETag: \"b\"", "Last-Modified: \(date(-1))"])
    func headInvalidates(_ line: String) throws {
        let lines = [fresh, eTag, "Content-Length: 7", "Last-Modified: \(date(-2))"]
        guard case .invalid = byHEAD(try stored(TestResponse(200, lines)), [line]) else {
            Issue.record("\(line)")
            return
        }
    }

    @Test("§4.3.5: another status says nothing about it")
    func headOther() throws {
        guard case .unaffected = byHEAD(try stored(TestResponse(200, [fresh, eTag])), ["ETag: \"b\""], status: 404)
        else {
            Issue.record("404")
            return
        }
    }
}

extension FresheningVerdict {
    fileprivate var freshened: Freshened? { if case .updated(let freshened) = self { freshened } else { nil } }
}
