import Glibc
import Limits
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Cache

/// Many at once, and very many in all.
@Suite struct DiskLoadTests {
    @Test func manyReadAndWriteAtOnce() async throws {
        let stage = DiskStage()
        let store = try stage.open(bytesMax: 16 * 1024 * 1024)
        defer { store.close() }
        await withTaskGroup(of: Void.self) { group in
            for seed in 0..<4 {
                group.addTask {
                    var random = DiskRandom(UInt64(seed))
                    for _ in 0..<400 {
                        let number = Int(random.next() % 60)
                        let key = Sample(number: number)
                        switch random.next() % 10 {
                        case 0..<4:
                            var sample = key
                            sample.version = Int(random.next() % 50)
                            sample.bodyBytes = Self.bytes(number, sample.version)
                            store.write(sample.response)
                        case 4: store.remove(key.key.hash)
                        default:
                            for entry in store.candidates(key.key.hash) {
                                guard let loaded = await store.load(entry, key: key.keyBytes) else { continue }
                                var sample = key
                                sample.version = Int(loaded.facts.freshnessLifetime - 60_000)
                                sample.bodyBytes = Self.bytes(number, sample.version)
                                expectSame(loaded, sample)
                                guard case .file(let body) = loaded.body else { continue }
                                let bytes = await body.contents()
                                // Evicted or replaced since: its file may be gone.
                                #expect(bytes == nil || bytes == sample.body)
                            }
                        }
                    }
                }
            }
        }
        store.waitForWriter()
        #expect(store.statistics.corrupt == 0)
        #expect(store.statistics.bytes <= 16 * 1024 * 1024)
        var live: UInt64 = 0
        for shard in 0..<DiskIndex.shardCount { store.index.forEach(shard: shard) { live += $0.byteCount } }
        #expect(store.statistics.liveBytes == live)
        #expect(store.zoneBytes(Sample(number: 0).zoneTag) == live)
    }

    private static func bytes(_ number: Int, _ version: Int) -> Int {
        (number * 7919 + version * 104_729) % (number % 5 == 0 ? 900_000 : 60_000)
    }

    @Test func tooManyReadsAreRefused() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let sample = Sample(number: 1)
        store.writeAndWait(sample.response)
        let entry = try #require(store.candidates(sample.key.hash).first)
        let gate = TestSignal()
        for _ in 0..<Limits.cacheDiskReadThreads { store.readers.submit(isUrgent: true) { gate.wait() } }
        let answers = Answers()
        let asked = Limits.cacheDiskReadsQueuedMax + Limits.cacheDiskReadThreads + 50
        for _ in 0..<asked {
            store.load(entry, key: sample.keyBytes, on: DiskStage.group.next()) { answers.note($0 != nil) }
        }
        for _ in 0..<Limits.cacheDiskReadThreads { gate.raise() }
        answers.wait(asked)
        #expect(answers.refused >= 50)
        #expect(store.statistics.readsBusy == UInt64(answers.refused))
    }

    private final class Answers: Sendable {
        private let count = Atomic<Int>(0)
        private let refusals = Atomic<Int>(0)
        private let signal = TestSignal()
        var refused: Int { refusals.load(ordering: .relaxed) }
        func note(_ isFound: Bool) {
            if !isFound { refusals.add(1, ordering: .relaxed) }
            signal.raise()
        }
        func wait(_ expected: Int) { for _ in 0..<expected { signal.wait() } }
    }

    @Test func tooManyWritesAreDropped() throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let gate = TestSignal()
        store.writer.submit { gate.wait() }
        let count = Limits.cacheDiskWriteBytesQueuedMax / 4_000_000 + 3
        let body = ByteBuffer(repeating: 1, count: 4_000_000)
        for number in 0..<count {
            store.write(Sample(number: number).response(.blocks(BlockBody(blocks: [body]))))
        }
        #expect(store.statistics.writesDropped >= 3)
        #expect(store.statistics.queuedWriteBytes <= Limits.cacheDiskWriteBytesQueuedMax)
        gate.raise()
        store.waitForWriter()
        #expect(store.statistics.queuedWriteBytes == 0)
    }

    /// Says what a restart with a million objects costs; without optimisation, with a tenth of them.
    @Test func aMillionObjectsAreBackSoon() throws {
        let stage = DiskStage()
        #if DEBUG
            let count: UInt32 = 100_000
        #else
            let count: UInt32 = 1_000_000
        #endif
        let first = try stage.open(bytesMax: 1 << 40)
        let zone = try #require(first.names.number(ZoneTag(7), journal: first.journal))
        first.writeAndWait(Sample(number: 1, bodyBytes: 100_000).response)
        let known = try #require(first.index.variants(Sample(number: 1).key.hash).first)
        var random = DiskRandom(1)
        var slot = known
        slot.zone = zone
        slot.length = 1
        for number in 0..<count {
            slot.high = random.next()
            slot.low = random.next()
            slot.offset = number % (known.length - 1)
            first.space.credit(slot)
            _ = first.index.put(slot, journal: nil)
        }
        first.close()
        let before = Self.residentBytes()
        let start = DiskClock.nanoseconds()
        let second = try stage.open(bytesMax: 1 << 40)
        let milliseconds = (DiskClock.nanoseconds() - start) / 1_000_000
        let bytes = max(0, Self.residentBytes() - before)
        print("\(count) objects: open again in \(milliseconds) ms, resident memory grew by \(bytes / 1_000_000) MB")
        #expect(second.statistics.objects == Int(count) + 1)
        second.close()
    }

    private static func residentBytes() -> Int {
        guard let file = OpenFile.open("/proc/self/statm", O_RDONLY) else { return 0 }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = pread(file.descriptor, &bytes, bytes.count, 0)
        let fields = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: " ")
        return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * OpenFile.pageBytes
    }
}
