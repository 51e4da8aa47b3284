// HTTP/2 to a small origin over real sockets, from several event loops at once: in the clear, and as ALPN has it.

import ConfigModel
import Exchange
import Limits
import Logging
import NIOCore
import Telemetry
import Testing

@testable import Origin

@Suite("HTTP/2 to origins: over sockets", .serialized, .timeLimit(.minutes(5)))
struct HTTP2SocketTests {
    private func ask(_ site: Site, count: Int, _ bytes: Int) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<count {
                group.addTask {
                    let answer = try await site.ask("\(bytes + index)", on: index % site.loops.count)
                    let byte = UInt8(truncatingIfNeeded: bytes + index)
                    #expect(answer == ByteBuffer(repeating: byte, count: bytes + index))
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("all loops share one connection, from the first request on")
    func oneConnection() async throws {
        let site = try await Site(loopCount: 4)
        for _ in 0..<3 { try await ask(site, count: 90, 1_000) }
        #expect(site.accepted == 1)
        #expect(site.server.openConnections == 1)
        try await site.end()
    }

    @Test("where streams run out, as many connections are made as the pool allows, and everybody is served")
    func fewStreams() async throws {
        var pool = Zone.Pool()
        pool.connections = 3
        pool.wait = 60_000
        let site = try await Site(loopCount: 3, .init(streamsMax: 2), pool: pool)
        for _ in 0..<5 { try await ask(site, count: 100, 5_000) }
        #expect((1...3).contains(site.accepted))
        try await site.end()
    }

    @Test("large bodies come over between loops, paused and gone on with again and again", arguments: [false, true])
    func largeResponses(pauses: Bool) async throws {
        let site = try await Site(loopCount: 3)
        try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<6 {
                group.addTask { try await site.ask("3000000", on: index % 3, pauses: pauses).readableBytes }
            }
            for try await count in group { #expect(count == 3_000_000) }
        }
        #expect(site.accepted == 1)
        try await site.end()
    }

    @Test("large request bodies go over between loops under the origin's windows")
    func largeRequests() async throws {
        let site = try await Site(loopCount: 3)
        let body = ByteBuffer(repeating: 5, count: 2_000_000)
        try await withThrowingTaskGroup(of: String.self) { group in
            for index in 0..<6 {
                group.addTask { String(buffer: try await site.ask("x", on: index % 3, body: body)) }
            }
            for try await text in group { #expect(text == "2000000") }
        }
        try await site.end()
    }

    @Test("an origin that refuses connections is that for everybody who asks at once")
    func refused() async throws {
        let site = try await Site(loopCount: 3)
        try await site.stopListening()
        await withTaskGroup(of: Failure?.self) { group in
            for index in 0..<60 {
                group.addTask {
                    do {
                        _ = try await site.ask("1", on: index % 3)
                        return nil
                    } catch { return error as? Failure }
                }
            }
            for await failure in group { #expect(failure == .originRefused) }
        }
        try await site.end()
    }

    @Test("a health check speaks HTTP/2 where requests do", arguments: [true, false], [true, false])
    func health(isWell: Bool, isSecure: Bool) async throws {
        var health = Origin.Health()
        health.every = 20
        health.timeout = 10_000
        health.healthyAfter = 1
        health.unhealthyAfter = 1
        health.path = "/3"
        if !isWell { health.expectStatus = 300...399 }
        let site = try await Site(
            loopCount: 1, isSecure ? .init(protocols: ["h2"]) : .init(), use: isSecure ? .auto : .on)
        let checker = HealthChecker(
            server: site.server, check: health, loop: site.loops[0], log: Logger(label: "test"))
        checker.start()
        let loop = site.loops[0]
        let counter: Counter = isWell ? .originHealthChecksOK : .originHealthChecksFailed
        // As long as it takes: no clock decides.
        while try await loop.eventLoop.submit({ loop.metrics.snapshot()[counter] }).get() < 3 { await Task.yield() }
        let (ok, failed) = try await loop.eventLoop.submit {
            let counts = loop.metrics.snapshot()
            return (counts[Counter.originHealthChecksOK], counts[Counter.originHealthChecksFailed])
        }.get()
        #expect(isWell ? failed == 0 : ok == 0)
        #expect(site.server.health.isUp == isWell)
        checker.stop()
        try await site.end()
    }
}

@Suite("HTTP/2 to origins: what ALPN agrees on", .serialized, .timeLimit(.minutes(5)))
struct HTTP2NegotiationTests {
    private func ask(_ site: Site, count: Int) async throws {
        try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<count {
                group.addTask { try await site.ask("777", on: index % site.loops.count).readableBytes }
            }
            for try await bytes in group { #expect(bytes == 777) }
        }
    }

    private func failure(_ site: Site, mayUpgrade: Bool = false) async -> Failure? {
        do {
            _ = try await site.ask("1", on: 0, mayUpgrade: mayUpgrade)
            return nil
        } catch { return error as? Failure }
    }

    @Test("an origin that knows HTTP/2 gets all requests over one connection", arguments: [Origin.HTTP2Use.auto, .on])
    func http2(use: Origin.HTTP2Use) async throws {
        let site = try await Site(loopCount: 3, .init(protocols: ["h2", "http/1.1"]), use: use)
        for _ in 0..<2 { try await ask(site, count: 60) }
        #expect(site.accepted == 1)
        #expect(site.acceptedHTTP2 == 1)
        try await site.end()
    }

    @Test("an origin that knows only HTTP/1.1 gets that, and those who waited a connection each")
    func http1() async throws {
        let site = try await Site(loopCount: 3, .init(protocols: ["http/1.1"]), use: .auto)
        // None of them is answered before all have a connection.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<Site.Counts.heldTogether {
                group.addTask { _ = try await site.ask("held", on: index % 3) }
            }
            try await group.waitForAll()
        }
        for _ in 0..<3 { try await ask(site, count: 60) }
        #expect(site.acceptedHTTP2 == 0)
        #expect(site.accepted > 1)
        #expect(site.server.usesHTTP1(site.server.offer(mayUpgrade: false)))
        try await site.end()
    }

    @Test("with http2: off it is not offered")
    func off() async throws {
        let site = try await Site(loopCount: 1, .init(protocols: ["h2", "http/1.1"]), use: .off)
        try await ask(site, count: 10)
        #expect(site.acceptedHTTP2 == 0)
        try await site.end()
    }

    @Test("with http2: on an origin without it fails, for all who wait")
    func notKnown() async throws {
        let site = try await Site(loopCount: 2, .init(protocols: ["http/1.1"]), use: .on)
        await withTaskGroup(of: Failure?.self) { group in
            for _ in 0..<20 { group.addTask { await failure(site) } }
            for await failure in group { #expect(failure == .originHandshake) }
        }
        try await site.end()
    }

    @Test("a request that may switch protocols gets HTTP/1.1, beside HTTP/2 for the others")
    func upgrade() async throws {
        let site = try await Site(loopCount: 2, .init(protocols: ["h2", "http/1.1"]), use: .auto)
        try await ask(site, count: 20)
        for index in 0..<4 {
            let answer = try await site.ask("x", on: index % 2, mayUpgrade: true)
            #expect(String(buffer: answer) == "switched")
        }
        try await ask(site, count: 20)
        #expect(site.acceptedHTTP2 == 1)
        #expect(site.accepted == 5)
        try await site.end()
    }

    @Test("HTTP_1_1_REQUIRED hands the request back, and from then on HTTP/1.1 is spoken (RFC 9113, section 7)")
    func http1Required() async throws {
        let site = try await Site(
            loopCount: 1, .init(protocols: ["h2", "http/1.1"], requiresHTTP1: true), use: .auto)
        #expect(await failure(site) == .originRefusedStream)
        try await ask(site, count: 10)
        #expect(site.acceptedHTTP2 == 1)
        try await site.end()
    }
}
