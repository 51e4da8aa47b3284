import Foundation
import Testing

/// Vary and the secondary keys it makes (RFC 9111, section 4.1).
@Suite("Cache: Vary", .onStageThreads)
struct VaryJourneys {
    /// 200 that varies by these fields and says which request it answers.
    private func varying(_ vary: String..., in zone: CacheZone = .plain) throws -> Resource {
        try Resource(in: zone) { _, number in
            response("200 OK", fields: ["Cache-Control: max-age=600"] + vary.map { "Vary: \($0)" }, body: "v\(number)")
        }
    }

    @Test("Each value has its variant, and each variant is a hit")
    func variants() throws {
        let page = try varying("X-Lang")
        try page.get("X-Lang: de").expectForwarded("uri-miss", body: "v1", stored: true)
        try page.get("X-Lang: en").expectForwarded("vary-miss", body: "v2", stored: true)
        try page.get("X-Lang: de").expectHit("v1")
        try page.get("X-Lang: en").expectHit("v2")
        #expect(page.requestCount == 2)
    }

    @Test("Absent is a value of its own, and so is empty")
    func absent() throws {
        let page = try varying("X-Lang")
        #expect(try page.get().text == "v1")
        #expect(try page.get("X-Lang: de").text == "v2")
        #expect(try page.get("X-Lang:").text == "v3")
        try page.get().expectHit("v1")
        try page.get("X-Lang: de").expectHit("v2")
        try page.get("X-Lang:").expectHit("v3")
    }

    @Test("All fields named must match, over several lines and in any case")
    func several() throws {
        let page = try varying("X-One, x-two", "X-THREE")
        #expect(try page.get("X-One: 1", "X-Two: 2", "X-Three: 3").text == "v1")
        #expect(try page.get("X-One: 1", "X-Two: 2", "X-Three: 4").text == "v2")
        #expect(try page.get("X-One: 1", "X-Two: 0", "X-Three: 3").text == "v3")
        #expect(try page.get("X-One: 0", "X-Two: 2", "X-Three: 3").text == "v4")
        try page.get("x-three: 3", "X-TWO: 2", "X-One: 1", "X-Else: 9").expectHit("v1")
    }

    @Test(
        "An asterisk anywhere matches nothing", arguments: [["*"], ["X-Lang, *"], ["*, X-Lang"], ["X-Lang", "*"]])
    func asterisk(vary: [String]) throws {
        let page = try Resource { _, number in
            response("200 OK", fields: ["Cache-Control: max-age=600"] + vary.map { "Vary: \($0)" }, body: "v\(number)")
        }
        #expect(try page.get().text == "v1")
        let second = try page.get()
        #expect(second.text == "v2" && !second.cache.isHit, "\(second.head)")
    }

    @Test("White space around the members of a list, and the lines they come in, make no difference")
    func whiteSpace() throws {
        let page = try varying("X-List")
        #expect(try page.get("X-List: a, b,c").text == "v1")
        try page.get("X-List: a,b,c").expectHit("v1")
        try page.get("X-List:   a ,\tb , c  ").expectHit("v1")
        try page.get("X-List: a", "X-List: b, c").expectHit("v1")
        #expect(try page.get("X-List: b, a, c").text == "v2")
        #expect(try page.get("X-List: ab,c").text == "v3")
    }

    @Test("Values of one field never pass for another's")
    func noMixUp() throws {
        let page = try varying("X-A, X-B")
        #expect(try page.get("X-A: 1").text == "v1")
        #expect(try page.get("X-B: 1").text == "v2")
        #expect(try page.get("X-A: 1,X-B: 1").text == "v3")
        #expect(try page.get("X-A: 1", "X-B: 1").text == "v4")
    }

    @Test("The newest Vary decides: what varied by one field may vary by another")
    func varyChanges() throws {
        let page = try Resource { _, number in
            ok("v\(number)", "Cache-Control: max-age=600", number == 1 ? "Vary: X-A" : "Vary: X-B")
        }
        #expect(try page.get("X-A: 1", "X-B: 1").text == "v1")
        #expect(try page.get("X-A: 2", "X-B: 1").text == "v2")
        // Both fit: the later one is to be preferred (§4.1 with the Date of both being equal or newer).
        try page.get("X-A: 1", "X-B: 1").expectHit()
        // Only the second one fits.
        try page.get("X-A: 3", "X-B: 1").expectHit("v2")
        // Only the first one fits.
        try page.get("X-A: 1", "X-B: 2").expectHit("v1")
        #expect(try page.get("X-A: 4", "X-B: 2").text == "v3")
    }

    @Test("A field that the connection names does not reach the origin, and makes no variant")
    func hopByHop() throws {
        let page = try varying("X-Lang")
        #expect(try page.get("X-Lang: de", "Connection: X-Lang").text == "v1")
        #expect(page.requests.first?.has("X-Lang") == false)
        try page.get().expectHit("v1")
        #expect(try page.get("X-Lang: de").text == "v2")
    }

    // MARK: Accept-Encoding

    @Test("What browsers say in many ways is one coding list, for the key and for the origin")
    func acceptEncoding() throws {
        let page = try varying("Accept-Encoding")
        #expect(try page.get("Accept-Encoding: gzip, deflate, br").text == "v1")
        #expect(page.requests.first?.all("Accept-Encoding") == ["br, gzip"], "\(page.requests.first?.head ?? "")")
        for other in ["br,gzip", "gzip;q=0.5, br;q=1.0", "GZIP, BR", "deflate, gzip, br, zstd;q=0", "x, gzip , br"] {
            try page.get("Accept-Encoding: \(other)").expectHit("v1")
        }
        #expect(try page.get("Accept-Encoding: gzip").text == "v2")
        #expect(page.requests.last?.all("Accept-Encoding") == ["gzip"])
        #expect(try page.get("Accept-Encoding: gzip, br, zstd").text == "v3")
        #expect(page.requests.last?.all("Accept-Encoding") == ["zstd, br, gzip"])
        try page.get("Accept-Encoding: gzip;q=1.0, br;q=0").expectHit("v2")
        #expect(page.requestCount == 3)
    }

    @Test("A client that takes no coding is not sent one")
    func identity() throws {
        let page = try Resource { request, number in
            let codings = request["Accept-Encoding"] ?? ""
            return codings.contains("gzip")
                ? ok("zipped", "Cache-Control: max-age=600", "Vary: Accept-Encoding", "Content-Encoding: gzip")
                : ok("plain", "Cache-Control: max-age=600", "Vary: Accept-Encoding")
        }
        for _ in 1...2 {
            #expect(try page.get("Accept-Encoding: gzip, br").text == "zipped")
            #expect(try page.get().text == "plain")
            #expect(try page.get("Accept-Encoding: gzip;q=0").text == "plain")
            #expect(try page.get("Accept-Encoding: identity").text == "plain")
            #expect(try page.get("Accept-Encoding: gzip;q=0.0, identity").text == "plain")
            #expect(try page.get("Accept-Encoding: deflate").text == "plain")
        }
    }

    @Test("A zone that does not normalise forwards and compares as it came")
    func notNormalised() throws {
        let page = try varying("Accept-Encoding", in: .asEncoded)
        #expect(try page.get("Accept-Encoding: gzip, deflate, br;q=0.9").text == "v1")
        #expect(page.requests.first?["Accept-Encoding"] == "gzip, deflate, br;q=0.9")
        try page.get("Accept-Encoding: gzip, deflate, br;q=0.9").expectHit("v1")
        #expect(try page.get("Accept-Encoding: gzip, deflate").text == "v2")
    }

    @Test("Languages in another case or spacing are the same languages")
    func acceptLanguage() throws {
        let page = try varying("Accept-Language")
        #expect(try page.get("Accept-Language: de-DE, en;q=0.5").text == "v1")
        try page.get("Accept-Language: de-de,en;q=0.5").expectHit("v1")
        #expect(try page.get("Accept-Language: en").text == "v2")
    }

    // MARK: Many and stale ones

    @Test("Each variant is validated with its own tag")
    func validation() throws {
        let page = try Resource { request, number in
            let tag = "\"\(request["X-Lang"] ?? "none")\""
            let fields = ["Cache-Control: no-cache", "Vary: X-Lang", "ETag: \(tag)"]
            // A client's own list may have grown by the tags of other variants (§4.3.1).
            if request["If-None-Match"]?.contains(tag) == true {
                return "HTTP/1.1 304 Not Modified\r\n" + fields.joined(separator: "\r\n") + "\r\n\r\n"
            }
            return response("200 OK", fields: fields, body: "in \(tag)")
        }
        for _ in 1...3 {
            for language in ["de", "en", "fr"] {
                #expect(try page.get("X-Lang: \(language)").text == "in \"\(language)\"")
            }
        }
        #expect(page.requests.filter { $0.has("If-None-Match") }.count == 6)
    }

    @Test("A field with a thousand values stays bounded, and every client gets its own")
    func variantsAreCapped() throws {
        let page = try Resource { request, _ in
            ok("for \(request["X-Any"] ?? "")", "Cache-Control: max-age=600", "Vary: X-Any")
        }
        let client = try page.stage.edge.client()
        for value in 0..<1000 {
            try client.send(page.request(["X-Any: \(value)"]))
            let answer = try client.readAnswer()
            #expect(answer.text == "for \(value)", "\(answer.head)")
        }
        let variants = try page.stage.edge.inspect(page.url)["variants"] as? [Any]
        let count = try #require(variants?.count)
        #expect((1...256).contains(count))
    }
}
