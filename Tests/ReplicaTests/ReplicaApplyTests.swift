import ConfigLog
import Glibc
import Limits
import Testing

@testable import Replica

@Suite struct ReplicaApplyTests {
    @Test func anEmptyReplicaStandsNowhere() throws {
        let stage = ReplicaStage()
        let replica = try stage.open()
        #expect(replica.position == .none)
        #expect(replica.refused == nil)
        #expect(try replica.value("zone/a") == nil)
        try stage.expectEqual(replica)
        #expect(try replica.apply([]).zones.isEmpty)
    }

    @Test func aFrameIsThereWithItsPosition() throws {
        let stage = ReplicaStage()
        var replica = try stage.open()
        let zone = ZoneID(high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210)
        let frame = try stage.frame([
            [
                Change(key: "name/example.test", value: zone.bytes), Change(key: "zone/\(zone)/meta", value: [1]),
                Change(key: "zone/\(zone)/site", value: []), Change(key: "global/list/1", value: [2]),
            ], [Change(key: "zone/\(zone)/meta", value: [3]), Change(key: "zone/nothex/meta", value: [4])],
        ])
        let touched = try replica.apply(frame)
        #expect(touched.position == frame.position)
        #expect(touched.zones == [zone])
        #expect(touched.names == ["example.test"])
        #expect(touched.keys == ["global/list/1", "zone/nothex/meta"])
        #expect(!touched.isEverything)
        #expect(try replica.value("zone/\(zone)/meta") == [3])
        #expect(try replica.value("zone/\(zone)/site") == [])
        replica.close()
        #expect(throws: ReplicaError.self) { try replica.value("zone/a") }
        replica = try stage.open()
        try stage.expectEqual(replica)
    }

    @Test(arguments: 1...6) func anyGroupsGiveWhatADictionaryGives(seed: UInt64) throws {
        let stage = ReplicaStage()
        var numbers = SeededNumbers(seed)
        var replica = try stage.open()
        for round in 0..<30 {
            var frames: [Frame] = []
            for _ in 0..<Int.random(in: 1...3, using: &numbers) {
                frames.append(try stage.frame(numbers.groups(Int.random(in: 1...20, using: &numbers))))
            }
            if frames.count == 1 { _ = try replica.apply(frames[0]) } else { _ = try replica.apply(frames) }
            if round % 5 == 4 {
                try stage.expectEqual(replica)
                replica.close()
                replica = try stage.open()
                #expect(replica.refused == nil)
            }
        }
        try stage.expectEqual(replica)
    }

    @Test func framesApplyInTheLogsOrderAlone() throws {
        let stage = ReplicaStage()
        let replica = try stage.open()
        let first = try stage.frame(["a": [1]])
        let second = try stage.frame(["a": [2]])
        let third = try stage.frame(["a": [3]])
        let fork = try Frame.seal(
            epoch: 1, after: (first.last, .zero), groups: [[Change(key: "a", value: [9])]], committedAt: 1)
        let otherEpoch = try Frame.seal(
            epoch: 2, after: (first.last, first.hash), groups: [[Change(key: "a", value: [9])]], committedAt: 1)
        func refuses(_ frames: [Frame]) {
            do {
                _ = try replica.apply(frames)
                Issue.record("applied out of order")
            } catch { #expect(error.kind == .notNext) }
        }
        refuses([second])
        _ = try replica.apply(first)
        for wrong in [[first], [third], [fork], [otherEpoch], [second, second], [second, third, first]] {
            refuses(wrong)
            #expect(replica.position == first.position)
            #expect(try replica.value("a") == [1])
        }
        _ = try replica.apply([second, third])
        try stage.expectEqual(replica)
    }

    @Test func aFullReplicaStaysWhereItIs() throws {
        let stage = ReplicaStage()
        let replica = try stage.open(bytesMax: Limits.replicaBytesRange.lowerBound)
        _ = try replica.apply(stage.frame(["kept": [1]]))
        let before = (position: stage.position, model: stage.model)
        let large = try stage.frame(["large": [UInt8](repeating: 7, count: 2 * 1024 * 1024)])
        do {
            _ = try replica.apply(large)
            Issue.record("more than fits")
        } catch { #expect(error.kind == .full) }
        #expect(replica.position == before.position)
        #expect(try ReplicaStage.content(replica) == before.model)
        #expect(try replica.verify())
        // What fits still comes in, and a larger bound takes the rest.
        replica.close()
        let larger = try stage.open()
        _ = try larger.apply(large)
        try stage.expectEqual(larger)
    }

    /// What a child that is forked and has not executed yet does to a lock for a moment, made to last.
    @Test func aForkedChildDoesNotKeepAClosedReplicaLocked() throws {
        let stage = ReplicaStage()
        let replica = try stage.open()
        let copies = try ReplicaDirectory.names("/proc/self/fd").compactMap { name -> Int32? in
            var target = [UInt8](repeating: 0, count: 512)
            let count = readlink("/proc/self/fd/" + name, &target, target.count)
            guard count > 0, String(decoding: target[..<count], as: UTF8.self).hasPrefix(stage.path) else { return nil }
            return Int32(name).map { dup($0) }
        }
        defer { for copy in copies { close(copy) } }
        #expect(copies.count > 1)
        replica.close()
        let again = try stage.open()
        _ = try again.apply(stage.frame(["kept": [1]]))
        try stage.expectEqual(again)
    }

    @Test func spaceIsUsedAgain() throws {
        let stage = ReplicaStage()
        let replica = try stage.open(bytesMax: 8 * 1024 * 1024)
        for round in 0..<100 {
            let value = [UInt8](repeating: UInt8(round), count: 1024 * 1024)
            _ = try replica.apply(stage.frame(["large": value, "zone/\(round)": [1]]))
            _ = try replica.value("large")
        }
        try stage.expectEqual(replica)
        #expect(replica.statistics.bytesUsed <= 8 * 1024 * 1024)
    }

    @Test func filesAreTheOwnersAlone() throws {
        let stage = ReplicaStage()
        let replica = try stage.open()
        func mode(_ name: String) -> UInt32 {
            var status = stat()
            return stat(stage.path + name, &status) == 0 ? status.st_mode & 0o777 : 0
        }
        #expect(mode("") == 0o750)
        #expect(mode("/state.1") == 0o750)
        #expect(mode("/state.1/data.mdb") == 0o600)
        #expect(mode("/state.1/lock.mdb") == 0o600)
        #expect(throws: ReplicaError.self) { try stage.open() }
        replica.close()
        #expect(throws: ReplicaError.self) { try stage.open(bytesMax: 1) }
    }

    @Test func theFilesFormatTakesTheLogsKeys() throws {
        #expect(Limits.configKeyBytesMax <= Limits.replicaFileKeyBytesMax)
        #expect(Limits.replicaReadersKeptMax < Limits.replicaReadersMax)
        #expect(Limits.replicaChunkBytesMin < Limits.replicaLargeChunkBytes)
        #expect(Limits.replicaLargeChunkBytes < Limits.configChunkBytesMax)
        let stage = ReplicaStage()
        let replica = try stage.open()
        let longest = String(repeating: "k", count: Limits.configKeyBytesMax)
        _ = try replica.apply(stage.frame([longest: [1], "ä/ö": [2]]))
        try stage.expectEqual(replica)
        #expect(try replica.value(String(repeating: "k", count: 600)) == nil)
        #expect(try replica.value("") == nil)
    }
}
