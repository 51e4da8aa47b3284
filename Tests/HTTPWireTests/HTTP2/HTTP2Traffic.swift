// Two sessions, a client's and a server's, with a wire between them that hands bytes on when it pleases. Requests and
// responses of random shapes go through; each byte of a body says where it belongs, so that a lost, doubled or misplaced
// one is found. Flow control is held up by the sessions themselves: each judges what the other sends.

import Glibc
import HTTPWire

/// What bodies are made of: a piece of one long text, which begins elsewhere for each stream.
private enum Octets {
    static let period = 65_521
    static let text = (0..<period + 20_000).map { UInt8(truncatingIfNeeded: $0 % period &* 2_654_435_761 >> 7) }

    private static func start(_ id: UInt32, _ position: Int) -> Int { (Int(id) &* 31 &+ position) % period }

    /// Up to 20,000 bytes of the body of stream `id` from `position` on.
    static func body(_ id: UInt32, _ position: Int, _ count: Int) -> ArraySlice<UInt8> {
        let start = start(id, position)
        return text[start..<start + count]
    }

    static func isBody(_ bytes: ArraySlice<UInt8>, _ id: UInt32, _ position: Int) -> Bool {
        let expected = body(id, position, bytes.count)
        return bytes.withUnsafeBytes { one in
            expected.withUnsafeBytes { other in
                guard let first = one.baseAddress, let second = other.baseAddress else { return bytes.isEmpty }
                return memcmp(first, second, one.count) == 0
            }
        }
    }
}

/// One end of the wire.
final class TrafficEnd {
    /// What an end does on one stream.
    struct Stream {
        var ref: HTTP2StreamRef
        // Received.
        var received = 0
        var announced: UInt64?
        var heads = 0
        var trailers = 0
        var hasEnded = false
        // Sending.
        var toOffer = 0
        var sent = 0
        var hasHead = false
        var endsWithTrailers = false
        var isOffered = false
        var hasSent = false
        /// Cut off by either end.
        var isCut = false
    }

    var session: HTTP2Session
    let role: HTTP2Session.Role
    let arena = HTTP2HeadArena(bytesMax: 16 * 1024, fieldsMax: 64)
    var streams: [UInt32: Stream] = [:]
    /// Bytes that came and are not understood yet, and bytes to be handed on.
    var unread: [UInt8] = []
    var output: [UInt8] = []
    var credits: [(HTTP2StreamRef, Int)] = []
    var violations: [String] = []
    var random: Random
    var refused = 0
    /// The largest body that this end sends.
    var bodyMax = 150_000
    /// Nanoseconds.
    var now: UInt64 = 0
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 32 * 1024, alignment: 1)

    init(_ role: HTTP2Session.Role, _ bounds: HTTP2Bounds, seed: UInt64) {
        self.role = role
        random = Random(seed: seed)
        session = HTTP2Session(role: role, bounds: bounds)
        session.begin(at: 0)
    }

    deinit { memory.deallocate() }

    // MARK: In

    func receive(_ bytes: ArraySlice<UInt8>) {
        unread += bytes
        var position = 0
        let all = unread
        while true {
            let step = session.next(all.span.extracting(position..<all.count), at: now, arena: arena)
            switch step {
            case .needsMore(let consumed):
                unread.removeFirst(position + consumed)
                return
            case .failed(let fault):
                unread = []
                violations.append("\(role) failed: \(fault)")
                return
            default: position += take(step, all[position...])
            }
        }
    }

    /// - Returns: bytes that are done with.
    private func take(_ step: HTTP2Step, _ bytes: ArraySlice<UInt8>) -> Int {
        switch step {
        case .request(let ref, let ends, let consumed):
            if streams[ref.id] != nil { violations.append("stream \(ref.id) twice") }
            streams[ref.id] = Stream(ref: ref, announced: arena.request.contentLength, heads: 1, hasEnded: ends)
            return consumed
        case .response(let ref, let ends, let consumed):
            if !arena.response.isInterim { streams[ref.id]?.heads += 1 }
            streams[ref.id]?.announced = arena.response.contentLength
            if ends { end(ref.id) }
            return consumed
        case .trailers(let ref, let consumed):
            streams[ref.id]?.trailers += 1
            if arena.trailers.count != 1 { violations.append("trailers lost") }
            end(ref.id)
            return consumed
        case .data(let ref, let range, let flowBytes, let ends, let consumed):
            receive(ref, bytes[(bytes.startIndex + range.lowerBound)..<(bytes.startIndex + range.upperBound)])
            credits.append((ref, flowBytes))
            if ends { end(ref.id) }
            return consumed
        case .reset(let ref, _, let isByPeer, let consumed):
            if !isByPeer { violations.append("\(role) reset \(ref.id) by itself") }
            streams[ref.id]?.isCut = true
            return consumed
        case .refused(let ref, let consumed):
            refused += 1
            streams[ref.id]?.isCut = true
            return consumed
        case .windowOpened(let consumed), .settings(let consumed), .goAway(_, _, let consumed), .pong(_, let consumed):
            return consumed
        default:
            violations.append("\(step)")
            return bytes.count
        }
    }

    private func receive(_ ref: HTTP2StreamRef, _ bytes: ArraySlice<UInt8>) {
        guard var stream = streams[ref.id], !stream.hasEnded, !stream.isCut, stream.heads == 1 else {
            return violations.append("data of \(ref.id) out of place")
        }
        if !Octets.isBody(bytes, ref.id, stream.received) {
            violations.append("other bytes from \(stream.received) on of \(ref.id)")
        }
        stream.received += bytes.count
        streams[ref.id] = stream
    }

    private func end(_ id: UInt32) {
        guard let stream = streams[id], !stream.hasEnded else { return violations.append("a second end of \(id)") }
        streams[id]?.hasEnded = true
        if let announced = stream.announced, announced != stream.received { violations.append("length of \(id)") }
    }

    // MARK: Out

    private func write(_ body: (inout ByteWriter) -> Void) {
        var writer = ByteWriter(memory)
        body(&writer)
        if writer.hasOverflowed { violations.append("no room") }
        output += memory[0..<writer.count]
    }

    /// Opens a stream for a request of random shape.
    func ask() {
        let hasBody = random.next(below: 2) == 0
        guard let ref = session.open(hasBody ? .post : .get) else { return }
        control()
        streams[ref.id] = Stream(ref: ref)
        head(ref.id, hasBody: hasBody) {
            $0.encode(.method, hasBody ? "POST" : "GET", to: &$1)
            $0.encode(.scheme, "https", to: &$1)
            $0.encode(.authority, "a.test", to: &$1)
            $0.encode(.path, "/", to: &$1)
        }
    }

    /// Answers one request that has none yet.
    func answer() {
        guard let id = streams.values.filter({ !$0.hasHead && !$0.isCut }).map(\.ref.id).min() else { return }
        if random.next(below: 4) == 0, let ref = streams[id]?.ref {
            write { _ = session.writeHead(ref, endsStream: false, to: &$0) { $0.encode(status: 103, to: &$1) } }
        }
        head(id, hasBody: random.next(below: 8) > 0) { $0.encode(status: 200, to: &$1) }
    }

    private func head(_ id: UInt32, hasBody: Bool, _ block: (inout HPACKEncoder, inout ByteWriter) -> Void) {
        guard var stream = streams[id] else { return }
        let size = random.next(below: 3) == 0 ? random.next(below: bodyMax) : random.next(below: 900)
        let hasLength = random.next(below: 2) == 0
        stream.endsWithTrailers = hasBody && random.next(below: 3) == 0
        stream.toOffer = hasBody ? size : 0
        stream.hasHead = true
        stream.hasSent = !hasBody
        streams[id] = stream
        write {
            let isWritten = session.writeHead(stream.ref, endsStream: !hasBody, to: &$0) {
                block(&$0, &$1)
                if hasLength, hasBody { $0.encode(contentLength: UInt64(size), to: &$1) }
                $0.encode(lines: "x-some: thing that comes again\r\n", to: &$1)
            }
            if !isWritten { violations.append("no head of \(id)") }
        }
    }

    /// Makes some more of the bodies known, and ends those that are whole.
    func offer() {
        for id in streams.keys.sorted() where random.next(below: 3) == 0 {
            guard var stream = streams[id], stream.hasHead, !stream.hasSent, !stream.isCut, !stream.isOffered else {
                continue
            }
            let count = min(stream.toOffer, 1 + random.next(below: 40_000))
            stream.toOffer -= count
            if stream.toOffer == 0 {
                stream.isOffered = true
                session.offer(stream.ref, bytes: count, ends: !stream.endsWithTrailers)
            } else {
                session.offer(stream.ref, bytes: count, ends: false)
            }
            streams[id] = stream
        }
    }

    /// Sends some frames of bodies, and the trailers behind those that have gone.
    func send() {
        for _ in 0..<random.next(below: 12) {
            var grant: HTTP2DataGrant?
            write {
                grant = session.nextData(room: 1 + random.next(below: 20_000), to: &$0)
                guard let grant else { return }
                let sent = streams[grant.stream.id]?.sent ?? 0
                let body = Octets.body(grant.stream.id, sent, grant.count)
                $0.write(body.span)
            }
            guard let grant else { break }
            streams[grant.stream.id]?.sent += grant.count
            if grant.ends { streams[grant.stream.id]?.hasSent = true }
        }
        for id in streams.keys.sorted() {
            guard let stream = streams[id], stream.isOffered, stream.endsWithTrailers, !stream.hasSent, !stream.isCut,
                session.waiting(stream.ref) == 0
            else { continue }
            streams[id]?.hasSent = true
            write {
                _ = session.writeHead(stream.ref, endsStream: true, to: &$0) {
                    $0.encode(lines: "x-sum: 1\r\n", to: &$1)
                }
            }
        }
    }

    /// Deals with some of what came.
    func returnCredit(all: Bool = false) {
        while let (ref, bytes) = credits.popLast() {
            session.returnCredit(ref, bytes)
            if !all, random.next(below: 4) == 0 { break }
        }
    }

    /// Cuts a stream off now and then.
    func cut() {
        guard
            let stream = streams.values.filter({ !$0.isCut && !($0.hasEnded && $0.hasSent) && $0.hasHead })
                .min(by: { $0.ref.id < $1.ref.id })
        else { return }
        session.reset(stream.ref, .cancel)
        streams[stream.ref.id]?.isCut = true
    }

    /// Puts what the protocol has to say behind what is written.
    func control() {
        write { session.writeControl(to: &$0) }
    }
}

/// The wire, and what is expected of it in the end.
struct Traffic {
    let client: TrafficEnd
    let server: TrafficEnd
    private var random: Random
    private var asked = 0
    private let requests: Int
    private let cuts: Bool

    init(seed: UInt64, requests: Int, cuts: Bool) {
        random = Random(seed: seed)
        self.requests = requests
        self.cuts = cuts
        var bounds = HTTP2Bounds()
        bounds.streamsMax = 1 + random.next(below: 40)
        bounds.streamWindowBytes = [1, 1000, 5000, 65_535, 300_000][random.next(below: 5)] + random.next(below: 100)
        bounds.connectionWindowBytes = [65_535, 100_000, 1_000_000][random.next(below: 3)]
        bounds.decoderTableBytesMax = [0, 100, 4096, 10_000][random.next(below: 4)]
        server = TrafficEnd(.server, bounds, seed: seed ^ 1)
        let bodyMax = min(150_000, bounds.streamWindowBytes * 20)
        bounds.streamWindowBytes = [5000, 65_535, 70_000][random.next(below: 3)]
        bounds.encoderTableBytesMax = [0, 100, 4096][random.next(below: 3)]
        client = TrafficEnd(.client, bounds, seed: seed ^ 2)
        client.bodyMax = bodyMax
    }

    /// Hands some bytes on.
    private mutating func carry(_ from: TrafficEnd, _ to: TrafficEnd) {
        let count = min(
            from.output.count, random.next(below: 3) == 0 ? random.next(below: 40) : random.next(below: 60_000))
        let piece = from.output[..<count]
        to.receive(piece)
        from.output.removeFirst(count)
    }

    private mutating func turn() {
        if asked < requests, random.next(below: 2) == 0 {
            client.ask()
            asked = client.streams.count
        }
        if random.next(below: 2) == 0 { server.answer() }
        for end in [client, server] {
            // Slow enough that tiny windows are nobody's fault.
            end.now += 500_000_000
            if random.next(below: 30) == 0 { end.session.ping(UInt64(asked)) }
            if random.next(below: 2) == 0 { end.returnCredit() }
            end.offer()
            end.control()
            end.send()
        }
        if cuts, random.next(below: 25) == 0 { (random.next(below: 2) == 0 ? client : server).cut() }
        carry(client, server)
        carry(server, client)
    }

    private var isDone: Bool {
        asked >= requests && client.output.isEmpty && server.output.isEmpty
            && client.session.openStreams == 0 && server.session.openStreams == 0
    }

    /// - Returns: what was not as it must be.
    mutating func run() -> [String] {
        var turns = 0
        while !isDone, client.violations.isEmpty, server.violations.isEmpty {
            turns += 1
            if turns > 60_000 { return ["stuck: \(client.session.openStreams) open, \(asked) asked"] }
            turn()
        }
        var found = client.violations + server.violations
        for (id, asking) in client.streams {
            guard !asking.isCut else { continue }
            guard let answering = server.streams[id] else {
                found.append("request \(id) never came")
                continue
            }
            if answering.isCut { continue }
            if asking.sent != answering.received {
                found.append("request \(id): \(asking.sent), \(answering.received)")
            }
            if answering.sent != asking.received { found.append("answer \(id): \(answering.sent), \(asking.received)") }
            if asking.heads != 1 || !asking.hasEnded || !answering.hasEnded { found.append("no end of \(id)") }
            if asking.endsWithTrailers != (answering.trailers == 1) { found.append("trailers of request \(id)") }
            if answering.endsWithTrailers != (asking.trailers == 1) { found.append("trailers of answer \(id)") }
        }
        return found
    }
}
