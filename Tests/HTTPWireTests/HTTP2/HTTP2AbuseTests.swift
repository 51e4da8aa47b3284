// What can be done too much of (RFC 9113, section 10.5): each kind by a peer that does it, and by an honest one that does
// as much of it as honest ones do.

import HTTPWire
import Limits
import Testing

private typealias F = Frames

/// One way to be a burden, and its honest likeness.
struct AbuseRow: Sendable, CustomTestStringConvertible {
    var abuse: HTTP2Abuse
    var words: String
    var bounds: HTTP2Bounds?
    var settings: [(UInt16, UInt32)] = []
    var play: @Sendable (HTTP2Peer) -> Void

    init(_ abuse: HTTP2Abuse, _ words: String, play: @escaping @Sendable (HTTP2Peer) -> Void) {
        self.abuse = abuse
        self.words = words
        self.play = play
    }

    var testDescription: String { "\(abuse.label): \(words)" }

    func bounds(_ change: (inout HTTP2Bounds) -> Void) -> AbuseRow {
        var copy = self
        var bounds = HTTP2Bounds()
        change(&bounds)
        copy.bounds = bounds
        return copy
    }

    func settings(_ entries: (UInt16, UInt32)...) -> AbuseRow {
        var copy = self
        copy.settings = entries
        return copy
    }
}

extension HTTP2Peer {
    /// As often as it takes until the connection fails, at most so often.
    func until(_ most: Int, _ body: (Int) -> Void) {
        for count in 0..<most where !session.hasFailed { body(count) }
    }

    func pass(seconds: UInt64) { now += seconds * 1_000_000_000 }
}

/// The identifier of a client's stream by its number.
private func id(_ number: Int) -> UInt32 { UInt32(2 * number + 1) }

enum AbuseRows {
    private typealias R = AbuseRow

    static let attacks: [AbuseRow] = streams + frames + sizes

    private static let streams: [AbuseRow] = [
        R(.rapidReset, "requests cancelled at once (CVE-2023-44487)") { peer in
            peer.until(600) { peer.receive(F.get(id($0)), F.reset(id($0))) }
        },
        R(.rapidReset, "spread over seconds") { peer in
            peer.until(5000) { count in
                peer.receive(F.get(id(count)), F.reset(id(count)))
                if count % 100 == 0 { peer.pass(seconds: 1) }
            }
        },
        R(.rapidReset, "with one answered in between now and then") { peer in
            peer.until(2000) { count in
                peer.receive(F.get(id(count)))
                if count % 4 == 0 { peer.answer(id(count)) } else { peer.receive(F.reset(id(count))) }
            }
        },
        R(.serverReset, "windows that make us reset (CVE-2025-8671)") { peer in
            peer.until(400) { peer.receive(F.get(id($0)), F.windowUpdate(id($0), 0)) }
        },
        R(.serverReset, "windows that overflow") { peer in
            peer.until(400) { peer.receive(F.get(id($0)), F.windowUpdate(id($0), 0x7FFF_FFFF)) }
        },
        R(.serverReset, "DATA behind the end") { peer in
            peer.until(400) { peer.receive(F.get(id($0)), F.data(id($0), 1)) }
        },
        R(.serverReset, "malformed requests") { peer in
            peer.until(400) { peer.receive(F.headers(id($0), F.request([":path": nil]))) }
        },
        R(.serverReset, "PRIORITY of a wrong length") { peer in
            peer.until(400) { peer.receive(F.get(id($0)), F.priority(id($0), count: 4)) }
        },
        R(.streamFlood, "streams beyond the limit") { peer in peer.until(2000) { peer.receive(F.get(id($0))) } },
        R(.streamFlood, "requests behind a final GOAWAY") { peer in
            peer.receive(F.get(1))
            peer.session.goAway(.noError, isFinal: true)
            peer.until(2000) { peer.receive(F.get(id($0 + 1))) }
        },
        R(.priorityFlood, "PRIORITY (CVE-2019-9513)") { peer in peer.until(2000) { peer.receive(F.priority(id($0))) } },
        R(.priorityFlood, "PRIORITY_UPDATE") { peer in
            peer.until(2000) { peer.receive(F.priorityUpdate(id($0), "u=\($0 % 8)")) }
        },
    ]

    private static let frames: [AbuseRow] = [
        R(.settingsFlood, "SETTINGS (CVE-2019-9515)") { peer in peer.until(500) { _ in peer.receive(F.settings()) } },
        R(.settingsFlood, "SETTINGS with as many entries as fit") { peer in
            peer.until(10) { _ in peer.receive(F.settings([(UInt16, UInt32)](repeating: (4, 5), count: 2700))) }
        },
        R(.settingsFlood, "acknowledgments of nothing") { peer in
            peer.until(500) { _ in peer.receive(F.settingsAck) }
        },
        R(.pingFlood, "PING (CVE-2019-9512)") { peer in peer.until(1000) { _ in peer.receive(F.ping()) } },
        R(.pingFlood, "answers to no PING") { peer in peer.until(1000) { _ in peer.receive(F.ping(isAck: true)) } },
        R(.windowUpdateFlood, "WINDOW_UPDATE of the connection") { peer in
            peer.until(5000) { _ in peer.receive(F.windowUpdate(0, 1)) }
        },
        R(.windowUpdateFlood, "WINDOW_UPDATE of a stream") { peer in
            peer.receive(F.get(1))
            peer.until(5000) { _ in peer.receive(F.windowUpdate(1, 1)) }
        },
        R(.windowUpdateFlood, "WINDOW_UPDATE of streams that are over") { peer in
            peer.receive(F.get(1))
            peer.answer(1)
            peer.until(5000) { _ in peer.receive(F.windowUpdate(1, 1)) }
        },
        R(.emptyFrames, "DATA without data (CVE-2019-9518)") { peer in
            peer.receive(F.post(1))
            peer.until(1000) { _ in peer.receive(F.data(1, 0)) }
        },
        R(.emptyFrames, "DATA of padding alone") { peer in
            peer.receive(F.post(1))
            peer.until(1000) { _ in peer.receive(F.data(1, 0, padding: 200)) }
        },
        R(.emptyFrames, "DATA without data of a request that is refused") { peer in
            peer.receive(F.post(1, [("expect", "no")]))
            peer.until(1000) { _ in peer.receive(F.data(1, 0)) }
        },
        R(.emptyFrames, "DATA without data of a stream that we have cut off") { peer in
            peer.receive(F.post(1))
            peer.reset(1)
            peer.until(1000) { _ in peer.receive(F.data(1, 0)) }
        },
        R(.emptyFrames, "one end after the other of a stream that we have cut off") { peer in
            peer.receive(F.post(1))
            peer.reset(1)
            peer.until(1000) { _ in peer.receive(F.data(1, 0, ends: true)) }
        },
        R(.emptyFrames, "HEADERS without fields or end") { peer in
            peer.until(1000) { peer.receive(F.headers(id($0), [], ends: false)) }
        },
        R(.unknownFrames, "frames of no known type") { peer in
            peer.until(1000) { _ in peer.receive(F.frame(0xBB, 0, 0, [])) }
        },
        R(.unknownFrames, "GOAWAY again and again") { peer in peer.until(1000) { _ in peer.receive(F.goAway(0)) } },
        R(.controlBacklog, "answers that are never taken") { peer in
            var bytes = F.post(1)
            for _ in 0..<4000 { bytes += F.data(1, 1) + F.ping() }
            peer.receive(bytes)
        },
    ]

    private static let sizes: [AbuseRow] = [
        R(.continuationFlood, "CONTINUATION without end (CVE-2024-27316)") { peer in
            peer.receive(F.headers(1, F.request(), endsBlock: false))
            peer.until(1000) { _ in peer.receive(F.continuation(1, F.block([("x", "y")]), endsBlock: false)) }
        },
        R(.continuationFlood, "CONTINUATION without content") { peer in
            peer.receive(F.headers(1, F.request(), endsBlock: false))
            peer.until(100) { _ in peer.receive(F.continuation(1, [], endsBlock: false)) }
        },
        R(.continuationFlood, "large ones") { peer in
            peer.receive(F.headers(1, F.request(), endsBlock: false))
            let block = F.block([("x", String(repeating: "y", count: 16_000))])
            peer.until(100) { _ in peer.receive(F.continuation(1, block, endsBlock: false)) }
        },
        R(.hpackBomb, "few bytes for a large list (CVE-2016-6581)") { peer in
            let entry = [0x40] + F.text("x") + F.text(String(repeating: "y", count: 4000))
            peer.receive(F.headers(1, F.request() + entry + [UInt8](repeating: 0xBE, count: 4000)))
        },
        R(.hpackBomb, "heads beyond the bound, again and again") { peer in
            peer.receive(F.headers(1, F.request() + [0x40] + F.text("x") + F.text(String(repeating: "y", count: 4000))))
            peer.until(400) { count in
                peer.receive(F.headers(id(count + 1), F.request() + [UInt8](repeating: 0xBE, count: 20)))
                peer.head(id(count + 1), status: 431, ends: true)
            }
        },
        R(.tinyWindow, "a window that is opened byte by byte (CVE-2019-9511)") { peer in
            peer.receive(F.get(1))
            peer.answer(1, 100_000)
            peer.until(2000) { _ in
                peer.receive(F.windowUpdate(1, 1))
                peer.take()
            }
            peer.receive(F.ping())
        }.settings((4, 0)),
        R(.tinyWindow, "many streams with a window of one byte") { peer in
            peer.until(2000) { count in
                peer.receive(F.get(id(count)))
                peer.answer(id(count), 1000)
                peer.receive(F.reset(id(count)))
                peer.pass(seconds: 0)
            }
        }.settings((4, 1)),
    ]

    // MARK: Honest

    static let honest: [AbuseRow] = honestStreams + honestFrames + honestSizes

    private static let honestStreams: [AbuseRow] = [
        R(.rapidReset, "a browser that leaves a page of 100 images, twice") { peer in
            for number in 0..<200 {
                peer.receive(F.get(id(number)))
                if number % 100 == 99 { for old in number - 99...number { peer.receive(F.reset(id(old))) } }
            }
        },
        R(.rapidReset, "a client that asks twice and cancels the slower one, for ever") { peer in
            for number in 0..<3000 {
                peer.receive(F.get(id(2 * number)), F.get(id(2 * number + 1)))
                peer.answer(id(2 * number), 10)
                peer.receive(F.reset(id(2 * number + 1)))
            }
        },
        R(.serverReset, "a client with a faulty request now and then") { peer in
            for number in 0..<100 {
                peer.receive(F.headers(id(2 * number), F.request([":path": nil])), F.get(id(2 * number + 1)))
                peer.answer(id(2 * number + 1))
            }
        },
        R(.streamFlood, "a client that does not know the limit yet") { peer in
            for number in 0..<400 { peer.receive(F.get(id(number))) }
        },
        R(.priorityFlood, "a browser that says how urgent each image is, and says so again") { peer in
            for number in 0..<2000 {
                peer.receive(
                    F.priorityUpdate(id(number), "u=5"), F.get(id(number)), F.priorityUpdate(id(number), "u=2, i"))
                peer.answer(id(number), 10)
            }
        },
    ]

    private static let honestFrames: [AbuseRow] = [
        R(.settingsFlood, "a client whose windows grow with the way's width") { peer in
            for power in 10..<30 { peer.receive(F.settings([(4, 1 << UInt32(power))])) }
        },
        R(.pingFlood, "a client that measures the way while a body comes") { peer in
            peer.receive(F.post(1))
            for _ in 0..<5000 { peer.receive(F.data(1, 100), F.ping()) }
        },
        R(.pingFlood, "one that asks each second whether we live") { peer in
            for _ in 0..<5000 {
                peer.receive(F.ping())
                peer.pass(seconds: 1)
            }
        },
        R(.windowUpdateFlood, "a client that says of each frame that it took it, twice") { peer in
            peer.receive(F.get(1))
            peer.head(1)
            for _ in 0..<5000 {
                peer.offer(1, 1000)
                for grant in peer.take() {
                    peer.receive(F.windowUpdate(1, UInt32(grant.count)), F.windowUpdate(0, UInt32(grant.count)))
                }
            }
        },
        R(.windowUpdateFlood, "a client with wide windows that takes all of a body before it says so, frame by frame") {
            peer in
            peer.receive(F.get(1), F.windowUpdate(0, 1 << 30))
            peer.head(1)
            peer.offer(1, 2000 * 600, ends: true)
            peer.take(room: 600)
            for _ in 0..<2000 { peer.receive(F.windowUpdate(1, 600), F.windowUpdate(0, 600)) }
        }.settings((4, 1 << 30)),
        R(.emptyFrames, "requests whose bodies end in an empty frame") { peer in
            for number in 0..<3000 {
                peer.receive(F.post(id(number)), F.data(id(number), 5), F.data(id(number), 0, ends: true))
                peer.answer(id(number), 5)
            }
        },
        R(.emptyFrames, "bodies whose ends are on their way when the answer cuts them off") { peer in
            for number in 0..<3000 {
                peer.receive(F.post(id(number)), F.data(id(number), 5))
                peer.head(id(number), status: 413, ends: true)
                peer.reset(id(number), .noError)
                peer.receive(F.data(id(number), 0, ends: true))
            }
        },
        R(.unknownFrames, "a client that greases") { peer in
            for number in 0..<1000 {
                peer.receive(F.frame(0x0B + 31 * UInt8(number % 5), 0, 0, [1, 2]), F.get(id(number)))
                peer.answer(id(number))
                if number % 100 == 99 { peer.pass(seconds: 13) }
            }
        },
        R(.controlBacklog, "1,000 pings between frames, each answer taken") { peer in
            peer.receive(F.post(1))
            for _ in 0..<1000 { peer.receive(F.data(1, 1), F.ping()) }
        },
    ]

    private static let honestSizes: [AbuseRow] = [
        R(.continuationFlood, "a large head in frames of 1 KiB") { peer in
            let block = F.request([:], (0..<7).map { ("x\($0)", String(repeating: "y", count: 8000)) })
            var bytes = F.headers(1, [], endsBlock: false)
            for start in stride(from: 0, to: block.count, by: 1024) {
                let end = min(start + 1024, block.count)
                bytes += F.continuation(1, Array(block[start..<end]), endsBlock: end == block.count)
            }
            peer.receive(bytes)
        },
        R(.hpackBomb, "a page of 100 requests with too many cookies") { peer in
            for number in 0..<100 {
                peer.receive(F.get(id(number), [("cookie", String(repeating: "y", count: 9000))]))
                peer.head(id(number), status: 431, ends: true)
            }
        }.bounds { $0.headBytesMax = 8192 },
        R(.tinyWindow, "a client with small windows that reads slowly") { peer in
            peer.receive(F.get(1))
            peer.answer(1, 1_000_000)
            for _ in 0..<1000 {
                peer.receive(F.windowUpdate(1, 600), F.windowUpdate(0, 600))
                peer.take()
            }
        }.settings((4, 1000)),
        R(.tinyWindow, "many small answers") { peer in
            for number in 0..<3000 {
                peer.receive(F.get(id(number)), F.windowUpdate(0, 20))
                peer.answer(id(number), 20)
            }
        },
    ]
}

@Suite("Abuse of HTTP/2")
struct HTTP2AbuseTests {
    @Test("ends the connection", arguments: AbuseRows.attacks)
    func attack(_ row: AbuseRow) {
        let peer = HTTP2Peer(.server, row.bounds, settings: row.settings)
        row.play(peer)
        #expect(peer.fault?.abuse == row.abuse, "\(peer.fault.map { "\($0)" } ?? "no failure"), \(peer.said.suffix(3))")
        #expect(peer.fault?.code == .enhanceYourCalm)
        #expect(peer.sent.last?.hasSuffix("ENHANCE_YOUR_CALM") == true)
        #expect(peer.violations.isEmpty)
    }

    @Test("is not what honest clients do", arguments: AbuseRows.honest)
    func honest(_ row: AbuseRow) {
        let peer = HTTP2Peer(.server, row.bounds, settings: row.settings)
        row.play(peer)
        #expect(peer.fault == nil, "\(peer.fault.map { "\($0)" } ?? "")")
        #expect(peer.answersPing)
        #expect(peer.violations.isEmpty)
    }

    @Test("each kind has an attack and an honest likeness")
    func complete() {
        #expect(Set(AbuseRows.attacks.map(\.abuse)) == Set(HTTP2Abuse.allCases))
        #expect(Set(AbuseRows.honest.map(\.abuse)) == Set(HTTP2Abuse.allCases))
    }

    @Test("each kind has a name of its own")
    func labels() {
        #expect(Set(HTTP2Abuse.allCases.map { "\($0.label)" }).count == HTTP2Abuse.allCases.count)
    }

    @Test("one connection's failure is no other's, in the same arena")
    func neighbour() {
        let bad = HTTP2Peer(.server)
        let good = HTTP2Peer(.server)
        bad.until(1000) { number in
            bad.receive(F.get(id(number)), F.reset(id(number)))
            good.receive(F.get(id(number)))
            good.answer(id(number), 100)
        }
        #expect(bad.fault?.abuse == .rapidReset)
        #expect(good.fault == nil)
        #expect(good.openStreams == 0)
    }

    @Test("an origin may cut off each request that it has answered")
    func originResets() {
        let peer = HTTP2Peer(.client)
        for _ in 0..<3000 {
            guard let stream = peer.ask(.post, ends: false) else { break }
            peer.receive(F.ok(stream, ends: true), F.reset(stream, 0))
        }
        #expect(peer.fault == nil)
        #expect(peer.said.count == 6000)
    }
}
