// rooms: Limits ConfigLog; corpus: config-log
// The replicated log: its formats, and the machines under a peer that says anything. No trap, whatever comes; what is
// read is written back the same; what is sent is well-formed; nothing is applied but frames that follow each other.
//
// The first byte chooses: a format, or a machine that receives. Damage would hardly get past SHA-256, so that a fuzzer's
// build has another hash (FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION), and the target makes good frames and messages of its
// own where the input asks for one.

import ConfigLog

/// Takes the input from its front; zeros behind its end.
private struct Input {
    private var bytes: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

    var isEmpty: Bool { bytes.isEmpty }
    mutating func byte() -> UInt8 { bytes.popFirst() ?? 0 }

    mutating func take(_ count: Int) -> [UInt8] {
        defer { bytes = bytes.dropFirst(count) }
        return Array(bytes.prefix(count))
    }

    var rest: [UInt8] { Array(bytes) }
}

// MARK: Formats

private func readFormats(_ bytes: [UInt8]) {
    if let frame = try? Frame(decoding: bytes) {
        let again = try? Frame.seal(
            epoch: frame.epoch, after: (frame.first - 1, frame.previous), groups: frame.groups.map(\.changes),
            committedAt: frame.committedAtMilliseconds)
        precondition(again == frame, "a frame is written otherwise than it was read")
    }
    if let group = try? ChangeGroup(decoding: bytes) { precondition((try? group.encoded()) == bytes) }
    if let manifest = try? SnapshotManifest(decoding: bytes) { precondition((try? manifest.encoded()) == bytes) }
    if let position = try? LogPosition(decoding: bytes) { precondition(position.encoded == bytes) }
}

/// The same messages, however the bytes are cut.
private func readMessages(_ bytes: [UInt8], cut: Int) {
    var whole = RecordReader(accepting: Set(PeerMessage.Kind.allCases))
    whole.append(bytes)
    var found: [PeerMessage] = []
    while let message = try? whole.next() { found.append(message) }
    var pieces = RecordReader(accepting: Set(PeerMessage.Kind.allCases))
    var again: [PeerMessage] = []
    var start = 0
    reading: while start < bytes.count {
        let end = min(bytes.count, start + cut)
        pieces.append(Array(bytes[start..<end]))
        start = end
        while true {
            do {
                guard let message = try pieces.next() else { continue reading }
                again.append(message)
            } catch { break reading }
        }
    }
    precondition(found == again, "the pieces make a difference")
    for message in found {
        guard let record = try? PeerRecord(message) else { fatalError("what was read cannot be written") }
        var reader = RecordReader(accepting: [message.kind])
        reader.append(record.bytes)
        precondition((try? reader.next()) == message)
    }
}

// MARK: Machines

/// A machine, a replica that does what it is told, and a peer that the input plays.
private struct Run {
    var node: LogNode
    var now: UInt64 = 1000
    var position = LogPosition.none
    var head = LogPosition(epoch: 1, sequence: 0, hash: .zero)
    var parent: LogPeer?
    var stream: UInt32 = 1
    var importing: (manifest: SnapshotManifest, stored: Set<Int>)?
    var sent: [LogPeer: RecordReader] = [:]

    var time: LogTime { LogTime(monotonic: now, unix: now) }

    mutating func perform(_ actions: [LogAction]) {
        for action in actions {
            switch action {
            case .connect(let peer, _): parent = peer
            case .send(let peer, let record):
                // What a machine sends is whole and well-formed.
                var reader = sent[peer] ?? RecordReader(accepting: Set(PeerMessage.Kind.allCases))
                reader.append(record.bytes)
                guard let message = try? reader.next(), reader.bufferedByteCount == 0 else { fatalError("malformed") }
                if case .follow(let follow) = message { stream = follow.stream }
                sent[peer] = reader
            case .disconnect(let peer): if peer == parent { parent = nil }
            case .apply(let frame):
                precondition((try? frame.check(follows: position)) != nil, "applied out of order")
                position = frame.position
                perform(node.applied(frame.position, time))
            case .exportSnapshot: perform(node.snapshotExported(manifest(), time))
            case .readChunk(let hash, let child):
                let bytes = [1, 2, 3].map { [$0] as [UInt8] }.first { ChainHash.of($0) == hash }
                perform(node.chunkRead(hash, bytes, for: child, time))
            case .beginImport(let manifest):
                importing = (manifest, [])
                perform(node.importBegan(lacking: Array(manifest.chunks.indices), time))
            case .storeChunk(let index, let bytes):
                precondition(importing?.manifest.chunks[index].hash == ChainHash.of(bytes))
                precondition(importing?.stored.insert(index).inserted == true)
            case .abandonImport: importing = nil
            case .finishImport(let manifest):
                precondition(importing?.manifest == manifest && importing?.stored.count == manifest.chunks.count)
                position = manifest.position
                importing = nil
                perform(node.importFinished(time))
            case .report: break
            }
        }
    }

    private func manifest() -> SnapshotManifest {
        SnapshotManifest(
            position: LogPosition(epoch: 1, sequence: head.sequence, hash: head.hash),
            chunks: [1, 2, 3].map { SnapshotManifest.Chunk(hash: ChainHash.of([$0]), byteCount: 1) })
    }

    /// A message of the input's choice that the machine may well expect.
    private mutating func plausible(_ input: inout Input) -> PeerMessage {
        let at = LogPosition(epoch: UInt64(input.byte() & 3), sequence: UInt64(input.byte()), hash: .zero)
        switch input.byte() % 14 {
        case 0: return .hello(PeerMessage.Hello(role: .relay, name: "peer", position: at))
        case 1: return .hello(PeerMessage.Hello(role: .leaf, name: "peer", position: at))
        case 2: return .follow(PeerMessage.Follow(stream: 1, position: at, wantsSnapshot: input.byte() & 1 == 0))
        case 3: return .follow(PeerMessage.Follow(stream: 2, position: head, wantsSnapshot: input.byte() & 1 == 0))
        case 4:
            let kind = PeerMessage.Answer.Kind(rawValue: 1 + input.byte() % 6) ?? .deltas
            return .answer(PeerMessage.Answer(stream: stream, kind: kind, head: at))
        case 5, 6, 7:
            let base = input.byte() & 7 == 0 ? at : position
            let frame = try? Frame.seal(
                epoch: max(1, base.epoch), after: (base.sequence, base.hash),
                groups: Array(repeating: [Change(key: "k", value: [input.byte()])], count: 1 + Int(input.byte() & 3)),
                committedAt: now)
            return .frame(stream: stream, bytes: frame?.bytes ?? [])
        case 8:
            var offered = manifest()
            if input.byte() & 1 == 0 { offered.position = at }
            return .offer(stream: stream, offered)
        case 9: return .chunk(ChainHash.of([1 + input.byte() % 4]), bytes: [1 + input.byte() % 4])
        case 10: return .chunkRequest(ChainHash.of([1 + input.byte() % 4]))
        case 11:
            return .acknowledgement(
                PeerMessage.Acknowledgement(
                    stream: 1, position: input.byte() & 1 == 0 ? head : at, appliedAtMilliseconds: now,
                    lagMilliseconds: 1, health: HealthSummary()))
        case 12:
            return .ping(
                PeerMessage.Ping(
                    stream: stream, sentSequence: UInt64(input.byte()), head: at,
                    stalenessMilliseconds: UInt32(input.byte()) * 200))
        default: return input.byte() & 1 == 0 ? .chunkMissing(ChainHash.of([1])) : .reports([])
        }
    }

    mutating func run(_ input: inout Input) {
        perform(node.start(time))
        perform(node.accepted(1, time))
        while !input.isEmpty {
            let choice = input.byte()
            let peer = choice & 1 == 0 ? parent ?? .parent(1) : .child(1)
            switch choice >> 1 & 15 {
            case 0: perform(node.connected(peer, time))
            case 1: perform(node.disconnected(peer, time))
            case 2: perform(node.receive(input.take(Int(input.byte())), from: peer, time))
            case 3:
                now += UInt64(input.byte()) * 100
                perform(node.tick(time))
            case 4: perform(node.accepted(1, time))
            case 5: perform(node.applyFailed("no", time))
            case 6: perform(node.importFailed("no", time))
            case 7:
                let frame = try? Frame.seal(
                    epoch: 1, after: (head.sequence, head.hash), groups: [[Change(key: "k", value: nil)]],
                    committedAt: now)
                guard node.role == .root, let frame else { continue }
                head = frame.position
                perform(node.publish(frame, time))
            default:
                guard let record = try? PeerRecord(plausible(&input)) else { continue }
                perform(node.receive(record.bytes, from: peer, time))
            }
            if let due = node.nextDeadline { precondition(due > 0) }
        }
        perform(node.stop(time))
    }
}

/// What libFuzzer calls with every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = Input(Array(UnsafeBufferPointer(start: start, count: count)))
    let choice = input.byte()
    var bounds = LogBounds()
    bounds.windowFramesMax = 4
    bounds.inFlightBytesMax = 300
    bounds.childQueueBytesMax = 900
    let start = LogPosition(epoch: 1, sequence: 0, hash: .zero)
    switch choice % 5 {
    case 0: readFormats(input.rest)
    case 1: readMessages(input.rest, cut: 1 + Int(choice / 5))
    case 2:
        var run = Run(node: .root(name: "root", at: start, bounds: bounds))
        run.run(&input)
    case 3:
        var run = Run(node: .relay(name: "relay", at: .none, parents: ["a", "b"], seed: 1, bounds: bounds))
        run.run(&input)
    default:
        var run = Run(node: .leaf(name: "leaf", at: .none, parents: ["a", "b"], seed: 1, bounds: bounds))
        run.run(&input)
    }
    return 0
}
