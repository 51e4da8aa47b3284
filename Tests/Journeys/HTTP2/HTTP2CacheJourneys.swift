import Foundation
import Testing

/// Answers of the cache over HTTP/2: the same as over HTTP/1.1, from the same objects.
@Suite("HTTP/2: cache", .onStageThreads)
struct HTTP2CacheJourneys {
    private static let alphabet = "abcdefghijklmnopqrstuvwxyz"

    private func stored(_ fields: String...) throws -> Page {
        let all = ["Cache-Control: max-age=600", "ETag: \"one\""] + fields
        let page = try Page { connection, _, _ in
            try connection.send(response("200 OK", fields: all, body: Self.alphabet))
        }
        #expect(try HTTP2Stage.shared.edge.get(page.path).text == Self.alphabet)
        return page
    }

    @Test("Hit, HEAD, validators, ranges", arguments: Transport.allCases)
    func forms(transport: Transport) throws {
        let stage = try HTTP2Stage.shared
        // The object's key has the scheme in it: what came in the clear is no hit over TLS.
        let page = try stored("X-Odd: a", "Set-Nothing: b")
        if transport == .tls { _ = try stage.ask(page.path, over: .tls) }
        let before = page.requests.count
        let requests: [[Any]] = [
            ["GET", page.path, []], ["HEAD", page.path, []], ["GET", page.path, [["if-none-match", "\"one\""]]],
            ["GET", page.path, [["range", "bytes=5-9"]]], ["GET", page.path, [["range", "bytes=-3"]]],
            ["GET", page.path, [["range", "bytes=99-"]]], ["GET", page.path, [["range", "bytes=0-1,24-25"]]],
            ["GET", page.path, [["if-none-match", "\"two\""]]],
            ["GET", page.path, [["cache-control", "only-if-cached"]]],
            ["GET", page.path + "?new", [["cache-control", "only-if-cached"]]],
        ]
        let replies = try stage.play("exchanges", "each", over: transport, ["requests": requests]).replies("replies")
        try #require(replies.count == requests.count)
        #expect(replies.map(\.status) == [200, 200, 304, 206, 206, 416, 206, 200, 200, 504], "\(replies)")
        #expect(replies.allSatisfy { $0.hasEnded && $0.reset == nil }, "\(replies)")
        #expect(replies[0].body == Self.alphabet && replies[0]["content-length"] == "26" && replies[0]["x-odd"] == "a")
        #expect(replies[0]["age"] != nil && replies[0]["cache-status"]?.contains("hit") == true, "\(replies[0])")
        #expect(replies[1].count == 0 && replies[1]["content-length"] == "26", "\(replies[1])")
        #expect(replies[2].count == 0 && replies[2]["etag"] == "\"one\"", "\(replies[2])")
        #expect(replies[3].body == "fghij" && replies[3]["content-range"] == "bytes 5-9/26", "\(replies[3])")
        #expect(replies[4].body == "xyz", "\(replies[4])")
        #expect(replies[6].body.contains("ab") && replies[6].body.contains("yz"), "\(replies[6])")
        #expect(page.requests.count == before, "the origin was asked")
        // Names are lower case, and none of HTTP/1.1's own is among them (RFC 9113, §8.2).
        for reply in replies {
            for field in reply.fields {
                #expect(field.name == field.name.lowercased(), "\(field)")
                #expect(
                    !["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"].contains(
                        field.name))
            }
        }
    }

    @Test("A hundred streams that want one cold object are one fetch", arguments: Transport.allCases)
    func coalesced(transport: Transport) throws {
        let page = try Page { connection, request, _ in
            pause(milliseconds: 300)
            try connection.send(
                response("200 OK", fields: ["Cache-Control: max-age=600"], body: "reached \(request.target)"))
        }
        let found = try HTTP2Stage.shared.play(
            "exchanges", "many", over: transport, ["path": page.path, "count": 100, "same": true])
        #expect(found.int("whole") == 100 && found.int("matching") == 100, "\(found)")
        #expect(page.requests.count == 1)
    }

    @Test("An object from the disk comes whole on several streams at once", arguments: Transport.allCases)
    func large(transport: Transport) throws {
        let total = 12 << 20
        let page = try Page { connection, _, _ in
            try connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: \(total)\r\n\r\n")
            try connection.wire.send(MarkedBody.bytes("large", count: total))
        }
        let stage = try HTTP2Stage.shared
        let first = try stage.play("exchanges", "digests", over: transport, ["path": page.path, "count": 1])
        let digest = try #require(first.texts("digests").first)
        let found = try stage.play("exchanges", "digests", over: transport, ["path": page.path, "count": 6])
        #expect(found.texts("digests") == [String](repeating: digest, count: 6), "\(found)")
        #expect(found.ints("counts") == [Int](repeating: total, count: 6), "\(found)")
    }
}
