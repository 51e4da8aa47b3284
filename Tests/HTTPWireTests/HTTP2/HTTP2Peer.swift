// The other end of a session, as tests play it: bytes go in, in one piece or in many, and what the session says and
// writes is noted down as lines of text.

import HTTPWire

/// One session and what it had to say.
final class HTTP2Peer {
    var session: HTTP2Session
    let arena = HTTP2HeadArena(bytesMax: 64 * 1024, fieldsMax: 256)
    /// Nanoseconds. Moves only when a test moves it.
    var now: UInt64 = 1_000_000_000
    /// The steps, pieces of one body joined.
    private(set) var said: [String] = []
    /// The frames that the session wrote.
    private(set) var sent: [String] = []
    private(set) var frames: [SeenFrame] = []
    private(set) var fault: HTTP2Fault?
    /// Streams by identifier, as the session told of them.
    var refs: [UInt32: HTTP2StreamRef] = [:]
    /// Bodies' credit is given back as soon as they come.
    var returnsCredit = true
    /// Credit that was held back.
    var held: [(HTTP2StreamRef, Int)] = []
    /// In how many pieces bytes are handed in; see `Splits`.
    var splits: Splits
    /// What the session did that it must not do, whatever it is given.
    private(set) var violations: [String] = []
    private var unread: [UInt8] = []
    private var output: [UInt8] = []

    /// How received bytes are cut.
    enum Splits: CustomStringConvertible {
        case whole, singles
        case random(Random)

        var description: String {
            switch self {
            case .whole: "in one piece"
            case .singles: "byte by byte"
            case .random: "in random pieces"
            }
        }
    }

    /// - Parameter begun: the beginning of the connection is over on both sides, and nothing of it noted.
    init(
        _ role: HTTP2Session.Role, _ bounds: HTTP2Bounds? = nil, begun: Bool = true,
        settings: [(UInt16, UInt32)] = [], splits: Splits = .whole
    ) {
        self.splits = splits
        session = HTTP2Session(role: role, bounds: bounds ?? (role == .server ? HTTP2Bounds() : .origin))
        session.begin(at: now)
        guard begun else {
            drain()
            return
        }
        if role == .server { receive(Frames.preface) }
        receive(Frames.settings(settings) + Frames.settingsAck)
        forget()
    }

    /// What was noted so far does not count.
    func forget() {
        said = []
        sent = []
        frames = []
    }

    // What the session says of itself. A session cannot be copied, and so not be asked within an expectation.
    var openStreams: Int { session.openStreams }
    var isIdle: Bool { session.isIdle }
    var hasFailed: Bool { session.hasFailed }
    var hasDataToSend: Bool { session.hasDataToSend }
    var streamsLeft: Int { session.streamsLeft }
    var hasPeerSettings: Bool { session.hasPeerSettings }
    var peerEnablesConnect: Bool { session.peerEnablesConnect }
    var peerStreamsMax: Int { session.peerStreamsMax }
    var pendingControlBytes: Int { session.pendingControlBytes }
    func waiting(_ id: UInt32) -> Int { session.waiting(refs[id] ?? .none) }
    func priority(_ id: UInt32) -> HTTP2Priority { session.priority(of: refs[id] ?? .none) }
    func open() -> HTTP2StreamRef? { session.open() }
    func trim() { session.trim() }

    /// Adds what was found out elsewhere.
    func takeOver(_ lines: [String]) { said += lines }

    // MARK: In

    func receive(_ bytes: [UInt8]...) {
        for piece in cut(bytes.flatMap { $0 }) {
            unread += piece
            pump()
        }
        drain()
    }

    private func cut(_ bytes: [UInt8]) -> [[UInt8]] {
        switch splits {
        case .whole: return [bytes]
        case .singles:
            // Of what is long, the first and the last ones.
            guard bytes.count > 1024 else { return bytes.map { [$0] } }
            return bytes.prefix(256).map { [$0] } + [Array(bytes[256..<bytes.count - 256])]
                + bytes.suffix(256).map { [$0] }
        case .random(var random):
            var pieces: [[UInt8]] = []
            var start = 0
            while start < bytes.count {
                let end = min(bytes.count, start + 1 + random.next(below: random.next(below: 4) == 0 ? 400 : 12))
                pieces.append(Array(bytes[start..<end]))
                start = end
            }
            splits = .random(random)
            return pieces
        }
    }

    private func pump() {
        let bytes = unread
        var position = 0
        while true {
            let left = bytes.count - position
            let step = session.next(bytes.span.extracting(position..<bytes.count), at: now, arena: arena)
            let (consumed, goesOn) = note(step, left)
            guard 0...left ~= consumed else { return violations.append("consumed \(consumed) of \(left)") }
            position += consumed
            if !goesOn { break }
        }
        unread.removeFirst(session.hasFailed ? unread.count : position)
    }

    /// - Returns: how many bytes are done with, and whether to ask again.
    private func note(_ step: HTTP2Step, _ count: Int) -> (Int, Bool) {
        switch step {
        case .needsMore(let consumed):
            return (consumed, false)
        case .request(let ref, let ends, let consumed):
            refs[ref.id] = ref
            said.append("request \(ref.id) \(arena.requestText)" + (ends ? " end" : ""))
            return (consumed, true)
        case .response(let ref, let ends, let consumed):
            said.append("response \(ref.id) \(arena.response.status)" + (ends ? " end" : ""))
            return (consumed, true)
        case .trailers(let ref, let consumed):
            let names = arena.withBytes { span in
                arena.trailers.map { field in field.name.range.map { "\(Unicode.Scalar(span[$0]))" }.joined() }
            }
            said.append("trailers \(ref.id)" + names.map { " " + $0 }.joined())
            return (consumed, true)
        case .data(let ref, let range, let flowBytes, let ends, let consumed):
            if range.upperBound > count || range.upperBound > consumed || range.count > flowBytes {
                violations.append("a piece of data \(range) beyond \(consumed)")
            }
            noteData(ref.id, range.count, ends: ends)
            if returnsCredit { session.returnCredit(ref, flowBytes) } else { held.append((ref, flowBytes)) }
            return (consumed, true)
        case .reset(let ref, let code, let isByPeer, let consumed):
            said.append("reset \(ref.id) \(code.label) by \(isByPeer ? "peer" : "us")")
            return (consumed, true)
        case .tooLarge(let ref, let consumed):
            refs[ref.id] = ref
            said.append("too large \(ref.id)")
            return (consumed, true)
        case .malformed(let ref, let error, let consumed):
            refs[ref.id] = ref
            said.append("malformed \(ref.id) \(error.kind)")
            return (consumed, true)
        default:
            return noteConnection(step)
        }
    }

    private func noteConnection(_ step: HTTP2Step) -> (Int, Bool) {
        switch step {
        case .refused(let ref, let consumed):
            said.append("refused \(ref.id)")
            return (consumed, true)
        case .windowOpened(let consumed): return (consumed, true)
        case .goAway(let lastID, let code, let consumed):
            said.append("go away \(lastID) \(code.label)")
            return (consumed, true)
        case .settings(let consumed): return (consumed, true)
        case .pong(let data, let consumed):
            said.append("pong \(data)")
            return (consumed, true)
        case .failed(let fault):
            if self.fault == nil { said.append("failed \(fault.code.label)") }
            self.fault = fault
            return (0, false)
        default:
            violations.append("an unknown step")
            return (0, false)
        }
    }

    private func noteData(_ id: UInt32, _ count: Int, ends: Bool) {
        var sum = count
        if let last = said.last, last.hasPrefix("data \(id) "), !last.hasSuffix("end"),
            let before = Int(last.split(separator: " ")[2])
        {
            sum += before
            said.removeLast()
        }
        said.append("data \(id) \(sum)" + (ends ? " end" : ""))
    }

    // MARK: Out

    /// Room to write into.
    private func write(_ room: Int, _ body: (inout ByteWriter) -> Void) {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 1)
        defer { memory.deallocate() }
        var writer = ByteWriter(memory)
        body(&writer)
        if writer.hasOverflowed { violations.append("an output that does not fit") }
        output += Array(memory[0..<writer.count])
    }

    /// Takes the control frames and looks at all that was written.
    func drain() {
        let pending = session.pendingControlBytes
        write(pending) { session.writeControl(to: &$0) }
        if session.pendingControlBytes != 0 { violations.append("control frames that stay") }
        if session.hasFailed, frames.contains(where: { $0.type == 7 }) == false, output.isEmpty {
            violations.append("no GOAWAY for a failure")
        }
        guard let all = SeenFrame.all(output) else { return violations.append("output that is no frames") }
        output = []
        violations += all.compactMap(\.fault)
        frames += all
        sent += all.map(\.text)
    }

    /// A response's head, or trailers.
    @discardableResult
    func head(_ id: UInt32, status: Int? = 200, _ lines: String = "", ends: Bool = false) -> Bool {
        var isWritten = false
        let room = HTTP2Session.headRoom(
            blockBytes: HPACKEncoder.boundBytes(lineBytes: lines.utf8.count, fieldCount: 8 + lines.count / 8))
        let bytes = Array(lines.utf8)
        write(room) {
            isWritten = session.writeHead(refs[id] ?? .none, endsStream: ends, to: &$0) {
                if let status { $0.encode(status: status, to: &$1) }
                $0.encode(lines: bytes.span, to: &$1)
            }
        }
        drain()
        return isWritten
    }

    /// Opens a stream and writes its request.
    @discardableResult
    func ask(_ method: Method = .get, ends: Bool = true) -> UInt32? {
        guard let ref = session.open(method) else { return nil }
        refs[ref.id] = ref
        write(512) {
            session.writeHead(ref, endsStream: ends, to: &$0) {
                $0.encode(.method, method.name, to: &$1)
                if method != .connect {
                    $0.encode(.scheme, "https", to: &$1)
                    $0.encode(.path, "/", to: &$1)
                }
                $0.encode(.authority, "a.test:443", to: &$1)
            }
        }
        drain()
        return ref.id
    }

    func offer(_ id: UInt32, _ bytes: Int, ends: Bool = false) {
        session.offer(refs[id] ?? .none, bytes: bytes, ends: ends)
    }

    private static let body = [UInt8](repeating: 0x61, count: 16_384)

    /// Takes DATA frames until there are no more, or `limit` of them.
    @discardableResult
    func take(room: Int = 16_384, limit: Int = .max) -> [HTTP2DataGrant] {
        var grants: [HTTP2DataGrant] = []
        while grants.count < limit {
            var grant: HTTP2DataGrant?
            write(room + 9) {
                grant = session.nextData(room: room, to: &$0)
                $0.write(Self.body.span.extracting(0..<(grant?.count ?? 0)))
            }
            guard let grant else { break }
            grants.append(grant)
        }
        drain()
        return grants
    }

    /// Answers a request: a head, and a body of so many bytes.
    func answer(_ id: UInt32, _ bytes: Int = 0) {
        head(id, ends: bytes == 0)
        guard bytes > 0 else { return }
        offer(id, bytes, ends: true)
        take()
    }

    func reset(_ id: UInt32, _ code: HTTP2ErrorCode = .cancel) {
        session.reset(refs[id] ?? .none, code)
        drain()
    }
}

extension HTTP2HeadArena {
    /// The request that was read: method, target, host, fields.
    var requestText: String {
        withBytes { span in
            func text(_ range: ByteRange) -> String { String(decoding: range.range.map { span[$0] }, as: UTF8.self) }
            var words = [text(request.methodRange), text(request.target), text(request.host)]
            if let port = request.port { words.append(":\(port)") }
            if let name = connectProtocol { words.append("protocol=\(text(name))") }
            for field in request.fields { words.append("\(text(field.name))=\(text(field.value))") }
            return words.joined(separator: " ")
        }
    }
}

/// Numbers that are the same in each run.
struct Random {
    private var state: UInt64

    init(seed: UInt64) { state = seed &+ 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    mutating func next(below bound: Int) -> Int { Int(next() % UInt64(max(1, bound))) }
}
