import Glibc
import Limits
import NIOCore
import Synchronization
import Testing

@testable import Cache

/// Sweeps: what a purge covers goes, and nothing else.
@Suite struct DiskPurgeTests {
    private func stocked(_ stage: DiskStage) throws -> (DiskStore, [Sample]) {
        let store = try stage.open()
        let samples = (0..<120).map { number in
            Sample(
                number: number, zone: number % 2 + 1, host: number % 3 == 0 ? "a.test" : "b.test",
                bodyBytes: number % 10 == 0 ? 600_000 : 500, tags: tags(number), birth: UInt64(number % 4))
        }
        for sample in samples { store.write(sample.response) }
        store.waitForWriter()
        return (store, samples)
    }

    /// Some with more tags than the index has room for.
    private func tags(_ number: Int) -> [UInt64] {
        (0..<(number % 6)).map { UInt64(number % 7 + $0) &* 0x9E37_79B9_7F4A_7C15 }
    }

    private static let tag = UInt64(3) &* 0x9E37_79B9_7F4A_7C15

    private static let scopes: [PurgeScope] = [
        .everything, .tag(tag), .url(Sample(number: 5, zone: 2, host: "b.test").key.urlHash),
        .host(PurgeHost(name: Array("a.test".utf8), port: nil)),
        .host(PurgeHost(name: Array("a.test".utf8), port: Array("80".utf8))),
        .prefix(PurgeHost(name: Array("b.test".utf8), port: nil), path: Array("/object/1".utf8)),
    ]

    @Test(arguments: 0..<scopes.count, [false, true]) func whatIsCoveredGoes(scope: Int, isSoft: Bool) async throws {
        let stage = DiskStage()
        let (store, samples) = try stocked(stage)
        let record = PurgeRecord(
            sequence: 3, zone: Sample(number: 0, zone: 2).zoneTag, scope: Self.scopes[scope], isSoft: isSoft)
        let expected = samples.filter { record.isAbout($0.response(.inline)) }
        #expect(await store.sweep(record) == expected.count)
        try await check(store, samples, record)
        // Again there is nothing to do.
        if isSoft || !expected.isEmpty { #expect(await store.sweep(record) <= (isSoft ? expected.count : 0)) }
        store.waitForKeeper()
        let killed = try stage.copy()
        store.close()
        for left in [stage, killed] {
            let next = try left.open()
            try await check(next, samples, record)
            next.close()
        }
    }

    /// Purges of several things are one sweep.
    @Test(arguments: [false, true]) func manyAtOnce(isSoft: Bool) async throws {
        let stage = DiskStage()
        let (store, samples) = try stocked(stage)
        defer { store.close() }
        let zone = Sample(number: 0, zone: 2).zoneTag
        // Tags enough that each slot's are looked up, and one scope of every other kind but everything.
        var scopes = (0..<40).map { PurgeScope.tag(UInt64(1000 + $0)) } + Self.scopes.dropFirst().prefix(1)
        scopes += [Self.scopes[2], Self.scopes[4], Self.scopes[5]]
        let records = scopes.enumerated().map { index, scope in
            PurgeRecord(sequence: UInt64(2 + index % 3), zone: zone, scope: scope, isSoft: isSoft)
        }
        let expected = samples.filter { sample in records.contains { $0.isAbout(sample.response(.inline)) } }
        #expect(!expected.isEmpty && expected.count < samples.count / 2)
        let count = TestCount()
        let left = await withCheckedContinuation { continuation in
            store.sweep(
                records, counted: { count.value.store($0, ordering: .relaxed) },
                done: { continuation.resume(returning: count.value.load(ordering: .relaxed)) })
        }
        #expect(left == expected.count)
        for sample in samples {
            let isCovered = records.contains { $0.isAbout(sample.response(.inline)) }
            let entry = store.candidates(sample.key.hash).first
            #expect((entry == nil) == (isCovered && !isSoft))
            #expect(entry.map { $0.isSoftPurged == isCovered } ?? true)
        }
        store.waitForWriter()
        #expect(store.sweeps.withLock { $0.isEmpty })
    }

    /// Thousands of purges that nobody counts take the keeper's time once.
    @Test func whatMayWaitIsSweptTogether() async throws {
        let stage = DiskStage()
        let (store, samples) = try stocked(stage)
        defer { store.close() }
        let gate = TestSignal()
        store.keeper.submit { gate.wait() }
        let purged = samples.filter { $0.number % 4 < 2 }
        var sequence: UInt64 = 100
        for _ in 0..<50 {
            for sample in purged {
                sequence += 1
                store.sweepSoon(
                    PurgeRecord(
                        sequence: sequence, zone: sample.zoneTag, scope: .url(sample.key.urlHash), isSoft: false))
            }
        }
        #expect(store.purgesToSweep.withLock { $0.records.count } == purged.count)
        gate.raise()
        store.waitForKeeper()
        store.waitForKeeper()
        for sample in samples {
            #expect(store.candidates(sample.key.hash).isEmpty == (sample.number % 4 < 2))
        }
        store.waitForWriter()
        #expect(store.sweeps.withLock { $0.isEmpty } && store.purgesToSweep.withLock { $0.records.isEmpty })
    }

    @Test func thousandsOfOneAreKeptAsOne() async throws {
        let stage = DiskStage()
        let (store, samples) = try stocked(stage)
        let url = samples[1]
        for sequence in UInt64(10)...2000 {
            store.recordPurges(
                [PurgeRecord(sequence: sequence, zone: url.zoneTag, scope: .url(url.key.urlHash), isSoft: false)]
            ) { _ in }
        }
        #expect(await store.recordPurge(PurgeRecord(sequence: 2001, zone: url.zoneTag, scope: .tag(1), isSoft: false)))
        #expect(store.purges.withLock { $0.records.map(\.sequence) } == [2000, 2001])
        let killed = try stage.copy()
        store.close()
        for left in [stage, killed] {
            let next = try left.open()
            #expect(next.purgesAtOpen.last?.sequence == 2001)
            #expect(next.purges.withLock { $0.records.map(\.sequence) } == [2000, 2001])
            #expect(next.sequenceAtOpen == 2001)
            next.close()
        }
    }

    private func check(_ store: DiskStore, _ samples: [Sample], _ record: PurgeRecord) async throws {
        for sample in samples {
            let entry = store.candidates(sample.key.hash).first
            let isCovered = record.isAbout(sample.response(.inline))
            #expect((entry == nil) == (isCovered && !record.isSoft))
            guard let entry else { continue }
            #expect(entry.isSoftPurged == isCovered)
            #expect(entry.zone == sample.zoneTag && entry.birth == sample.birth)
            let loaded = try #require(await store.load(entry, key: sample.keyBytes))
            #expect(loaded.isSoftPurged.load(ordering: .relaxed) == isCovered)
        }
    }

    @Test func everyZoneAtOnce() async throws {
        let stage = DiskStage()
        let (store, samples) = try stocked(stage)
        defer { store.close() }
        #expect(
            await store.sweep(PurgeRecord(sequence: 9, zone: nil, scope: .everything, isSoft: false)) == samples.count)
        store.waitForWriter()
        #expect(store.statistics.objects == 0 && store.statistics.liveBytes == 0)
        #expect(store.zoneBytes(samples[0].zoneTag) == 0)
        #expect(stage.files(".big").isEmpty)
        #expect(await store.sweep(PurgeRecord(sequence: 9, zone: ZoneTag(42), scope: .everything, isSoft: false)) == 0)
    }

    /// What waits to be written when a sweep begins is purged as well.
    @Test func whatIsQueuedIsJudgedToo() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let gate = TestSignal()
        store.writer.submit { gate.wait() }
        let old = Sample(number: 1, birth: 1)
        let new = Sample(number: 2, birth: 5)
        let responses = [old.response, new.response]
        for response in responses { store.write(response) }
        #expect(await store.sweep(PurgeRecord(sequence: 5, zone: old.zoneTag, scope: .everything, isSoft: false)) == 0)
        gate.raise()
        store.waitForWriter()
        store.waitForWriter()
        #expect(store.candidates(old.key.hash).isEmpty)
        #expect(responses[0].diskState.load(ordering: .relaxed) == 0)
        expectSame(await store.load(new), new)
        #expect(store.sweeps.withLock { $0.isEmpty })
        // Later ones are not.
        store.writeAndWait(old.response)
        expectSame(await store.load(old), old)
    }
}

/// Removals against what is under way.
@Suite struct DiskRemovalTests {
    /// What waits to be written when it is removed does not come after all.
    @Test func whatIsQueuedIsRemovedToo() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let gate = TestSignal()
        store.writer.submit { gate.wait() }
        let samples = (0..<3).map { Sample(number: $0, variant: $0 == 2 ? 1 : nil) }
        let responses = samples.map(\.response)
        for response in responses { store.write(response) }
        store.remove(samples[0].key.hash)
        store.remove(responses[2])
        gate.raise()
        store.waitForWriter()
        #expect(store.candidates(samples[0].key.hash).isEmpty)
        #expect(store.candidates(samples[2].key.hash).isEmpty)
        expectSame(await store.load(samples[1]), samples[1])
        // Written again later, it is there.
        store.writeAndWait(samples[0].response)
        expectSame(await store.load(samples[0]), samples[0])
    }
}

/// The purges that are kept for the next start.
@Suite struct DiskPurgeFoldTests {
    @Test func tooManyBecomeOneOfEverything() {
        var records: [PurgeRecord] = []
        for number in UInt64(1)...100 {
            let isEveryZone = number % 10 == 0
            let zone: ZoneTag? = isEveryZone ? nil : ZoneTag(number % 2)
            let scope: PurgeScope = isEveryZone ? .everything : .tag(number)
            records.append(PurgeRecord(sequence: number, zone: zone, scope: scope, isSoft: number % 3 == 0))
        }
        let before = records
        records = DiskPurge.folded(records)
        #expect(records.count < 60)
        #expect(Array(records.suffix(50)) == Array(before.suffix(50)))
        // Whatever an old one was about is still covered, by one that is no older and of its kind.
        for old in before.prefix(50) {
            let isCovered = records.contains { one in
                guard one.scope == .everything, one.zone == old.zone, one.isSoft == old.isSoft else { return false }
                return one.sequence >= old.sequence && one.sequence <= 50
            }
            #expect(isCovered)
        }
        #expect(records.map(\.sequence) == records.map(\.sequence).sorted())
    }
}
