// The path of a request, and above all when it is sent a second time (RFC 9110, section 9.2.2). The pool is full but
// for what the test puts into it, so every connection a journey gets is the test's.

import ConfigModel
import Exchange
import Foundation
import HTTPWire
import Limits
import NIOCore
import NIOEmbedded
import Synchronization
import Telemetry
import Testing

@testable import Origin
@testable import Pipeline

private let get = "GET / HTTP/1.1\r\nHost: h.test\r\n\r\n"
private let noContent = "HTTP/1.1 204 No Content\r\n\r\n"

@Suite("Journey")
struct JourneyTests {
    @Test("a response goes from the origin to the client in its order")
    func whole() throws {
        let stage = try Stage()
        defer { stage.finish() }
        let channel = try stage.shelve()
        try stage.begin(get)
        try channel.say(
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n")
        #expect(stage.client.events == [.interim(103), .head(200), .body("hi"), .end("X-Sum: 7\r\n")])
        #expect(stage.journey.failure == nil)
        #expect(stage.journey.status == 200)
        #expect(stage.journey.responseBodyBytes == 2)
        stage.journey.finish()
        #expect(stage.servers[0].outstanding.load(ordering: .relaxed) == 0)
        let metrics = stage.loop.metrics.snapshot()
        #expect(metrics[Gauge.requestsActive] == 0)
        #expect(metrics.responses(status: 200) == 1)
    }

    @Test("100 is passed on only to who waits for it, and nothing interim to HTTP/1.0")
    func interim() throws {
        for (head, expected) in [
            (get, [NotingClient.Event.interim(103)]),
            ("GET / HTTP/1.0\r\nHost: h.test\r\n\r\n", []),
            (
                "POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
                [.interim(100), .interim(103)]
            ),
        ] {
            let stage = try Stage()
            defer { stage.finish() }
            let channel = try stage.shelve()
            try stage.begin(head)
            try channel.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n")
            #expect(stage.client.events == expected)
        }
    }

    @Test("a host that no zone has is refused, on a connection made for another zone misdirected")
    func zones() throws {
        var scene = Scene()
        scene.zone.name = "h.test"
        scene.zone.hostnames = ["h.test", "*.h.test"]
        for (host, certificate, failure) in [
            ("other.test", nil, Failure.unknownHost), ("h.test", "other.test", .misdirected), ("h.test", "h.test", nil),
            ("H.TEST", nil, nil), ("a.b.h.test", nil, nil),
        ] as [(String, String?, Failure?)] {
            let stage = try Stage(scene)
            defer { stage.finish() }
            stage.journey.tls = TLSFacts(zoneName: certificate, ja4: [], ja3: [])
            try stage.begin("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
            #expect(stage.journey.failure == failure)
            #expect(stage.client.events == (failure == nil ? [] : [.page(421)]))
        }
    }

    @Test("a body larger than the zone takes is refused: announced at once, chunked when it is reached")
    func bodyTooLarge() throws {
        var scene = Scene()
        scene.zone.bodyBytesMax = 4
        let announced = try Stage(scene)
        defer { announced.finish() }
        try announced.begin("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 5\r\n\r\n")
        #expect(announced.client.events == [.page(413)])
        let chunked = try Stage(scene)
        defer { chunked.finish() }
        let channel = try chunked.shelve()
        try chunked.begin("POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunked.journey.requestBody(ByteBuffer(string: "1234"))
        #expect(chunked.client.events.isEmpty)
        chunked.journey.requestBody(ByteBuffer(string: "5"))
        #expect(chunked.client.events == [.page(413)])
        #expect(!channel.isActive)
    }

    @Test("no origin is up")
    func noOrigin() throws {
        let stage = try Stage()
        defer { stage.finish() }
        _ = stage.servers[0].health.setUp(false, now: 1)
        try stage.begin(get)
        #expect(stage.client.events == [.page(503)])
        #expect(stage.journey.failure == .noHealthyOrigin)
    }

    @Test("a client that goes takes its wish for a connection along")
    func clientGone() throws {
        let stage = try Stage()
        defer { stage.finish() }
        try stage.begin(get)
        stage.journey.clientGone(.clientClosed)
        let (connection, channel) = try stage.connection()
        stage.servers[0].release(connection)
        #expect(try channel.heard() == "")
        #expect(stage.servers[0].idleConnections == 1)
    }

    @Test("a client that goes in the middle closes the origin's connection")
    func clientGoneLater() throws {
        let stage = try Stage()
        defer { stage.finish() }
        let channel = try stage.shelve()
        try stage.begin(get)
        try channel.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        stage.journey.clientGone(.clientClosed)
        #expect(!channel.isActive)
    }

    @Test("a response that breaks off behind its head cannot be answered otherwise: it is cut")
    func cut() throws {
        let stage = try Stage()
        defer { stage.finish() }
        let channel = try stage.shelve()
        try stage.begin(get)
        try channel.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        channel.endInput()
        #expect(stage.client.events == [.head(200), .body("abc"), .abort])
        #expect(stage.journey.failure == .originClosedEarly)
    }

    @Test("a journey used again remembers nothing of the last")
    func reuse() throws {
        let stage = try Stage(Scene { $0.zone.bodyBytesMax = 4 })
        defer { stage.finish() }
        try stage.begin("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 5\r\n\r\n")
        stage.journey.finish()
        let again = stage.desk.take()
        #expect(again === stage.journey)
        #expect(again.failure == nil && again.status == 0 && again.attempts == 0 && again.server == nil)
        #expect(again.requestBodyBytes == 0 && again.responseBodyBytes == 0 && !again.isRequestComplete)
        let channel = try stage.shelve()
        try stage.begin(get)
        try channel.say(noContent)
        #expect(stage.client.events.suffix(2) == [.head(204), .end(nil)])
    }

    @Test("our own answer to HEAD counts no body that was not sent")
    func headCountsNothing() throws {
        let stage = try Stage()
        defer { stage.finish() }
        _ = stage.servers[0].health.setUp(false, now: 1)
        try stage.begin("HEAD / HTTP/1.1\r\nHost: h.test\r\n\r\n")
        #expect(stage.client.events == [.page(503)])
        #expect(stage.journey.responseBodyBytes == 0)
    }
}

@Suite("Trying again")
struct RetryTests {
    /// Sends `head` over an idle connection that has served `exchanges`, lets the origin end it, and says whether the
    /// request was tried again on the connection that follows.
    private func isRetried(
        _ head: String, exchanges: Int, body: Int = 0, answered: String = "", attempts: Int = 1
    ) throws -> Bool {
        let stage = try Stage(Scene { $0.zone.attempts = attempts })
        defer { stage.finish() }
        let stale = try stage.shelve(exchanges: exchanges)
        try stage.begin(head)
        if body > 0 {
            stage.journey.requestBody(ByteBuffer(repeating: UInt8(ascii: "b"), count: body))
            stage.journey.requestEnd(trailers: nil)
        }
        let sent = try stale.heard()
        #expect(!sent.isEmpty)
        if !answered.isEmpty { try stale.say(answered) }
        // The place of the connection that ends must not be free, or a real one would be made.
        stage.servers[0].connectionCountForTest(adding: 1)
        stale.endInput()
        guard stage.client.events.isEmpty else { return false }
        let (fresh, channel) = try stage.connection()
        stage.servers[0].release(fresh)
        let again = try channel.heard()
        #expect(again.hasSuffix(String(repeating: "b", count: body)))
        #expect(again.before("Martlet-Ray") == sent.before("Martlet-Ray"))
        try channel.say(noContent)
        #expect(stage.client.events == [.head(204), .end(nil)])
        #expect(stage.journey.attempts == 1)
        #expect(stage.servers[0].health.isAvailable(now: MonotonicClock.nanoseconds()))
        return true
    }

    @Test(
        "a stale idle connection was no attempt: another follows, after one exchange as after many",
        arguments: [1, 2, 5])
    func stale(exchanges: Int) throws {
        #expect(try isRetried(get, exchanges: exchanges))
    }

    @Test("a stale connection is not the origin's failure", arguments: [1, 2])
    func staleIsNoFailure(exchanges: Int) throws {
        let stage = try Stage(
            Scene {
                $0.zone.attempts = 1
                $0.zone.ejection.consecutiveFailures = 1
            })
        defer { stage.finish() }
        let channel = try stage.shelve(exchanges: exchanges)
        try stage.begin(get)
        stage.servers[0].connectionCountForTest(adding: 1)
        channel.endInput()
        #expect(stage.loop.metrics.snapshot()[Counter.originEjections] == 0)
        #expect(stage.loop.metrics.snapshot()[Counter.originRetriesStaleConnection] == 1)
    }

    @Test(
        "methods that may be repeated are, others are not",
        arguments: [
            ("GET", true), ("HEAD", true), ("PUT", true), ("DELETE", true), ("OPTIONS", true), ("TRACE", true),
            ("POST", false), ("PATCH", false), ("BREW", false),
        ])
    func methods(method: String, isRepeated: Bool) throws {
        #expect(try isRetried("\(method) / HTTP/1.1\r\nHost: h.test\r\n\r\n", exchanges: 3) == isRepeated)
    }

    @Test("a body is sent again whole if it was kept whole", arguments: [1, 1_000, Limits.retryBodyBytesMax])
    func smallBody(count: Int) throws {
        #expect(
            try isRetried(
                "PUT / HTTP/1.1\r\nHost: h.test\r\nContent-Length: \(count)\r\n\r\n", exchanges: 3, body: count))
    }

    @Test("a body too large to keep is not sent again")
    func largeBody() throws {
        let count = Limits.retryBodyBytesMax + 1
        #expect(
            try !isRetried(
                "PUT / HTTP/1.1\r\nHost: h.test\r\nContent-Length: \(count)\r\n\r\n", exchanges: 3, body: count))
    }

    @Test(
        "news of a lost connection may come when the body is gone, and nothing is sent again without it",
        arguments: [("POST", 3), ("PUT", Limits.retryBodyBytesMax + 1)])
    func lateLoss(method: String, count: Int) throws {
        let stage = try Stage(Scene { $0.zone.attempts = 3 })
        defer { stage.finish() }
        _ = try stage.shelve(exchanges: 1)
        try stage.begin("\(method) / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        stage.journey.requestBody(ByteBuffer(repeating: UInt8(ascii: "b"), count: count))
        stage.journey.requestEnd(trailers: nil)
        stage.journey.originFailed(.pooledConnectionLost)
        #expect(stage.client.events.last == .page(Failure.pooledConnectionLost.status))
    }

    @Test("an origin that has begun to answer is not asked again")
    func answered() throws {
        #expect(try !isRetried(get, exchanges: 3, answered: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"))
    }

    @Test("a connection that was never used and ends is an attempt, and counted as one")
    func fresh() throws {
        let stage = try Stage(Scene { $0.zone.attempts = 1 })
        defer { stage.finish() }
        let channel = try stage.shelve()
        try stage.begin(get)
        channel.endInput()
        #expect(stage.client.events == [.page(502)])
        #expect(stage.journey.failure == .originClosedEarly)
    }

    @Test("attempts go to another origin, and end at their number")
    func failover() throws {
        let stage = try Stage(
            Scene {
                $0.zone.attempts = 3
                $0.zone.origins = (1...4).map { Origin(scheme: .http, host: "192.0.2.\($0)", port: 80) }
            })
        defer { stage.finish() }
        try stage.begin(get)
        var asked: Set<String> = []
        for _ in 0..<3 {
            #expect(stage.client.events.isEmpty)
            asked.insert(try #require(stage.journey.server?.name))
            stage.journey.originUnavailable(.originRefused)
        }
        #expect(asked.count == 3)
        #expect(stage.client.events == [.page(502)])
        #expect(stage.journey.failure == .originRefused)
        #expect(stage.loop.metrics.snapshot()[Counter.originRetriesFailover] == 2)
        stage.journey.finish()
        for server in stage.servers { #expect(server.outstanding.load(ordering: .relaxed) == 0) }
    }

    @Test(
        "what cannot have reached the origin may be tried again, whatever the method",
        arguments: Failure.allCases.filter { $0.side != .client })
    func beforeSending(_ failure: Failure) throws {
        let stage = try Stage(
            Scene {
                $0.zone.attempts = 2
                $0.zone.origins = (1...2).map { Origin(scheme: .http, host: "192.0.2.\($0)", port: 80) }
            })
        defer { stage.finish() }
        try stage.begin("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 3\r\n\r\n")
        stage.journey.requestBody(ByteBuffer(string: "abc"))
        stage.journey.originUnavailable(failure)
        #expect(stage.client.events == (failure.happenedBeforeSending ? [] : [.page(failure.status)]))
    }

    @Test("a response that is none is not tried again: the origin has answered")
    func badResponse() throws {
        let stage = try Stage(Scene { $0.zone.attempts = 5 })
        defer { stage.finish() }
        let channel = try stage.shelve(exchanges: 3)
        try stage.begin(get)
        try channel.say("SSH-2.0-OpenSSH\r\n\r\n")
        #expect(stage.client.events == [.page(502)])
        #expect(stage.journey.failure == .originBadResponse)
    }
}

@Suite("The request's body on its way")
struct RequestBodyTests {
    @Test("what comes before the connection is kept and sent in order; beyond the bound the client pauses")
    func early() throws {
        let stage = try Stage()
        defer { stage.finish() }
        try stage.begin("POST / HTTP/1.1\r\nHost: h.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        stage.journey.requestBody(ByteBuffer(string: "abc"))
        #expect(stage.client.events.isEmpty)
        stage.journey.requestBody(ByteBuffer(repeating: UInt8(ascii: "x"), count: Limits.retryBodyBytesMax))
        #expect(stage.client.events == [.pauseBody])
        let (connection, channel) = try stage.connection()
        stage.servers[0].release(connection)
        #expect(stage.client.events == [.pauseBody, .resumeBody])
        stage.journey.requestBody(ByteBuffer(string: "def"))
        stage.journey.requestEnd(trailers: ByteBuffer(string: "X-Sum: 7\r\n"))
        let text = try channel.heard()
        let body = text.behind("\r\n\r\n")
        let size = String(3 + Limits.retryBodyBytesMax, radix: 16)
        #expect(body.lowercased().hasPrefix("\(size)\r\nabcxxx"))
        #expect(body.hasSuffix("x\r\n3\r\ndef\r\n0\r\nX-Sum: 7\r\n\r\n"))
    }

    @Test("a full origin pauses the client, an emptied one lets it go on")
    func backPressure() throws {
        let stage = try Stage()
        defer { stage.finish() }
        let channel = try stage.shelve()
        try stage.begin("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 100\r\n\r\n")
        channel.isWritable = false
        stage.journey.requestBody(ByteBuffer(string: "abc"))
        stage.journey.requestBody(ByteBuffer(string: "def"))
        #expect(stage.client.events == [.pauseBody])
        channel.isWritable = true
        channel.pipeline.fireChannelWritabilityChanged()
        #expect(stage.client.events == [.pauseBody, .resumeBody])
    }
}

extension String {
    /// What stands before the first occurrence of `mark`; everything if there is none.
    fileprivate func before(_ mark: String) -> String { components(separatedBy: mark)[0] }

    /// What stands behind the first occurrence of `mark`.
    fileprivate func behind(_ mark: String) -> String {
        components(separatedBy: mark).dropFirst().joined(separator: mark)
    }
}

extension OriginServer {
    /// Counts places of the pool as taken, beyond its bound.
    fileprivate func connectionCountForTest(adding count: Int) {
        connectionCount.wrappingAdd(count, ordering: .relaxed)
    }
}
