import Foundation
import Testing

/// Parts of a page, stored and put together (RFC 9111, sections 3.3 and 3.4).
@Suite("Cache: partial content", .onStageThreads)
struct PartialJourneys {
    private static let alphabet = Array("abcdefghijklmnopqrstuvwxyz")

    /// What an origin that knows ranges answers to `bytes=A-B`, `bytes=A-` or none.
    private static func serve(_ request: Message, _ fields: [String], _ letters: [Character] = alphabet) -> String {
        guard let range = request["Range"], let match = range.wholeMatch(of: /bytes=(\d+)-(\d*)/),
            let first = Int(match.1), first < letters.count
        else { return response("200 OK", fields: fields, body: String(letters)) }
        let last = min(Int(match.2) ?? letters.count - 1, letters.count - 1)
        let place = "Content-Range: bytes \(first)-\(last)/\(letters.count)"
        return response("206 Partial Content", fields: fields + [place], body: String(letters[first...last]))
    }

    /// A page whose origin knows ranges.
    private func page(_ fields: String...) throws -> Resource {
        let all = ["Cache-Control: max-age=600"] + fields
        return try Resource { request, _ in Self.serve(request, all) }
    }

    @Test("A range of what is not stored goes to the origin as it is; what comes is stored and answers again")
    func storedPart() throws {
        let page = try page("ETag: \"one\"")
        let first = try page.get("Range: bytes=5-9")
        #expect(first.status == 206 && first.text == "fghij", "\(first)")
        first.expectForwarded("uri-miss", "partial", stored: true)
        #expect(page.requests.first?["Range"] == "bytes=5-9")
        for (range, body) in [("5-9", "fghij"), ("6-7", "gh"), ("9-9", "j")] {
            let answer = try page.get("Range: bytes=\(range)")
            #expect(answer.status == 206 && answer["Content-Range"] == "bytes \(range)/26", "\(answer.head)")
            answer.expectHit(body)
        }
        #expect(page.requestCount == 1)
    }

    @Test("A part is never the page: a whole request goes on, and what comes takes the part's place (§3.3)")
    func partIsNotWhole() throws {
        let page = try page("ETag: \"one\"")
        _ = try page.get("Range: bytes=0-4")
        let whole = try page.get()
        #expect(whole.status == 200 && whole.text == String(Self.alphabet), "\(whole)")
        #expect(!whole.cache.isHit)
        try page.get().expectHit(String(Self.alphabet))
        try page.get("Range: bytes=20-21").expectHit("uv")
    }

    @Test("A range beyond the stored part is fetched, and both answer what lies across them (§3.4)")
    func combined() throws {
        let page = try page("ETag: \"one\"")
        _ = try page.get("Range: bytes=0-9")
        let second = try page.get("Range: bytes=10-19")
        second.expectForwarded("partial", body: "klmnopqrst", stored: true)
        let across = try page.get("Range: bytes=8-11")
        #expect(across["Content-Range"] == "bytes 8-11/26", "\(across.head)")
        across.expectHit("ijkl")
        #expect(page.requestCount == 2)
    }

    @Test("Parts that make up the whole answer for the whole (§3.4)")
    func completed() throws {
        let page = try page("ETag: \"one\"", "Content-Type: text/x-odd")
        _ = try page.get("Range: bytes=13-")
        _ = try page.get("Range: bytes=0-12")
        let whole = try page.get()
        #expect(whole.status == 200 && whole.text == String(Self.alphabet), "\(whole)")
        #expect(!whole.has("Content-Range") && whole["Content-Type"] == "text/x-odd", "\(whole.head)")
        whole.expectHit()
        #expect(page.requestCount == 2)
    }

    @Test("A suffix and an open range are answered from the part that covers them")
    func openEnds() throws {
        let page = try page("ETag: \"one\"")
        _ = try page.get("Range: bytes=20-")
        try page.get("Range: bytes=-3").expectHit("xyz")
        try page.get("Range: bytes=22-").expectHit("wxyz")
        #expect(page.requestCount == 1)
    }

    @Test("Parts of two versions are never mixed (§3.4)")
    func versions() throws {
        let page = try Resource { request, number in
            number == 1
                ? Self.serve(request, ["Cache-Control: max-age=600", "ETag: \"one\""])
                : Self.serve(
                    request, ["Cache-Control: max-age=600", "ETag: \"two\""],
                    Self.alphabet.map { Character($0.uppercased()) })
        }
        #expect(try page.get("Range: bytes=0-9").text == "abcdefghij")
        #expect(try page.get("Range: bytes=10-19").text == "KLMNOPQRST")
        let across = try page.get("Range: bytes=8-11")
        #expect(["IJKL", "ijkl"].contains(across.text), "\(across)")
        #expect(across.text == "IJKL", "the newer version is known: \(across)")
        #expect(try page.get().text == String(Self.alphabet).uppercased())
    }

    @Test("Without a strong validator parts are not put together", arguments: ["X-None: 1", "ETag: W/\"one\""])
    func withoutValidator(field: String) throws {
        let page = try page(field)
        _ = try page.get("Range: bytes=0-9")
        _ = try page.get("Range: bytes=10-19")
        let across = try page.get("Range: bytes=8-11")
        #expect(across.status == 206 && across.text == "ijkl", "\(across)")
        #expect(!across.cache.isHit, "\(across.head)")
    }

    @Test("The same length but another complete length is another version")
    func otherLength() throws {
        let page = try Resource { request, number in
            let fields = ["Cache-Control: max-age=600", "ETag: \"one\""]
            return Self.serve(request, fields, number == 1 ? Self.alphabet : Array("0123456789012345678901234567890"))
        }
        _ = try page.get("Range: bytes=0-9")
        #expect(try page.get("Range: bytes=10-19").text == "0123456789")
        let across = try page.get("Range: bytes=8-11")
        #expect(across.text == "8901" || across.status == 200, "\(across)")
    }

    @Test("An origin that knows no ranges sends the whole: all are answered from it")
    func ignored() throws {
        let page = try Resource { _, _ in ok(String(Self.alphabet), "Cache-Control: max-age=600", "ETag: \"one\"") }
        let first = try page.get("Range: bytes=0-4")
        #expect((first.status == 200 && first.body.count == 26) || (first.status == 206 && first.text == "abcde"))
        let second = try page.get("Range: bytes=-2")
        #expect(second.status == 206)
        second.expectHit("yz")
        try page.get().expectHit(String(Self.alphabet))
        #expect(page.requestCount == 1)
    }

    @Test("A part that goes stale is validated or fetched anew, never used as it is")
    func stale() throws {
        let page = try Resource { request, _ in
            Self.serve(request, ["Cache-Control: max-age=600", "Age: 1000", "ETag: \"one\""])
        }
        for number in 1...3 {
            let answer = try page.get("Range: bytes=0-4")
            #expect(answer.text == "abcde" && !answer.cache.isHit && page.requestCount == number, "\(answer)")
        }
    }

    @Test("Several ranges of what is not stored pass by: the origin's parts arrive as they are")
    func severalMissing() throws {
        let page = try Resource { request, number in
            guard request.has("Range") else { return ok(String(Self.alphabet), "Cache-Control: max-age=600") }
            return response(
                "206 Partial Content",
                fields: ["Cache-Control: max-age=600", "Content-Type: multipart/byteranges; boundary=x"],
                body: "--x\r\nContent-Range: bytes 0-1/26\r\n\r\nab\r\n--x--\r\n")
        }
        let first = try page.get("Range: bytes=0-1,4-5")
        #expect([200, 206].contains(first.status))
        let whole = try page.get()
        #expect(whole.status == 200 && whole.text == String(Self.alphabet), "\(whole)")
        let single = try page.get("Range: bytes=0-1")
        #expect(single.text == "ab" || single.status == 200, "\(single)")
    }

    @Test(
        "A 206 that says nonsense of itself is stored by nobody (§3.3)",
        arguments: [
            "bytes 0-4/*", "bytes 4-0/26", "bytes 0-4/3", "bytes 0-99/26", "lines 0-4/26", "0-4/26", "bytes */26", "",
        ])
    func nonsense(place: String) throws {
        let page = try Resource { request, number in
            guard request.has("Range") else { return ok("whole", "Cache-Control: max-age=600") }
            return response(
                "206 Partial Content",
                fields: ["Cache-Control: max-age=600", "ETag: \"x\""]
                    + (place.isEmpty ? [] : ["Content-Range: \(place)"]),
                body: "abcde")
        }
        _ = try? page.get("Range: bytes=0-4")
        let whole = try page.get()
        #expect(whole.status == 200 && whole.text == "whole", "\(place)\n\(whole)")
        #expect(try page.get("Range: bytes=0-0").text == "w")
    }

    @Test("A 206 in answer to a request without Range is no page")
    func unaskedPart() throws {
        let page = try Resource { _, number in
            number == 1
                ? response(
                    "206 Partial Content",
                    fields: ["Cache-Control: max-age=600", "Content-Range: bytes 0-4/26", "ETag: \"x\""], body: "abcde")
                : ok("whole", "Cache-Control: max-age=600", "ETag: \"x\"")
        }
        _ = try? page.get()
        let second = try page.get()
        #expect(second.status == 200 && second.text == "whole", "\(second)")
    }

    @Test("The origin's 416 concerns one range, not the page")
    func unsatisfiable() throws {
        let page = try Resource { request, _ in
            request.has("Range")
                ? response(
                    "416 Range Not Satisfiable", fields: ["Cache-Control: max-age=600", "Content-Range: bytes */5"])
                : ok("whole", "Cache-Control: max-age=600")
        }
        #expect(try page.get("Range: bytes=99-").status == 416)
        #expect(try page.get().text == "whole")
        #expect(try page.get("Range: bytes=0-1").text == "wh")
    }

    @Test("If-Range of a part that is not stored is the origin's to judge")
    func ifRange() throws {
        let page = try page("ETag: \"one\"")
        let answer = try page.get("Range: bytes=0-4", "If-Range: \"old\"")
        #expect(page.requests.first?["If-Range"] == "\"old\"" || answer.status == 200, "\(answer)")
        _ = try page.get("Range: bytes=0-4")
        let match = try page.get("Range: bytes=0-4", "If-Range: \"one\"")
        #expect(match.status == 206 && match.text == "abcde", "\(match)")
        let other = try page.get("Range: bytes=0-4", "If-Range: \"two\"")
        #expect(other.text == String(Self.alphabet) || page.requests.last?["If-Range"] == "\"two\"", "\(other)")
    }
}
