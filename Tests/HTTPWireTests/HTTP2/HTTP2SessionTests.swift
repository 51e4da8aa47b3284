// What the shells of a session rely on, beyond what the RFC asks for.

import HTTPWire
import Limits
import Testing

private typealias F = Frames

@Suite("HTTP/2 sessions")
struct HTTP2SessionTests {
    // MARK: Slots

    @Test("slots are small, are those of one stream at a time, and are used again")
    func slots() {
        let peer = HTTP2Peer(.server)
        for number in stride(from: UInt32(1), through: 399, by: 2) {
            peer.receive(F.get(number))
            if number > 20 { peer.answer(number - 20) }
            let open = peer.refs.values.filter { $0.id > number &- 20 || $0.id == number }
            #expect(Set(open.map(\.slot)).count == open.count)
            #expect(open.allSatisfy { $0.slot < 16 })
        }
        #expect(peer.openStreams == 10)
    }

    @Test("a reference to a stream that is over does nothing, though its slot is another's")
    func staleReferences() {
        let peer = HTTP2Peer(.server)
        peer.receive(F.post(1), F.reset(1), F.post(3))
        #expect(peer.refs[1]?.slot == peer.refs[3]?.slot)
        peer.forget()
        peer.head(1)
        peer.offer(1, 100, ends: true)
        peer.take()
        peer.reset(1)
        peer.session.setPriority(of: peer.refs[1] ?? .none, HTTP2Priority())
        peer.head(0)
        peer.reset(0)
        #expect(peer.sent.isEmpty)
        #expect(peer.openStreams == 1)
        #expect(peer.waiting(1) == 0)
    }

    // MARK: Output

    @Test("nothing goes out before the head, and nothing behind the end")
    func order() {
        let peer = HTTP2Peer(.server)
        peer.receive(F.get(1))
        peer.offer(1, 10)
        #expect(peer.take().isEmpty)
        peer.head(1)
        peer.offer(1, 5, ends: true)
        peer.offer(1, 7)
        peer.take()
        #expect(!peer.head(1, status: nil, "x: y\r\n", ends: true))
        peer.offer(1, 7)
        peer.take()
        #expect(peer.sent == ["HEADERS 1", "DATA 1 15 END"])
    }

    @Test("trailers take the place of what was not granted")
    func trailersAtOnce() {
        let peer = HTTP2Peer(.server, settings: [(4, 10)])
        peer.receive(F.get(1))
        peer.head(1)
        peer.offer(1, 100)
        peer.take()
        #expect(peer.head(1, status: nil, "x: y\r\n", ends: true))
        #expect(peer.take().isEmpty)
        #expect(peer.sent == ["HEADERS 1", "DATA 1 10", "HEADERS 1 END"])
        #expect(peer.openStreams == 0)
    }

    @Test("a grant fits the room, and none is made without room")
    func room() {
        let peer = HTTP2Peer(.server)
        peer.receive(F.get(1))
        peer.head(1)
        peer.offer(1, 100, ends: true)
        #expect(peer.take(room: 0).isEmpty)
        #expect(peer.take(room: 60).map(\.count) == [60, 40])
        #expect(peer.sent == ["HEADERS 1", "DATA 1 60", "DATA 1 40 END"])
    }

    @Test("an end alone needs room for its header only")
    func endRoom() {
        let peer = HTTP2Peer(.server)
        peer.receive(F.get(1))
        peer.head(1)
        peer.offer(1, 0, ends: true)
        let tight = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 1)
        defer { tight.deallocate() }
        var writer = ByteWriter(tight)
        #expect(peer.session.nextData(room: 100, to: &writer) == nil)
        #expect(writer.count == 0)
        #expect(peer.take(room: 0).map(\.ends) == [true])
    }

    @Test("a block that does not fit writes nothing and ends the connection", arguments: [0, 5, 9, 12, 40])
    func noRoom(_ room: Int) {
        let peer = HTTP2Peer(.server)
        peer.receive(F.get(1))
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, room), alignment: 1)
        defer { memory.deallocate() }
        var writer = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: memory[0..<room]))
        let isWritten = peer.session.writeHead(peer.refs[1] ?? .none, endsStream: false, to: &writer) {
            $0.encode(status: 200, to: &$1)
            $0.encode(
                lines: "x-long: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n", to: &$1)
        }
        #expect(!isWritten)
        #expect(writer.count == 0)
        #expect(!writer.hasOverflowed)
        #expect(peer.hasFailed)
        peer.receive(F.ping())
        #expect(peer.fault?.rule == .noRoom)
        #expect(peer.sent.last == "GOAWAY 1 INTERNAL_ERROR")
    }

    @Test("long blocks are read as they were written", arguments: [16, 17, 33, 50, 60])
    func longBlocks(_ count: Int) {
        let server = HTTP2Peer(.server, settings: [(6, 1 << 20)])
        let client = HTTP2Peer(.client)
        client.ask()
        server.receive(F.get(1))
        server.forget()
        let lines = (0..<count).map { "x-\($0): " + String(repeating: "~", count: 1000) + "\r\n" }.joined()
        server.head(1, lines, ends: true)
        for frame in server.frames { client.receive(F.frame(frame.type, frame.flags, frame.stream, frame.payload)) }
        #expect(client.said == ["response 1 200 end"])
        #expect(client.arena.response.fields.count == count)
        #expect(server.frames.count == 1 + server.frames.dropLast().filter { $0.payload.count == 16_384 }.count)
        #expect(server.violations.isEmpty)
    }

    @Test("control frames leave whole, as many as there is room for")
    func controlPieces() {
        var session = HTTP2Session(role: .client, bounds: .origin)
        session.begin(at: 0)
        for number in 0..<5 { session.ping(UInt64(number)) }
        var bytes: [UInt8] = []
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 70, alignment: 1)
        defer { memory.deallocate() }
        for _ in 0..<20 where session.pendingControlBytes > 0 {
            var writer = ByteWriter(memory)
            session.writeControl(to: &writer)
            #expect(writer.count > 0)
            bytes += Array(memory[0..<writer.count])
            #expect(SeenFrame.all(bytes) != nil)
        }
        #expect(SeenFrame.all(bytes)?.count == 7)
        let left = session.pendingControlBytes
        #expect(left == 0)
    }

    // MARK: Client

    @Test("one stream is opened at a time, for identifiers go out in their order")
    func opening() {
        let peer = HTTP2Peer(.client)
        let first = peer.open()
        #expect(first?.id == 1)
        #expect(peer.open() == nil)
        peer.session.reset(first ?? .none, .cancel)
        #expect(peer.pendingControlBytes == 0)
        #expect(peer.ask() == 3)
        #expect(peer.openStreams == 1)
    }

    @Test("so many streams are left as the peer's settings, ours and GOAWAY allow")
    func streamsLeft() {
        let fresh = HTTP2Peer(.client, begun: false)
        #expect(fresh.streamsLeft == Limits.http2UnsettledStreamsMax)
        #expect(!fresh.hasPeerSettings)
        fresh.receive(F.settings([(3, 1000), (8, 1)]))
        #expect(fresh.streamsLeft == Limits.http2OriginStreamsMax)
        #expect(fresh.hasPeerSettings && fresh.peerEnablesConnect)
        #expect(fresh.peerStreamsMax == 1000)
        fresh.receive(F.settings([(3, 2)]))
        fresh.ask()
        #expect(fresh.streamsLeft == 1)
        fresh.receive(F.goAway(1))
        #expect(fresh.streamsLeft == 0)
        let leaving = HTTP2Peer(.client)
        leaving.session.goAway(.noError, isFinal: false)
        #expect(leaving.streamsLeft == 0)
        #expect(HTTP2Peer(.server).streamsLeft == 0)
    }

    @Test("what GOAWAY refuses may be on the wire, or not yet")
    func refusedUnsent() {
        let peer = HTTP2Peer(.client)
        peer.ask()
        let unsent = peer.open()
        peer.receive(F.goAway(0))
        #expect(peer.said == ["refused 1", "refused 3", "go away 0 NO_ERROR"])
        #expect(unsent?.id == 3)
        #expect(peer.openStreams == 0)
        #expect(peer.isIdle)
    }

    // MARK: Input

    @Test("a stream that is reset within a DATA frame: the rest of the frame is thrown away, and given back")
    func resetWithinData() {
        let peer = HTTP2Peer(.server)
        peer.receive(F.post(1))
        let frame = F.data(1, 1000, ends: true, padding: 100)
        peer.receive(Array(frame[..<500]))
        peer.reset(1)
        peer.receive(Array(frame[500...]))
        #expect(peer.said.last == "data 1 490")
        #expect(peer.sent == ["RST_STREAM 1 CANCEL"])
        for _ in 0..<32 { peer.receive(F.data(1, 16_384)) }
        #expect(peer.sent.last?.hasPrefix("WINDOW_UPDATE 0 ") == true)
        #expect(peer.fault == nil)
    }

    @Test("credit is never given back twice")
    func creditOnce() {
        let peer = HTTP2Peer(.server)
        peer.returnsCredit = false
        peer.receive(F.post(1), F.data(1, 100))
        for (ref, bytes) in peer.held {
            for _ in 0..<10_000 { peer.session.returnCredit(ref, bytes) }
        }
        peer.session.returnCredit(peer.refs[1] ?? .none, .max)
        peer.session.returnCredit(peer.refs[1] ?? .none, -5)
        peer.drain()
        #expect(peer.sent.isEmpty)
    }

    @Test("whether there is something to send is known without asking for it")
    func hasData() {
        let peer = HTTP2Peer(.server, settings: [(4, 1 << 20)])
        peer.receive(F.get(1), F.get(3))
        peer.head(1)
        peer.head(3)
        #expect(!peer.hasDataToSend)
        peer.offer(1, 100_000)
        #expect(peer.hasDataToSend)
        peer.take()
        #expect(peer.waiting(1) == 100_000 - 65_535)
        #expect(!peer.hasDataToSend)
        peer.offer(3, 0, ends: true)
        #expect(peer.hasDataToSend)
        peer.take()
        peer.receive(F.windowUpdate(0, 1))
        #expect(peer.hasDataToSend)
    }

    @Test("windowOpened is said where something waits, and only there")
    func windowOpened() {
        var session = HTTP2Session(role: .server, bounds: HTTP2Bounds())
        let arena = HTTP2HeadArena(bytesMax: 4096, fieldsMax: 64)
        func steps(_ bytes: [UInt8]) -> [HTTP2Step] {
            var rest = bytes
            var steps: [HTTP2Step] = []
            while true {
                let step = session.next(rest.span, at: 0, arena: arena)
                if case .needsMore = step { return steps }
                steps.append(step)
                switch step {
                case .settings(let consumed), .windowOpened(let consumed), .request(_, _, let consumed):
                    rest.removeFirst(consumed)
                default: return steps
                }
            }
        }
        session.begin(at: 0)
        let begun = steps(F.preface + F.settings([(4, 10)]) + F.get(1))
        guard case .request(let ref, _, _)? = begun.last else {
            Issue.record("no request: \(begun)")
            return
        }
        #expect(steps(F.windowUpdate(1, 5) + F.windowUpdate(0, 5)).isEmpty)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 1)
        defer { memory.deallocate() }
        var writer = ByteWriter(memory)
        session.writeHead(ref, endsStream: false, to: &writer) { $0.encode(status: 200, to: &$1) }
        session.offer(ref, bytes: 100, ends: true)
        let grants = (0..<2).map { _ in session.nextData(room: 4000, to: &writer)?.count }
        #expect(grants == [15, nil])
        #expect(steps(F.windowUpdate(0, 5)).isEmpty)
        #expect(steps(F.windowUpdate(1, 5)) == [.windowOpened(consumed: 13)])
        #expect(steps(F.windowUpdate(1, 5)).isEmpty)
    }

    @Test("a connection that fails at once still begins as it must, and says what it had to say")
    func failureAtOnce() {
        // RFC 9113, section 3.4: SETTINGS come first, also before a GOAWAY.
        #expect(sentAtOnce(Array("GET / HTTP/1.1\r\n\r\n".utf8)).map(\.type) == [4, 8, 7])
        let frames = sentAtOnce(
            F.preface + F.settings() + F.headers(1, F.request([":path": nil])) + F.ping(42) + F.data(0, 1))
        #expect(
            frames.dropFirst(2).map(\.text) == [
                "SETTINGS ACK", "RST_STREAM 1 PROTOCOL_ERROR", "PING ACK 42", "GOAWAY 1 PROTOCOL_ERROR",
            ])
    }

    /// What a server writes where it is asked for it only once all of `bytes` are understood.
    private func sentAtOnce(_ bytes: [UInt8]) -> [SeenFrame] {
        var session = HTTP2Session(role: .server, bounds: HTTP2Bounds())
        let arena = HTTP2HeadArena(bytesMax: 4096, fieldsMax: 64)
        session.begin(at: 0)
        var rest = bytes
        while case let step = session.next(rest.span, at: 0, arena: arena), let consumed = step.consumedBytes {
            rest.removeFirst(consumed)
        }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 1)
        defer { memory.deallocate() }
        var writer = ByteWriter(memory)
        session.writeControl(to: &writer)
        return SeenFrame.all(Array(memory[0..<writer.count])) ?? []
    }

    @Test("memory is let go of where nothing is open, and all goes on behind it")
    func trim() {
        let peer = HTTP2Peer(.server)
        for number in 0..<50 { peer.receive(F.get(UInt32(2 * number + 1))) }
        peer.trim()
        #expect(peer.openStreams == 50)
        for number in 0..<50 { peer.answer(UInt32(2 * number + 1), 10) }
        peer.trim()
        #expect(peer.isIdle)
        peer.forget()
        peer.receive(F.get(201))
        peer.answer(201, 10)
        #expect(peer.sent == ["HEADERS 201", "DATA 201 10 END"])
    }

    @Test("an idle session takes less than 1 KiB")
    func idleSize() {
        #expect(MemoryLayout<HTTP2Session>.size < 1024)
    }

    @Test("each rule has its words")
    func rules() {
        let texts = HTTP2Rule.allCases.map { "\($0.text)" }
        #expect(Set(texts).count == texts.count)
        #expect(HTTP2Rule.allCases.allSatisfy { "\($0.section)".hasPrefix("RFC ") && $0.code != .noError })
    }
}

extension HTTP2Step {
    /// Bytes that are done with, where the next step is to be asked for.
    fileprivate var consumedBytes: Int? {
        switch self {
        case .request(_, _, let consumed), .response(_, _, let consumed), .trailers(_, let consumed),
            .data(_, _, _, _, let consumed), .reset(_, _, _, let consumed), .tooLarge(_, let consumed),
            .malformed(_, _, let consumed), .refused(_, let consumed), .windowOpened(let consumed),
            .goAway(_, _, let consumed), .settings(let consumed), .pong(_, let consumed):
            consumed
        case .needsMore, .failed: nil
        }
    }
}
