import ConfigLog
import Glibc

/// A node with what a shell would have: its machine, its replica, its connections.
final class SimulatedNode {
    let index: Int
    let name: String
    let site: Site
    /// Indices of the nodes that it may follow.
    let parents: [Int]
    var machine: LogNode
    var replica: SimulatedReplica
    /// Counts restarts: what was under way for an earlier life comes to nothing.
    var life = 0
    var isUp = true
    /// Sides of connections that this node holds open.
    var connections: [LogPeer: SimulatedConnection] = [:]
    /// When `tick` is due, if it is.
    var tickAt: UInt64?
    /// When the line is free for the next message.
    var sendingUntil: UInt64 = 0
    var receivingUntil: UInt64 = 0
    /// Nil: as fast as it comes.
    var receivesBytesPerSecond: Double?
    /// When the replica has done what it was given.
    var applyingUntil: UInt64 = 0
    /// Frames that were handed over before this number count for nothing, since another state took the place of theirs.
    var generation = 0

    /// The snapshot that is offered: the state as it was.
    var exported: (chunks: [ChainHash: Int], replica: SimulatedReplica)?
    var imported: [Int: [UInt8]] = [:]
    /// The newest sequence whose arrival here was counted.
    var countedThrough: UInt64 = 0

    // What it cost.
    var cpuNanoseconds: UInt64 = 0
    var bytesOut: UInt64 = 0
    var messagesOut: UInt64 = 0
    var messagesIn: UInt64 = 0

    init(index: Int, site: Site, parents: [Int], machine: LogNode, replica: SimulatedReplica) {
        self.index = index
        name = machine.name
        self.site = site
        self.parents = parents
        self.machine = machine
        self.replica = replica
    }

    /// Calls the machine, and counts the processor's time that it took.
    func run(_ body: (inout LogNode) -> [LogAction]) -> [LogAction] {
        let start = Self.threadNanoseconds()
        let actions = body(&machine)
        cpuNanoseconds &+= Self.threadNanoseconds() &- start
        return actions
    }

    private static func threadNanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}

/// A connection between a child and a parent: bytes arrive in order, or not at all.
final class SimulatedConnection {
    let id: UInt64
    let child: SimulatedNode
    let parent: SimulatedNode
    /// The child's name for it.
    let childPeer: LogPeer
    var parentPeer: LogPeer { .child(id) }
    let roundTrip: UInt64
    /// When what was sent last arrives: nothing overtakes it. To the parent, to the child.
    var arrival: [UInt64] = [0, 0]
    /// Which lives its ends belong to.
    let childLife: Int
    let parentLife: Int

    init(id: UInt64, child: SimulatedNode, parent: SimulatedNode, childPeer: LogPeer) {
        self.id = id
        self.child = child
        self.parent = parent
        self.childPeer = childPeer
        roundTrip = child.site.roundTrip(to: parent.site)
        childLife = child.life
        parentLife = parent.life
    }

    func end(towardsChild: Bool) -> (node: SimulatedNode, peer: LogPeer, life: Int) {
        towardsChild ? (child, childPeer, childLife) : (parent, parentPeer, parentLife)
    }

    func isOpen(towardsChild: Bool) -> Bool {
        let (node, peer, life) = end(towardsChild: towardsChild)
        return node.isUp && node.life == life && node.connections[peer] === self
    }
}
