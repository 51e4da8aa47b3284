package import ConfigLog
import FoundationEssentials
import Limits
package import Logging
import NIOCore
import NIOPosix
package import Replica

extension ConfigNode {
    /// Starts the root. It is fed by `publish`.
    ///
    /// - Parameters:
    ///   - replica: Its own, from which snapshots are made; it stands at `position`, or within `recent`: what it lacks of
    ///     them is applied at once.
    ///   - position: The end of the log. `.none` before the first frame.
    ///   - recent: The newest frames, oldest first, ending at `position`: children that were away are sent these.
    ///   - door: Nil: no sockets; frames only reach the own replica.
    /// - Throws: `replica` if it does not stand where it should, `listen`, `authority`.
    package static func root(
        identity: RootIdentity, replica: Replica, at position: LogPosition, recent: [Frame] = [], door: Door? = nil,
        hooks: Hooks = Hooks(), bounds: LogBounds = LogBounds(), software: String = "", log: Logger
    ) async throws(DistributionError) -> ConfigNode {
        let lacking = try framesLacking(replica.position, at: position, recent)
        let certificate = try identity.authority.rootIdentity(name: identity.name, now: Date())
        let setup = NodeSetup(
            name: identity.name, role: .root, parents: [], renewal: .authority(identity), hooks: hooks, bounds: bounds,
            log: log)
        let machine = LogNode.root(name: identity.name.text, at: position, recent: recent, bounds: bounds)
        return try await start(machine, setup, certificate, replica, door, first: lacking)
    }

    /// Starts a relay: follows its parents, and feeds its children.
    ///
    /// - Parameters:
    ///   - directory: Where the identity is kept, also a renewed one.
    ///   - parents: The preferred one first.
    /// - Throws: `listen`, `identity`.
    package static func relay(
        identity: NodeIdentity, directory: String, parents: [PeerAddress], replica: Replica, door: Door,
        hooks: Hooks = Hooks(), bounds: LogBounds = LogBounds(), software: String = "", log: Logger
    ) async throws(DistributionError) -> ConfigNode {
        let setup = try follower(.relay, identity, directory, parents, hooks, bounds, log)
        var machine = LogNode.relay(
            name: identity.name.text, at: replica.position, parents: parents.map(\.description),
            seed: UInt64.random(in: 0...UInt64.max), bounds: bounds)
        machine.software = software
        return try await start(machine, setup, identity, replica, door)
    }

    /// Starts an edge's end of the distribution: follows its parents. The rest as with a relay.
    ///
    /// - Throws: `identity`.
    package static func edge(
        identity: NodeIdentity, directory: String, parents: [PeerAddress], replica: Replica, hooks: Hooks = Hooks(),
        bounds: LogBounds = LogBounds(), software: String = "", log: Logger
    ) async throws(DistributionError) -> ConfigNode {
        let setup = try follower(.leaf, identity, directory, parents, hooks, bounds, log)
        var machine = LogNode.leaf(
            name: identity.name.text, at: replica.position, parents: parents.map(\.description),
            seed: UInt64.random(in: 0...UInt64.max), bounds: bounds)
        machine.software = software
        return try await start(machine, setup, identity, replica, nil)
    }

    private static func follower(
        _ role: NodeRole, _ identity: NodeIdentity, _ directory: String, _ parents: [PeerAddress], _ hooks: Hooks,
        _ bounds: LogBounds, _ log: Logger
    ) throws(DistributionError) -> NodeSetup {
        guard identity.role == role else {
            throw DistributionError(
                .identity,
                "the certificate of \(identity.name) is a \(identity.role.word)'s, and this is a \(role.word)")
        }
        guard !parents.isEmpty else { throw DistributionError(.address, "no parent is given") }
        return NodeSetup(
            name: identity.name, role: role, parents: parents, renewal: .parents(directory: directory), hooks: hooks,
            bounds: bounds, log: log)
    }

    /// The frames between a root's replica and the end of the log.
    private static func framesLacking(
        _ held: LogPosition, at end: LogPosition, _ recent: [Frame]
    ) throws(DistributionError) -> [Frame] {
        if held == end { return [] }
        let lacking = recent.drop { $0.last <= held.sequence }
        if let first = lacking.first, (try? first.check(follows: held)) != nil, lacking.last?.position == end {
            return Array(lacking)
        }
        throw DistributionError(
            .replica,
            "the replica stands at \(held), the log at \(end), and the frames between them are not at hand: bring the "
                + "replica up from the store first")
    }

    // MARK: Putting together

    private static func start(
        _ machine: LogNode, _ setup: NodeSetup, _ identity: NodeIdentity, _ replica: Replica, _ door: Door?,
        first: [Frame] = []
    ) async throws(DistributionError) -> ConfigNode {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.any()
        let box = StatusBox(
            NodeStatus(
                name: setup.name, role: setup.role, position: machine.position, applied: replica.position,
                certificateSerial: identity.serial, certificateNotAfter: identity.notAfter))
        let home = CoreHome()
        let tasks = TaskTray()
        let worker = ReplicaWorker(
            replica, isRoot: setup.role == .root, log: setup.log, onTouched: { setup.hooks.onTouched?($0) },
            answer: { answer in loop.execute { home.core?.value.take(answer) } })
        do {
            let core = try await loop.submit {
                let door = try door.map { try makeDoor($0, setup, identity, replica, group, tasks) }
                let core = NodeCore(
                    machine, identity: identity, setup: setup, worker: worker, door: door, tasks: tasks, status: box,
                    loop: loop, group: group)
                door?.core = core
                return NIOLoopBound(core, eventLoop: loop)
            }.get()
            if let door { try await listen(door.listen, core, group, box) }
            try await loop.submit {
                home.core = core
                for frame in first { worker.add(.apply(frame)) }
                core.value.startUpkeep()
                core.value.tell { machine, now in machine.start(now) }
            }.get()
            return ConfigNode(core, setup: setup, group: group, worker: worker, tasks: tasks, box: box)
        } catch {
            await worker.stop()
            try? await group.shutdownGracefully()
            throw (error as? DistributionError) ?? DistributionError(.listen, "\(error)")
        }
    }

    private static func makeDoor(
        _ door: Door, _ setup: NodeSetup, _ identity: NodeIdentity, _ replica: Replica,
        _ group: MultiThreadedEventLoopGroup, _ tasks: TaskTray
    ) throws(DistributionError) -> NodeDoor {
        let isAdmitted = door.isAdmitted ?? { name, role in NodeRecord(name, in: replica) == .enrolled(role) }
        let (desk, log, parents, isRoot) = (door.desk, setup.log, setup.parents, setup.role == .root)
        return try NodeDoor(
            identity: identity, loop: group.any(), tasks: tasks, log: log, isAdmitted: isAdmitted
        ) { question, identity in
            if let desk { return await Enrolment.answer(question, identity: identity, desk: desk, log: log) }
            guard !isRoot else {
                return .refused(EnrolmentRefusal(.unavailable, "this control plane enrols nobody"))
            }
            return await Enrolment.forward(question, identity: identity, parents: parents, group: group, log: log)
        }
    }

    private static func listen(
        _ address: PeerAddress, _ core: NIOLoopBound<NodeCore>, _ group: MultiThreadedEventLoopGroup, _ box: StatusBox
    ) async throws {
        let channel: any Channel
        do {
            channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 256)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture(
                        core.value.door?.admit(channel) ?? .failure(DistributionError(.stopped, "the node stops")))
                }
                .bind(host: address.host, port: address.port).get()
        } catch {
            throw DistributionError(.listen, "cannot listen on \(address): \(EnrolmentClient.reason(error))")
        }
        try await channel.eventLoop.submit {
            core.value.door?.channel = channel
            box.update { $0.port = channel.localAddress?.port }
        }.get()
    }
}

/// Where the replica's threads find the node, once it is there. On its loop only.
private final class CoreHome: @unchecked Sendable {
    // Guarded by the event loop: read and set there alone.
    var core: NIOLoopBound<NodeCore>?
}
