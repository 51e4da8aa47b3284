// How long a client may take. Time is `tick()`.

import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import NIOEmbedded
import Telemetry
import Testing

@testable import Listener

private let get = "GET / HTTP/1.1\r\nHost: h.test\r\n\r\n"
private let page = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

@Suite("HTTP1Connection: time")
struct TimeTests {
    /// Timeouts apart enough that each shows which one passed.
    private func door() throws -> Door {
        try Door { configuration in
            configuration.timeouts.header = 1_000
            configuration.timeouts.body = 3_000
            configuration.timeouts.write = 8_000
            configuration.timeouts.idle = 20_000
            configuration.timeouts.tunnel = 40_000
        }
    }

    @Test("who says nothing is closed without a word")
    func silent() throws {
        let door = try door()
        defer { door.finish() }
        door.tick(milliseconds: 1_000)
        #expect(door.client.isActive)
        door.tick(milliseconds: 300)
        #expect(!door.client.isActive)
        #expect(try door.client.heard() == "")
    }

    @Test("a head that does not end is answered 408, however steadily it trickles")
    func trickle() throws {
        let door = try door()
        defer { door.finish() }
        try door.client.say("GET / HTTP/1.1\r\nHost: h.test\r\n")
        for _ in 0..<20 where !door.watch.outputEnded {
            try door.client.say("a: b\r\n")
            door.tick(milliseconds: 100)
        }
        let heard = try #require(Heard(try door.client.heard()))
        #expect(heard.status == 408)
        #expect(heard.fields["connection"] == "close")
        #expect(door.watch.outputEnded)
    }

    @Test("between requests it is the idle timeout that counts")
    func idle() throws {
        let door = try door()
        defer { door.finish() }
        try door.client.say(page)
        #expect(statuses(try door.client.heard()) == [421])
        door.tick(milliseconds: 20_000)
        #expect(door.client.isActive)
        door.tick(milliseconds: 300)
        #expect(!door.client.isActive)
        #expect(try door.client.heard() == "")
    }

    @Test("the next request's head has its own time")
    func secondHead() throws {
        let door = try door()
        defer { door.finish() }
        try door.client.say(page)
        _ = try door.client.heard()
        door.tick(milliseconds: 5_000)
        try door.client.say("GET /")
        door.tick(milliseconds: 1_300)
        #expect(statuses(try door.client.heard()) == [408])
    }

    @Test("while an origin works on the answer nothing here is late")
    func waiting() throws {
        let door = try door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say(get)
        door.tick(milliseconds: 60_000)
        try origin.say("HTTP/1.1 204 No Content\r\n\r\n")
        #expect(statuses(try door.client.heard()) == [204])
    }

    @Test("a body that stops is answered 408", arguments: ["Content-Length: 99999", "Transfer-Encoding: chunked"])
    func bodyStops(framing: String) throws {
        let door = try door()
        defer { door.finish() }
        _ = try door.addOrigin()
        try door.client.say("POST / HTTP/1.1\r\nHost: h.test\r\n\(framing)\r\n\r\n")
        door.tick(milliseconds: 3_000)
        #expect(try door.client.heard() == "")
        door.tick(milliseconds: 300)
        #expect(statuses(try door.client.heard()) == [408])
        #expect(door.watch.outputEnded)
    }

    @Test(
        "a body slower than the rate is answered 408, one that keeps it is not",
        arguments: [(50, false), (1_000, true)])
    func bodyRate(bytesPerTick: Int, isAccepted: Bool) throws {
        let door = try Door {
            $0.timeouts.body = 3_000
            $0.limits.bodyRateBytesPerSecond = 2_000
        }
        defer { door.finish() }
        _ = try door.addOrigin()
        try door.client.say("POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 9999999\r\n\r\n")
        for _ in 0..<200 where door.client.isActive && !door.watch.outputEnded {
            try door.client.say(String(repeating: "b", count: bytesPerTick))
            door.tick(milliseconds: 100)
        }
        #expect(statuses(try door.client.heard()) == (isAccepted ? [] : [408]))
    }

    @Test("a client that takes nothing of a response is given up after the write timeout")
    func stalledReader() throws {
        let door = try door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say(get)
        door.client.isWritable = false
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\nabc")
        door.tick(milliseconds: 8_000)
        #expect(door.client.isActive)
        door.tick(milliseconds: 300)
        #expect(!door.client.isActive)
        #expect(!origin.isActive)
    }

    @Test("the write timeout also counts for the end of a response that is complete here")
    func stalledAtTheEnd() throws {
        let door = try door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say(get)
        door.client.isWritable = false
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        door.tick(milliseconds: 9_000)
        #expect(!door.client.isActive)
    }

    @Test("a connection whose last response was taken late still has its idle timeout")
    func idleBehindSlowResponse() throws {
        let door = try door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say(get)
        door.client.isWritable = false
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        door.tick(milliseconds: 2_000)
        door.setWritable(true)
        door.tick(milliseconds: 21_000)
        #expect(!door.client.isActive)
    }

    @Test("a head begun behind a response that was taken late still has its timeout")
    func headBehindSlowResponse() throws {
        let door = try door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say(get)
        door.client.isWritable = false
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        try door.client.say("GET / HT")
        door.setWritable(true)
        door.tick(milliseconds: 22_000)
        #expect(door.watch.outputEnded || !door.client.isActive)
    }

    @Test(
        "a body under way beside a response keeps its timeout when the client takes bytes again",
        arguments: ["Content-Length: 99999", "Transfer-Encoding: chunked"])
    func bodyBesidePausedResponse(framing: String) throws {
        let door = try door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say("POST / HTTP/1.1\r\nHost: h.test\r\n\(framing)\r\n\r\n")
        door.client.isWritable = false
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        door.setWritable(true)
        door.tick(milliseconds: 4_000)
        #expect(!door.client.isActive || door.watch.outputEnded)
    }

    @Test("the last response is not cut while its bytes wait for the client within the write timeout")
    func lingerCutsNothing() throws {
        let door = try door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say("GET / HTTP/1.1\r\nHost: h.test\r\nConnection: close\r\n\r\n")
        door.watch.isBlocked = true
        door.client.isWritable = false
        try origin.say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        door.tick(milliseconds: 2 * Limits.lingerMilliseconds)
        #expect(door.client.isActive)
        try door.unblock()
        #expect(Heard(try door.client.heard())?.rest == "abc")
    }

    @Test("a client that does not end its half is closed after the linger time")
    func linger() throws {
        let door = try door()
        defer { door.finish() }
        try door.client.say("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        #expect(door.watch.outputEnded)
        #expect(door.client.isActive)
        // Whatever it still sends is neither read as a request nor a reason to stay.
        try door.client.say(page)
        door.tick(milliseconds: Limits.lingerMilliseconds + 300)
        #expect(!door.client.isActive)
        #expect(statuses(try door.client.heard()) == [421])
    }

    @Test("a tunnel lives while either side says something, and ends by its own timeout")
    func tunnel() throws {
        let door = try door()
        defer { door.finish() }
        let origin = try door.addOrigin()
        try door.client.say("GET / HTTP/1.1\r\nHost: h.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        try origin.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        for round in 0..<4 {
            door.tick(milliseconds: 39_000)
            #expect(door.client.isActive)
            try round % 2 == 0 ? door.client.say("a") : origin.say("b")
        }
        door.tick(milliseconds: 41_000)
        #expect(!door.client.isActive)
        #expect(!origin.isActive)
    }

    @Test("at the end nothing is left behind: no deadline, no gauge")
    func nothingLeft() throws {
        let door = try door()
        try door.client.say(page)
        try door.client.say("GET /")
        door.finish()
        let metrics = door.loop.metrics.snapshot()
        #expect(door.loop.deadlines.count == 0)
        for gauge in [Gauge.clientConnectionsActive, .clientConnectionsIdle, .requestsActive] {
            #expect(metrics[gauge] == 0, "\(gauge)")
        }
    }
}
