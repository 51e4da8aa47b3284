import Glibc
import Limits
import NIOCore
import Synchronization
import Testing

@testable import Cache

/// Objects in files of their own.
@Suite struct DiskLargeTests {
    /// Writes a large object and waits until it is committed, or failed.
    private func writeLarge(
        _ store: DiskStore, _ sample: Sample, pieceBytes: Int = 70_001, trailers: ByteBuffer? = nil
    ) throws -> StoredResponse {
        let ended = TestSignal()
        let begun = store.beginLarge(zone: sample.zoneTag, expectedBytes: nil) { progress in
            if case .written = progress { return }
            ended.raise()
        }
        let writer = try #require(begun)
        let body = sample.body
        for start in stride(from: 0, to: body.count, by: pieceBytes) {
            writer.append(ByteBuffer(bytes: body[start..<min(start + pieceBytes, body.count)]))
        }
        let response = sample.response(.file(writer.body))
        writer.commit(response, trailers: trailers)
        ended.wait()
        return response
    }

    private func body(_ response: StoredResponse?) throws -> FileBody {
        guard case .file(let body) = try #require(response).body else { throw NoFile() }
        return body
    }

    private func begin(_ store: DiskStore, zone: ZoneTag, expectedBytes: UInt64?) throws -> LargeWriter {
        let writer = store.beginLarge(zone: zone, expectedBytes: expectedBytes, progress: { _ in })
        return try #require(writer)
    }

    private func opened(_ body: FileBody) async throws -> FileReader {
        guard let reader = await body.open() else { throw NoFile() }
        return reader
    }

    private struct NoFile: Error {}

    private final class Count: Sendable {
        let value = Atomic<Int>(0)
    }

    @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 1_000_000])
    func whatIsWrittenIsRead(bodyBytes: Int) async throws {
        let stage = DiskStage()
        let sample = Sample(number: 7, bodyBytes: bodyBytes, tags: [1, 2], birth: 3)
        let first = try stage.open()
        let written = try writeLarge(first, sample, trailers: ByteBuffer(string: "x: y\r\n"))
        #expect(written.diskState.load(ordering: .relaxed) == 2)
        #expect(try await body(written).contents() == sample.body)
        let loaded = await first.load(sample)
        expectSame(loaded, sample)
        // One body for a file, whoever loads it.
        #expect(try body(loaded) === (try body(written)))
        #expect(first.statistics.largeObjects == 1)
        first.close()

        let second = try stage.open()
        defer { second.close() }
        let again = await second.load(sample)
        expectSame(again, sample)
        #expect(try body(again).isComplete)
        #expect(try body(again).trailers == ByteBuffer(string: "x: y\r\n"))
        #expect(try await body(again).contents() == sample.body)
    }

    @Test func itIsReadWhileItFills() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let step = Limits.cacheDiskWriteBytesMin
        let count = 4 * step - 6789
        let sample = Sample(number: 1, bodyBytes: count)
        let body = sample.body
        let writer = try begin(store, zone: sample.zoneTag, expectedBytes: UInt64(count))
        #expect(writer.body.reader() == nil)
        // Too little for a write.
        writer.append(ByteBuffer(bytes: body[..<(step - 1)]))
        store.waitForWriter()
        #expect(writer.writtenBytes == 0 && writer.pendingBytes == step - 1 && writer.body.reader() == nil)
        // Enough for one; the rest waits.
        writer.append(ByteBuffer(bytes: body[(step - 1)..<(step + 500)]))
        store.waitForWriter()
        let first = UInt64(step)
        #expect(writer.writtenBytes == first && writer.pendingBytes == 500)
        let reader = try await opened(writer.body)
        #expect(reader.readNow(0..<first).map { Array($0.readableBytesView) } == Array(body[..<step]))
        #expect(reader.readNow(0..<(first + 1)) == nil)
        #expect(await reader.read((first - 5)..<(first + 1)) == nil)
        writer.append(ByteBuffer(bytes: body[(step + 500)...]))
        store.waitForWriter()
        #expect(writer.writtenBytes == 3 * first && writer.pendingBytes == step - 6789)
        let second = await reader.read((first - 5)..<(3 * first))
        #expect(second.map { Array($0.readableBytesView) } == Array(body[(step - 5)..<(3 * step)]))
        #expect(!writer.body.isComplete)
        writer.commit(sample.response(.file(writer.body)))
        store.waitForWriter()
        #expect(writer.body.isComplete && writer.pendingBytes == 0)
        let last = await reader.read((3 * first - 5)..<UInt64(count))
        #expect(last.map { Array($0.readableBytesView) } == Array(body[(3 * step - 5)...]))
        expectSame(await store.load(sample), sample)
    }

    /// The calls that wrote behind the slots of a large object.
    private final class BodyWrites: Sendable {
        struct Write: Equatable {
            var offset: Int
            var bytes: Int
        }

        let writes = Mutex<[Write]>([])

        var call: DiskWriteCall {
            { [self] descriptor, pieces, count, offset in
                let bytes = pwritev(descriptor, pieces, count, offset)
                writes.withLock { $0.append(Write(offset: offset - Int(DiskFiles.bodyStart), bytes: bytes)) }
                return bytes
            }
        }
    }

    /// However the body comes in, it is written in blocks, and many of them at once where many wait.
    @Test(arguments: [1, 999, 65_536, 100_001, 3_000_000]) func bodiesAreWrittenInBlocks(pieceBytes: Int) async throws {
        let stage = DiskStage()
        let seen = BodyWrites()
        let store = try stage.open(writeCall: seen.call)
        defer { store.close() }
        let bodyBytes = pieceBytes == 1 ? 70_000 : 3_000_000
        let sample = Sample(number: 1, bodyBytes: bodyBytes)
        let ended = TestSignal()
        let begun = store.beginLarge(zone: sample.zoneTag, expectedBytes: nil) { progress in
            if case .committed = progress { ended.raise() }
        }
        let writer = try #require(begun)
        // All of it waits when the writer's thread comes to it, as behind another large object.
        let gate = TestSignal()
        store.writer.submit { gate.wait() }
        let body = sample.body
        for start in stride(from: 0, to: bodyBytes, by: pieceBytes) {
            writer.append(ByteBuffer(bytes: body[start..<min(start + pieceBytes, bodyBytes)]))
        }
        #expect(writer.pendingBytes == bodyBytes)
        writer.commit(sample.response(.file(writer.body)))
        gate.raise()
        ended.wait()
        #expect(writer.pendingBytes == 0)
        let writes = seen.writes.withLock { $0 }.filter { $0.offset >= 0 && $0.offset < bodyBytes }
        #expect(writes.reduce(0) { $0 + $1.bytes } == bodyBytes)
        #expect(writes.allSatisfy { $0.bytes <= Limits.cacheDiskWriteBytes })
        // Where pieces are too small to fill a block in one write, a write ends between two of them.
        let step = Limits.cacheDiskWriteBytesMin
        let least = min(pieceBytes * Limits.cacheDiskWritePiecesMax, Limits.cacheDiskWriteBytes) / step * step
        #expect(writes.dropLast().allSatisfy { $0.bytes >= least })
        if least > 0 { #expect(writes.allSatisfy { $0.offset.isMultiple(of: step) || pieceBytes == 999 }) }
        expectSame(await store.load(sample), sample)
        guard case .file(let file) = try #require(await store.load(sample)).body else { throw NoFile() }
        #expect(await file.contents() == body)
    }

    @Test func aWriteThatIsCutShortGoesOn() throws {
        let path = "/tmp/martlet-disk-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
        defer { unlink(path) }
        let file = try #require(OpenFile.open(path, O_RDWR | O_CREAT | O_EXCL))
        var bytes = Array("abc".utf8) + [UInt8](repeating: 7, count: 40) + Array("end".utf8)
        let failure = bytes.withUnsafeMutableBytes { bytes in
            let base = bytes.baseAddress
            var pieces = [0..<3, 3..<3, 3..<20, 20..<43, 43..<46].map { range in
                iovec(iov_base: base.map { $0 + range.lowerBound }, iov_len: range.count)
            }
            return pieces.withUnsafeMutableBufferPointer { pieces in
                file.write(pieces, at: 5) { descriptor, pieces, count, offset in
                    // Never more than five bytes, never more than one piece.
                    guard count > 0, let first = pieces?.pointee else { return 0 }
                    return pwrite(descriptor, first.iov_base, min(first.iov_len, 5), offset)
                }
            }
        }
        #expect(failure == 0)
        var read = [UInt8](repeating: 0, count: bytes.count)
        #expect(read.withUnsafeMutableBytes { file.read(into: $0, at: 5) })
        #expect(read == bytes)
        let refused = bytes.withUnsafeBytes {
            file.write($0, at: 0) { _, _, _, _ in
                errno = ENOSPC; return -1
            }
        }
        #expect(refused == ENOSPC)
        #expect(bytes.withUnsafeBytes { file.write($0, at: 0) { _, _, _, _ in 0 } } == EIO)
    }

    @Test func pagesThatAreGoneAreNoticed() throws {
        let path = "/tmp/martlet-disk-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
        defer { unlink(path) }
        let file = try #require(OpenFile.open(path, O_RDWR | O_CREAT | O_EXCL))
        posix_fadvise(file.descriptor, 0, 0, Int32(POSIX_FADV_RANDOM))
        let bytes = [UInt8](repeating: 9, count: 300_001)
        // Piece by piece: the kernel drops what it holds together only as a whole.
        for start in stride(from: 0, to: bytes.count, by: 65_536) {
            let failure = bytes[start..<min(start + 65_536, bytes.count)].withUnsafeBytes {
                file.write($0, at: UInt64(start), by: { pwritev($0, $1, $2, $3) })
            }
            #expect(failure == 0)
        }
        #expect(file.isResident(0..<300_001) && file.isResident(70_000..<70_001))
        // Kernels before 6.5 do not say.
        #expect(file.isCached(0..<300_001) != false && file.isCached(299_999..<300_001) != false)
        #expect(fdatasync(file.descriptor) == 0)
        posix_fadvise(file.descriptor, 65_536, 131_072, Int32(POSIX_FADV_DONTNEED))
        // A filesystem that is all memory keeps them.
        guard !file.isResident(0..<300_001) else { return }
        #expect(file.isCached(0..<300_001) != true && file.isCached(65_536..<65_537) != true)
        #expect(file.isCached(0..<65_536) != false && file.isCached(196_608..<300_001) != false)
    }

    /// What was verified, left memory, and came back otherwise is not taken for verified: not now, not when it is asked for
    /// again, and not because its pages are there by then.
    @Test func whatChangesOnTheDeviceIsNeverServed() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let sample = Sample(number: 1, bodyBytes: 300_000)
        let large = try body(writeLarge(store, sample))
        var reader = try await opened(large)
        // The system may have taken the pages back while other tests ran.
        for _ in 0..<20 where reader.region(0..<300_000) == nil { reader = try await opened(large) }
        // One that takes them back at once shows nothing here.
        guard reader.region(0..<300_000) != nil else { return }
        let name = try #require(stage.files(".big").first)
        let file = try #require(OpenFile.open(stage.path + "/" + name, O_RDWR))
        var byte: [UInt8] = [~sample.body[200_000]]
        #expect(
            byte.withUnsafeBytes { file.write($0, at: DiskFiles.bodyStart + 200_000, by: { pwritev($0, $1, $2, $3) }) }
                == 0)
        #expect(fdatasync(file.descriptor) == 0)
        posix_fadvise(file.descriptor, 0, 0, Int32(POSIX_FADV_DONTNEED))
        // A filesystem that is all memory keeps them.
        guard !file.isResident(DiskFiles.bodyStart..<DiskFiles.bodyStart + 300_000) else { return }
        for _ in 1...3 {
            #expect(reader.region(0..<300_000) == nil && reader.readNow(196_608..<262_144) == nil)
            #expect(await reader.prepare(0..<300_000) == false)
            #expect(await reader.read(199_999..<200_001) == nil)
            // Its page is in memory: somebody has read it.
            #expect(byte.withUnsafeMutableBytes { file.read(into: $0, at: DiskFiles.bodyStart + 200_000) })
        }
        #expect(store.candidates(sample.key.hash).isEmpty)
        // Who is at another place goes on.
        #expect(await reader.read(0..<196_608).map { Array($0.readableBytesView) } == Array(sample.body[..<196_608]))
        #expect(await reader.prepare(262_144..<300_000))
        #expect(reader.region(262_144..<300_000) != nil)
    }

    @Test func whatIsBeingReadIsLookedAtPageByPage() throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let file = try body(writeLarge(store, Sample(number: 1, bodyBytes: 100_000)))
        #expect(!file.isBeingRead)
        let isSeen = file.reading { file.reading { file.isBeingRead } && file.isBeingRead }
        #expect(isSeen && !file.isBeingRead)
        #expect(file.reading { file.reader()?.region(0..<100_000) } != nil)
    }

    @Test func whatIsGivenUpLeavesNothingButServesItsReaders() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let sample = Sample(number: 1, bodyBytes: Limits.cacheDiskWriteBytesMin)
        let failures = Count()
        let begun = store.beginLarge(zone: sample.zoneTag, expectedBytes: nil) { progress in
            if case .failed = progress { failures.value.add(1, ordering: .relaxed) }
        }
        let writer = try #require(begun)
        writer.append(ByteBuffer(bytes: sample.body))
        store.waitForWriter()
        let reader = try await opened(writer.body)
        writer.abandon()
        writer.append(ByteBuffer(string: "more"))
        writer.commit(sample.response(.file(writer.body)))
        store.waitForWriter()
        #expect(failures.value.load(ordering: .relaxed) == 1)
        #expect(writer.body.hasFailed)
        #expect(stage.files(".big").isEmpty)
        #expect(await reader.read(0..<UInt64(sample.body.count)).map { Array($0.readableBytesView) } == sample.body)
        #expect(store.candidates(sample.key.hash).isEmpty)
        #expect(store.space.totals.bytes < 100_000)
    }

    @Test func aWriterThatIsForgottenIsGivenUp() throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        for number in 0..<Limits.cacheDiskWritersMax * 2 {
            let writer = try begin(store, zone: ZoneTag(1), expectedBytes: nil)
            if number % 10 == 0 { writer.append(ByteBuffer(string: "some")) }
        }
        store.waitForWriter()
        #expect(stage.files(".big").isEmpty)
        #expect(store.writerCount.load(ordering: .relaxed) == 0)
    }

    @Test func writersAndSizesAreBounded() throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let bytesMax = DiskStage.bytesMax / Limits.cacheDiskObjectShare
        #expect(store.beginLarge(zone: ZoneTag(1), expectedBytes: bytesMax + 1, progress: { _ in }) == nil)
        var writers: [LargeWriter] = []
        for _ in 0..<Limits.cacheDiskWritersMax {
            writers.append(try begin(store, zone: ZoneTag(1), expectedBytes: nil))
        }
        #expect(store.beginLarge(zone: ZoneTag(1), expectedBytes: nil, progress: { _ in }) == nil)
        // One that turns out too large.
        let piece = ByteBuffer(repeating: 1, count: 1024 * 1024)
        for count in 1...bytesMax / UInt64(piece.readableBytes) {
            writers[0].append(piece)
            store.waitForWriter()
            #expect(writers[0].writtenBytes == count * UInt64(piece.readableBytes))
        }
        writers[0].append(piece)
        store.waitForWriter()
        #expect(writers[0].body.hasFailed)
        #expect(store.beginLarge(zone: ZoneTag(1), expectedBytes: nil, progress: { _ in }) != nil)
    }

    @Test func regionsAreReadyOnlyWhenVerified() async throws {
        let stage = DiskStage()
        let sample = Sample(number: 1, bodyBytes: 500_000)
        let first = try stage.open()
        _ = try writeLarge(first, sample)
        first.close()
        let store = try stage.open()
        defer { store.close() }
        let file = try await body(store.load(sample))
        let reader = try await opened(file)
        #expect(reader.region(0..<1000) == nil)
        #expect(reader.readNow(0..<1000) == nil)
        #expect(await reader.prepare(100_000..<200_000))
        #expect(reader.region(0..<1000) == nil)
        let region = try #require(reader.region(100_000..<200_000))
        #expect(region.readableBytes == 100_000)
        let bytes = try region.fileHandle.withUnsafeFileDescriptor { descriptor in
            var bytes = [UInt8](repeating: 0, count: region.readableBytes)
            #expect(pread(descriptor, &bytes, bytes.count, region.readerIndex) == bytes.count)
            return bytes
        }
        #expect(bytes == Array(sample.body[100_000..<200_000]))
        #expect(reader.region(400_000..<500_001) == nil)
        #expect(await reader.prepare(400_000..<500_001) == false)
        #expect(await reader.prepare(0..<UInt64(Limits.cacheDiskReadBytesMax + 1)) == false)
    }

    @Test func streamsHaveHandlesOfTheirOwn() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let written = try writeLarge(store, Sample(number: 1, bodyBytes: 100_000))
        let one = try #require(try body(written).reader())
        let other = try #require(try body(written).reader())
        let region = try #require(one.region(0..<10))
        let second = try #require(other.region(0..<10))
        // What NIO refuses for one handle in two channels.
        try region.fileHandle.withUnsafeFileDescriptor { _ in
            try second.fileHandle.withUnsafeFileDescriptor { _ in }
        }
        var gone = try body(written).reader()
        let orphan = try #require(gone?.region(0..<10))
        gone = nil
        #expect(throws: (any Error).self) { try orphan.fileHandle.withUnsafeFileDescriptor { _ in } }
    }

    @Test(arguments: [0, 70_000, 130_000, 199_999])
    func aFlippedBitInTheBodyIsNeverServed(position: Int) async throws {
        let stage = DiskStage()
        let sample = Sample(number: 1, bodyBytes: 200_000)
        let first = try stage.open()
        _ = try writeLarge(first, sample)
        first.close()
        try stage.change(try #require(stage.files(".big").first)) { $0[Int(DiskFiles.bodyStart) + position] ^= 4 }
        let store = try stage.open()
        defer { store.close() }
        let file = try await body(store.load(sample))
        let reader = try await opened(file)
        let block = UInt64(position) / 65_536 * 65_536
        #expect(await reader.read(block..<min(block + 65_536, 200_000)) == nil)
        #expect(store.statistics.corrupt == 1)
        #expect(store.candidates(sample.key.hash).isEmpty)
    }

    @Test func aNewHeadTakesThePlaceOfTheOld() async throws {
        let stage = DiskStage()
        var sample = Sample(number: 1, bodyBytes: 100_000)
        let first = try stage.open()
        let file = try body(writeLarge(first, sample))
        for version in 1...5 {
            sample.version = version
            let response = StoredResponse(
                key: sample.key, zone: sample.zoneTag, facts: sample.facts, head: sample.head(withBody: false),
                body: .file(file), vary: nil, tags: [UInt64(version)], birth: 9)
            first.updateHead(response)
            first.waitForWriter()
            #expect(response.diskState.load(ordering: .relaxed) == 2)
            let loaded = try #require(await first.load(sample))
            #expect(loaded.facts == sample.facts && loaded.birth == 9 && loaded.tags == [UInt64(version)])
        }
        #expect(first.statistics.objects == 1)
        // The newest slot breaks: the one before counts.
        first.close()
        let newest = 6 % 2 * Limits.cacheDiskSlotBytes
        try stage.change(try #require(stage.files(".big").first)) { $0[newest + 40] ^= 1 }
        let second = try stage.open()
        defer { second.close() }
        sample.version = 4
        let loaded = try #require(await second.load(sample))
        #expect(loaded.facts == sample.facts)
        sample.version = 0
        #expect(try await body(loaded).contents() == sample.body)
    }

    @Test func aNewHeadBringsNothingBack() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let sample = Sample(number: 1, bodyBytes: 100_000)
        let response = try writeLarge(store, sample)
        store.remove(sample.key.hash)
        store.updateHead(response)
        store.waitForWriter()
        #expect(store.candidates(sample.key.hash).isEmpty)
        #expect(stage.files(".big").isEmpty)
        // Who has it may still read it.
        let file = try body(response)
        let rest = await file.contents()
        #expect(rest == nil || rest == sample.body)
    }

    @Test func objectsTooLargeForARecordGetAFile() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let sample = Sample(number: 1, bodyBytes: 700_000, hasTrailers: true)
        store.writeAndWait(sample.response)
        #expect(stage.files(".big").count == 1)
        let loaded = await store.load(sample)
        expectSame(loaded, sample)
        #expect(try await body(loaded).contents() == sample.body)
        #expect(try body(loaded).trailers == ByteBuffer(string: "a: b\r\n"))
    }

    @Test func descriptorsAreGivenBackAndTakenAgain() async throws {
        let stage = DiskStage()
        let store = try stage.open()
        defer { store.close() }
        let sample = Sample(number: 1, bodyBytes: 10_000)
        let file = try body(writeLarge(store, sample))
        let reader = try #require(file.reader())
        file.releaseDescriptor()
        #expect(file.reader() == nil)
        // A stream under way keeps its own.
        #expect(reader.readNow(0..<10_000).map { Array($0.readableBytesView) } == sample.body)
        let again = try await opened(file)
        #expect(await again.read(0..<10_000).map { Array($0.readableBytesView) } == sample.body)
        file.releaseDescriptor()
        store.remove(sample.key.hash)
        store.waitForWriter()
        #expect(await file.open() == nil)
    }
}
