// Priorities (RFC 9218): what is read, and whose turn it is.

import HTTPWire
import Limits
import Testing

private typealias F = Frames

@Suite("HTTP/2 priorities")
struct HTTP2PriorityTests {
    @Test(
        "the field",
        arguments: [
            ("", 3, false), ("u=0", 0, false), ("u=7", 7, false), ("i", 3, true), ("u=5, i", 5, true),
            ("i=?0", 3, false), ("i=?1,u=1", 1, true), ("u=2;x=y, i;a", 2, true), ("u=8", 3, false), ("u=-1", 3, false),
            ("u=1.5", 3, false), ("u", 3, false), ("i=1", 3, false), ("x=9, u=4", 4, false), ("u=1, u=6", 6, false),
            ("u=1,", 3, false), ("u=1 i", 3, false), ("U=1", 3, false), ("u=1, \"", 3, false), ("u=\"1\"", 3, false),
        ] as [(String, UInt8, Bool)])
    func field(_ text: String, _ urgency: UInt8, _ isIncremental: Bool) {
        let bytes = Array(text.utf8)
        let priority = HTTP2Priority(bytes.span, ByteRange(start: 0, count: UInt32(bytes.count)))
        #expect(priority.urgency == urgency)
        #expect(priority.isIncremental == isIncremental)
    }

    @Test("an origin's field changes what it names (RFC 9218, section 8)")
    func merged() {
        let bytes = Array("u=1".utf8)
        var priority = HTTP2Priority()
        priority.isIncremental = true
        priority.urgency = 6
        priority.update(bytes.span, ByteRange(start: 0, count: 3))
        #expect(priority.urgency == 1)
        #expect(priority.isIncremental)
    }

    /// Streams with the given priorities, each with so many frames to send; the order in which frames leave.
    private func order(_ priorities: [String], frames: Int = 4, limit: Int = .max) -> [Int] {
        let peer = HTTP2Peer(.server, settings: [(4, 1 << 30)])
        peer.receive(F.windowUpdate(0, 1 << 30))
        for (index, text) in priorities.enumerated() {
            let id = UInt32(2 * index + 1)
            peer.receive(F.get(id, text.isEmpty ? [] : [("priority", text)]))
            peer.head(id)
            peer.offer(id, frames * 16_384, ends: true)
        }
        return peer.take(limit: limit).map { Int($0.stream.id / 2) }
    }

    @Test("streams of one urgency go one after the other, in the order of their identifiers")
    func inOrder() {
        #expect(order(["", "", ""], frames: 2) == [0, 0, 1, 1, 2, 2])
    }

    @Test("incremental ones take turns")
    func byTurns() {
        #expect(order(["i", "i", "i"], frames: 2) == [0, 1, 2, 0, 1, 2])
    }

    @Test("both kinds of one urgency share it by halves")
    func halves() {
        let order = order(["", "i", "i", ""], frames: 4, limit: 8)
        #expect(order.filter { $0 == 0 }.count == 4)
        #expect(order.filter { $0 == 1 || $0 == 2 }.count == 4)
        #expect(!order.contains(3))
    }

    @Test("the more urgent go first")
    func urgent() {
        #expect(order(["u=5", "u=1, i", "u=3", "u=1, i"], frames: 2) == [1, 3, 1, 3, 2, 2, 0, 0])
    }

    @Test("nobody waits for ever: now and then a frame of each less urgent urgency goes in between")
    func notStarved() {
        let frames = Limits.http2FramesBeforeLessUrgent * 8
        let order = order(["u=0", "u=4", "u=7, i"], frames: frames, limit: frames)
        let counts = (0..<3).map { number in order.filter { $0 == number }.count }
        #expect(counts[1] >= 3)
        #expect(counts[2] >= 3)
        #expect(counts[0] > frames * 9 / 10)
    }

    @Test("a stream whose window is shut makes way, and comes back to its place")
    func windows() {
        let peer = HTTP2Peer(.server, settings: [(4, 16_384)])
        peer.receive(F.get(1), F.get(3))
        for id in [1, 3] as [UInt32] {
            peer.head(id)
            peer.offer(id, 40_000, ends: true)
        }
        peer.forget()
        peer.take()
        peer.receive(F.windowUpdate(3, 16_384), F.windowUpdate(1, 16_384))
        peer.take()
        #expect(peer.sent == ["DATA 1 16384", "DATA 3 16384", "DATA 1 16384", "DATA 3 16383"])
    }

    @Test("a stream may become more urgent while it waits, in either lane")
    func reprioritized() {
        let peer = HTTP2Peer(.server)
        peer.receive(F.get(1), F.get(3, [("priority", "i")]), F.get(5))
        for id in [1, 3, 5] as [UInt32] {
            peer.head(id)
            peer.offer(id, 10, ends: true)
        }
        peer.forget()
        peer.receive(F.priorityUpdate(5, "u=0, i"), F.priorityUpdate(3, "u=1"))
        #expect(peer.priority(5).urgency == 0)
        #expect(peer.priority(5).isIncremental)
        peer.take()
        #expect(peer.sent == ["DATA 5 10 END", "DATA 3 10 END", "DATA 1 10 END"])
    }

    @Test("few priorities of streams to come are remembered, the latest ones")
    func early() {
        let peer = HTTP2Peer(.server)
        for id in stride(from: UInt32(1), through: 199, by: 2) { peer.receive(F.priorityUpdate(id, "u=1")) }
        peer.receive(F.get(1), F.get(199))
        #expect(peer.priority(1).urgency == 3)
        #expect(peer.priority(199).urgency == 1)
    }
}
