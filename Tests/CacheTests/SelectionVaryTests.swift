// Vary and Accept-Encoding: which requests may share a response (RFC 9111, section 4.1).

import Cache
import HTTPWire
import Limits
import Testing

private let secret = KeySecret(k0: 1, k1: 2)

@Suite("Vary")
struct SelectionVaryTests {
    private func requirement(_ fields: String) throws -> VaryRequirement {
        let response = try SelectionResponse("HTTP/1.1 200 OK\nContent-Length: 0\n\(fields)")
        return Vary.requirement(of: response.head, response.bytes.span)
    }

    @Test(
        "names of all lines, in lower case, sorted, once",
        arguments: [
            ("Vary: Accept-Encoding", "accept-encoding"), ("Vary: B, a", "a,b"), ("Vary: b\nVary: A,B", "a,b"),
            ("Vary: ,a,,", "a"), ("vary:\tX-Kind\t,\tAccept", "accept,x-kind"),
            // The host is part of the key.
            ("Vary: Host, Origin", "origin"),
        ])
    func names(_ fields: String, _ expected: String) throws {
        #expect(try requirement(fields) == .names(Array(expected.utf8)))
    }

    @Test("nothing to vary by", arguments: ["Server: a", "Vary:", "Vary: ,", "Vary: host"])
    func none(_ fields: String) throws {
        #expect(try requirement(fields) == .none)
    }

    @Test(
        "a star anywhere, no name, or a field that we write",
        arguments: [
            "Vary: *", "Vary: a, *", "Vary: a\nVary: *, b", "Vary: a b", "Vary: \"a\"", "Vary: a;b",
            "Vary: X-Forwarded-For", "Vary: a, forwarded", "Vary: x-real-ip", "Vary: Traceparent",
        ])
    func unmatchable(_ fields: String) throws {
        #expect(try requirement(fields) == .unmatchable)
    }

    @Test("names have bounds")
    func bounds() throws {
        let most = (0..<Limits.cacheVaryNamesMax).map { "x-\(10 + $0)" }
        #expect(
            try requirement("Vary: \(most.joined(separator: ","))") == .names(Array(most.joined(separator: ",").utf8)))
        #expect(try requirement("Vary: \(most.joined(separator: ",")),y") == .tooMany)
        let long = String(repeating: "x", count: Limits.cacheVaryNameBytesMax)
        #expect(try requirement("Vary: \(long)") == .names(Array(long.utf8)))
        #expect(try requirement("Vary: \(long)x") == .tooMany)
    }

    private func hash(_ names: String, _ fields: String, normalizes: Bool = false) throws -> KeyHash {
        let request = try SelectionRequest(fields: fields)
        return Vary.hash(
            names: Array(names.utf8), request.head, request.bytes.span, normalizesAcceptEncoding: normalizes,
            secret: secret)
    }

    @Test(
        "requests that match",
        arguments: [
            ("x-kind", "X-Kind: a", "x-KIND:   a  "), ("x-kind", "X-Kind: a, b", "X-Kind: a,b"),
            ("x-kind", "X-Kind: a\nOther: x\nX-Kind: b", "X-Kind: a ,b"), ("x-kind", "", "X-Kindred: a"),
            ("accept-language", "Accept-Language: de-AT", "Accept-Language: DE-at"),
            ("accept-encoding", "Accept-Encoding: GZIP,br", "Accept-Encoding: gzip, br"),
            ("accept-charset", "Accept-Charset: UTF-8", "Accept-Charset: utf-8"),
            ("cookie", "Cookie: a=1", "Cookie: a=1"),
            // Named by Connection: the origin saw neither.
            ("x-kind", "X-Kind: a\nConnection: x-kind", ""),
            ("x-kind", "X-Kind: a\nOther: 1", "X-Kind: a\nOther: 2"), ("", "", "X-Kind: a"),
        ])
    func same(_ names: String, _ one: String, _ other: String) throws {
        #expect(try hash(names, one) == hash(names, other))
    }

    @Test(
        "requests that do not",
        arguments: [
            ("x-kind", "X-Kind: a", "X-Kind: b"), ("x-kind", "X-Kind: a", "X-Kind: A"), ("x-kind", "X-Kind:", ""),
            ("x-kind", "X-Kind: a,b", "X-Kind: b,a"), ("x-kind", "X-Kind: a,b", "X-Kind: ab"),
            ("x-kind", "X-Kind: \"a, b\"", "X-Kind: \"a,b\""),
            ("cookie", "Cookie: a=1, 2", "Cookie: a=1,2"), ("cookie", "Cookie: a=1", "Cookie: A=1"),
            ("user-agent", "User-Agent: a , b", "User-Agent: a,b"),
            ("accept", "Accept: text/HTML", "Accept: text/html"),
            // Nothing moves from one field into the next.
            ("x-a,x-b", "X-A: 1", "X-B: 1"), ("x-a,x-b", "X-A: 1\nX-B: 2", "X-A: 2\nX-B: 1"),
            ("x-a,x-b", "X-A: 1,2\nX-B:", "X-A: 1\nX-B: 2"), ("x-a,x-b", "X-A:", "X-B:"),
            ("accept-encoding", "Accept-Encoding: gzip, br", "Accept-Encoding: br, gzip"),
        ])
    func different(_ names: String, _ one: String, _ other: String) throws {
        #expect(try hash(names, one) != hash(names, other))
    }

    @Test("normalised codings: sixteen texts and none at all are told apart, spellings are not")
    func normalized() throws {
        let name = "accept-encoding"
        let gzip = try hash(name, "Accept-Encoding: gzip", normalizes: true)
        #expect(try hash(name, "Accept-Encoding: deflate, GZIP;q=0.3", normalizes: true) == gzip)
        #expect(try hash(name, "Accept-Encoding: gzip, br", normalizes: true) != gzip)
        let none = try hash(name, "", normalizes: true)
        let identity = try hash(name, "Accept-Encoding: identity", normalizes: true)
        #expect(none != gzip && none != identity && gzip != identity)
    }

    @Test("another secret, another hash; the key carries names and hash")
    func keyed() throws {
        let request = try SelectionRequest(fields: "X-Kind: a")
        let names = Array("x-kind".utf8)
        let key = Vary.key(
            names: names, request.head, request.bytes.span, normalizesAcceptEncoding: true,
            secret: KeySecret(k0: 3, k1: 4))
        #expect(key.names == names)
        let other = try hash("x-kind", "X-Kind: a")
        #expect(key.hash != other)
    }

    /// Field values as a list of members, as RFC 9110, section 5.6.1, reads them, for values without quotes.
    private func meaning(_ lines: [String]) -> [String]? {
        if lines.isEmpty { return nil }
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        return lines.flatMap { $0.split(separator: ",") }
            .map { String($0.drop(while: isBlank).reversed().drop(while: isBlank).reversed()) }.filter { !$0.isEmpty }
    }

    @Test("hashes are equal exactly if the lists are")
    func property() throws {
        var random = SelectionRandom(0x7661_7279)
        var seen: [KeyHash: [[String]?]] = [:]
        var hashes: [[[String]?]: KeyHash] = [:]
        for _ in 0..<3000 {
            var fields: [String] = []
            var meanings: [[String]?] = []
            for name in ["x-a", "x-b"] {
                let lines = (0..<random.below(3)).map { _ in
                    (0..<random.below(4)).map { _ in random.one(of: ["a", "b", "", " a", "b\t", "="]) }
                        .joined(separator: ",")
                }
                fields += lines.map { "\(name): \($0)" }
                meanings.append(meaning(lines))
            }
            let hash = try hash("x-a,x-b", fields.joined(separator: "\n"))
            #expect(seen[hash, default: meanings] == meanings, "\(fields)")
            #expect(hashes[meanings, default: hash] == hash, "\(fields)")
            seen[hash] = meanings
            hashes[meanings] = hash
        }
        #expect(hashes.count > 300 && hashes.count < 2900)
    }
}

@Suite("Accept-Encoding")
struct SelectionCodingTests {
    @Test(
        "what the origin gets",
        arguments: [
            ("gzip", "gzip"), ("gzip, deflate, br, zstd", "zstd, br, gzip"), ("br, gzip", "br, gzip"),
            ("GZIP;q=1.0 , BR ; q=0.001", "br, gzip"), ("x-gzip", "gzip"), ("", "identity"), ("identity", "identity"),
            ("deflate", "identity"), ("*", "zstd, br, gzip"), ("gzip;q=0, *", "zstd, br"),
            ("*;q=0.5, br;q=0", "zstd, gzip"),
            ("gzip;q=0", "identity"), ("gzip;q=0.000", "identity"), ("gzip;q=none", "identity"),
            ("gzip;q=", "identity"),
            ("gzip;level=1", "identity"), ("identity;q=0, gzip", "gzip, identity;q=0"), ("*;q=0", "identity;q=0"),
            ("br, *;q=0", "br, identity;q=0"), ("br, *;q=0, identity", "br"), ("gzip, gzip;q=0", "identity"),
            ("zstd\nAccept-Encoding: br", "zstd, br"),
            ("gzip, deflate, br", "br, gzip"), ("gzip, deflate, br, zstd\nAccept-Encoding: br;q=0", "zstd, gzip"),
            ("*;q=0\nAccept-Encoding: gzip, deflate, br", "br, gzip, identity;q=0"),
            ("gzip, deflate, br\nAccept-Encoding: *", "zstd, br, gzip"),
            ("compress;q=0.5, gzip;q=1.0", "gzip"), ("gzipped", "identity"),
        ])
    func canonical(_ value: String, _ expected: String) throws {
        let request = try SelectionRequest(fields: "Accept-Encoding: \(value)")
        let read = ContentCodings(request.head, request.bytes.span)
        let codings = try #require(read)
        #expect("\(codings.acceptEncoding)" == expected)
        // What is forwarded means itself: the next cache normalises it to the same.
        let again = try SelectionRequest(fields: "Accept-Encoding: \(codings.acceptEncoding)")
        let readAgain = ContentCodings(again.head, again.bytes.span)
        #expect(readAgain == codings)
    }

    @Test("every set has a text of its own")
    func texts() {
        let texts = (UInt8(0)..<16).map { "\(ContentCodings(rawValue: $0).acceptEncoding)" }
        #expect(Set(texts).count == 16)
    }

    @Test("no field, no codings")
    func absent() throws {
        let request = try SelectionRequest(fields: "Accept: gzip")
        let codings = ContentCodings(request.head, request.bytes.span)
        #expect(codings == nil)
    }
}
