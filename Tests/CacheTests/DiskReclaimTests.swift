import Glibc
import Limits
import NIOCore
import Synchronization
import Testing

@testable import Cache

/// Space: what goes, what stays, and what a full disk does.
@Suite struct DiskReclaimTests {
    private static let bytesMax: UInt64 = 16 * 1024 * 1024
    private static let objectBytes = 60_000

    private func bytesOnDisk(_ stage: DiskStage) -> UInt64 {
        (stage.files(".log") + stage.files(".big")).reduce(0) { total, name in
            var status = stat()
            stat(stage.path + "/" + name, &status)
            return total + UInt64(status.st_blocks) * 512
        }
    }

    @Test func theBoundHolds() async throws {
        let stage = DiskStage()
        let store = try stage.open(bytesMax: Self.bytesMax)
        defer { store.close() }
        for number in 0..<1000 {
            store.write(Sample(number: number, bodyBytes: Self.objectBytes).response)
            if number % 50 == 0 {
                store.waitForWriter()
                #expect(store.statistics.bytes <= Self.bytesMax)
                #expect(bytesOnDisk(stage) <= Self.bytesMax + 64 * 1024)
            }
        }
        store.waitForWriter()
        let statistics = store.statistics
        #expect(statistics.evicted > 600)
        #expect(statistics.objects + Int(statistics.evicted) == 1000)
        #expect(statistics.liveBytes > Self.bytesMax / 2)
        // The newest are there, the oldest are not.
        expectSame(
            await store.load(Sample(number: 999, bodyBytes: Self.objectBytes)),
            Sample(number: 999, bodyBytes: Self.objectBytes))
        #expect(store.candidates(Sample(number: 0).key.hash).isEmpty)
    }

    @Test func whatIsUsedIsSpared() async throws {
        let stage = DiskStage()
        let store = try stage.open(bytesMax: Self.bytesMax)
        defer { store.close() }
        let hot = (0..<40).map { Sample(number: $0, bodyBytes: Self.objectBytes) }
        for sample in hot { store.write(sample.response) }
        for number in 1000..<2500 {
            store.write(Sample(number: number, bodyBytes: Self.objectBytes).response)
            guard number % 100 == 0 else { continue }
            store.waitForWriter()
            for sample in hot { _ = await store.load(sample) }
        }
        store.waitForWriter()
        for sample in hot { expectSame(await store.load(sample), sample) }
        #expect(store.statistics.spared > 40)
        #expect(store.statistics.bytes <= Self.bytesMax)
    }

    @Test func aFloodWashesNobodyElseOut() async throws {
        let stage = DiskStage()
        let store = try stage.open(bytesMax: Self.bytesMax)
        defer { store.close() }
        // Fresh for long, so that it is worth sparing.
        let modest = (0..<30).map { Sample(number: $0, zone: 2, bodyBytes: Self.objectBytes) }
        for sample in modest { store.write(sample.response) }
        for number in 1000..<2500 {
            store.write(Sample(number: number, zone: 1, bodyBytes: Self.objectBytes).response)
            if number % 200 == 0 { store.waitForWriter() }
        }
        store.waitForWriter()
        for sample in modest { expectSame(await store.load(sample), sample) }
    }

    @Test func largeObjectsGoToo() async throws {
        let stage = DiskStage()
        let store = try stage.open(bytesMax: Self.bytesMax)
        defer { store.close() }
        let used = Sample(number: 0, bodyBytes: 1_000_000)
        store.writeAndWait(used.response)
        for number in 1..<60 {
            store.writeAndWait(Sample(number: number, bodyBytes: 1_000_000).response)
            #expect(await store.load(used) != nil)
            #expect(store.statistics.bytes <= Self.bytesMax)
        }
        #expect(store.statistics.largeObjects == stage.files(".big").count)
        #expect(store.candidates(Sample(number: 1).key.hash).isEmpty)
        #expect(store.statistics.largeObjects < 17)
    }

    @Test func replacedObjectsGiveTheirFilesBack() throws {
        let stage = DiskStage()
        let store = try stage.open(bytesMax: Self.bytesMax)
        defer { store.close() }
        for version in 0..<100 {
            store.write(Sample(number: 1, version: version, bodyBytes: Self.objectBytes).response)
        }
        store.waitForWriter()
        store.waitForWriter()
        #expect(store.statistics.objects == 1)
        #expect(stage.files(".log").count <= 2)
        #expect(store.statistics.evicted == 0)
    }

    @Test func aZoneHasItsOwnBound() async throws {
        let stage = DiskStage()
        let store = try stage.open(bytesMax: Self.bytesMax)
        defer { store.close() }
        let zone = Sample(number: 0, zone: 2).zoneTag
        store.setZoneBytesMax(zone, 2_000_000)
        for number in 0..<300 {
            store.writeAndWait(Sample(number: number, zone: 2, bodyBytes: Self.objectBytes).response)
            store.waitForKeeper()
            #expect(store.zoneBytes(zone) <= 2_000_000)
        }
        // What is stored changes with the time: the newest are there but for one that came while room was made.
        #expect((290..<300).contains { !store.candidates(Sample(number: $0, zone: 2).key.hash).isEmpty })
        #expect(store.candidates(Sample(number: 0, zone: 2).key.hash).isEmpty)
        #expect(store.zoneBytes(zone) > 1_000_000)
        let other = Sample(number: 1, zone: 3, bodyBytes: Self.objectBytes)
        store.writeAndWait(other.response)
        expectSame(await store.load(other), other)
    }

    @Test func aLowerBoundIsReached() throws {
        let stage = DiskStage()
        let store = try stage.open(bytesMax: 2 * Self.bytesMax)
        defer { store.close() }
        for number in 0..<480 { store.write(Sample(number: number, bodyBytes: Self.objectBytes).response) }
        store.waitForWriter()
        #expect(store.statistics.bytes > Self.bytesMax)
        store.setBytesMax(Self.bytesMax)
        store.waitForWriter()
        #expect(store.statistics.bytes <= Self.bytesMax)
    }

    // MARK: A disk that refuses

    /// A disk with so many bytes left.
    private final class FullDisk: Sendable {
        let bytes: Atomic<Int>
        let code: Int32
        init(_ bytes: Int, _ code: Int32 = ENOSPC) {
            self.bytes = Atomic(bytes)
            self.code = code
        }
        var call: DiskWriteCall {
            { [self] descriptor, pieces, count, offset in
                let wanted = UnsafeBufferPointer(start: pieces, count: Int(count)).reduce(0) { $0 + $1.iov_len }
                guard bytes.subtract(wanted, ordering: .relaxed).newValue >= 0 else {
                    errno = code
                    return -1
                }
                return pwritev(descriptor, pieces, count, offset)
            }
        }
    }

    @Test func aFullDiskHarmsNobody() async throws {
        let stage = DiskStage()
        let disk = FullDisk(3_000_000)
        let store = try stage.open(writeCall: disk.call)
        let samples = (0..<100).map { Sample(number: $0, bodyBytes: Self.objectBytes) }
        var written: [Sample] = []
        for sample in samples {
            let response = sample.response
            store.writeAndWait(response)
            if response.diskState.load(ordering: .relaxed) == 2 { written.append(sample) }
        }
        #expect(written.count > 20 && written.count < 60)
        #expect(store.isPaused)
        #expect(store.statistics.writeErrors > 0)
        #expect(store.beginLarge(zone: ZoneTag(1), expectedBytes: nil, progress: { _ in }) == nil)
        // The oldest segment has gone to make room; what is there is whole.
        for sample in written {
            guard let loaded = await store.load(sample) else { continue }
            expectSame(loaded, sample)
        }
        // There is room again, and the pause is over.
        disk.bytes.store(.max / 2, ordering: .relaxed)
        store.pausedUntil.store(0, ordering: .relaxed)
        store.tick()
        let sample = Sample(number: 500)
        store.writeAndWait(sample.response)
        expectSame(await store.load(sample), sample)
        store.close()
        let next = try stage.open()
        expectSame(await next.load(sample), sample)
        next.close()
    }

    @Test func aLargeObjectThatNoLongerFitsIsGivenUp() async throws {
        let stage = DiskStage()
        let disk = FullDisk(1_000_000, EIO)
        let store = try stage.open(writeCall: disk.call)
        defer { store.close() }
        let ended = TestSignal()
        let begun = store.beginLarge(zone: ZoneTag(1), expectedBytes: nil) { progress in
            if case .failed = progress { ended.raise() }
        }
        let writer = try #require(begun)
        for _ in 0..<20 { writer.append(ByteBuffer(repeating: 7, count: 100_000)) }
        ended.wait()
        #expect(writer.body.hasFailed)
        #expect(stage.files(".big").isEmpty)
        disk.bytes.store(.max / 2, ordering: .relaxed)
    }

    /// Without a journal, what was removed could come back: the old index goes, and a checkpoint makes good for it.
    @Test func aJournalThatCannotBeWrittenLosesTheIndexAlone() async throws {
        let stage = DiskStage()
        let disk = FullDisk(.max / 2)
        let store = try stage.open(writeCall: disk.call)
        let samples = (0..<50).map { Sample(number: $0) }
        for sample in samples { store.write(sample.response) }
        store.waitForWriter()
        store.waitForKeeper()
        disk.bytes.store(0, ordering: .relaxed)
        store.remove(samples[0].key.hash)
        let names = [UInt8](repeating: 65, count: Limits.cacheDiskJournalBytesQueuedMax)
        store.journal.defineNames(1, names)
        store.waitForKeeper()
        store.remove(samples[1].key.hash)
        #expect(store.journal.isLost)
        #expect(await store.recordPurge(PurgeRecord(sequence: 1, zone: nil, scope: .everything, isSoft: true)) == false)
        store.tick()
        #expect(stage.files("checkpoint.").isEmpty)
        let killed = try stage.copy()
        let empty = try killed.open()
        #expect(empty.statistics.objects == 0)
        empty.close()
        // It serves on, and once it can write, everything is well again.
        expectSame(await store.load(samples[2]), samples[2])
        disk.bytes.store(.max / 2, ordering: .relaxed)
        store.keeping.withLock { $0.nextAttempt = 0 }
        store.tick()
        #expect(!store.journal.isLost)
        let again = try stage.copy()
        store.close()
        let next = try again.open()
        #expect(next.statistics.objects == 48)
        #expect(next.purgesAtOpen.count == 1)
        next.close()
    }
}
