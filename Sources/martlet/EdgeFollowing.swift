import ConfigModel
import Following
import Limits
import Logging
import Replica
import Synchronization

/// What an edge follows: a replica, by whatever road the log comes into it.
struct EdgeFollowing: Sendable {
    let replica: Replica
    /// By this name the edge is known to the control plane.
    let node: String
    /// Whether new versions of global objects come here first, whatever the control plane says: where there is no other.
    let isCanary: Bool
    /// Opens the private keys of certificates; nil: this edge has no key for them.
    let keys: (@Sendable (_ sealed: [UInt8], _ context: String) throws -> [UInt8])?
    /// Where it is told what was applied.
    let news = ReplicaNews()
}

/// Hands on what was applied to a replica, once there is an edge to hand it to. What comes before, the edge reads when it
/// begins.
final class ReplicaNews: Sendable {
    private let handler = Mutex<(@Sendable (Touched) -> Void)?>(nil)

    /// On the thread that applied it.
    func applied(_ touched: Touched) { handler.withLock { $0 }?(touched) }

    func connect(_ handler: @escaping @Sendable (Touched) -> Void) { self.handler.withLock { $0 = handler } }
}

/// What an edge that follows has beside one that reads its zones from a file.
final class EdgeFollower: Sendable {
    let follower: ReplicaFollower
    let following: EdgeFollowing
    private struct State {
        var globals = FollowedGlobals()
        /// What was read since the edge last looked.
        var isChanged = false
        var configuration: Configuration
    }
    private let state: Mutex<State>
    private let log: Logger

    init(
        _ following: EdgeFollowing, parts: ZoneCompiler.Parts, configuration: Configuration, log: Logger
    ) {
        self.following = following
        self.log = log
        state = Mutex(State(configuration: configuration))
        let others = ReplicaOthers()
        follower = ReplicaFollower(parts, data: configuration.data, log: log) { keys in others.changed(keys) }
        others.connect { [weak self] keys in
            if keys.isEmpty || keys.contains(where: Self.isGlobal) { self?.readGlobals() }
        }
        following.news.connect { [follower] touched in follower.applied(touched) }
        readGlobals()
        follower.begin()
    }

    private static func isGlobal(_ key: String) -> Bool {
        key.hasPrefix("global/") || key.hasPrefix("switch/") || key.hasPrefix("node/")
    }

    private func readGlobals() {
        let (last, configuration) = state.withLock { ($0.globals, $0.configuration) }
        let globals = FollowedGlobals(
            replica: following.replica, node: following.node, isCanary: following.isCanary,
            configuration: configuration, last: last, log: log)
        guard globals != last else { return }
        state.withLock { state in
            state.globals = globals
            state.isChanged = true
        }
        // Switches hold from the next request on; limits when the edge next looks.
        follower.set(globals)
    }

    /// A configuration with what the control plane says about all edges.
    func effective(_ configuration: Configuration) -> Configuration {
        let globals = state.withLock { state in
            state.configuration = configuration
            state.isChanged = false
            return state.globals
        }
        var effective = globals.applied(to: configuration)
        // They are in the replica.
        effective.zones = []
        return effective
    }

    /// Whether something changed that only a new configuration puts in force.
    var isChanged: Bool { state.withLock { $0.isChanged } }

    /// Zones and global objects that are not as the control plane wants them.
    var refusedCount: Int { follower.refusedCount + state.withLock { $0.globals.refusedCount } }
}

/// As `ReplicaNews`, for keys that are about no zone.
private final class ReplicaOthers: Sendable {
    private let handler = Mutex<(@Sendable ([String]) -> Void)?>(nil)
    func changed(_ keys: [String]) { handler.withLock { $0 }?(keys) }
    func connect(_ handler: @escaping @Sendable ([String]) -> Void) { self.handler.withLock { $0 = handler } }
}
