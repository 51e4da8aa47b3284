// How many writes a second: a record, its audit row and its outbox row each, 32 callers at a time. Prints a table, decides
// nothing. Runs when asked for:
//
//     MARTLET_STORE_RATE=10 swift test -c release -Xswiftc -enable-testing --filter StoreRateTests

import ConfigLog
import Foundation
import Synchronization
import Testing

@testable import ControlPlane

private let rateSeconds = ProcessInfo.processInfo.environment["MARTLET_STORE_RATE"].flatMap { Double($0) } ?? 0

@Suite("Writes a second", .enabled(if: rateSeconds > 0), .serialized)
struct StoreRateTests {
    @Test("records written", arguments: StoreKind.allCases, [(1, 1), (32, 1), (32, 100)])
    func records(_ kind: StoreKind, shape: (callers: Int, zones: Int)) async throws {
        try await withStore(kind) { store, stage in
            try await store.prepare(zones: shape.zones)
            let sequencer = Sequencer(store: store, log: stage.log)
            let delivered = Mutex(0)
            let sequencing = Task {
                try await sequencer.run(after: 0) { frame in delivered.withLock { $0 += frame.groups.count } }
            }
            let began = ContinuousClock.now
            let end = began + .seconds(rateSeconds)
            let cpu = Self.cpuSeconds()
            let latencies = try await withThrowingTaskGroup(of: [Duration].self) { group in
                for caller in 0..<shape.callers {
                    group.addTask { try await Self.write(store, caller: caller, zones: shape.zones, until: end) }
                }
                return try await group.reduce(into: []) { $0 += $1 }.sorted()
            }
            let elapsed = began.duration(to: .now) / .seconds(1)
            let spent = Self.cpuSeconds() - cpu
            sequencing.cancel()
            try await sequencing.value
            let rate = Double(latencies.count) / elapsed
            let p50 = latencies[latencies.count / 2] / .milliseconds(1)
            let p99 = latencies[latencies.count * 99 / 100] / .milliseconds(1)
            print(
                "rate \(kind.rawValue) callers \(shape.callers) zones \(shape.zones): \(Int(rate)) writes/s, p50 "
                    + String(
                        format: "%.2f ms, p99 %.2f ms, own CPU %.0f us/write", p50, p99,
                        spent / Double(latencies.count) * 1e6)
                    + ", sequenced by then \(delivered.withLock { $0 }) of \(latencies.count)")
            #expect(try await store.count("dns_records") == Int64(latencies.count))
        }
    }

    @Test("from a single write to its frame", arguments: StoreKind.allCases)
    func frames(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, stage in
            try await store.prepare()
            let (frames, arrival) = AsyncStream.makeStream(of: ContinuousClock.Instant.self)
            let sequencer = Sequencer(store: store, log: stage.log)
            let sequencing = Task { try await sequencer.run(after: 0) { _ in arrival.yield(.now) } }
            #expect(await eventually { sequencer.isLeader })
            var arrivals = frames.makeAsyncIterator()
            var times: [Duration] = []
            for number in 0..<100 {
                try await Task.sleep(for: .milliseconds(30))
                try await store.write { try $0.addRecord("r\(number)") }
                let written = ContinuousClock.now
                if let arrived = await arrivals.next() { times.append(written.duration(to: arrived)) }
            }
            sequencing.cancel()
            try await sequencing.value
            times.sort()
            let (p50, p99) = (
                times[times.count / 2] / .milliseconds(1), times[times.count * 99 / 100] / .milliseconds(1)
            )
            print("frame \(kind.rawValue): after the commit p50 " + String(format: "%.2f ms, p99 %.2f ms", p50, p99))
        }
    }

    private static func write(
        _ store: Store, caller: Int, zones: Int, until end: ContinuousClock.Instant
    ) async throws -> [Duration] {
        var latencies: [Duration] = []
        var number = 0
        while ContinuousClock.now < end {
            let zone = (caller &+ number) % zones
            let id = StoreID.make()
            let name = "host\(number).caller\(caller).example\(zone).com"
            let start = ContinuousClock.now
            try await store.write { try $0.addRecord(id, zone: zone == 0 ? "z" : "z\(zone)", name: name) }
            latencies.append(start.duration(to: .now))
            number += 1
        }
        return latencies
    }

    /// CPU time of this process.
    private static func cpuSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
