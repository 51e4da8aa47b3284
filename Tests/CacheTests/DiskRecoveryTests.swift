import Glibc
import Limits
import NIOCore
import Synchronization
import Testing

@testable import Cache

/// What a store makes of a directory that a crash, a bad device or a stranger left.
@Suite struct DiskRecoveryTests {
    private static let samples = (0..<60).map { number in
        Sample(number: number, zone: number % 3, bodyBytes: number * 997, variant: number % 4 == 0 ? number : nil)
    }

    private func fill(_ store: DiskStore, _ samples: [Sample] = Self.samples) {
        for sample in samples { store.write(sample.response) }
        store.waitForWriter()
        store.waitForKeeper()
    }

    /// Every sample is whole or missing. How many are there.
    private func count(_ store: DiskStore, _ samples: [Sample] = Self.samples) async -> Int {
        var count = 0
        for sample in samples {
            guard let loaded = await store.load(sample) else { continue }
            expectSame(loaded, sample)
            count += 1
        }
        return count
    }

    @Test func killedAtRestEverythingIsThere() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        fill(store)
        let copy = try stage.copy()
        let next = try copy.open()
        defer { next.close() }
        #expect(await count(next) == Self.samples.count)
    }

    @Test func restartsAreRepeatable() async throws {
        var stage = DiskStage()
        for round in 0..<6 {
            let store = try stage.open()
            let samples = Self.samples.map { sample in
                var sample = sample
                sample.number += round * 1000
                return sample
            }
            fill(store, samples)
            // In turn killed and closed.
            let copy = try stage.copy()
            store.close()
            if round % 2 == 0 { stage = copy }
        }
        let store = try stage.open()
        defer { store.close() }
        for round in 0..<6 {
            let samples = Self.samples.map { sample in
                var sample = sample
                sample.number += round * 1000
                return sample
            }
            #expect(await count(store, samples) == samples.count)
        }
    }

    /// Every file cut at a random place, or with its end filled with noise or zeros, many times over.
    @Test(arguments: 0..<40) func cutAnywhereNothingWrongIsServed(seed: UInt64) async throws {
        var random = DiskRandom(seed)
        let stage = DiskStage()
        let store = try stage.open()
        fill(store, Array(Self.samples[..<30]))
        if seed % 2 == 0 {
            store.close()
            let again = try stage.open()
            fill(again, Array(Self.samples[30...]))
            again.waitForKeeper()
        } else {
            fill(store, Array(Self.samples[30...]))
        }
        let copy = try stage.copy()
        for name in copy.files("") where name.contains(".") && !name.hasPrefix(".") {
            guard random.next() % 2 == 0 else { continue }
            let kind = random.next() % 3
            try copy.change(name) { bytes in
                guard !bytes.isEmpty else { return }
                let cut = Int(random.next() % UInt64(bytes.count))
                switch kind {
                case 0: bytes.removeSubrange(cut...)
                case 1: for index in cut..<bytes.count { bytes[index] = 0 }
                default: for index in cut..<bytes.count { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
                }
            }
        }
        let next = try copy.open()
        _ = await count(next)
        // It works on.
        let sample = Sample(number: 5000)
        next.writeAndWait(sample.response)
        expectSame(await next.load(sample), sample)
        next.close()
        let last = try copy.open()
        expectSame(await last.load(sample), sample)
        _ = await count(last)
        last.close()
    }

    /// Copies of the directory while it is written to: what kill -9 could leave.
    @Test func killedWhileWritingNothingWrongIsServed() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        async let writes: Void = overwrite(store, rounds: 150)
        for _ in 0..<25 { try await check(stage.copy()) }
        await writes
        store.close()
    }

    private func overwrite(_ store: DiskStore, rounds: Int) async {
        for round in 0..<rounds {
            for number in 0..<20 { store.write(changing(number, round).response) }
            if round % 5 == 0 { store.remove(Sample(number: round % 20).key.hash) }
            store.waitForWriter()
        }
    }

    private func changing(_ number: Int, _ round: Int) -> Sample {
        Sample(number: number, version: round, bodyBytes: (number * 7919 + round) % 90_000)
    }

    private func check(_ stage: DiskStage) async throws {
        let store = try stage.open()
        for number in 0..<20 {
            let key = Sample(number: number)
            for entry in store.candidates(key.key.hash) {
                guard let loaded = await store.load(entry, key: key.keyBytes) else { continue }
                expectSame(loaded, changing(number, Int(loaded.facts.freshnessLifetime - 60_000)))
            }
        }
        store.close()
    }

    /// One flipped bit in every part of a segment.
    @Test func everyFlippedBitInARecordIsFound() async throws {
        let stage = DiskStage()
        let sample = Sample(number: 3, bodyBytes: 300, tags: [1, 2, 3, 4])
        let store = try stage.open()
        defer { store.close() }
        store.writeAndWait(sample.response)
        let slot = try #require(store.index.variants(sample.key.hash).first)
        let name = "\(slot.unit).log"
        var bytes = 0
        try stage.change(name) { bytes = $0.count }
        for position in 0..<bytes {
            try stage.change(name) { $0[position] ^= 1 << UInt8(position % 8) }
            let loaded = await store.load(sample)
            // Behind the body zeros fill up eight bytes; they are nobody's.
            #expect(loaded == nil || position >= bytes - 8, "byte \(position)")
            if loaded != nil { expectSame(loaded, sample) }
            try stage.change(name) { $0[position] ^= 1 << UInt8(position % 8) }
            guard loaded == nil else { continue }
            // Forgotten at once; for the next round it comes back.
            #expect(store.candidates(sample.key.hash).isEmpty)
            #expect(store.statistics.corrupt == UInt64(position + 1))
            store.space.credit(slot)
            _ = store.index.put(slot, journal: nil)
        }
        expectSame(await store.load(sample), sample)
    }

    // MARK: Purges

    private func purge(_ sequence: UInt64, _ scope: PurgeScope, isSoft: Bool = false) -> PurgeRecord {
        PurgeRecord(sequence: sequence, zone: Sample(number: 0).zoneTag, scope: scope, isSoft: isSoft)
    }

    @Test func purgesComeBackUntilTheyAreSettled() async throws {
        let stage = DiskStage()
        let records = [
            purge(5, .tag(7)), purge(6, .tag(8)),
            PurgeRecord(sequence: 9, zone: nil, scope: .everything, isSoft: true),
        ]
        let first = try stage.open()
        #expect(first.purgesAtOpen.isEmpty && first.sequenceAtOpen == 0)
        for record in records { #expect(await first.recordPurge(record)) }
        let killed = try stage.copy()
        first.close()
        for left in [stage, killed] {
            let store = try left.open()
            #expect(store.purgesAtOpen == records)
            #expect(store.sequenceAtOpen == 9)
            store.settlePurges(zone: Sample(number: 0).zoneTag, upTo: 5)
            store.settlePurges(zone: nil, upTo: 9)
            store.close()
            let next = try left.open()
            #expect(next.purgesAtOpen == [records[1]])
            #expect(next.sequenceAtOpen == 9)
            next.close()
        }
    }

    /// A cache may forget, but never bring back: if the journal does not reach as far as the last purge, nothing is left.
    @Test func withoutThePurgesNothingComesBack() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        fill(store)
        #expect(await store.recordPurge(purge(1, .tag(7))))
        let killed = try stage.copy()
        store.close()
        let numbers = killed.files("journal.").compactMap { Int($0.dropFirst("journal.".count)) }
        let last = try #require(numbers.max())
        try killed.change("journal.\(last)") { $0[$0.count - 3] ^= 1 }
        let next = try killed.open()
        #expect(next.statistics.objects == 0)
        #expect(await count(next) == 0)
        next.close()
    }

    @Test func theFloorOutlivesOneFault() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        fill(store)
        #expect(await store.recordPurge(purge(1, .tag(7))))
        store.close()
        for position in [8, 4096 + 20] { try await checkFloor(stage.copy(), position) }
        let both = try stage.copy()
        try both.change("floor") { bytes in
            bytes[8] ^= 1
            bytes[4096 + 20] ^= 1
        }
        let next = try both.open()
        #expect(next.statistics.objects == 0)
        next.close()
    }

    private func checkFloor(_ stage: DiskStage, _ position: Int) async throws {
        try stage.change("floor") { $0[position] ^= 1 }
        let next = try stage.open()
        #expect(await count(next) == Self.samples.count)
        next.close()
    }

    @Test(arguments: ["secret", "floor", "checkpoint."]) func withoutAVitalFileItBeginsAnew(name: String) async throws {
        let stage = DiskStage()
        let store = try stage.open()
        fill(store)
        let secret = store.secret
        store.close()
        for file in stage.files(name) { unlink(stage.path + "/" + file) }
        let next = try stage.open()
        #expect(next.statistics.objects == 0)
        #expect((next.secret == secret) == (name != "secret"))
        #expect(stage.files(".log").isEmpty)
        fill(next)
        #expect(await count(next) == Self.samples.count)
        next.close()
    }

    @Test func missingSegmentsAreMissed() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        fill(store, Array(Self.samples[..<30]))
        store.close()
        let again = try stage.open()
        fill(again, Array(Self.samples[30...]))
        again.close()
        unlink(stage.path + "/" + (try #require(stage.files(".log").first)))
        let next = try stage.open()
        defer { next.close() }
        #expect(await count(next) == 30)
        #expect(next.statistics.objects == 30)
    }

    @Test func strayFilesGo() throws {
        let stage = DiskStage()
        try stage.open().close()
        for name in ["77.big", "78.log", "checkpoint.9.tmp", "notes.txt"] {
            _ = OpenFile.open(stage.path + "/" + name, O_CREAT | O_RDWR)
        }
        let store = try stage.open()
        #expect(stage.files(".big").isEmpty && stage.files(".log").isEmpty && stage.files(".tmp").isEmpty)
        // Not ours.
        #expect(stage.files(".txt").count == 1)
        // Numbers go on behind everything that was met.
        #expect(store.space.nextNumber == 79)
        store.close()
    }

    @Test func checkpointsReplaceJournals() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        for round in 0..<5 {
            for number in 0..<20 { store.write(Sample(number: number, version: round).response) }
            store.waitForWriter()
            #expect(store.keeping.withLock { store.checkpoint(&$0) })
            #expect(stage.files("checkpoint.").count == 1)
            #expect(stage.files("journal.").count == 1)
        }
        let killed = try stage.copy()
        store.close()
        let next = try killed.open()
        for number in 0..<20 {
            expectSame(await next.load(Sample(number: number, version: 4)), Sample(number: number, version: 4))
        }
        next.close()
    }
}
