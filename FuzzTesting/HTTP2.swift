// rooms: Limits HTTPWire; corpus: HTTP2
// HTTP/2: what one end of a connection receives. No trap, nothing told beyond the bytes, nothing but whole frames written
// and none on a stream that we have ended; and the same steps and frames however the bytes were cut.
//
// The first byte says which end, which bounds, and whether the connection's beginning is part of the input. The second
// one says how the bytes are cut. The rest is what the peer sends.

import HTTPWire

private let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
private let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]

/// Memory that is used for input after input.
private struct Memory {
    var arena = HTTP2HeadArena(bytesMax: 32 * 1024, fieldsMax: 128)
    var room = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 1)
}
// nonisolated(unsafe): libFuzzer calls from one thread.
nonisolated(unsafe) private var memory = Memory()

/// Bounds that short inputs reach, beside the usual ones.
private func bounds(_ choice: UInt8, isServer: Bool) -> HTTP2Bounds {
    var bounds = isServer ? HTTP2Bounds() : HTTP2Bounds.origin
    guard choice & 1 != 0 else { return bounds }
    bounds.streamsMax = 3
    bounds.streamWindowBytes = 100
    bounds.connectionWindowBytes = 65_535
    bounds.headBytesMax = 400
    bounds.fieldCountMax = 6
    bounds.requestLineBytesMax = 20
    bounds.decoderTableBytesMax = 100
    bounds.encoderTableBytesMax = 100
    return bounds
}

/// One end, and a shell that answers as the streams' numbers say.
private struct Run {
    let isServer: Bool
    /// What was said and written, as numbers.
    var story: [UInt64] = []
    var ended: Set<UInt32> = []
    var reset: Set<UInt32> = []
    var credits: [(HTTP2StreamRef, Int)] = []
    var dataCounts: [UInt32: Int] = [:]

    init(_ options: UInt8) {
        isServer = options & 1 == 0
    }

    mutating func run(_ options: UInt8, _ bytes: [UInt8], cut: (Int) -> Int) {
        var session = HTTP2Session(
            role: isServer ? .server : .client, bounds: bounds(options >> 1, isServer: isServer))
        session.begin(at: 1)
        drain(&session)
        if !isServer { for number in 0..<4 { ask(&session, number) } }
        var start = 0
        var end = 0
        while end < bytes.count, !session.hasFailed {
            end = min(bytes.count, end + max(1, cut(end)))
            while true {
                let step = session.next(bytes.span.extracting(start..<end), at: 1, arena: memory.arena)
                // What was to be said about frames before this one goes first, as it does where they came by themselves.
                drain(&session)
                let consumed = take(step, end - start, &session)
                precondition(consumed <= end - start)
                start += consumed
                drain(&session)
                if case .needsMore = step { break }
                if case .failed = step { break }
            }
        }
        precondition(session.openStreams >= 0)
    }

    // MARK: In

    private mutating func note(_ numbers: Int...) { story += numbers.map { UInt64(bitPattern: Int64($0)) } }

    private mutating func take(_ step: HTTP2Step, _ count: Int, _ session: inout HTTP2Session) -> Int {
        switch step {
        case .needsMore(let consumed): return consumed
        case .data(let ref, let range, let flowBytes, let ends, let consumed):
            precondition(range.upperBound <= consumed && range.count <= flowBytes && (ends || !range.isEmpty))
            dataCounts[ref.id, default: 0] += range.count
            credits.append((ref, flowBytes))
            if ends { note(4, Int(ref.id), dataCounts.removeValue(forKey: ref.id) ?? 0) }
            return consumed
        default: break
        }
        for (ref, bytes) in credits { session.returnCredit(ref, bytes) }
        credits = []
        switch step {
        case .request(let ref, let ends, let consumed):
            checkRequest()
            note(1, Int(ref.id), ends ? 1 : 0, memory.arena.request.fields.count)
            answer(ref, &session)
            return consumed
        case .response(let ref, let ends, let consumed):
            note(2, Int(ref.id), ends ? 1 : 0, memory.arena.response.status)
            for field in memory.arena.response.fields { check(field) }
            ask(&session, Int(ref.id))
            return consumed
        case .trailers(let ref, let consumed):
            note(3, Int(ref.id), dataCounts.removeValue(forKey: ref.id) ?? 0)
            for field in memory.arena.trailers { check(field) }
            return consumed
        case .reset(let ref, let code, let isByPeer, let consumed):
            dataCounts[ref.id] = nil
            note(5, Int(ref.id), Int(code.rawValue), isByPeer ? 1 : 0)
            return consumed
        case .tooLarge(let ref, let consumed), .malformed(let ref, _, let consumed):
            note(6, Int(ref.id))
            head(ref, ends: true, &session)
            return consumed
        case .refused(let ref, let consumed):
            dataCounts[ref.id] = nil
            note(7, Int(ref.id))
            return consumed
        case .goAway(let lastID, let code, let consumed):
            note(8, Int(lastID), Int(code.rawValue))
            return consumed
        case .windowOpened(let consumed), .settings(let consumed), .pong(_, let consumed):
            note(9)
            send(&session)
            return consumed
        case .failed(let fault):
            note(10, Int(fault.code.rawValue))
            return 0
        default: fatalError("an unknown step")
        }
    }

    private func check(_ range: ByteRange) { precondition(range.end <= memory.arena.byteCount) }

    private func check(_ field: Field) {
        check(field.name)
        check(field.value)
        precondition(!field.name.isEmpty)
        memory.arena.withBytes { bytes in
            for index in field.name.range { precondition(!(0x41...0x5A ~= bytes[index]) && bytes[index] > 0x20) }
            for index in field.value.range {
                precondition(bytes[index] != 0 && bytes[index] != 10 && bytes[index] != 13)
            }
        }
        switch field.known {
        case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade: fatalError("a connection's field")
        default: break
        }
    }

    private func checkRequest() {
        let request = memory.arena.request
        for field in request.fields { check(field) }
        for range in [request.methodRange, request.target, request.path, request.query, request.host] { check(range) }
        precondition(!request.methodRange.isEmpty && !request.host.isEmpty && !request.target.isEmpty)
        if let name = memory.arena.connectProtocol { check(name) }
    }

    // MARK: Out

    private mutating func write(_ session: inout HTTP2Session, _ body: (inout HTTP2Session, inout ByteWriter) -> Void) {
        var writer = ByteWriter(memory.room)
        body(&session, &writer)
        precondition(!writer.hasOverflowed)
        noteFrames(Array(memory.room[0..<writer.count]))
    }

    private mutating func drain(_ session: inout HTTP2Session) {
        let count = session.pendingControlBytes
        guard count > 0 else { return }
        write(&session) { $0.writeControl(to: &$1) }
        precondition(session.pendingControlBytes == 0)
    }

    /// Looks at what was written: whole frames, none of them on a stream that we have ended.
    private mutating func noteFrames(_ bytes: [UInt8]) {
        var position = bytes.starts(with: preface) ? preface.count : 0
        while position < bytes.count {
            precondition(position + 9 <= bytes.count)
            let length = Int(bytes[position]) << 16 | Int(bytes[position + 1]) << 8 | Int(bytes[position + 2])
            let (type, flags) = (bytes[position + 3], bytes[position + 4])
            let id = bytes[position + 5..<position + 9].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            position += 9 + length
            precondition(length <= 16_384 && position <= bytes.count)
            switch type {
            case 0, 1:
                precondition(!ended.contains(id) && !reset.contains(id))
                if flags & 1 != 0 { ended.insert(id) }
            case 3:
                precondition(reset.insert(id).inserted || isServer, "a second RST_STREAM")
            // When the peer is told of its windows depends on the pieces.
            case 8: continue
            default: break
            }
            note(100 + Int(type), Int(flags), Int(id), length)
        }
    }

    private mutating func head(_ ref: HTTP2StreamRef, ends: Bool, _ session: inout HTTP2Session) {
        write(&session) { session, writer in
            session.writeHead(ref, endsStream: ends, to: &writer) {
                $0.encode(status: 200, to: &$1)
                $0.encode(lines: "x-some: thing\r\n", to: &$1)
            }
        }
    }

    private mutating func answer(_ ref: HTTP2StreamRef, _ session: inout HTTP2Session) {
        switch ref.id / 2 % 5 {
        case 0: head(ref, ends: true, &session)
        case 1:
            head(ref, ends: false, &session)
            session.offer(ref, bytes: 300, ends: true)
        case 2:
            head(ref, ends: false, &session)
            session.offer(ref, bytes: 20_000, ends: false)
        case 3: session.reset(ref, .cancel)
        default: break
        }
        send(&session)
    }

    private mutating func ask(_ session: inout HTTP2Session, _ number: Int) {
        let method: Method = [.get, .head, .connect, .post][number & 3]
        guard let ref = session.open(method) else { return }
        drain(&session)
        write(&session) { session, writer in
            session.writeHead(ref, endsStream: number & 1 == 0, to: &writer) { $0.encode(.path, "/", to: &$1) }
        }
        if number & 1 != 0 { session.offer(ref, bytes: 200, ends: number & 2 != 0) }
        send(&session)
    }

    private mutating func send(_ session: inout HTTP2Session) {
        for _ in 0..<4 {
            var grant: HTTP2DataGrant?
            write(&session) { session, writer in
                grant = session.nextData(room: 5000, to: &writer)
                for _ in 0..<(grant?.count ?? 0) { writer.write(byte: 0) }
            }
            guard let grant else { return }
            precondition(grant.count > 0 || grant.ends)
        }
    }
}

/// What libFuzzer calls with every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard count > 2, let start else { return 0 }
    let options = start[0]
    let pieces = Int(start[1])
    var bytes = Array(UnsafeBufferPointer(start: start + 2, count: count - 2))
    if options & 4 == 0 { bytes = (options & 1 == 0 ? preface : []) + settings + bytes }
    var whole = Run(options)
    whole.run(options, bytes) { _ in bytes.count }
    var cut = Run(options)
    cut.run(options, bytes) { pieces & 1 == 0 ? pieces / 16 : ($0 &* 31 &+ pieces) % 29 }
    precondition(whole.story == cut.story, "the pieces make a difference")
    return 0
}
