// Back-pressure, time and liveness of HTTP/2 connections to origins.

import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import NIOEmbedded
import Telemetry
import Testing

@testable import Origin

@Suite("HTTP/2 to origins: flow")
struct HTTP2FlowTests {
    private let bench = HTTP2Bench()

    @Test("a body that the origin does not take stays bounded, says so once, and goes on when it does")
    func requestBackPressure() throws {
        defer { bench.finish() }
        let far = HTTP2FarEnd(streamWindow: 10_000)
        far.returnsCredit = false
        far.notesBodies = false
        let wire = try bench.idle(far)
        let ear = Ear()
        let link = try bench.post(ear)
        var sent = 0
        while link.sendBody(ByteBuffer(repeating: 120, count: 5_000)) {
            sent += 5_000
            try wire.pump()
            try #require(sent < 1_000_000)
        }
        sent += 5_000
        try wire.pump()
        #expect(far.bodyBytes[1] == 10_000)
        #expect(sent <= 10_000 + Limits.http2StreamQueueBytesHigh + 5_000)
        #expect(ear.events.isEmpty)
        link.sendEnd(trailers: nil)
        let ref = try #require(far.refs[1])
        var writable = 0
        while let taken = far.bodyBytes[1], taken < sent {
            far.session.returnCredit(ref, 10_000)
            try wire.pump()
            writable = ear.events.filter { $0 == .writable }.count
            try #require(far.bodyBytes[1] != taken)
        }
        #expect(writable == 1)
        #expect(far.heard().last == .end(1))
    }

    @Test("a stream that waits for its window does not hold up another")
    func requestsApart() throws {
        defer { bench.finish() }
        let far = HTTP2FarEnd(streamWindow: 1_000, connectionWindow: 1 << 20)
        far.returnsCredit = false
        far.notesBodies = false
        let wire = try bench.idle(far)
        let (stuck, moves) = (try bench.post(Ear()), try bench.post(Ear()))
        _ = stuck.sendBody(ByteBuffer(repeating: 1, count: 50_000))
        try wire.pump()
        _ = moves.sendBody(ByteBuffer(repeating: 2, count: 900))
        moves.sendEnd(trailers: nil)
        try wire.pump()
        #expect(far.bodyBytes == [1: 1_000, 3: 900])
        #expect(far.heard().last == .end(3))
    }

    @Test("who pauses gets no more than a window, does not hold up others, and gets the rest when it goes on")
    func responseBackPressure() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let (slow, quick) = (Counting(), Counting())
        slow.onBody = { $0.pauseResponse() }
        for ear in [slow, quick] {
            guard case .ready(let link) = bench.server.acquire(for: ear, on: bench.loop, fresh: false) else {
                throw Failure.poolExhausted
            }
            ear.link = link
            link.attach(ear)
            link.send(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), shape: .get, isComplete: true)
        }
        try wire.pump()
        let window = HTTP2Bounds.origin.streamWindowBytes
        let count = 40 * window
        for id: UInt32 in [1, 3] {
            wire.far.respond(id, 200)
            wire.far.send(id, ByteBuffer(repeating: 7, count: count), ends: true)
        }
        try wire.pump()
        #expect(slow.bytes == window)
        #expect(quick.bytes == count)
        #expect(quick.hasEnded)
        slow.onBody = nil
        slow.link?.resumeResponse()
        try wire.pump()
        #expect(slow.bytes == count)
        #expect(slow.hasEnded)
    }

    @Test("streams that are all paused leave the connection's window open for another")
    func allPaused() throws {
        defer { bench.finish() }
        let wire = try bench.idle(HTTP2FarEnd(streamsMax: 1_000))
        let streams = Limits.http2OriginStreamsMax - 1
        let window = HTTP2Bounds.origin.streamWindowBytes
        let body = ByteBuffer(repeating: 1, count: window)
        var ears: [Counting] = []
        for index in 0...streams {
            let ear = Counting()
            if index < streams { ear.onBody = { $0.pauseResponse() } }
            guard case .ready(let link) = bench.server.acquire(for: ear, on: bench.loop, fresh: false) else {
                throw Failure.poolExhausted
            }
            ear.link = link
            link.attach(ear)
            link.send(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), shape: .get, isComplete: true)
            ears.append(ear)
            try wire.pump()
            let id = UInt32(index * 2 + 1)
            wire.far.respond(id, 200)
            wire.far.send(id, body)
            wire.far.send(id, "end", ends: true)
            try wire.pump()
        }
        #expect(ears.dropLast().allSatisfy { $0.bytes == window && !$0.hasEnded })
        #expect(ears.last?.bytes == window + 3)
        #expect(ears.last?.hasEnded == true)
    }

    @Test("a socket that takes nothing is not written to, and heads wait in one buffer")
    func fullSocket() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let link = try bench.post(Ear())
        wire.channel.isWritable = false
        _ = link.sendBody(ByteBuffer(repeating: 1, count: 30_000))
        try wire.pump()
        #expect(wire.far.bodyBytes[1] == nil)
        wire.channel.isWritable = true
        wire.channel.pipeline.fireChannelWritabilityChanged()
        try wire.pump()
        #expect(wire.far.bodyBytes[1] == 30_000)
    }

    @Test("what is said in one turn leaves in one write")
    func oneWrite() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        for _ in 0..<16 { try bench.ask(Ear()) }
        bench.eventLoop.run()
        var writes = 0
        while let bytes = try wire.channel.readOutbound(as: ByteBuffer.self) {
            writes += 1
            wire.far.hear(bytes)
        }
        #expect(writes == 1)
        #expect(wire.far.heard().count == 16)
    }
}

/// Counts a body instead of keeping it.
private final class Counting: OriginReceiver {
    let answer = OriginAnswer()
    var link: (any OriginLink)?
    var bytes = 0
    var hasEnded = false
    var onBody: ((any OriginLink) -> Void)?
    func originReady(_ link: any OriginLink) {}
    func originUnavailable(_ failure: Failure) {}
    func originInterim(bytes: ByteBuffer) {}
    func originHead(bytes: ByteBuffer) {}
    func originBody(_ bytes: ByteBuffer) {
        self.bytes += bytes.readableBytes
        if let link { onBody?(link) }
    }
    func originEnd(trailers: ByteBuffer?) { hasEnded = true }
    func originSwitched(bytes: ByteBuffer) {}
    func originFlush() {}
    func originFailed(_ failure: Failure) {}
    func originWritable() {}
}

@Suite("HTTP/2 to origins: time")
struct HTTP2TimeTests {
    private let bench: HTTP2Bench

    init() {
        var timeouts = Zone.OriginTimeouts()
        timeouts.connect = 3_000
        timeouts.firstByte = 1_000
        timeouts.idle = 5_000
        var pool = Zone.Pool()
        pool.keepAlive = 2_000
        bench = HTTP2Bench(pool: pool, timeouts: timeouts)
    }

    @Test("an origin that does not begin to answer loses the stream, not the connection")
    func firstByte() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        try bench.ask(ear)
        try wire.pump()
        for _ in 0..<3 { try wire.say { $0.respond(1, 103) } }
        bench.tick(milliseconds: 1_200)
        #expect(ear.events.last == .failed(.originFirstByteTimeout))
        try wire.pump()
        #expect(wire.far.heard().last == .reset(1, .cancel))
        #expect(wire.channel.isActive)
        try bench.ask(Ear())
    }

    @Test("the first byte's time begins with the end of the request")
    func firstByteBehindBody() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        let link = try bench.post(ear)
        for _ in 0..<3 {
            bench.tick(milliseconds: 3_000)
            _ = link.sendBody(ByteBuffer(string: "x"))
            try wire.pump()
        }
        #expect(ear.events.isEmpty)
        link.sendEnd(trailers: nil)
        try wire.pump()
        bench.tick(milliseconds: 1_200)
        #expect(ear.events == [.failed(.originFirstByteTimeout)])
    }

    @Test("an origin that takes no more of a body is late")
    func stalledBody() throws {
        defer { bench.finish() }
        let far = HTTP2FarEnd(streamWindow: 100)
        far.returnsCredit = false
        let wire = try bench.idle(far)
        let ear = Ear()
        let link = try bench.post(ear)
        _ = link.sendBody(ByteBuffer(repeating: 1, count: 1_000))
        link.sendEnd(trailers: nil)
        try wire.pump()
        bench.tick(milliseconds: 2_000)
        #expect(ear.events.isEmpty)
        bench.tick(milliseconds: 3_500)
        #expect(ear.events == [.failed(.originIdleTimeout)])
    }

    @Test("a body that stops; one that is paused cannot be late")
    func idle() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let (stops, paused) = (Ear(), Ear())
        try bench.ask(stops)
        let link = try bench.ask(paused)
        try wire.pump()
        for id: UInt32 in [1, 3] {
            wire.far.respond(id, 200)
            try wire.say { $0.send(id, "a") }
        }
        link.pauseResponse()
        for _ in 0..<3 {
            bench.tick(milliseconds: 4_000)
            try wire.say { $0.send(1, "b") }
        }
        #expect(stops.outline == [.head(200)])
        bench.tick(milliseconds: 5_500)
        #expect(stops.outline == [.head(200), .failed(.originIdleTimeout)])
        #expect(paused.outline == [.head(200)])
        link.resumeResponse()
        bench.tick(milliseconds: 5_500)
        #expect(paused.outline == [.head(200), .failed(.originIdleTimeout)])
    }

    @Test("an idle connection ages out with GOAWAY, and one in use does not")
    func keepAlive() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        bench.tick(milliseconds: 1_000)
        let ear = Ear()
        try bench.ask(ear)
        try wire.pump()
        try wire.say { $0.respond(1, 200) }
        bench.tick(milliseconds: 4_000)
        #expect(wire.channel.isActive)
        try wire.say { $0.send(1, "x", ends: true) }
        #expect(bench.server.idleConnections == 1)
        bench.tick(milliseconds: 1_000)
        #expect(wire.channel.isActive)
        bench.tick(milliseconds: 1_200)
        #expect(!wire.channel.isActive)
        try wire.pump()
        #expect(wire.far.heard().last == .goAway(.noError))
        #expect(bench.server.idleConnections == 0)
        #expect(bench.server.openConnections == 0)
    }

    @Test("an origin that never says SETTINGS was no HTTP/2 origin")
    func noSettings() throws {
        defer { bench.finish() }
        let wire = try bench.connect(settles: false)
        let ear = Ear()
        wire.connection.takeLink().ask(ear)
        var timeouts = 0
        while ear.events.isEmpty, timeouts < 100 {
            bench.tick(milliseconds: 100)
            timeouts += 1
        }
        #expect(!ear.events.isEmpty)
        bench.tick(milliseconds: 3_000)
        #expect(!wire.channel.isActive)
        #expect(bench.server.openConnections == 0)
    }
}

@Suite("HTTP/2 to origins: liveness")
struct HTTP2LivenessTests {
    private let bench: HTTP2Bench
    private let after = Limits.http2OriginPingAfterMilliseconds
    private let patience = Limits.http2OriginPingTimeoutMilliseconds

    init() {
        var pool = Zone.Pool()
        pool.keepAlive = 86_400_000
        var timeouts = Zone.OriginTimeouts()
        timeouts.idle = 86_400_000
        timeouts.firstByte = 86_400_000
        bench = HTTP2Bench(pool: pool, timeouts: timeouts)
    }

    @Test("the bounds fit each other")
    func bounds() {
        #expect(patience <= after)
        // More than two questions within five minutes of silence are abuse to servers of gRPC.
        #expect(after * Limits.http2OriginPingFactor * Limits.http2OriginPingFactor >= 300_000)
        #expect(Limits.http2OriginPingAfterMillisecondsMax >= 300_000)
        // What is told of room by the half leaves room for all.
        let bounds = HTTP2Bounds.origin
        #expect(2 * bounds.streamsMax * bounds.streamWindowBytes < 1 << 31)
        #expect(Limits.http2StreamQueueBytesLow < Limits.http2StreamQueueBytesHigh)
    }

    @Test("behind a silence an origin is asked whether it is there; without an answer all its streams fail")
    func dead() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ears = [Ear(), Ear()]
        for ear in ears { try bench.ask(ear) }
        try wire.pump()
        wire.far.out.clear()
        bench.tick(milliseconds: after)
        bench.eventLoop.run()
        // The question is out, and nobody answers.
        #expect(try wire.channel.readOutbound(as: ByteBuffer.self) != nil)
        #expect(wire.channel.isActive)
        bench.tick(milliseconds: patience)
        #expect(ears.allSatisfy { $0.events == [.failed(.originClosedEarly)] })
        #expect(!wire.channel.isActive)
        #expect(bench.server.openConnections == 0)
    }

    @Test("an origin that answers may take its time, and is asked less and less often", arguments: [true, false])
    func alive(hasStream: Bool) throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        let ear = Ear()
        if hasStream { try bench.ask(ear) }
        try wire.pump()
        var questions: [Int] = []
        for second in 1...3_600 {
            bench.tick(milliseconds: 1_000 - 3 * Limits.deadlineTickMilliseconds)
            bench.eventLoop.run()
            if let bytes = try wire.channel.readOutbound(as: ByteBuffer.self) {
                questions.append(second)
                wire.far.hear(bytes)
                try wire.pump()
            }
        }
        #expect(wire.channel.isActive)
        #expect(ear.events.isEmpty)
        // Ten seconds, a minute, then every six.
        #expect(questions.count <= 13)
        #expect(questions.count >= 10)
        #expect(zip(questions, questions.dropFirst()).dropFirst(2).allSatisfy { $1 - $0 >= 300 })
    }

    @Test("a request behind a silence takes the question along")
    func askedWithRequest() throws {
        defer { bench.finish() }
        let wire = try bench.idle()
        bench.tick(milliseconds: after)
        try wire.pump()
        bench.tick(milliseconds: after + 2_000)
        let ear = Ear()
        try bench.ask(ear)
        bench.eventLoop.run()
        // It is lost on the way.
        while try wire.channel.readOutbound(as: ByteBuffer.self) != nil {}
        bench.tick(milliseconds: patience)
        #expect(ear.events == [.failed(.originClosedEarly)])
    }
}
