// One version's way from nobody to everybody, as a state machine: what it is told is what the edges report, what it says is
// what to publish. No clock, no store: the driver has both, and may change in the middle, since all of it is kept.
//
//     canary ──▶ 1 % ──▶ 10 % ──▶ 50 % ──▶ 100 % ──▶ done          a stage that adds no edge that could be watched is left out
//        │         │        │        │         │
//        └─────────┴────────┴── an edge crashes, refuses, errs, slows down, lags, goes ──▶ rolled back: the version before
//                                                                                          is published again, everywhere
//
// Edges are watched that were connected when their stage began. While it is paused they still are.

import ConfigModel
import JSON
import Limits

/// An edge as the roll-out sees it.
struct RolloutEdge: Sendable, Equatable {
    struct Health: Sendable, Equatable {
        var requests: UInt64 = 0
        var serverErrors: UInt64 = 0
        var latencyMicroseconds: UInt64 = 0
        var crashes: UInt64 = 0
        var refusals: UInt64 = 0
    }

    var name: String
    var isCanary = false
    var isConnected = true
    /// The newest sequence it has applied.
    var sequence: UInt64 = 0
    var health = Health()
}

struct Rollout: Sendable, Equatable {
    enum Stage: String, Sendable, CaseIterable {
        case canary = "canary", one = "1", ten = "10", fifty = "50", all = "100"

        var reach: GlobalObject.Stage {
            GlobalObject.Stage(hasCanaries: true, percent: self == .canary ? 0 : Int(rawValue) ?? 0)
        }
        var next: Stage? {
            let all = Stage.allCases
            guard let place = all.firstIndex(of: self), place + 1 < all.count else { return nil }
            return all[place + 1]
        }
    }

    enum State: String, Sendable {
        case running, paused, done, aborted, superseded
        case rolledBack = "rolled_back"

        var isOver: Bool { self != .running && self != .paused }
    }

    /// What is to be done, in the transaction that keeps the machine.
    enum Action: Sendable, Equatable {
        /// The object with this stage.
        case publish(GlobalObject.Stage)
        /// The version before, for everybody.
        case publishPrevious
    }

    /// What it is told at each look.
    struct Sight: Sendable {
        /// Milliseconds since 1970.
        var now: Int64
        /// Where what was published last stands in the log; nil: not numbered yet.
        var sequence: UInt64?
        /// Every edge that is enrolled.
        var edges: [RolloutEdge]
    }

    let salt: String
    let soakMilliseconds: Int64
    private(set) var state = State.running
    private(set) var stage: Stage?
    private(set) var startedAt: Int64 = 0
    /// Since when all watched edges have applied the stage.
    private(set) var soakedFrom: Int64?
    private(set) var reason = ""
    /// How each watched edge was before its stage.
    private(set) var baseline: [String: RolloutEdge.Health] = [:]
    /// Since when watched edges have been away.
    private(set) var goneSince: [String: Int64] = [:]

    init(salt: String, soakMilliseconds: Int64) {
        self.salt = salt
        self.soakMilliseconds = soakMilliseconds
    }

    /// As it was kept.
    init(
        salt: String, soakMilliseconds: Int64, state: State, stage: Stage?, startedAt: Int64, soakedFrom: Int64?,
        reason: String, baseline: [String: RolloutEdge.Health], goneSince: [String: Int64]
    ) {
        self.init(salt: salt, soakMilliseconds: soakMilliseconds)
        (self.state, self.stage, self.startedAt, self.soakedFrom) = (state, stage, startedAt, soakedFrom)
        (self.reason, self.baseline, self.goneSince) = (reason, baseline, goneSince)
    }

    // MARK: What edges do

    /// Looks at the edges, and goes on, or back, or waits.
    mutating func look(_ sight: Sight) -> [Action] {
        guard !state.isOver else { return [] }
        guard stage != nil else { return state == .running ? begin(.canary, sight) : [] }
        // Who was revoked is watched no longer: somebody decided that.
        let known = Set(sight.edges.map(\.name))
        baseline = baseline.filter { known.contains($0.key) }
        goneSince = goneSince.filter { known.contains($0.key) }
        if let problem = problem(sight) { return fail(problem) }
        guard hasApplied(sight) else {
            soakedFrom = nil
            return []
        }
        let from = min(soakedFrom ?? sight.now, sight.now)
        soakedFrom = from
        guard state == .running, sight.now - from >= soakMilliseconds else { return [] }
        return goOn(sight)
    }

    private mutating func goOn(_ sight: Sight) -> [Action] {
        guard let next = stage?.next else {
            state = .done
            return []
        }
        return begin(next, sight)
    }

    /// Begins a stage, or the first one after it that there is somebody to watch in.
    private mutating func begin(_ wanted: Stage, _ sight: Sight) -> [Action] {
        let connected = sight.edges.filter(\.isConnected)
        // Somebody is there, and nobody can tell how they fare.
        if connected.isEmpty, !sight.edges.isEmpty { return [] }
        var next = wanted
        while true {
            let object = GlobalObject(version: 1, body: [:], stage: next.reach, salt: salt)
            let reached = connected.filter { object.reaches(node: $0.name, isCanary: $0.isCanary) }
            let added = reached.filter { baseline[$0.name] == nil }
            if !added.isEmpty {
                return enter(next, watching: reached, sight)
            }
            guard let further = next.next else { break }
            next = further
        }
        // All that could be watched have had it: the rest are edges that are away, and those to come.
        stage = .all
        startedAt = sight.now
        soakedFrom = nil
        state = .done
        return [.publish(.everybody)]
    }

    private mutating func enter(_ next: Stage, watching edges: [RolloutEdge], _ sight: Sight) -> [Action] {
        stage = next
        startedAt = sight.now
        soakedFrom = nil
        goneSince = [:]
        baseline = Dictionary(edges.map { ($0.name, $0.health) }) { first, _ in first }
        return [.publish(next.reach)]
    }

    private mutating func fail(_ problem: String) -> [Action] {
        state = .rolledBack
        reason = "stage \(stage?.rawValue ?? "-"): \(problem)"
        return [.publishPrevious]
    }

    private func hasApplied(_ sight: Sight) -> Bool {
        guard let sequence = sight.sequence else { return false }
        return sight.edges.allSatisfy { edge in
            baseline[edge.name] == nil || edge.isConnected && edge.sequence >= sequence
        }
    }

    /// What is wrong with the first edge that something is wrong with.
    private mutating func problem(_ sight: Sight) -> String? {
        let isLate = sight.sequence != nil && sight.now - startedAt >= Limits.rolloutApplyMilliseconds
        for edge in sight.edges.sorted(by: { $0.name < $1.name }) {
            guard let before = baseline[edge.name] else { continue }
            guard edge.isConnected else {
                let since = goneSince[edge.name] ?? sight.now
                goneSince[edge.name] = since
                guard sight.now - since < Limits.rolloutGoneMilliseconds else {
                    return "the edge \(edge.name) is gone"
                }
                continue
            }
            goneSince[edge.name] = nil
            if let fault = Self.fault(edge.health, before) { return "the edge \(edge.name) \(fault)" }
            if isLate, let sequence = sight.sequence, edge.sequence < sequence {
                return "the edge \(edge.name) has not applied it after \(Limits.rolloutApplyMilliseconds / 1000) s"
            }
        }
        return pooledFault(sight)
    }

    /// How an edge fares worse than before its stage.
    private static func fault(_ now: RolloutEdge.Health, _ before: RolloutEdge.Health) -> String? {
        if now.crashes > before.crashes { return "crashed" }
        if now.refusals > before.refusals { return "refused an object of the configuration" }
        if let shares = worseShare(now, before) { return "answers \(shares)" }
        guard now.requests >= Limits.rolloutRequestsMin, before.requests >= Limits.rolloutRequestsMin else {
            return nil
        }
        let bound =
            min(before.latencyMicroseconds, 1 << 40) * (100 + Limits.rolloutLatencyPercentMax) / 100
            + Limits.rolloutLatencyMicroseconds
        guard now.latencyMicroseconds > bound else { return nil }
        return "takes \(now.latencyMicroseconds / 1000) ms at the 99th percentile, before the stage "
            + "\(before.latencyMicroseconds / 1000) ms"
    }

    /// The share of errors, if it rose beyond what may be.
    private static func worseShare(_ now: RolloutEdge.Health, _ before: RolloutEdge.Health) -> String? {
        guard now.requests >= Limits.rolloutRequestsMin, now.serverErrors >= Limits.rolloutErrorsMin else { return nil }
        let (share, earlier) = (perMille(now), perMille(before))
        guard share > earlier + Limits.rolloutErrorsPerMilleMax else { return nil }
        return "\(share) of 1000 requests with 5xx, before the stage \(earlier)"
    }

    private static func perMille(_ health: RolloutEdge.Health) -> UInt64 {
        guard health.requests > 0 else { return 0 }
        return min(health.serverErrors, 1 << 40) * 1000 / health.requests
    }

    /// Errors of all watched edges together: many small edges err too little each to be told from chance.
    private func pooledFault(_ sight: Sight) -> String? {
        var (now, before) = (RolloutEdge.Health(), RolloutEdge.Health())
        for edge in sight.edges {
            guard let earlier = baseline[edge.name], edge.isConnected else { continue }
            now.requests &+= min(edge.health.requests, 1 << 40)
            now.serverErrors &+= min(edge.health.serverErrors, 1 << 40)
            before.requests &+= min(earlier.requests, 1 << 40)
            before.serverErrors &+= min(earlier.serverErrors, 1 << 40)
        }
        return Self.worseShare(now, before).map { "the stage's edges answer \($0)" }
    }

    // MARK: What people do

    /// Stays where it is. Watched edges that fail still end it.
    mutating func pause() -> Bool {
        guard state == .running else { return false }
        state = .paused
        return true
    }

    /// Goes on; the stage is watched anew for its whole time.
    mutating func resume() -> Bool {
        guard state == .paused else { return false }
        state = .running
        soakedFrom = nil
        return true
    }

    /// Goes to the next stage without waiting for the end of this one. Nil: it is over.
    mutating func promote(_ sight: Sight) -> [Action]? {
        guard !state.isOver else { return nil }
        state = .running
        return stage == nil ? begin(.canary, sight) : goOn(sight)
    }

    /// Back to the version before. Nil: it is over.
    mutating func abort() -> [Action]? {
        guard !state.isOver else { return nil }
        state = .aborted
        reason = "aborted in stage \(stage?.rawValue ?? "-")"
        return [.publishPrevious]
    }

    /// A newer version takes its place.
    mutating func supersede(by version: Int64) {
        guard !state.isOver else { return }
        state = .superseded
        reason = "version \(version) came in stage \(stage?.rawValue ?? "-")"
    }
}
