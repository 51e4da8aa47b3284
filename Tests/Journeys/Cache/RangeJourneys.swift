import Foundation
import Testing

/// Ranges of what is stored whole (RFC 9110, section 14).
@Suite("Cache: ranges", .onStageThreads)
struct RangeJourneys {
    private static let alphabet = "abcdefghijklmnopqrstuvwxyz"
    private static let modified = HTTPDate.at(-100_000)

    private func stored(_ fields: String...) throws -> Resource {
        // With a Date, so that Last-Modified is known to be the older one, hence strong (RFC 9110, section 8.8.2.2).
        let all =
            [
                "Cache-Control: max-age=600", "ETag: \"one\"", "Last-Modified: \(Self.modified)",
                "Date: \(HTTPDate.at(0))",
            ]
            + fields
        let page = try Resource { _, _ in response("200 OK", fields: all, body: Self.alphabet) }
        #expect(try page.get().text == Self.alphabet)
        return page
    }

    @Test(
        "One range, in each of its forms",
        arguments: [
            ("bytes=0-4", "abcde", "0-4"), ("bytes=0-0", "a", "0-0"), ("bytes=25-25", "z", "25-25"),
            ("bytes=5-", "fghijklmnopqrstuvwxyz", "5-25"), ("bytes=-3", "xyz", "23-25"),
            ("bytes=20-99", "uvwxyz", "20-25"), ("bytes=-99", "abcdefghijklmnopqrstuvwxyz", "0-25"),
            ("bytes=24-99999999999999999999999", "yz", "24-25"), ("BYTES=0-1", "ab", "0-1"),
        ])
    func single(range: String, body: String, place: String) throws {
        let answer = try stored("Content-Type: text/x-odd").get("Range: \(range)")
        #expect(answer.status == 206, "\(answer.head)")
        answer.expectHit(body)
        #expect(answer["Content-Range"] == "bytes \(place)/26", "\(answer.head)")
        #expect(answer["Content-Length"] == "\(body.utf8.count)")
        #expect(answer["Content-Type"] == "text/x-odd" && answer["ETag"] == "\"one\"", "\(answer.head)")
    }

    @Test("Nothing of it lies in the page: 416 and its length (§15.5.17)", arguments: ["26-", "26-30", "100-200"])
    func unsatisfiable(range: String) throws {
        let answer = try stored().get("Range: bytes=\(range)")
        #expect(answer.status == 416, "\(answer.head)")
        #expect(answer["Content-Range"] == "bytes */26", "\(answer.head)")
        #expect(!answer.text.contains("abc"))
    }

    @Test("The last zero bytes are no bytes")
    func emptySuffix() throws {
        let answer = try stored().get("Range: bytes=-0")
        #expect(answer.status == 416 || answer.text == Self.alphabet, "\(answer)")
    }

    @Test(
        "What is no range is ignored (§14.2)",
        arguments: [
            "bytes=5-2", "lines=1-2", "bytes", "bytes=", "bytes=a-b", "bytes=1", "0-4", "bytes=--4", "bytes=0-4-6",
        ])
    func ignored(range: String) throws {
        let answer = try stored().get("Range: \(range)")
        #expect(answer.status == 200, "\(answer.head)")
        answer.expectHit(Self.alphabet)
    }

    // MARK: If-Range

    @Test("If-Range with what is stored: the range")
    func ifRangeMatches() throws {
        let page = try stored()
        for condition in ["\"one\"", Self.modified] {
            let answer = try page.get("Range: bytes=0-4", "If-Range: \(condition)")
            #expect(answer.status == 206 && answer.text == "abcde", "\(condition)\n\(answer)")
        }
    }

    @Test("If-Range with anything else, a weak tag included: the whole (§13.1.5)")
    func ifRangeFails() throws {
        let page = try stored()
        for condition in [
            "\"two\"", "W/\"one\"", HTTPDate.at(-99_999), HTTPDate.at(-200_000), "one", "\"one\", \"two\"",
        ] {
            let answer = try page.get("Range: bytes=0-4", "If-Range: \(condition)")
            #expect(answer.status == 200, "\(condition)\n\(answer.head)")
            answer.expectHit(Self.alphabet)
        }
    }

    @Test("A weakly tagged page never answers If-Range with a part")
    func ifRangeWeak() throws {
        let page = try Resource { _, _ in ok(Self.alphabet, "Cache-Control: max-age=600", "ETag: W/\"one\"") }
        _ = try page.get()
        let answer = try page.get("Range: bytes=0-4", "If-Range: W/\"one\"")
        #expect(answer.status == 200 && answer.text == Self.alphabet, "\(answer)")
    }

    @Test("If-None-Match is judged before Range (§13.2.2)")
    func conditionFirst() throws {
        let page = try stored()
        #expect(try page.get("Range: bytes=0-4", "If-None-Match: \"one\"").status == 304)
        #expect(try page.get("Range: bytes=0-4", "If-None-Match: \"two\"").status == 206)
    }

    @Test("HEAD has no ranges (§14.2)")
    func head() throws {
        let answer = try stored().ask("HEAD", "Range: bytes=0-4")
        #expect(answer.status == 200 && answer["Content-Length"] == "26", "\(answer.head)")
    }

    @Test("Only a 200 has ranges", arguments: ["404 Not Found", "301 Moved"])
    func otherStatuses(status: String) throws {
        let page = try Resource { _, _ in
            response(status, fields: ["Cache-Control: max-age=600"], body: Self.alphabet)
        }
        _ = try page.get()
        let answer = try page.get("Range: bytes=0-4")
        #expect(answer.startLine.contains(status.prefix(3)), "\(answer.head)")
        answer.expectHit(Self.alphabet)
    }

    // MARK: Several

    /// The parts of a multipart/byteranges answer (RFC 9110, section 14.6), strictly.
    private func parts(of answer: Message) throws -> [(place: String, type: String, body: String)] {
        let type = try #require(answer["Content-Type"], "\(answer.head)")
        let shape = /multipart\/byteranges; ?boundary="?([^"]+)"?/
        let boundary = try #require(type.wholeMatch(of: shape), "\(answer.head)").1
        #expect(answer["Content-Length"] == "\(answer.body.count)", "\(answer.head)")
        var sections = ("\r\n" + answer.text).components(separatedBy: "\r\n--\(boundary)")
        let tail = sections.removeLast()
        #expect(tail.hasPrefix("--"), "\(answer.text)")
        return try sections.dropFirst().map { section in
            let end = try #require(section.range(of: "\r\n\r\n"), "\(section)")
            let head = try Message(head: "PART" + String(section[..<end.lowerBound]))
            return (head["Content-Range"] ?? "", head["Content-Type"] ?? "", String(section[end.upperBound...]))
        }
    }

    @Test("Several ranges come as parts, each with its place and its type")
    func several() throws {
        let answer = try stored("Content-Type: text/x-odd").get("Range: bytes=0-1, 10-12 ,-2")
        #expect(answer.status == 206 && !answer.has("Content-Range"), "\(answer.head)")
        answer.expectHit()
        let parts = try parts(of: answer)
        #expect(parts.map(\.body) == ["ab", "klm", "yz"], "\(answer.text)")
        #expect(parts.map(\.place) == ["bytes 0-1/26", "bytes 10-12/26", "bytes 24-25/26"])
        #expect(parts.allSatisfy { $0.type == "text/x-odd" })
    }

    @Test("Of several, those beyond the end are left out; one that is left may come alone (§15.3.7.2)")
    func partlyUnsatisfiable() throws {
        let page = try stored()
        let two = try page.get("Range: bytes=0-1, 100-200, 4-5")
        #expect(try parts(of: two).map(\.body) == ["ab", "ef"], "\(two)")
        let one = try page.get("Range: bytes=0-1, 100-200")
        #expect(one.status == 206, "\(one.head)")
        if one.has("Content-Range") { #expect(one.text == "ab") } else { #expect(try parts(of: one).count == 1) }
        #expect(try page.get("Range: bytes=100-200, 300-400").status == 416)
    }

    @Test("Ranges that overlap in masses cost no more than the page (§14.2, §17.15)")
    func abuse() throws {
        let page = try stored()
        for range in [
            Array(repeating: "0-", count: 500).joined(separator: ","),
            (0..<400).map { "\($0 % 26)-\($0 % 26)" }.joined(separator: ","),
            (1...300).map { "-\($0)" }.joined(separator: ","),
        ] {
            let answer = try page.get("Range: bytes=\(range)")
            #expect([200, 206, 416].contains(answer.status), "\(answer.head)")
            #expect(answer.body.count < 8192, "\(answer.body.count) bytes for a page of 26")
            if answer.status == 200 { #expect(answer.text == Self.alphabet) }
        }
    }

    @Test("Pipelined ranges keep their order and their framing")
    func pipelined() throws {
        let page = try stored()
        let client = try page.stage.edge.client()
        let asked = ["bytes=0-1", "bytes=99-", "bytes=0-1,4-5", "bytes=-1", "lines=1"]
        try client.send(asked.map { page.request(["Range: \($0)"]) }.joined())
        #expect(try client.readAnswer().text == "ab")
        #expect(try client.readAnswer().status == 416)
        #expect(try parts(of: client.readAnswer()).map(\.body) == ["ab", "ef"])
        #expect(try client.readAnswer().text == "z")
        #expect(try client.readAnswer().text == Self.alphabet)
    }
}
