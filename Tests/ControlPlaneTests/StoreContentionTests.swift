// Many at the same time: nothing is lost between them, and no decision is taken twice.

import ConfigLog
import Foundation
import Limits
import Synchronization
import Testing

@testable import ControlPlane

@Suite("Transactions that meet")
struct StoreContentionTests {
    @Test("thirty-two that count up together lose nothing", arguments: StoreKind.allCases)
    func counting(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<32 {
                    group.addTask {
                        for _ in 0..<5 {
                            // Reads first, then writes what it read: an update lost if two are let through.
                            try await store.write(locking: ["zone/z"]) { transaction in
                                let version =
                                    try transaction.first("SELECT version FROM zones WHERE id = 'z'")?.integer(0) ?? 0
                                try transaction.execute(
                                    "UPDATE zones SET version = ? WHERE id = 'z'", [.integer(version + 1)])
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let version = try await store.read { try $0.first("SELECT version FROM zones")?.integer(0) }
            #expect(version == 161)
        }
    }

    @Test("without a scope two writers of one row lose nothing either", arguments: StoreKind.allCases)
    func unlocked(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            let given = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        var added = 0
                        for _ in 0..<5 {
                            do {
                                try await store.write { transaction in
                                    let version =
                                        try transaction.first("SELECT version FROM zones WHERE id = 'z'")?.integer(0)
                                        ?? 0
                                    usleep(1000)
                                    try transaction.execute(
                                        "UPDATE zones SET version = ? WHERE id = 'z'", [.integer(version + 1)])
                                }
                                added += 1
                            } catch StoreError.conflict {
                                // Tried as often as it may be: said so, and nothing written.
                            }
                        }
                        return added
                    }
                }
                return try await group.reduce(0, +)
            }
            let version = try await store.read { try $0.first("SELECT version FROM zones")?.integer(0) }
            #expect(version == Int64(given) + 1)
            #expect(given > 0)
        }
    }

    @Test("of many who look first and then add, one adds", arguments: StoreKind.allCases)
    func deciding(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            for round in 0..<5 {
                let name = "name\(round)"
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for writer in 0..<16 {
                        group.addTask {
                            try await store.write(locking: ["dns/z/\(name)", "zone/z"]) { transaction in
                                let found = try transaction.query(
                                    "SELECT 1 FROM dns_records WHERE name = ?", [.text(name)])
                                if found.isEmpty { try transaction.addRecord("\(round).\(writer)", name: name) }
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await store.count("dns_records") == Int64(round + 1))
            }
        }
    }

    @Test("of sixteen who take the same name one gets it, the others hear why", arguments: StoreKind.allCases)
    func sameName(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            let failures = await withTaskGroup(of: StoreError?.self) { group in
                for writer in 0..<16 {
                    group.addTask { await store.failure { try $0.addZone("new\(writer)", name: "wanted.com") } }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(failures.filter { $0 == nil }.count == 1)
            #expect(failures.filter { $0 == .uniqueViolation(table: "zones", columns: ["name"]) }.count == 15)
        }
    }

    @Test("writers that fail take nothing from those beside them", arguments: StoreKind.allCases)
    func mixed(_ kind: StoreKind) async throws {
        struct Stop: Error {}
        try await withStore(kind) { store, _ in
            try await store.prepare()
            let good = await withTaskGroup(of: String?.self) { group in
                for writer in 0..<200 {
                    group.addTask {
                        let id = "r\(writer)"
                        let failure = await store.failure { transaction in
                            try transaction.addRecord(id)
                            switch writer % 4 {
                            case 1: throw Stop()
                            case 2: try transaction.addZone("z", name: "again.com")
                            default: break
                            }
                        }
                        return failure == nil && writer % 4 != 1 ? id : nil
                    }
                }
                return await group.reduce(into: Set<String>()) { set, id in if let id { set.insert(id) } }
            }
            let records = try await store.read {
                Set(try $0.query("SELECT id FROM dns_records").map { try $0.text(0) })
            }
            #expect(records == good && good.count == 100)
            #expect(try await store.count("outbox") == 100)
            #expect(try await store.count("audit") == 100)
        }
    }

    @Test("SQLite: with a full disk nothing that was acknowledged is lost, and afterwards it goes on")
    func fullDisk() async throws {
        try await withStore(.sqlite) { store, _ in
            try await store.prepare()
            try await store.write { transaction in
                let pages = try transaction.first("PRAGMA page_count")?.integer(0) ?? 0
                _ = try transaction.query("PRAGMA max_page_count = \(pages + 60)")
            }
            let content = String(repeating: "x", count: 20_000)
            let good = await withTaskGroup(of: String?.self) { group in
                for writer in 0..<64 {
                    group.addTask {
                        let id = "r\(writer)"
                        return await store.failure { try $0.addRecord(id, content: content) } == nil ? id : nil
                    }
                }
                return await group.reduce(into: Set<String>()) { set, id in if let id { set.insert(id) } }
            }
            #expect(!good.isEmpty && good.count < 64)
            let failure = await store.failure { try $0.addRecord("late", content: content) }
            guard case .unavailable = failure else {
                Issue.record("expected .unavailable, found \(String(describing: failure))")
                return
            }
            let records = try await store.read {
                Set(try $0.query("SELECT id FROM dns_records").map { try $0.text(0) })
            }
            #expect(records == good)
            try await store.write { _ = try $0.query("PRAGMA max_page_count = 1000000") }
            try await store.write { try $0.addRecord("after", content: content) }
            #expect(try await store.count("outbox") == Int64(good.count + 1))
        }
    }

    @Test("SQLite flushes at each commit, and PostgreSQL does not answer before it has", arguments: StoreKind.allCases)
    func durability(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            let setting = try await store.write { transaction in
                kind == .sqlite
                    ? try transaction.first("PRAGMA synchronous")?[0]
                    : try transaction.first("SELECT current_setting('synchronous_commit')")?[0]
            }
            #expect(setting == (kind == .sqlite ? 2 : "on"))
            let journal = kind == .sqlite ? try await store.read { try $0.first("PRAGMA journal_mode")?[0] } : "wal"
            #expect(journal == "wal")
        }
    }

    @Test("beyond its bound the line refuses, and who waits too long is told")
    func bounds() async throws {
        let queue = JobQueue(writersMax: 1)
        let job = StoreJob(isWrite: true, scopes: [], body: { _ in }, finish: { _ in })
        for _ in 0..<Limits.storeQueueMax { #expect(queue.add(job) == nil) }
        #expect(queue.add(job) != nil)
        // One writes, so nobody else may; and then the next.
        #expect(queue.takeIfAny() != nil)
        #expect(queue.takeIfAny() == nil)
        let read = StoreJob(isWrite: false, scopes: [], body: { _ in }, finish: { _ in })
        #expect(queue.add(read) == nil)
        #expect(queue.takeIfAny() === read)
        queue.done(job)
        #expect(queue.takeIfAny() === job)
        queue.close()
        #expect(queue.add(read) == .unavailable("it is closed"))
    }

    @Test("who is connected takes a job before who is not, and both end with the queue")
    func readiness() async {
        final class Takers: Sendable {
            let taken = Mutex<[Bool]>([])
            let threads = StoreThreads()
        }
        let queue = JobQueue(writersMax: 4)
        let takers = Takers()
        for isReady in [false, true, false] {
            try? takers.threads.start {
                while let job = queue.take(isReady: isReady) {
                    takers.taken.withLock { $0.append(isReady) }
                    queue.done(job)
                }
            }
        }
        for round in 1...20 {
            #expect(await eventually { queue.waiting == (1, 2) })
            #expect(queue.add(StoreJob(isWrite: round % 2 == 0, scopes: [], body: { _ in }, finish: { _ in })) == nil)
            #expect(await eventually { takers.taken.withLock { $0.count } == round })
        }
        #expect(takers.taken.withLock { $0 } == Array(repeating: true, count: 20))
        queue.close()
        await takers.threads.join()
    }

    @Test("bounds of the store fit each other")
    func limits() {
        // A read finds a connection while all writers wait.
        #expect(Limits.storePostgresWritersMax < Limits.storePostgresConnectionsMax)
        // Who waits for a lock hears of it before its statement is cut, and before its caller gives up.
        #expect(Limits.storeLockMilliseconds < Limits.storeStatementMilliseconds)
        #expect(Limits.storeStatementMilliseconds <= Limits.storeWaitMilliseconds)
        #expect(Limits.storePostgresConnectSeconds * 1000 < Limits.storeWaitMilliseconds)
        #expect(Limits.storeWaitMilliseconds < Limits.storeSettleMilliseconds)
        // A leader that is merely slow once keeps its seat.
        #expect(Limits.sequencerRenewMilliseconds * 3 <= Limits.sequencerLeaseMilliseconds)
        #expect(Limits.sequencerPollMilliseconds < Limits.sequencerLeaseMilliseconds)
        #expect(Limits.sequencerFramesKeptMin <= Limits.sequencerFramesKeptMax)
        // A group can be stored, and a frame.
        #expect(Limits.configFrameBytesMax <= Limits.storeValueBytesMax)
        #expect(Limits.storeValueBytesMax < Limits.storeResultBytesMax)
        // What one turn reads holds any frame, and a result what one turn reads.
        #expect(Limits.configFrameBytesMax <= Limits.sequencerTurnBytesMax)
        #expect(Limits.sequencerTurnBytesMax + Limits.configFrameBytesMax < Limits.storeResultBytesMax)
        #expect(Limits.storePlaceholdersMax < 32_766)
    }
}
