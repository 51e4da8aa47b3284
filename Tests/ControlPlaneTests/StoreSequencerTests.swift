// Numbers after commit: gapless, each used once, in every process the same, whoever leads and whoever dies.

import ConfigLog
import Foundation
import Limits
import Synchronization
import Testing

@testable import ControlPlane

/// What one sequencer delivered.
final class Delivered: Sendable {
    private let frames = Mutex<[Frame]>([])

    func add(_ frame: Frame) { frames.withLock { $0.append(frame) } }
    var all: [Frame] { frames.withLock { $0 } }
    var groups: [ChangeGroup] { all.flatMap(\.groups) }
    var keys: [String] { groups.flatMap(\.changes).map(\.key) }

    /// No number left out, none used twice, each frame chained to the one before.
    func check(after sequence: UInt64 = 0, sourceLocation: SourceLocation = #_sourceLocation) throws {
        var next = sequence + 1
        var hash: ChainHash? = sequence == 0 ? .zero : nil
        for frame in all {
            #expect(frame.first == next, sourceLocation: sourceLocation)
            if let hash { #expect(frame.previous == hash, sourceLocation: sourceLocation) }
            #expect(frame.groups.map(\.sequence) == Array(frame.first...frame.last), sourceLocation: sourceLocation)
            next = frame.last + 1
            hash = frame.hash
        }
    }
}

/// A sequencer at work.
final class Sequencing: Sendable {
    let sequencer: Sequencer
    let delivered = Delivered()
    private let task: Task<Void, any Error>

    init(_ store: Store, _ stage: StoreStage, after sequence: UInt64 = 0, lease: Int = 1000) {
        let sequencer = Sequencer(store: store, leaseMilliseconds: lease, log: stage.log)
        self.sequencer = sequencer
        let delivered = delivered
        task = Task { try await sequencer.run(after: sequence) { delivered.add($0) } }
    }

    func stop() async throws {
        task.cancel()
        try await task.value
    }
}

@Suite("The sequencer")
struct StoreSequencerTests {
    /// Each writer changes its own keys again and again, and one that all share.
    private func write(_ store: Store, writers: Int, each count: Int, name: String = "") async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    for number in 0..<count {
                        try await store.write { transaction in
                            let row = try transaction.query(
                                "UPDATE zones SET version = version + 1 WHERE id = 'z' AND ? = 0 RETURNING version",
                                [SQLValue(number % 4)])
                            transaction.publish(Change(key: "own/\(name)\(writer)/\(number)", value: nil))
                            if let version = try row.first?.integer(0) {
                                transaction.publish(Change(key: "shared/\(version)", value: nil))
                            }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func shared(_ keys: [String]) -> [Int] {
        keys.filter { $0.hasPrefix("shared/") }.compactMap { Int($0.dropFirst(7)) }
    }

    @Test("sixteen writers: no gap, nothing lost, nothing twice, rows in their order", arguments: StoreKind.allCases)
    func writers(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, stage in
            try await store.prepare()
            let work = Sequencing(store, stage)
            try await write(store, writers: 16, each: 20)
            #expect(await eventually { work.delivered.groups.count == 320 })
            try await work.stop()
            try work.delivered.check()
            let keys = work.delivered.keys.filter { $0.hasPrefix("own/") }
            #expect(Set(keys).count == 320 && keys.count == 320)
            // Who changed the row later has the later number.
            let versions = shared(work.delivered.keys)
            #expect(versions == Array(2..<(2 + versions.count)) && versions.count == 80)
            #expect(try await store.logPosition().sequence == 320)
            #expect(try await store.logPosition().hash == work.delivered.all.last?.hash)
            let numbers = try await store.read {
                try $0.query("SELECT sequence FROM outbox ORDER BY sequence").map { try $0.integer(0) }
            }
            #expect(numbers == Array(1...320))
        }
    }

    @Test("two sequencers, and the leading one ends: both deliver the same", arguments: StoreKind.allCases)
    func twoSequencers(_ kind: StoreKind) async throws {
        let stage = try StoreStage(kind)
        let (first, second) = (try await stage.open(), try await stage.open())
        try await first.prepare()
        var works = [Sequencing(first, stage), Sequencing(second, stage)]
        for round in 0..<4 {
            async let one: Void = write(first, writers: 4, each: 10, name: "a\(round).")
            async let two: Void = write(second, writers: 4, each: 10, name: "b\(round).")
            #expect(await eventually { works.contains { $0.sequencer.isLeader } })
            #expect(works.filter { $0.sequencer.isLeader }.count == 1)
            // The leader goes in the middle of it, and comes back as a follower.
            let leader = works[0].sequencer.isLeader ? 0 : 1
            try await works[leader].stop()
            try works[leader].delivered.check(after: works[leader].delivered.all.first.map { $0.first - 1 } ?? 0)
            let end = works[leader].delivered.all.last?.last ?? 0
            works[leader] = Sequencing(leader == 0 ? first : second, stage, after: round == 3 ? 0 : end)
            _ = try await (one, two)
        }
        #expect(await eventually { works.allSatisfy { $0.delivered.all.last?.last == 320 } })
        for work in works { try await work.stop() }
        let whole = try #require(works.first { $0.delivered.all.first?.first == 1 })
        try whole.delivered.check()
        #expect(Set(whole.delivered.keys.filter { $0.hasPrefix("own/") }).count == 320)
        let other = try #require(works.first { $0 !== whole })
        #expect(Array(whole.delivered.all.suffix(other.delivered.all.count)) == other.delivered.all)
        await first.close()
        await second.close()
    }

    @Test("a leader that is no longer the leader writes nothing", arguments: StoreKind.allCases)
    func fenced(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            let dialect = store.backend.dialect
            let old = try await store.write { try LogTable.lead($0, dialect: dialect, holder: "old") }
            try await store.write { $0.publish(Change(key: "k", value: [1])) }
            let new = try await store.write { try LogTable.lead($0, dialect: dialect, holder: "new") }
            #expect(new == old + 1)
            await #expect(throws: Fenced.self) {
                try await store.write { _ = try LogTable.seal($0, dialect: dialect, generation: old) }
            }
            await #expect(throws: Fenced.self) {
                try await store.write { try LogTable.renew($0, dialect: dialect, generation: old) }
            }
            #expect(try await store.count("frames") == 0)
            #expect(try await store.logPosition().sequence == 0)
            let frame = try await store.write { try LogTable.seal($0, dialect: dialect, generation: new) }
            #expect(frame?.first == 1 && frame?.last == 1 && frame?.epoch == 1)
            #expect(try await store.write { try LogTable.seal($0, dialect: dialect, generation: new) } == nil)
        }
    }

    @Test(
        "a sequencer that was overtaken follows, and leads again when the seat is free", arguments: StoreKind.allCases)
    func overtaken(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, stage in
            let work = Sequencing(store, stage)
            #expect(await eventually { work.sequencer.isLeader })
            let dialect = store.backend.dialect
            let other = try await store.write { try LogTable.lead($0, dialect: dialect, holder: "other") }
            try await store.write { $0.publish(Change(key: "k1", value: [1])) }
            #expect(await eventually { work.delivered.keys == ["k1"] })
            let row = try await store.read { try $0.first("SELECT generation FROM leader") }
            #expect(try #require(row).integer(0) > other)
            try await work.stop()
            try work.delivered.check()
        }
    }

    @Test("PostgreSQL: other processes hear of what is published and sealed without looking")
    func notified() async throws {
        try await withStore(.postgres) { store, stage in
            let url = try PostgresURL(stage.place)
            let minute = 60_000
            func desk() throws -> PostgresDesk {
                try PostgresDesk(url: url, key: stage.key, waker: Waker(), leaseMilliseconds: minute, log: stage.log)
            }
            let (listening, telling) = (try desk(), try desk())
            // Connects, and so listens.
            #expect(try await listening.wait(milliseconds: 1) == [])
            try await telling.tellOthers()
            #expect(try await listening.wait(milliseconds: minute) == .elsewhere)
            let leader = try await telling.write { try LogTable.lead($0, dialect: .postgres, holder: "") }
            try await store.write { $0.publish(Change(key: "k", value: nil)) }
            try await telling.write { transaction in
                _ = try LogTable.seal(transaction, dialect: .postgres, generation: leader)
                _ = try transaction.query(PostgresDesk.tellSealed)
            }
            #expect(try await listening.wait(milliseconds: minute) == .elsewhere)
            await listening.finish()
            await telling.finish()
        }
    }

    @Test("from anywhere in the log, and not from where it no longer reaches", arguments: StoreKind.allCases)
    func startingPoints(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, stage in
            let work = Sequencing(store, stage)
            for number in 1...5 {
                try await store.write { $0.publish(Change(key: "k\(number)", value: [])) }
                #expect(await eventually { work.delivered.groups.count == number })
            }
            try await work.stop()
            let frames = try await store.frames(after: 0, countMax: 100)
            #expect(frames == work.delivered.all && frames.count == 5)
            #expect(try await store.frames(after: 3, countMax: 1) == [frames[3]])
            #expect(try await store.frames(after: 5, countMax: 9).isEmpty)
            let late = Sequencing(store, stage, after: 3)
            #expect(await eventually { late.delivered.keys == ["k4", "k5"] })
            try await late.stop()

            try await store.write { try $0.execute("DELETE FROM frames WHERE first < 3") }
            await #expect(throws: StoreError.pruned(oldest: 3)) { try await store.frames(after: 1, countMax: 1) }
            await #expect(throws: StoreError.pruned(oldest: 3)) {
                try await Sequencer(store: store, log: stage.log).run(after: 0) { _ in }
            }
            await #expect(throws: StoreError.self) {
                try await Sequencer(store: store, log: stage.log).run(after: 6) { _ in }
            }
        }
    }

    @Test("a new epoch goes on with the numbers and the chain", arguments: StoreKind.allCases)
    func epochs(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, stage in
            let work = Sequencing(store, stage)
            try await store.write { $0.publish(Change(key: "k1", value: [])) }
            #expect(await eventually { work.delivered.groups.count == 1 })
            #expect(try await store.startEpoch() == 2)
            try await store.write { $0.publish(Change(key: "k2", value: [])) }
            #expect(await eventually { work.delivered.groups.count == 2 })
            try await work.stop()
            try work.delivered.check()
            #expect(work.delivered.all.map(\.epoch) == [1, 2])
        }
    }

    @Test(
        "a row that cannot be read stops nobody, and whoever refuses a frame ends the run",
        arguments: StoreKind.allCases)
    func badRows(_ kind: StoreKind) async throws {
        struct Full: Error, Equatable {}
        try await withStore(kind) { store, stage in
            try await store.write { transaction in
                for bytes in [[UInt8](), [1, 2, 3], [UInt8](repeating: 0xff, count: 100)] {
                    try transaction.execute("INSERT INTO outbox (changes, created) VALUES (?, 0)", [.blob(bytes)])
                }
                transaction.publish(Change(key: "good", value: [1]))
            }
            let work = Sequencing(store, stage)
            #expect(await eventually { work.delivered.keys == ["good"] })
            try await work.stop()
            try work.delivered.check()
            await #expect(throws: Full()) {
                try await Sequencer(store: store, log: stage.log).run(after: 0) { _ in throw Full() }
            }
        }
    }

    @Test("a frame takes as much as its bound, and a large group alone", arguments: StoreKind.allCases)
    func sizes(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, stage in
            let half = [UInt8](repeating: 7, count: Limits.configFrameBytesTarget / 2)
            for number in 0..<5 { try await store.write { $0.publish(Change(key: "half\(number)", value: half)) } }
            try await store.write { transaction in
                for number in 0..<10 { transaction.publish(Change(key: "large\(number)", value: half)) }
            }
            let work = Sequencing(store, stage)
            #expect(await eventually { work.delivered.groups.count == 6 })
            try await work.stop()
            try work.delivered.check()
            #expect(work.delivered.all.count > 2)
            #expect(work.delivered.all.allSatisfy { $0.bytes.count <= Limits.configFrameBytesMax })
        }
    }

    @Test("what is kept no longer is removed, the newest frames never", arguments: StoreKind.allCases)
    func pruning(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            let count = Int64(Limits.sequencerFramesKeptMin) + 50
            try await store.write { transaction in
                for number in 1...count {
                    // Each as large as all that may be kept.
                    try transaction.execute(
                        "INSERT INTO frames (first, last, epoch, hash, bytes, size, committed) VALUES (?, ?, 1, ?, ?, ?, 0)",
                        [
                            .integer(number), .integer(number), .blob([]), .blob([]),
                            SQLValue(Limits.sequencerFramesKeptBytesMax),
                        ])
                    try transaction.execute(
                        "INSERT INTO outbox (changes, sequence, created) VALUES (?, ?, 0)",
                        [.blob([]), .integer(number)])
                }
                transaction.publish(Change(key: "waits", value: nil))
                transaction.audit(AuditEntry(actor: "new", action: "", resource: "", scope: ""))
                try transaction.execute(
                    "INSERT INTO audit (id, at, actor, action, resource, scope, request_id) VALUES ('old', 0, 'old', '', '', '', '')"
                )
            }
            while try await store.write({ try LogTable.prune($0) }) {}
            let row = try await store.read { transaction in
                try transaction.first(
                    """
                    SELECT (SELECT count(*) FROM frames), (SELECT min(first) FROM frames),
                        (SELECT count(*) FROM outbox WHERE sequence IS NOT NULL), (SELECT count(*) FROM outbox WHERE sequence IS NULL),
                        (SELECT min(actor) FROM audit), (SELECT count(*) FROM audit)
                    """)
            }
            let kept = SQLValue(Limits.sequencerFramesKeptMin)
            #expect(row?.values == [kept, 51, kept, 1, "new", 1])
        }
    }
}
