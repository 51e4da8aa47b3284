// Sessions against each other: whatever the sizes, windows, pieces and orders, each message arrives once and whole.

import HTTPWire
import Testing

@Suite("HTTP/2 traffic")
struct HTTP2TrafficTests {
    @Test("a client's and a server's session deliver everything exactly once", arguments: 0..<16)
    func delivery(_ seed: Int) {
        var traffic = Traffic(seed: UInt64(seed) &* 7919, requests: 40, cuts: false)
        let found = traffic.run()
        #expect(found.isEmpty, "\(found.prefix(5))")
        #expect(traffic.client.streams.count >= 40)
    }

    @Test("streams that are cut off harm no others", arguments: 0..<16)
    func cuts(_ seed: Int) {
        var traffic = Traffic(seed: UInt64(seed) &* 104_729, requests: 60, cuts: true)
        let found = traffic.run()
        #expect(found.isEmpty, "\(found.prefix(5))")
    }

    /// Ways in which DATA never reaches the shell, or only a part of it does. Each is taken with few bytes and so often
    /// that a single byte lost each time would shut the connection's window.
    @Test("no way of throwing DATA away loses credit", arguments: LostData.allCases)
    func credit(_ way: LostData) {
        var bounds = HTTP2Bounds()
        bounds.connectionWindowBytes = 65_535
        let peer = HTTP2Peer(.server, bounds)
        peer.receive(Frames.post(1))
        way.prepare(peer)
        for round in 0..<670 {
            way.play(peer, (0..<100).map { UInt32(2 * (100 * round + $0) + 5) })
            peer.pass(seconds: 60)
            peer.forget()
        }
        peer.receive(Frames.data(1, 16_384), Frames.data(1, 16_384))
        #expect(peer.said == ["data 1 32768"])
        #expect(peer.fault == nil)
        #expect(peer.violations.isEmpty)
    }
}

/// How DATA may come to nothing.
enum LostData: CaseIterable, Sendable {
    case padding, paddingAlone, closedByUs, resetWithinFrame, behindEnd, beyondLength, refusedHead, aboveGoAway

    func prepare(_ peer: HTTP2Peer) {
        switch self {
        case .closedByUs:
            peer.receive(Frames.post(3))
            peer.reset(3)
        case .refusedHead:
            peer.receive(Frames.post(3, [("expect", "no")]))
        case .aboveGoAway:
            peer.session.goAway(.noError, isFinal: true)
            peer.receive(Frames.post(3))
        default: break
        }
    }

    func play(_ peer: HTTP2Peer, _ ids: [UInt32]) {
        switch self {
        case .padding: peer.receive(ids.flatMap { _ in Frames.data(1, 1, padding: 1) })
        case .paddingAlone: peer.receive(ids.flatMap { _ in Frames.data(1, 0, padding: 0) })
        case .closedByUs, .refusedHead, .aboveGoAway: peer.receive(ids.flatMap { _ in Frames.data(3, 1) })
        case .behindEnd: peer.receive(ids.flatMap { Frames.get($0) + Frames.data($0, 1) })
        case .beyondLength:
            peer.receive(ids.flatMap { Frames.post($0, [("content-length", "0")]) + Frames.data($0, 1) })
        case .resetWithinFrame:
            for id in ids {
                let frame = Frames.data(id, 2, padding: 1)
                peer.receive(Frames.post(id), Array(frame.dropLast(2)))
                peer.reset(id)
                peer.receive(Array(frame.suffix(2)))
            }
        }
    }
}
