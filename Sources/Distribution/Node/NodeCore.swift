// One node at work: the machine (`LogNode`), and what performs its actions.
//
//   sockets ──bytes──▶ ┌──────────┐ ──actions──▶ sockets: send, connect, disconnect
//   replica ─answers─▶ │ machine  │ ──actions──▶ replica's threads: apply, import, export
//   clock ────ticks──▶ └──────────┘
//
// All of it lives on one event loop. An action may end a connection, which is news for the machine: such news waits until
// the actions before it are done, so that all are performed in the order in which they were returned.

import ConfigLog
import FoundationEssentials
import Limits
import Logging
import NIOCore
import NIOPosix
import Replica

/// What one event loop owns. Touched by that loop alone.
final class NodeCore {
    /// One end of a connection that said who it is.
    struct Link {
        let channel: any Channel
        let handler: LogConnection
        let certificate: NodeCertificate
    }

    let loop: any EventLoop
    let group: MultiThreadedEventLoopGroup
    let setup: NodeSetup
    let worker: ReplicaWorker
    let status: StatusBox
    private(set) var identity: NodeIdentity
    let door: NodeDoor?
    let tasks: TaskTray

    private var machine: LogNode
    private var waiting: [(inout LogNode, LogTime) -> [LogAction]] = []
    private var isPerforming = false
    private(set) var isStopped = false

    var links: [LogPeer: Link] = [:]
    private var childCount = 0
    /// Bytes that were written to each since the last flush.
    private var unflushed: [LogPeer: Int] = [:]
    var attempts: [LogPeer: ParentAttempt] = [:]
    private var nextChild: UInt64 = 1
    private var importNumber: UInt64 = 0
    private var isParentPaused = false
    private var hasReportedFailure = false
    var roomWaiters: [EventLoopPromise<Void>] = []

    private var ticking: (at: UInt64, Scheduled<Void>)?
    var repeated: [RepeatedTask] = []
    var isRenewing = false
    private(set) var (bytesReceived, bytesSent): (UInt64, UInt64) = (0, 0)

    var log: Logger { setup.log }

    init(
        _ machine: LogNode, identity: NodeIdentity, setup: NodeSetup, worker: ReplicaWorker, door: NodeDoor?,
        tasks: TaskTray, status: StatusBox, loop: any EventLoop, group: MultiThreadedEventLoopGroup
    ) {
        self.machine = machine
        self.identity = identity
        self.setup = setup
        self.worker = worker
        self.door = door
        self.tasks = tasks
        self.status = status
        self.loop = loop
        self.group = group
    }

    // MARK: The machine

    static func now() -> LogTime {
        LogTime(monotonic: milliseconds(CLOCK_MONOTONIC), unix: milliseconds(CLOCK_REALTIME))
    }

    private static func milliseconds(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        guard clock_gettime(clock, &time) == 0 else { return 0 }
        return UInt64(clamping: time.tv_sec) &* 1000 &+ UInt64(clamping: time.tv_nsec) / 1_000_000
    }

    /// Tells the machine something, and performs what it wants.
    func tell(_ news: @escaping (inout LogNode, LogTime) -> [LogAction]) {
        waiting.append(news)
        guard !isPerforming else { return }
        isPerforming = true
        while !waiting.isEmpty {
            let batch = waiting
            waiting = []
            for news in batch {
                for action in news(&machine, Self.now()) { perform(action) }
            }
        }
        isPerforming = false
        flush()
        updateStatus()
        scheduleTick()
    }

    private func scheduleTick() {
        guard !isStopped, let due = machine.nextDeadline else { return }
        if let ticking, ticking.at <= due { return }
        ticking?.1.cancel()
        let now = Self.now().monotonic
        // Not at once, however late: whatever else waits on this loop comes first.
        let wait = max(1, due > now ? due - now : 0)
        let core = NIOLoopBound(self, eventLoop: loop)
        let task = loop.scheduleTask(in: .milliseconds(Int64(clamping: wait))) {
            core.value.ticking = nil
            core.value.tell { machine, now in machine.tick(now) }
        }
        ticking = (due, task)
    }

    /// What is below, as last reported.
    var nodes: [NodeReport] { machine.nodes }

    // MARK: Actions

    private func perform(_ action: LogAction) {
        switch action {
        case .connect(let peer, let index): connect(peer, index)
        case .send(let peer, let record): send(record, to: peer)
        case .disconnect(let peer): close(peer)
        case .apply(let frame): worker.add(.apply(frame))
        case .exportSnapshot: worker.exportSnapshot()
        case .readChunk(let hash, let child): worker.readChunk(hash, child: child)
        case .beginImport(let manifest):
            importNumber &+= 1
            worker.add(.beginImport(manifest, number: importNumber))
        case .storeChunk(let index, let bytes):
            worker.add(.storeChunk(index: index, bytes, number: importNumber))
        case .abandonImport:
            importNumber &+= 1
            worker.add(.abandonImport)
        case .finishImport: worker.add(.finishImport(number: importNumber))
        case .report(let report):
            tellLog(report)
            setup.hooks.onReport?(report)
        }
        if worker.isFull { pauseParent(true) }
    }

    private func send(_ record: PeerRecord, to peer: LogPeer) {
        guard let link = links[peer] else { return }
        let written = unflushed[peer, default: 0] &+ record.byteCount
        unflushed[peer] = written
        // One read of a child may hold a thousand questions: whoever is cut in the end is not answered first.
        guard written <= setup.bounds.childQueueBytesMax else { return }
        var buffer = link.channel.allocator.buffer(capacity: record.byteCount)
        buffer.writeBytes(record.head)
        buffer.writeBytes(record.body)
        bytesSent &+= UInt64(record.byteCount)
        link.channel.write(buffer, promise: nil)
    }

    /// Sends what was written, and cuts who does not read it.
    private func flush() {
        let peers = unflushed
        unflushed = [:]
        for (peer, written) in peers {
            guard let link = links[peer] else { continue }
            link.channel.flush()
            let waiting = max(written, link.unwrittenBytes)
            guard waiting > setup.bounds.childQueueBytesMax else { continue }
            cut(peer, PeerMessage.Goodbye(.slow, "\(waiting) bytes wait to be read"))
        }
    }

    /// Ends a connection once what was sent has left, or after a bound. The machine knows.
    func close(_ peer: LogPeer) {
        attempts.removeValue(forKey: peer)?.cancel()
        guard let link = remove(peer) else { return }
        link.handler.end()
        link.channel.flush()
        link.channel.close(promise: nil)
    }

    /// Ends a connection for a reason that the machine does not know yet.
    func cut(_ peer: LogPeer, _ goodbye: PeerMessage.Goodbye) {
        guard let link = links[peer] else { return }
        log.warning(
            "a connection is cut",
            metadata: [
                "node": "\(link.certificate.name)", "role": "\(link.certificate.role.word)",
                "reason": "\(goodbye.reason)", "why": "\(goodbye.text)",
            ])
        if case .child = peer { setup.hooks.onReport?(.childCut(name: link.certificate.name.text, goodbye)) }
        if let record = try? PeerRecord(.goodbye(goodbye)) { send(record, to: peer) }
        close(peer)
        tell { machine, now in machine.disconnected(peer, now) }
    }

    // MARK: Connections

    /// A child whose certificate was checked.
    func accept(_ channel: any Channel, _ certificate: NodeCertificate) throws {
        let peer = LogPeer.child(nextChild)
        nextChild &+= 1
        try add(peer, channel, certificate)
        let (id, name) = (nextChild &- 1, certificate.name.text)
        tell { machine, now in machine.accepted(id, provenName: name, now) }
    }

    /// From now on the machine may use it.
    func add(_ peer: LogPeer, _ channel: any Channel, _ certificate: NodeCertificate) throws {
        let handler = LogConnection(peer, core: self)
        try channel.pipeline.syncOperations.addHandler(handler)
        links[peer] = Link(channel: channel, handler: handler, certificate: certificate)
        switch peer {
        case .child: childCount += 1
        case .parent: if isParentPaused { handler.pause(true) }
        }
    }

    private func remove(_ peer: LogPeer) -> Link? {
        unflushed.removeValue(forKey: peer)
        guard let link = links.removeValue(forKey: peer) else { return nil }
        if case .child = peer { childCount -= 1 }
        return link
    }

    func received(_ bytes: [UInt8], from peer: LogPeer) {
        guard links[peer] != nil else { return }
        bytesReceived &+= UInt64(bytes.count)
        tell { machine, now in machine.receive(bytes, from: peer, now) }
    }

    /// The other end is gone.
    func ended(_ peer: LogPeer) {
        guard remove(peer) != nil else { return }
        tell { machine, now in machine.disconnected(peer, now) }
    }

    private func pauseParent(_ isPaused: Bool) {
        guard isPaused != isParentPaused else { return }
        isParentPaused = isPaused
        for (peer, link) in links {
            if case .parent = peer { link.handler.pause(isPaused) }
        }
    }

    // MARK: The replica's answers

    func take(_ answer: ReplicaWorker.Answer) {
        guard !isStopped else { return }
        switch answer {
        case .applied(let position, let committedAt):
            if machine.role == .root { noteApplied(position, committedAt: committedAt) }
            tell { machine, now in machine.applied(position, now) }
        case .applyFailed(let error):
            if machine.role == .root { return reportFailure(error) }
            worker.resume()
            tell { machine, now in machine.applyFailed(error.description, now) }
        case .importBegan(let lacking, let number):
            guard number == importNumber else { return }
            tell { machine, now in machine.importBegan(lacking: lacking, now) }
        case .importFinished(_, let number):
            guard number == importNumber else { return }
            tell { machine, now in machine.importFinished(now) }
        case .importFailed(let error, let number):
            guard number == importNumber else { return }
            tell { machine, now in machine.importFailed(error.description, now) }
        case .exported(let manifest): tell { machine, now in machine.snapshotExported(manifest, now) }
        case .chunk(let hash, let bytes, let child):
            tell { machine, now in machine.chunkRead(hash, bytes, for: child, now) }
        case .drained:
            pauseParent(false)
            let waiters = roomWaiters
            roomWaiters = []
            for waiter in waiters { waiter.succeed() }
        }
    }

    /// A root's own replica does not follow: whoever keeps it has to bring it up again.
    private func reportFailure(_ error: ReplicaError) {
        guard !hasReportedFailure else { return }
        hasReportedFailure = true
        log.error("the control plane's own replica follows no more", metadata: ["reason": "\(error)"])
        setup.hooks.onReplicaFailed?(error)
    }

    private func noteApplied(_ position: LogPosition, committedAt: UInt64) {
        let now = Self.now().unix
        status.update { status in
            status.applied = position
            status.lagMilliseconds = UInt32(clamping: now &- min(committedAt, now))
        }
    }

    // MARK: Identity

    /// A newer certificate: for connections from now on.
    func adopt(_ identity: NodeIdentity) throws(DistributionError) {
        try door?.adopt(identity)
        self.identity = identity
        updateStatus()
    }

    // MARK: Status

    func updateStatus() {
        let (machine, identity) = (machine, identity)
        let problem = worker.problem
        let (received, sent) = (bytesReceived, bytesSent)
        let children = childCount
        let staleness = machine.stalenessMilliseconds(Self.now())
        status.update { status in
            status.position = machine.position
            if machine.role != .root {
                status.applied = machine.applied
                status.lagMilliseconds = machine.lagMilliseconds
            }
            status.stalenessMilliseconds = staleness
            status.isConnected = machine.isFollowing
            status.parent = machine.parent
            status.childCount = children
            (status.bytesReceived, status.bytesSent) = (received, sent)
            status.certificateSerial = identity.serial
            status.certificateNotAfter = identity.notAfter
            status.replicaProblem = problem
        }
    }

    func setHealth(_ health: HealthSummary) {
        tell { machine, _ in
            machine.health = health
            return []
        }
    }

    // MARK: The end

    /// Says goodbye to everybody.
    func stop() {
        guard !isStopped else { return }
        tell { machine, now in machine.stop(now) }
        isStopped = true
        ticking?.1.cancel()
        for task in repeated { task.cancel() }
        for attempt in attempts.values { attempt.cancel() }
        attempts = [:]
        for waiter in roomWaiters { waiter.succeed() }
        roomWaiters = []
    }
}

extension NodeCore.Link {
    /// Bytes that wait in this machine for the other to read.
    var unwrittenBytes: Int { (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0 }
}
