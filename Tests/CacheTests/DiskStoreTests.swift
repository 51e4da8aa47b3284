import Glibc
import Limits
import NIOCore
import Synchronization
import Testing

@testable import Cache

/// What is written can be read, in this process and the next.
@Suite struct DiskStoreTests {
    @Test(arguments: [0, 1, 1000, 16 * 1024, 16 * 1024 + 1, 200_000])
    func whatIsWrittenIsLoaded(bodyBytes: Int) async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let sample = Sample(number: 1, bodyBytes: bodyBytes, tags: [5, 3, 9, 11], birth: 4)
        let response = sample.response
        store.writeAndWait(response)
        #expect(response.diskState.load(ordering: .relaxed) == 2)
        expectSame(await store.load(sample), sample)
        #expect(store.statistics.objects == 1)
    }

    @Test func trailersAreKept() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let sample = Sample(number: 1, bodyBytes: 50, hasTrailers: true)
        store.writeAndWait(sample.response)
        expectSame(await store.load(sample), sample)
    }

    @Test func everythingIsThereAfterClosing() async throws {
        let stage = DiskStage()
        let samples = (0..<200).map {
            Sample(number: $0, zone: $0 % 5, bodyBytes: $0 * 100, tags: [UInt64($0)], birth: 3)
        }
        let first = try stage.open()
        let secret = first.secret
        for sample in samples { first.write(sample.response) }
        first.waitForWriter()
        let bytes = first.zoneBytes(samples[3].zoneTag)
        first.close()
        let second = try stage.open()
        defer { second.close() }
        #expect(second.secret == secret)
        #expect(second.statistics.objects == 200)
        #expect(second.zoneBytes(samples[3].zoneTag) == bytes)
        #expect(second.sequenceAtOpen == 3)
        for sample in samples { expectSame(await second.load(sample), sample) }
    }

    @Test func variantsLiveBesideEachOther() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let samples = [nil, 1, 2, 3].map { Sample(number: 1, variant: $0) }
        for sample in samples { store.writeAndWait(sample.response) }
        #expect(store.candidates(samples[0].key.hash).count == 4)
        for sample in samples { expectSame(await store.load(sample), sample) }
        var newer = samples[2]
        newer.version = 1
        store.writeAndWait(newer.response)
        #expect(store.candidates(samples[0].key.hash).count == 4)
        // Newest first.
        #expect(store.candidates(samples[0].key.hash)[0].hasVaryHash(try #require(newer.vary).hash))
        expectSame(await store.load(newer), newer)
    }

    @Test func variantsAreBounded() throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        for variant in 0..<Limits.cacheVariantsMax + 10 {
            store.writeAndWait(Sample(number: 1, variant: variant).response)
        }
        let entries = store.candidates(Sample(number: 1).key.hash)
        #expect(entries.count == Limits.cacheVariantsMax)
        let last = try #require(Sample(number: 1, variant: Limits.cacheVariantsMax + 9).vary)
        #expect(entries[0].hasVaryHash(last.hash))
    }

    @Test func anotherKeyWithTheSameHashIsAMiss() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let sample = Sample(number: 1)
        store.writeAndWait(sample.response)
        let entry = try #require(store.candidates(sample.key.hash).first)
        #expect(await store.load(entry, key: Sample(number: 2).keyBytes) == nil)
        #expect(store.statistics.corrupt == 0)
        expectSame(await store.load(sample), sample)
    }

    @Test func whatIsRemovedStaysRemoved() async throws {
        let stage = DiskStage()
        let first = try stage.open()
        for variant in 0..<3 { first.writeAndWait(Sample(number: 1, variant: variant).response) }
        first.writeAndWait(Sample(number: 2).response)
        first.writeAndWait(Sample(number: 3).response)
        #expect(first.remove(Sample(number: 1, variant: 1).response))
        #expect(first.candidates(Sample(number: 1).key.hash).count == 2)
        #expect(first.remove(Sample(number: 1).key.hash) == 2)
        #expect(first.remove(Sample(number: 2).key.hash) == 1)
        #expect(first.remove(Sample(number: 2).key.hash) == 0)
        #expect(first.statistics.objects == 1)
        first.waitForKeeper()
        // As after kill -9, and after an orderly end.
        let copy = try stage.copy()
        first.close()
        for stage in [stage, copy] {
            let next = try stage.open()
            #expect(next.candidates(Sample(number: 1).key.hash).isEmpty)
            #expect(next.candidates(Sample(number: 2).key.hash).isEmpty)
            expectSame(await next.load(Sample(number: 3)), Sample(number: 3))
            next.close()
        }
    }

    @Test func oneProcessADirectory() throws {
        let stage = DiskStage()
        let first = try stage.open()
        let error = #expect(throws: DiskError.self) { try stage.open() }
        #expect(error?.kind == .locked)
        first.close()
        try stage.open().close()
    }

    @Test func theDirectoryIsForItsOwnerAlone() throws {
        let stage = DiskStage()
        try stage.open().close()
        var status = stat()
        #expect(stat(stage.path, &status) == 0)
        #expect(status.st_mode & 0o7 == 0)
        #expect(stat(stage.path + "/secret", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func afterClosingNothingIsThere() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        let sample = Sample(number: 1)
        store.writeAndWait(sample.response)
        let entry = try #require(store.candidates(sample.key.hash).first)
        store.close()
        #expect(store.candidates(sample.key.hash).isEmpty)
        #expect(await store.load(entry, key: sample.keyBytes) == nil)
        #expect(store.beginLarge(zone: sample.zoneTag, expectedBytes: nil, progress: { _ in }) == nil)
        let response = Sample(number: 2).response
        store.write(response)
        #expect(response.diskState.load(ordering: .relaxed) == 0)
        store.close()
    }

    @Test func keepWritesWhatIsMissing() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let response = Sample(number: 1).response
        store.writeAndWait(response)
        store.keep(response)
        store.waitForWriter()
        #expect(store.statistics.writes == 1)
        #expect(store.index.variants(response.key.hash).first?.uses == 1)
        store.remove(response.key.hash)
        store.keep(response)
        store.waitForWriter()
        #expect(store.statistics.writes == 2)
        expectSame(await store.load(Sample(number: 1)), Sample(number: 1))
    }
}
