import Cache
import Glibc
import JSON
import Limits
import Replica
import Testing

@testable import Following

@Suite("Purges that come with the log") struct PurgeFollowerTests {
    private let now: Int64 = 2_000_000_000_000_000

    private func purge(_ at: Int64) -> JSONValue { ["everything": true, "at": .number(JSONNumber(at))] }
    private func key(_ id: Int) -> String { "purge/\(FollowingStage.zone)/\(id)" }

    private func follower(_ stage: FollowingStage) -> PurgeFollower {
        PurgeFollower(cache: stage.cache, replica: stage.replica, data: stage.path, zones: { _ in nil }, log: stage.log)
    }

    private func comesTo(_ count: UInt64, _ follower: PurgeFollower) async -> Bool {
        for _ in 0..<1000 where follower.executed < count { try? await Task.sleep(for: .milliseconds(10)) }
        return follower.executed == count
    }

    private func mark(_ stage: FollowingStage) -> String {
        guard let file = fopen(stage.path + "/purges", "r") else { return "" }
        defer { fclose(file) }
        var bytes = [CChar](repeating: 0, count: 64)
        return fgets(&bytes, 64, file) == nil
            ? "" : String(decoding: bytes.prefix { $0 > 32 }.map { UInt8($0) }, as: UTF8.self)
    }

    @Test("each is executed as it comes, and how far is written down") func executed() async throws {
        let stage = try FollowingStage()
        try stage.makeZone()
        let follower = follower(stage)
        follower.take(try stage.apply([(key(1), purge(now)), (key(2), purge(now + 5))]).keys)
        #expect(await comesTo(2, follower))
        await follower.stop()
        #expect(mark(stage) == "\(now + 5)")
    }

    @Test("what was not executed before the end is executed at the start, what was long before is not")
    func resumed() async throws {
        let stage = try FollowingStage()
        try stage.makeZone()
        let first = follower(stage)
        first.take(try stage.apply([(key(1), purge(now))]).keys)
        #expect(await comesTo(1, first))
        await first.stop()
        let slack = Limits.followedPurgeSlackMicroseconds
        try stage.apply([(key(2), purge(now - 2 * slack)), (key(3), purge(now + 1)), (key(4), purge(now + 2))])
        let second = follower(stage)
        second.resume(awayMicroseconds: nil)
        // The first one, too: it may be that the mark was written before its sweep was.
        #expect(await comesTo(3, second))
        await second.stop()
    }

    @Test("a snapshot after longer than purges are kept: everything goes") func awayForLong() async throws {
        let stage = try FollowingStage()
        try stage.makeZone()
        let first = follower(stage)
        first.take(try stage.apply([(key(1), purge(now))]).keys)
        #expect(await comesTo(1, first))
        await first.stop()
        #expect(!stage.cache.ledger.records().contains { $0.zone == nil })
        let day = Limits.apiPurgesKeptSeconds * 1_000_000
        // A restart, however late, has missed nothing; nor has a snapshot after an hour.
        follower(stage).resume(awayMicroseconds: nil)
        follower(stage).resume(awayMicroseconds: day)
        #expect(!stage.cache.ledger.records().contains { $0.zone == nil })
        follower(stage).resume(awayMicroseconds: day + 1)
        #expect(stage.cache.ledger.records().contains { $0.zone == nil })
    }

    @Test("a flood of purges becomes one of everything for each zone") func flood() async throws {
        let stage = try FollowingStage()
        try stage.makeZone()
        let follower = follower(stage)
        let changes = (0...Limits.followedPurgesWaitingMax).map { (key($0), purge(now + Int64($0)) as JSONValue?) }
        var keys: [String] = []
        for start in stride(from: 0, to: changes.count, by: 1000) {
            keys += try stage.apply(Array(changes[start..<min(start + 1000, changes.count)])).keys
        }
        follower.take(keys)
        #expect(await comesTo(1, follower))
        await follower.stop()
        #expect(mark(stage) == "\(now + Int64(Limits.followedPurgesWaitingMax))")
    }

    @Test("keys and values that are none do no harm", arguments: ["purge/x/1", "purge//", "purge/zz/1/2"])
    func nonsense(bad: String) async throws {
        let stage = try FollowingStage()
        try stage.makeZone()
        let follower = follower(stage)
        follower.take(try stage.apply([(bad, "text"), (key(1), "no object")]).keys)
        // One that cannot be read is about everything of its zone.
        #expect(await comesTo(1, follower))
        await follower.stop()
    }
}
