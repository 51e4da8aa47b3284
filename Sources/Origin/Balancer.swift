package import ConfigModel
import Exchange
import Glibc
import Synchronization
import Telemetry

/// Chooses an origin of one zone for one request. Shared by all event loops, without a lock.
///
/// Origins that are ejected or down are passed over; backups are used only while no other is available. A returning
/// origin is offered its turns but takes only a growing share of them (slow start).
package final class Balancer: Sendable {
    package let servers: [OriginServer]
    private let policy: Zone.Balance
    private let weights: [Int]
    private let primaries: [Int]
    private let backups: [Int]
    /// One round of the primaries, each as often as its weight, spread evenly.
    private let schedule: [UInt16]
    private let turn = Atomic<Int>(0)
    /// Names of the servers in sticky cookies: stable over restarts and reordering.
    private let stickyNames: [UInt64]

    package init(zone: Zone, servers: [OriginServer]) {
        self.servers = servers
        self.policy = zone.balance
        self.weights = zone.origins.map(\.weight)
        self.primaries = zone.origins.indices.filter { !zone.origins[$0].backup }
        self.backups = zone.origins.indices.filter { zone.origins[$0].backup }
        self.schedule = Self.makeSchedule(primaries, weights: weights)
        self.stickyNames = servers.map { Self.hash(Array($0.name.utf8).span) }
    }

    /// What the request brings to the choice.
    package enum Hint: Sendable {
        case none
        /// Hash of the configured property.
        case hash(UInt64)
        /// The value of the sticky cookie.
        case sticky(UInt64)
    }

    /// The index of the server to use, or nil when none is available.
    ///
    /// - Parameter tried: servers that have failed this request already.
    package func choose(_ hint: Hint, tried: [Int], now: UInt64, random: UInt64) -> Int? {
        if primaries.count == 1, backups.isEmpty {
            let only = primaries[0]
            return servers[only].health.isUp ? only : nil
        }
        return choose(among: primaries, hint, tried, now, random, isPrimary: true)
            ?? choose(among: backups, hint, tried, now, random, isPrimary: false)
            // Rather the same origin again than none at all.
            ?? (tried.isEmpty ? ejected(now, random) : choose(hint, tried: [], now: now, random: random))
    }

    /// When passive ejection would leave nobody, it is ignored: a handful of failures must not become a certain one for
    /// everybody. Only active checks can take all origins out.
    private func ejected(_ now: UInt64, _ random: UInt64) -> Int? {
        let up = (primaries + backups).filter { servers[$0].health.isUp }
        return up.isEmpty ? nil : up[Int(truncatingIfNeeded: random >> 1) % up.count]
    }

    private func choose(
        among candidates: [Int], _ hint: Hint, _ tried: [Int], _ now: UInt64, _ random: UInt64, isPrimary: Bool
    ) -> Int? {
        switch hint {
        case .sticky(let name):
            if let index = candidates.first(where: { stickyNames[$0] == name }), isUsable(index, tried, now) {
                return index
            }
        case .hash(let key):
            return rendezvous(candidates, key, tried, now)
        case .none:
            break
        }
        if case .leastOutstanding = policy { return leastOutstanding(candidates, tried, now) }
        return roundRobin(candidates, tried, now, random, usesSchedule: isPrimary)
    }

    private func isUsable(_ index: Int, _ tried: [Int], _ now: UInt64) -> Bool {
        !tried.contains(index) && servers[index].health.isAvailable(now: now)
    }

    /// The value of a sticky cookie that leads back to this server.
    package func stickyName(of index: Int) -> UInt64 { stickyNames[index] }
}

// MARK: Policies

extension Balancer {
    private func roundRobin(
        _ candidates: [Int], _ tried: [Int], _ now: UInt64, _ random: UInt64, usesSchedule: Bool
    ) -> Int? {
        let round = usesSchedule ? schedule.count : candidates.count
        guard round > 0 else { return nil }
        let start = turn.wrappingAdd(1, ordering: .relaxed).newValue & Int.max
        var reluctant: Int?
        for step in 0..<round {
            let position = (start &+ step) % round
            let index = usesSchedule ? Int(schedule[position]) : candidates[position]
            guard isUsable(index, tried, now) else { continue }
            let share = servers[index].health.share(now: now)
            if share >= 256 || Int(random >> UInt64(step & 31) & 255) < share { return index }
            reluctant = reluctant ?? index
        }
        return reluctant
    }

    private func leastOutstanding(_ candidates: [Int], _ tried: [Int], _ now: UInt64) -> Int? {
        var best: Int?
        var bestLoad = Int.max
        let start = turn.wrappingAdd(1, ordering: .relaxed).newValue & Int.max
        for step in 0..<candidates.count {
            let index = candidates[(start &+ step) % candidates.count]
            guard isUsable(index, tried, now) else { continue }
            let share = max(weights[index] * servers[index].health.share(now: now), 1)
            let load = ((servers[index].outstanding.load(ordering: .relaxed) + 1) << 32) / share
            if load < bestLoad {
                bestLoad = load
                best = index
            }
        }
        return best
    }

    /// Highest random weight (Thaler and Ravishankar, 1998): when an origin leaves, only its own keys move.
    private func rendezvous(_ candidates: [Int], _ key: UInt64, _ tried: [Int], _ now: UInt64) -> Int? {
        var best: Int?
        var bestScore = -Double.infinity
        for index in candidates where isUsable(index, tried, now) {
            let mixed = Self.mix(key ^ stickyNames[index])
            let unit = (Double(mixed >> 11) + 0.5) / 9_007_199_254_740_992
            let score = -Double(weights[index]) / log(unit)
            if score > bestScore {
                bestScore = score
                best = index
            }
        }
        return best
    }

    /// Smooth weighted round robin, unrolled over one round. Rounds too long to keep are scaled down.
    private static func makeSchedule(_ indices: [Int], weights: [Int]) -> [UInt16] {
        let sum = indices.reduce(0) { $0 + weights[$1] }
        let longest = 4096
        let scaled = indices.map { sum > longest ? max(1, weights[$0] * longest / sum) : weights[$0] }
        let round = scaled.reduce(0, +)
        var credit = [Int](repeating: 0, count: indices.count)
        var schedule: [UInt16] = []
        schedule.reserveCapacity(round)
        for _ in 0..<round {
            var best = 0
            for candidate in credit.indices {
                credit[candidate] += scaled[candidate]
                if credit[candidate] > credit[best] { best = candidate }
            }
            credit[best] -= round
            schedule.append(UInt16(truncatingIfNeeded: indices[best]))
        }
        return schedule
    }

    /// FNV-1a, finished by a mix: the same in every process, for cookies and keys outlive one.
    package static func hash(_ bytes: Span<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in bytes.indices { hash = (hash ^ UInt64(bytes[index])) &* 0x0000_0100_0000_01b3 }
        return mix(hash)
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
