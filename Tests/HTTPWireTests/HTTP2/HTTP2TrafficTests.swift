// Sessions against each other: whatever the sizes, windows, pieces and orders, each message arrives once and whole.

import HTTPWire
import Testing

private typealias F = Frames

@Suite("HTTP/2 traffic")
struct HTTP2TrafficTests {
    @Test("a client's and a server's session deliver everything exactly once", arguments: 0..<32)
    func delivery(_ seed: Int) {
        var traffic = Traffic(seed: UInt64(seed) &* 7919, requests: 40, cuts: false)
        let found = traffic.run()
        #expect(found.isEmpty, "\(found.prefix(5))")
        #expect(traffic.client.streams.count >= 40)
    }

    @Test("streams that are cut off harm no others", arguments: 0..<32)
    func cuts(_ seed: Int) {
        var traffic = Traffic(seed: UInt64(seed) &* 104_729, requests: 100, cuts: true)
        let found = traffic.run()
        #expect(found.isEmpty, "\(found.prefix(5))")
        #expect(traffic.client.streams.values.contains { $0.isCut })
    }

    /// So much DATA is dealt with in the usual way that the next bytes, all of which come to nothing, are the last of
    /// half a window: only if each of them is given back does the peer hear of more.
    @Test("no way of throwing DATA away loses a byte of credit", arguments: LostData.allCases)
    func credit(_ way: LostData) {
        var bounds = HTTP2Bounds()
        bounds.connectionWindowBytes = 65_536
        let peer = HTTP2Peer(.server, bounds)
        peer.receive(F.post(1))
        way.prepare(peer)
        let count = 100
        let usual = 32_768 - count * way.flowBytes
        peer.receive(F.data(1, 16_384), F.data(1, usual - 16_384))
        peer.forget()
        way.play(peer, (0..<count - 1).map { UInt32(2 * $0 + 5) })
        #expect(!peer.sent.contains { $0.hasPrefix("WINDOW_UPDATE 0 ") })
        way.play(peer, [UInt32(2 * count + 3)])
        #expect(peer.sent.contains("WINDOW_UPDATE 0 32768"), "\(peer.sent.suffix(3))")
        #expect(peer.fault == nil)
        #expect(peer.violations.isEmpty)
    }
}

/// How DATA may come to nothing.
enum LostData: CaseIterable, Sendable {
    case padding, paddingAlone, closedByUs, resetWithinFrame, behindEnd, beyondLength, refusedHead, aboveGoAway

    /// What one frame takes from the windows.
    var flowBytes: Int {
        switch self {
        case .padding: 3
        case .resetWithinFrame: 4
        default: 1
        }
    }

    func prepare(_ peer: HTTP2Peer) {
        switch self {
        case .closedByUs:
            peer.receive(F.post(3))
            peer.reset(3)
        case .refusedHead:
            peer.receive(F.post(3, [("expect", "no")]))
        case .aboveGoAway:
            peer.session.goAway(.noError, isFinal: true)
            peer.receive(F.post(3))
        default: break
        }
    }

    /// One frame for each of `ids`.
    func play(_ peer: HTTP2Peer, _ ids: [UInt32]) {
        switch self {
        case .padding: peer.receive(ids.flatMap { _ in F.data(1, 1, padding: 1) })
        case .paddingAlone: peer.receive(ids.flatMap { _ in F.data(1, 0, padding: 0) })
        case .closedByUs, .refusedHead, .aboveGoAway: peer.receive(ids.flatMap { _ in F.data(3, 1) })
        case .behindEnd: peer.receive(ids.flatMap { F.get($0) + F.data($0, 1) })
        case .beyondLength: peer.receive(ids.flatMap { F.post($0, [("content-length", "0")]) + F.data($0, 1) })
        case .resetWithinFrame:
            for id in ids {
                let frame = F.data(id, 2, padding: 1)
                peer.receive(F.post(id), Array(frame.dropLast(2)))
                peer.reset(id)
                peer.receive(Array(frame.suffix(2)))
            }
        }
    }
}
