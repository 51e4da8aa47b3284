// A client's connection of HTTP/2: streams side by side, bodies under back-pressure, and how it all ends.

import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import NIOEmbedded
import Telemetry
import Testing

@testable import Listener

@Suite("HTTP2Connection: streams")
struct HTTP2StreamTests {
    @Test("SETTINGS come first, whatever else is said in the same turn (RFC 9113, 3.4)")
    func settingsFirst() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        let stream = try client.ask(host: "other.test")
        try client.exchange()
        #expect(client.firstBytes[3] == 4)
        #expect(client[stream].status == 421)
        #expect(client[stream].isOver)
    }

    @Test("a request goes to the origin as one of HTTP/1.1, its answer comes back as one of HTTP/2")
    func roundTrip() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        let origin = try client.door.addOrigin()
        let stream = try client.ask("GET", "/a?b=c", fields: "accept: */*\r\ncookie: a=1\r\ncookie: b=2\r\n")
        try client.exchange()
        let asked = try origin.heard()
        #expect(asked.hasPrefix("GET /a?b=c HTTP/1.1\r\nHost: h.test\r\n"))
        #expect(asked.contains("cookie: a=1; b=2\r\n"))
        #expect(asked.contains("Via: 2 martlet\r\n"))
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Answer: Yes\r\nConnection: keep-alive\r\n\r\nhello")
        try client.exchange()
        #expect(client[stream].status == 200)
        #expect(client[stream].body == "hello")
        #expect(client[stream].fields["x-answer"] == "Yes")
        #expect(client[stream].fields["content-length"] == "5")
        #expect(client[stream].fields["connection"] == nil)
        #expect(client[stream].isOver)
        #expect(client.connection.streamCount == 0)
    }

    @Test("streams are answered in the order in which their answers come")
    func sideBySide() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        let origins = try (0..<3).map { _ in try client.door.addOrigin() }
        let streams = try (0..<3).map { try client.ask("GET", "/\($0)") }
        try client.exchange()
        let asked = try origins.map { try $0.heard() }
        for index in [2, 0, 1] {
            let origin = try #require(asked.firstIndex { $0.hasPrefix("GET /\(index) ") })
            try origins[origin].say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(index)")
            try client.exchange()
            #expect(client[streams[index]].body == "\(index)")
        }
    }

    @Test("a body of unknown length goes out in chunks, its trailers behind it, and the answer's trailers come back")
    func bodiesAndTrailers() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        let origin = try client.door.addOrigin()
        let stream = try client.ask("POST", fields: "te: trailers\r\n", body: "abc", ends: false)
        try client.exchange()
        client.endWithTrailers(stream, "x-sum: 3\r\n")
        try client.exchange()
        let asked = try origin.heard()
        #expect(asked.contains("Transfer-Encoding: chunked\r\n"))
        #expect(asked.hasSuffix("\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n"))
        try origin.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Done: yes\r\n\r\n")
        try client.exchange()
        #expect(client[stream].body == "ok")
        #expect(client[stream].trailers == ["x-done": "yes"])
        #expect(client[stream].isOver)
    }

    @Test("interim answers pass, HEAD and 304 have lengths and no bodies")
    func bodiless() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        let origin = try client.door.addOrigin()
        let head = try client.ask("HEAD", "/head")
        try client.exchange()
        _ = try origin.heard()
        try origin.say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
        try client.exchange()
        #expect(client[head].interim == [103])
        #expect(client[head].fields["content-length"] == "99")
        #expect(client[head].isOver)
    }

    @Test("a stream that the client resets leaves the origin, and the connection goes on")
    func resetByClient() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        let origin = try client.door.addOrigin()
        let stream = try client.ask()
        try client.exchange()
        _ = try origin.heard()
        client.reset(stream)
        try client.exchange()
        #expect(!origin.isActive)
        #expect(client.connection.streamCount == 0)
        let other = try client.ask(host: "other.test")
        try client.exchange()
        #expect(client[other].status == 421)
    }

    @Test("a response that breaks off resets its stream and no other")
    func cut() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        let origin = try client.door.addOrigin()
        let stream = try client.ask()
        try client.exchange()
        _ = try origin.heard()
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        _ = try origin.finish(acceptAlreadyClosed: true)
        try client.exchange()
        #expect(client[stream].resetCode == .internalError)
        #expect(client.channel.isActive)
    }

    @Test("an answer before the request's end is whole, and then the request is not wanted (RFC 9113, 8.1)")
    func earlyAnswer() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        let stream = try client.ask("POST", host: "other.test", body: "abc", ends: false)
        try client.exchange()
        #expect(client[stream].status == 421)
        #expect(client[stream].resetCode == .noError)
        #expect(client.connection.streamCount == 0)
    }
}

@Suite("HTTP2Connection: back-pressure")
struct HTTP2PressureTests {
    @Test("a body that the client's window does not take waits, and its origin pauses")
    func closedWindow() throws {
        let client = try HTTP2Door(windowBytes: 65_535)
        defer { client.finish() }
        client.takesBodies = false
        let origin = try client.door.addOrigin()
        let stream = try client.ask()
        try client.exchange()
        _ = try origin.heard()
        let piece = String(repeating: "x", count: 16_384)
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: \(100 * 16_384)\r\n\r\n")
        var pieces = 0
        while origin.isReading, pieces < 100 {
            try origin.say(piece)
            pieces += 1
            try client.exchange()
        }
        #expect(client[stream].body.utf8.count == 65_535)
        // What the client's window took, what its queue holds, and one piece above.
        #expect(pieces * 16_384 <= 65_535 + Limits.http2StreamQueueBytesHigh + 2 * 16_384)
        #expect(!origin.isReading)
    }

    @Test("a request's body is not asked for while the origin takes none")
    func heldCredit() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        let origin = try client.door.addOrigin()
        let stream = try client.ask("POST", fields: "content-length: 1000000\r\n", body: "", ends: false)
        try client.exchange()
        _ = try origin.heard()
        origin.isWritable = false
        origin.pipeline.fireChannelWritabilityChanged()
        client.send(stream, String(repeating: "x", count: 200_000), ends: false)
        try client.exchange()
        #expect(client.listener.http2.heldBytes > 0)
        origin.isWritable = true
        origin.pipeline.fireChannelWritabilityChanged()
        try client.exchange()
        #expect(client.listener.http2.heldBytes == 0)
        client.reset(stream)
        try client.exchange()
        #expect(client.listener.http2.heldBytes == 0)
    }

    @Test("a client that takes nothing for the write timeout loses the stream, not the connection")
    func stalledWindow() throws {
        let client = try HTTP2Door(windowBytes: 65_535) { $0.timeouts.write = 2_000 }
        defer { client.finish() }
        client.takesBodies = false
        let origin = try client.door.addOrigin()
        let stream = try client.ask()
        try client.exchange()
        _ = try origin.heard()
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 80000\r\n\r\n" + String(repeating: "x", count: 80_000))
        try client.exchange()
        #expect(client.connection.streamCount == 1)
        #expect(client[stream].resetCode == nil)
    }
}

@Suite("HTTP2Connection: a socket that takes nothing")
struct HTTP2BlockedTests {
    /// A client whose only request is answered in the write that fills its socket.
    private func blocked(_ change: (inout Configuration) -> Void) throws -> HTTP2Door {
        let client = try HTTP2Door(change)
        let origin = try client.door.addOrigin()
        try client.ask()
        try client.exchange()
        _ = try origin.heard()
        client.channel.isWritable = false
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        try client.exchange()
        #expect(client.connection.streamCount == 0)
        #expect(client.connection.blockedSince != 0)
        return client
    }

    @Test("the write timeout holds when no stream is open any more")
    func withoutStreams() throws {
        let client = try blocked { $0.timeouts.write = 0 }
        defer { client.finish() }
        try client.tick(milliseconds: 1_500)
        #expect(!client.channel.isActive)
    }

    @Test("who reads slowly gets what is left, also when the connection is to end with it")
    func leaving() throws {
        let client = try blocked { $0.limits.requestsPerConnection = 1 }
        defer { client.finish() }
        try client.tick(milliseconds: 5_000)
        #expect(!client.watch.closed)
        client.channel.isWritable = true
        client.channel.pipeline.fireChannelWritabilityChanged()
        try client.exchange()
        #expect(client.watch.outputEnded)
    }

    @Test("when the socket takes bytes again, the connection is as idle as any other")
    func again() throws {
        let client = try blocked { $0.timeouts.idle = 3_000 }
        defer { client.finish() }
        try client.tick(milliseconds: 10_000)
        #expect(client.channel.isActive && client.goAways.isEmpty)
        client.channel.isWritable = true
        client.channel.pipeline.fireChannelWritabilityChanged()
        try client.tick(milliseconds: 4_000)
        #expect(client.goAways.map(\.code) == [.noError])
    }

    @Test("a client that ends its half cuts its unfinished requests off, and the frames of others stay whole")
    func halfClosed() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        let origins = try (0..<2).map { _ in try client.door.addOrigin() }
        let cut = try client.ask("POST", "/cut", body: "", ends: false)
        try client.exchange()
        let whole = try client.ask("GET", "/whole")
        try client.exchange()
        let first = try origins[0].heard().hasPrefix("POST") ? 0 : 1
        client.channel.isWritable = false
        try origins[first].say("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + String(repeating: "c", count: 10))
        try client.exchange()
        try origins[first].say(String(repeating: "c", count: 5_000))
        try origins[1 - first].say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole")
        try client.exchange()
        client.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        client.channel.isWritable = true
        client.channel.pipeline.fireChannelWritabilityChanged()
        try client.exchange()
        #expect(client[cut].resetCode == .cancel)
        #expect(client[whole].body == "whole")
        #expect(client[whole].isOver)
    }
}

@Suite("HTTP2Connection: long requests")
struct HTTP2LongRequestTests {
    @Test("a request that is being answered may pause as long as a tunnel: streams of gRPC do")
    func conversation() throws {
        let client = try HTTP2Door { $0.timeouts.body = 0 }
        defer { client.finish() }
        let origin = try client.door.addOrigin()
        let stream = try client.ask("POST", body: "a", ends: false)
        try client.exchange()
        _ = try origin.heard()
        try origin.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n")
        try client.exchange()
        try client.tick(milliseconds: 3_000)
        client.send(stream, "c", ends: true)
        try client.exchange()
        try origin.say("1\r\nd\r\n0\r\n\r\n")
        try client.exchange()
        #expect(client[stream].body == "bd")
        #expect(client[stream].resetCode == nil)
    }

    @Test("a request that is not answered yet has the body's timeout")
    func unanswered() throws {
        let client = try HTTP2Door { $0.timeouts.body = 0 }
        defer { client.finish() }
        _ = try client.door.addOrigin()
        let stream = try client.ask("POST", body: "", ends: false)
        try client.exchange()
        try client.tick(milliseconds: 3_000)
        #expect(client[stream].status == 408)
    }

    @Test("413 comes with its page, however much more of the body is on its way")
    func tooLarge() throws {
        let client = try HTTP2Door { $0.zones[0].bodyBytesMax = 10 }
        defer { client.finish() }
        _ = try client.door.addOrigin()
        let stream = try client.ask("POST", body: "12345678", ends: false)
        try client.exchange()
        for _ in 0..<4 { client.send(stream, "12345678", ends: false) }
        try client.exchange()
        #expect(client[stream].status == 413)
        #expect(!client[stream].body.isEmpty)
        #expect(client[stream].resetCode == .noError)
    }
}

@Suite("HTTP2Connection: clients that take nothing")
struct HTTP2StallTests {
    /// A client with `count` answers of 80,000 bytes waiting, its windows shut behind the first 65,535.
    private func waiting(
        _ count: Int, _ change: @escaping (inout Configuration) -> Void
    ) throws -> (HTTP2Door, [HTTP2StreamRef]) {
        let client = try HTTP2Door(windowBytes: 65_535, change)
        client.takesBodies = false
        let origins = try (0..<count).map { _ in try client.door.addOrigin() }
        let streams = try (0..<count).map { _ in try client.ask() }
        try client.exchange()
        for origin in origins {
            _ = try origin.heard()
            try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 80000\r\n\r\n" + String(repeating: "x", count: 80_000))
        }
        try client.exchange()
        return (client, streams)
    }

    @Test("a stream whose client takes nothing is reset, and what waited is no longer counted")
    func reset() throws {
        let (client, streams) = try waiting(1) { $0.timeouts.write = 0 }
        defer { client.finish() }
        #expect(client.listener.http2.queuedBytes == 80_000 - 65_535)
        try client.tick(milliseconds: 2_500)
        #expect(client[streams[0]].resetCode == .cancel)
        #expect(client.listener.http2.queuedBytes == 0)
        #expect(client.channel.isActive && client.goAways.isEmpty)
    }

    @Test("who lets many of them stall is sent away")
    func manyStalls() throws {
        let (client, _) = try waiting(Limits.http2StalledStreamsMax) { $0.timeouts.write = 0 }
        defer { client.finish() }
        try client.tick(milliseconds: 2_500)
        #expect(client.goAways.map(\.code) == [.enhanceYourCalm])
        #expect(client.watch.outputEnded)
    }

    @Test("when the loop holds all it may, a full queue is not filled further, and a short one is")
    func full() throws {
        let (client, streams) = try waiting(1) { _ in }
        defer { client.finish() }
        let others = Limits.http2QueuedBytesPerLoopMax
        client.listener.http2.queuedBytes += others
        let origin = try client.door.addOrigin()
        let short = try client.ask()
        try client.exchange()
        _ = try origin.heard()
        // Beyond the connection's window, so it waits; its queue is short at first.
        let piece = String(repeating: "y", count: 40_000)
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + piece)
        try client.exchange()
        #expect(client[short].resetCode == nil)
        for _ in 0..<9 where client[short].resetCode == nil {
            try origin.say(piece)
            try client.exchange()
        }
        #expect(client[short].resetCode == .enhanceYourCalm)
        #expect(client[streams[0]].resetCode == nil)
        #expect(client.listener.http2.queuedBytes == others + 80_000 - 65_535)
    }

    @Test("a client that has ended its half cannot open a window any more: what it did not take is cut")
    func goneInTheClear() throws {
        let (client, streams) = try waiting(1) { _ in }
        defer { client.finish() }
        client.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        try client.tick(milliseconds: 1_500)
        #expect(client[streams[0]].resetCode == .cancel)
        #expect(!client.channel.isActive)
    }
}

@Suite("HTTP2Connection: its end")
struct HTTP2EndTests {
    @Test("a connection without requests is told to go when its time is over")
    func idle() throws {
        let client = try HTTP2Door {
            $0.timeouts.idle = 1_000; $0.timeouts.header = 1_000
        }
        defer { client.finish() }
        try client.exchange()
        try client.tick(milliseconds: 1_500)
        #expect(client.goAways.map(\.code) == [.noError])
        #expect(client.watch.outputEnded)
    }

    @Test("drained: warned first, then named the last stream; what is under way ends well (RFC 9113, 6.8)")
    func drain() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        let origin = try client.door.addOrigin()
        let stream = try client.ask()
        try client.exchange()
        _ = try origin.heard()
        client.door.loop.isDraining = true
        client.door.loop.deadlines.drainAll()
        try client.exchange()
        #expect(client.goAways.map(\.lastID) == [0x7fff_ffff])
        try client.tick(milliseconds: 1_500)
        #expect(client.goAways.map(\.lastID) == [0x7fff_ffff, 1])
        #expect(!client.watch.outputEnded)
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        try client.exchange()
        #expect(client[stream].body == "ok")
        #expect(client.watch.outputEnded)
    }

    @Test("who resets what it asks for, again and again, is told to calm down, and counted")
    func rapidReset() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        for _ in 0..<600 where client.goAways.isEmpty {
            guard let stream = try? client.ask() else { break }
            client.reset(stream)
            try client.exchange()
        }
        #expect(client.goAways.last?.code == .enhanceYourCalm)
        #expect(client.watch.outputEnded)
        let counts = client.door.loop.metrics.snapshot()
        #expect(counts[.http2AbuseRapidReset] == 1)
    }

    @Test(
        "bytes that are no frames end the connection with PROTOCOL_ERROR or FRAME_SIZE_ERROR, and nothing else happens")
    func garbage() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        try client.exchange()
        client.say(Array(repeating: 0xff, count: 100))
        try client.exchange()
        #expect(client.goAways.last?.code == .frameSizeError)
        #expect(client.watch.outputEnded)
        #expect(client.door.loop.metrics.snapshot()[.http2ProtocolErrors] == 1)
    }
}

@Suite("HTTP2Connection: asked and taken back in one breath")
struct HTTP2BreathTests {
    @Test("a request that is reset in the read that brings it never reaches the origin")
    func neverBegun() throws {
        let client = try HTTP2Door()
        defer { client.finish() }
        let origin = try client.door.addOrigin()
        for _ in 0..<50 { client.reset(try client.ask()) }
        let last = try client.ask()
        try client.exchange()
        #expect(statuses(try origin.heard()).isEmpty)
        #expect(client.connection.streamCount == 1)
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        try client.exchange()
        #expect(client[last].body == "ok")
        #expect(client.door.loop.metrics.snapshot()[.requestsReceived] == 1)
    }
}
