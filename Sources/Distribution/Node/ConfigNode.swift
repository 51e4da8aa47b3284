// A node of the distribution, as the rest of the program sees it: start one of three kinds, look at it, stop it.

package import ConfigLog
import FoundationEssentials
import Limits
import Logging
import NIOCore
import NIOPosix
package import Replica
import Synchronization

/// A root, a relay or an edge at work, with its sockets and the threads of its replica.
package final class ConfigNode: Sendable {
    /// Whom a node tells what happens. All are called off the loops that serve clients.
    package struct Hooks: Sendable {
        /// After every change of the replica, in order, on the thread that made it: `ZoneTable.publish` goes here.
        package var onTouched: (@Sendable (Touched) -> Void)?
        /// What is told to the log. On the node's loop: to be quick.
        package var onReport: (@Sendable (LogReport) -> Void)?
        /// How this node does, asked every few seconds. On the node's loop: to be quick.
        package var health: (@Sendable () -> HealthSummary)?
        /// A root's own replica does not follow any more; children do. Called once: stop the node, bring the replica up
        /// again, start another.
        package var onReplicaFailed: (@Sendable (ReplicaError) -> Void)?

        package init(
            onTouched: (@Sendable (Touched) -> Void)? = nil, onReport: (@Sendable (LogReport) -> Void)? = nil,
            health: (@Sendable () -> HealthSummary)? = nil,
            onReplicaFailed: (@Sendable (ReplicaError) -> Void)? = nil
        ) {
            self.onTouched = onTouched
            self.onReport = onReport
            self.health = health
            self.onReplicaFailed = onReplicaFailed
        }
    }

    /// Where a root or a relay takes children, and who may come.
    package struct Door: Sendable {
        package var listen: PeerAddress
        /// A root's; without one it enrols nobody. A relay has none: it passes enrolments on to its parents.
        package var desk: EnrolmentDesk?
        /// Whether a node may be here: asked at every connection, and every second for all that stand. From memory, on
        /// the node's loop. Nil: what the own replica says in `node/<name>`.
        package var isAdmitted: (@Sendable (NodeName, NodeRole) -> Bool)?

        package init(
            listen: PeerAddress, desk: EnrolmentDesk? = nil,
            isAdmitted: (@Sendable (NodeName, NodeRole) -> Bool)? = nil
        ) {
            self.listen = listen
            self.desk = desk
            self.isAdmitted = isAdmitted
        }
    }

    let setup: NodeSetup
    let group: MultiThreadedEventLoopGroup
    let worker: ReplicaWorker
    let tasks: TaskTray
    let box: StatusBox
    let core: NIOLoopBound<NodeCore>
    private let hasStopped = Mutex(false)

    init(
        _ core: NIOLoopBound<NodeCore>, setup: NodeSetup, group: MultiThreadedEventLoopGroup, worker: ReplicaWorker,
        tasks: TaskTray, box: StatusBox
    ) {
        self.core = core
        self.setup = setup
        self.group = group
        self.worker = worker
        self.tasks = tasks
        self.box = box
    }

    private var loop: any EventLoop { group.any() }

    /// Does something on the node's loop. Nil: the node was stopped, and the loop may be gone.
    private func onLoop<T: Sendable>(
        _ body: @escaping @Sendable (NodeCore) throws -> T
    ) -> EventLoopFuture<T>? {
        // Within the lock: `stop` queues its own step behind everything that was let through.
        hasStopped.withLock { [loop, core] stopped in stopped ? nil : loop.submit { try body(core.value) } }
    }

    // MARK: Looking at it

    /// How it does. Cheap; any thread.
    package var status: NodeStatus { box.value }

    /// Everybody below, by name, as last reported. Empty at an edge.
    package func nodes() async -> [NodeReport] {
        (try? await onLoop { $0.nodes }?.get()) ?? []
    }

    // MARK: Telling it

    /// A root's only source: frames that were sealed, in order.
    ///
    /// Returns once it is on its way to the children and waits for the own replica; while too much waits there, later.
    /// - Throws: `stopped`.
    package func publish(_ frame: Frame) async throws(DistributionError) {
        let room = try? await onLoop { [worker, loop] core -> EventLoopFuture<Void> in
            guard !core.isStopped else { throw DistributionError(.stopped, "") }
            core.tell { machine, now in machine.publish(frame, now) }
            worker.add(.apply(frame))
            guard worker.isFull else { return loop.makeSucceededVoidFuture() }
            let promise = loop.makePromise(of: Void.self)
            core.roomWaiters.append(promise)
            return promise.futureResult
        }?.get()
        guard let room else { throw DistributionError(.stopped, "the node was stopped") }
        try? await room.get()
    }

    /// Ends the connections of a child now. It is let in again unless `isAdmitted` says otherwise.
    package func disconnect(_ name: NodeName) async {
        try? await onLoop { $0.disconnect(name) }?.get()
    }

    /// Says goodbye, closes all sockets, and ends the threads. The replica stays open: it is the caller's.
    package func stop() async {
        let closing = hasStopped.withLock { [loop, core] stopped in
            defer { stopped = true }
            return stopped ? nil : loop.submit { core.value.stopAndClose() }
        }
        guard let closing else { return }
        for closing in (try? await closing.get()) ?? [] { try? await closing.get() }
        await tasks.close()
        await worker.stop()
        try? await group.shutdownGracefully()
    }
}

/// What a node is given at its start.
struct NodeSetup: Sendable {
    enum Renewal: Sendable {
        /// By the own authority.
        case authority(RootIdentity)
        /// By asking the parents; the directory keeps the identity.
        case parents(directory: String)
    }

    let name: NodeName
    let role: NodeRole
    let parents: [PeerAddress]
    let renewal: Renewal
    let hooks: ConfigNode.Hooks
    let bounds: LogBounds
    let log: Logger
}

/// The status, for any thread.
final class StatusBox: Sendable {
    private let status: Mutex<NodeStatus>

    init(_ status: NodeStatus) { self.status = Mutex(status) }

    var value: NodeStatus { status.withLock { $0 } }
    func update(_ body: (inout NodeStatus) -> Void) { status.withLock { body(&$0) } }
}

extension NodeCore {
    /// - Returns: What to wait for before the loop may end.
    func stopAndClose() -> [EventLoopFuture<Void>] {
        let channels = links.values.map(\.channel) + (door?.channels ?? []) + attempts.values.compactMap(\.channel)
        stop()
        door?.close()
        return channels.map(\.closeFuture)
    }
}
