// The state of the log: what an empty replica is filled with is what all frames amount to.

import ConfigLog
import Foundation
import Limits
import Synchronization
import Testing

@testable import ControlPlane

/// What `Store.logState` handed out.
private final class Taken: Sendable {
    private let pages = Mutex<[LogStatePage]>([])
    func add(_ page: LogStatePage) {
        pages.withLock { pages in
            if page.isFirst { pages = [] }
            pages.append(page)
        }
    }
    var all: [LogStatePage] { pages.withLock { $0 } }
    var keys: [String] { all.flatMap { $0.entries.map(\.key) } }
    var state: [String: [UInt8]] {
        Dictionary(all.flatMap { $0.entries.map { ($0.key, $0.value) } }) { _, last in last }
    }
}

/// The same from frames.
private func folded(_ frames: [Frame]) -> [String: [UInt8]] {
    var state: [String: [UInt8]] = [:]
    for change in frames.flatMap(\.groups).flatMap(\.changes) { state[change.key] = change.value }
    return state
}

@Suite("The state of the log in the store")
struct StoreStateTests {
    private func publish(_ store: Store, groups: Int, keys: Int, seed: Int = 1) async throws {
        for number in 0..<groups {
            try await store.write { transaction in
                for place in 0..<3 {
                    let key = (number &* 7 &+ place &* 13 &* seed) % keys
                    let isGone = (number + place) % 5 == 0
                    transaction.publish(Change(key: "k/\(key)", value: isGone ? nil : Array("\(number).\(place)".utf8)))
                }
            }
        }
    }

    private func state(_ store: Store) async throws -> (taken: Taken, position: LogPosition) {
        let taken = Taken()
        let position = try await store.logState { taken.add($0) }
        return (taken, position)
    }

    @Test("is what the frames amount to, deletions included, in the order of its keys", arguments: StoreKind.allCases)
    func sum(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, stage in
            let empty = try await state(store)
            #expect(empty.taken.all.map(\.isFirst) == [true] && empty.taken.keys.isEmpty)
            #expect(empty.position.sequence == 0)
            let work = Sequencing(store, stage)
            try await publish(store, groups: 120, keys: 40)
            #expect(await eventually { work.delivered.groups.count == 120 })
            let (taken, position) = try await state(store)
            #expect(position == work.delivered.all.last?.position)
            #expect(taken.all.allSatisfy { $0.position == position })
            #expect(taken.state == folded(work.delivered.all) && !taken.state.isEmpty)
            #expect(taken.keys == taken.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
            try await work.stop()
        }
    }

    @Test("comes in pages that are bounded in rows and bytes", arguments: StoreKind.allCases)
    func pages(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, stage in
            let work = Sequencing(store, stage)
            let large = [UInt8](repeating: 1, count: Limits.logStatePageBytesTarget / 2)
            let count = Limits.logStatePageRowsMax * 2 + 10
            try await store.write { transaction in
                for number in 0..<count { transaction.publish(Change(key: "a/\(number)", value: [1])) }
            }
            for number in 0..<5 {
                try await store.write { $0.publish(Change(key: "b/\(number)", value: large)) }
            }
            #expect(await eventually { work.delivered.groups.count == 6 })
            let (taken, _) = try await state(store)
            #expect(taken.keys.count == count + 5 && Set(taken.keys).count == count + 5)
            let sizes = taken.all.map { page in page.entries.reduce(0) { $0 + $1.value.count } }
            #expect(taken.all.allSatisfy { $0.entries.count <= Limits.logStatePageRowsMax })
            #expect(sizes.allSatisfy { $0 < Limits.logStatePageBytesTarget + large.count })
            #expect(taken.all.filter(\.isFirst).count == 1 && taken.all.count >= 5)
            try await work.stop()
        }
    }

    @Test("is one moment's, whatever is written meanwhile", arguments: StoreKind.allCases)
    func moment(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, stage in
            let work = Sequencing(store, stage)
            let writing = Task {
                var number = 0
                while !Task.isCancelled {
                    let value = Array("\(number)".utf8)
                    try await store.write { transaction in
                        for key in 0..<50 { transaction.publish(Change(key: "k/\(key)", value: value)) }
                    }
                    number += 1
                }
            }
            #expect(await eventually { work.delivered.groups.count > 3 })
            for _ in 0..<10 {
                let (taken, position) = try await state(store)
                // Groups never split: all fifty keys are of one group, the newest of the position.
                #expect(Set(taken.state.values).count == 1)
                #expect(await eventually { work.delivered.all.contains { $0.last >= position.sequence } })
                #expect(taken.state == folded(work.delivered.all.filter { $0.last <= position.sequence }))
            }
            writing.cancel()
            _ = await writing.result
            try await work.stop()
        }
    }

    @Test("a store from before the table is completed from its frames", arguments: StoreKind.allCases)
    func older(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, stage in
            let work = Sequencing(store, stage)
            try await publish(store, groups: 60, keys: 20)
            #expect(await eventually { work.delivered.groups.count == 60 })
            try await work.stop()
            // As the migration finds it.
            try await store.write { transaction in
                try transaction.execute("DELETE FROM log_state")
                try transaction.execute("UPDATE leader SET state = 0")
            }
            let (taken, position) = try await state(store)
            #expect(taken.state == folded(work.delivered.all) && position.sequence == 60)
            // And so does a sequencer that comes to lead.
            try await store.write { transaction in
                try transaction.execute("DELETE FROM log_state")
                try transaction.execute("UPDATE leader SET state = 0")
            }
            let next = Sequencing(store, stage)
            try await publish(store, groups: 30, keys: 20, seed: 3)
            #expect(await eventually { next.delivered.groups.count == 90 })
            #expect(try await state(store).taken.state == folded(next.delivered.all))
            try await next.stop()
        }
    }

    @Test("what nobody can complete is not handed out, and numbering goes on", arguments: StoreKind.allCases)
    func incomplete(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, stage in
            let work = Sequencing(store, stage)
            try await publish(store, groups: 10, keys: 20)
            #expect(await eventually { work.delivered.groups.count == 10 })
            try await work.stop()
            try await store.write { transaction in
                try transaction.execute("DELETE FROM frames WHERE first = 1")
                try transaction.execute("UPDATE leader SET state = 0")
            }
            do {
                _ = try await state(store)
                Issue.record("expected a refusal")
            } catch {
                guard case .other(let why)? = error as? StoreError else { throw error }
                #expect(why.contains("not whole"))
            }
            let next = Sequencing(store, stage, after: 10)
            try await publish(store, groups: 5, keys: 20)
            #expect(await eventually { next.delivered.groups.count == 5 })
            try await next.stop()
            await #expect(throws: StoreError.self) { try await state(store) }
        }
    }

    @Test("a key with a NUL byte is refused before it is stored", arguments: StoreKind.allCases)
    func nul(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            let failure = await store.failure { $0.publish(Change(key: "a\0b", value: [1])) }
            #expect(failure == .invalid("a published key with a NUL byte"))
        }
    }
}
