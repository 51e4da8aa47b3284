import Glibc
import Limits
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Cache

/// A disk store in a directory of its own, and the little that all its tests need.
final class DiskStage: Sendable {
    static let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    static let bytesMax: UInt64 = 64 * 1024 * 1024

    let path: String

    init() {
        path = "/tmp/martlet-disk-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    }

    deinit { Self.removeAll(path) }

    static func removeAll(_ path: String) {
        guard let directory = opendir(path) else { return }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name != ".", name != ".." { unlink(path + "/" + name) }
        }
        closedir(directory)
        rmdir(path)
    }

    func open(
        bytesMax: UInt64 = DiskStage.bytesMax, writeCall: DiskWriteCall? = nil
    ) throws -> DiskStore {
        var log = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        log.logLevel = .critical
        return try DiskStore.open(
            path: path, bytesMax: bytesMax, log: log, writeCall: writeCall ?? { pwritev($0, $1, $2, $3) })
    }

    /// Names in the directory that end so.
    func files(_ suffix: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
            }
            if name.hasSuffix(suffix) || name.hasPrefix(suffix) { names.append(name) }
        }
        return names.sorted()
    }

    /// Changes one file's bytes.
    func change(_ name: String, _ change: (inout [UInt8]) -> Void) throws {
        let file = try #require(OpenFile.open(path + "/" + name, O_RDWR))
        var bytes = [UInt8](repeating: 0, count: Int(file.byteCount))
        #expect(bytes.withUnsafeMutableBytes { file.read(into: $0, at: 0) })
        change(&bytes)
        ftruncate(file.descriptor, bytes.count)
        #expect(bytes.withUnsafeBytes { file.write($0, at: 0, by: { pwritev($0, $1, $2, $3) }) } == 0)
    }

    /// What a process that was killed at this moment leaves behind: a copy of everything in the directory.
    func copy() throws -> DiskStage {
        let other = DiskStage()
        mkdir(other.path, 0o750)
        for name in files("") where name != "." && name != ".." && name != "lock" {
            guard let source = OpenFile.open(path + "/" + name, O_RDONLY) else { continue }
            let target = try #require(OpenFile.open(other.path + "/" + name, O_RDWR | O_CREAT | O_TRUNC))
            var offset: UInt64 = 0
            var buffer = [UInt8](repeating: 0, count: 256 * 1024)
            let end = source.byteCount
            while offset < end {
                let count = Int(min(UInt64(buffer.count), end - offset))
                let isRead = buffer.withUnsafeMutableBytes {
                    source.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[..<count]), at: offset)
                }
                guard isRead else { break }
                _ = buffer.withUnsafeBytes {
                    target.write(
                        UnsafeRawBufferPointer(rebasing: $0[..<count]), at: offset, by: { pwritev($0, $1, $2, $3) })
                }
                offset += UInt64(count)
            }
        }
        return other
    }
}

/// Responses that tests can make again, and so compare.
struct Sample: Sendable {
    var number: Int
    var zone = 1
    var host = "www.example.test"
    var version = 0
    var bodyBytes = 1000
    var variant: Int?
    var tags: [UInt64] = []
    var birth: UInt64 = 0
    var hasTrailers = false

    var keyBytes: [UInt8] {
        Array("zone\(zone)\nhttps\n\(host)\n443\n/object/\(number)?x=1".utf8)
    }

    var key: CacheKey {
        CacheKey(hash: Self.hash(keyBytes, 1), urlHash: Self.hash(keyBytes, 2), bytes: keyBytes)
    }

    static func hash(_ bytes: [UInt8], _ seed: UInt64) -> KeyHash {
        bytes.withUnsafeBytes { SipHasher128.hash($0, KeySecret(k0: seed, k1: 77)) }
    }

    var zoneTag: ZoneTag { ZoneTag(UInt64(zone) &* 0x9E37_79B9_7F4A_7C15) }

    var vary: VaryKey? {
        variant.map {
            VaryKey(names: Array("accept-encoding".utf8), hash: Self.hash([UInt8(truncatingIfNeeded: $0)], 3))
        }
    }

    var body: [UInt8] {
        var state = UInt64(number) &* 31 &+ UInt64(version) &* 7 &+ UInt64(variant ?? 99) &+ 1
        return [UInt8](unsafeUninitializedCapacity: bodyBytes + 8) { buffer, count in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            var offset = 0
            while offset < bodyBytes {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes.storeBytes(of: state ^ state >> 29, toByteOffset: offset, as: UInt64.self)
                offset += 8
            }
            count = bodyBytes
        }
    }

    var facts: StoredFacts {
        var facts = StoredFacts()
        facts.status = 203
        facts.requestTime = 1_700_000_000_000 + Int64(number)
        facts.responseTime = 1_900_000_000_123
        facts.date = 1_700_000_000_000
        facts.initialAge = 5
        facts.freshnessLifetime = 60_000 + Int64(version)
        facts.staleWhileRevalidate = 17
        facts.staleIfError = 19
        facts.lastModified = number % 2 == 0 ? nil : -62_000_000
        facts.representationBytes = UInt64(bodyBytes)
        facts.flags = [.mustRevalidate, .hasStrongETag]
        return facts
    }

    var headText: String {
        "etag: \"v\(version)\"\r\nserver: x\r\ncontent-type: text/plain\r\ncontent-length: \(bodyBytes)\r\n\r\n"
    }

    func head(withBody: Bool) -> StoredHead {
        let text = Array(headText.utf8) + (withBody ? body : [])
        let tagEnd = 8 + "\(version)".utf8.count + 1
        return StoredHead(
            bytes: ExactBuffer.make(count: text.count) { $0.copyBytes(from: text) }, notModifiedEnd: tagEnd + 2,
            commonEnd: tagEnd + 13, typeEnd: tagEnd + 39, end: headText.utf8.count, eTag: 6..<tagEnd,
            lastModified: 0..<0, contentType: tagEnd + 27..<tagEnd + 37)
    }

    func response(_ body: StoredBody, withBody: Bool = false) -> StoredResponse {
        StoredResponse(
            key: key, zone: zoneTag, facts: facts, head: head(withBody: withBody), body: body, vary: vary,
            tags: tags.sorted(), birth: birth)
    }

    /// In the form memory has it in.
    var response: StoredResponse {
        if bodyBytes <= Limits.cacheInlineBodyBytesMax, !hasTrailers { return response(.inline, withBody: true) }
        let bytes = body
        let blocks = stride(from: 0, to: bytes.count, by: 100_000).map { start in
            ByteBuffer(bytes: bytes[start..<min(start + 100_000, bytes.count)])
        }
        return response(
            .blocks(BlockBody(blocks: blocks, trailers: hasTrailers ? ByteBuffer(string: "a: b\r\n") : nil)))
    }
}

extension DiskStore {
    /// Writes and waits until it is done.
    func writeAndWait(_ response: StoredResponse) {
        write(response)
        waitForWriter()
    }

    /// Waits until everything queued so far has been written.
    func waitForWriter() {
        let semaphore = TestSignal()
        writer.submit(isUrgent: true) { semaphore.raise() }
        semaphore.wait()
    }

    func waitForKeeper() {
        let semaphore = TestSignal()
        keeper.submit(isUrgent: true) { semaphore.raise() }
        semaphore.wait()
    }

    func load(_ sample: Sample) async -> StoredResponse? {
        for entry in candidates(sample.key.hash) {
            let isWanted =
                sample.vary.map { entry.hasVaryHash($0.hash) && entry.varyNames == $0.names }
                ?? (entry.varyNames == nil)
            if isWanted { return await load(entry, key: sample.keyBytes) }
        }
        return nil
    }

    func load(_ entry: DiskEntry, key: [UInt8]) async -> StoredResponse? {
        await withCheckedContinuation { continuation in
            load(entry, key: key, on: DiskStage.group.next()) { continuation.resume(returning: $0) }
        }
    }

    func sweep(_ record: PurgeRecord) async -> Int {
        let count = TestCount()
        return await withCheckedContinuation { continuation in
            sweep([record], counted: { count.value.store($0, ordering: .relaxed) }) {
                continuation.resume(returning: count.value.load(ordering: .relaxed))
            }
        }
    }

    func recordPurge(_ record: PurgeRecord) async -> Bool {
        await withCheckedContinuation { continuation in recordPurges([record]) { continuation.resume(returning: $0) } }
    }
}

extension FileBody {
    func open() async -> FileReader? {
        await withCheckedContinuation { continuation in
            open(on: DiskStage.group.next()) { continuation.resume(returning: $0) }
        }
    }

    /// All of it, by way of the readers' threads.
    func contents() async -> [UInt8]? {
        guard let reader = await open() else { return nil }
        var bytes: [UInt8] = []
        let end = byteCount
        while UInt64(bytes.count) < end {
            let range = UInt64(bytes.count)..<min(end, UInt64(bytes.count) + 300_000)
            guard let part = await reader.read(range) else { return nil }
            bytes += Array(part.readableBytesView)
        }
        return bytes
    }
}

extension FileReader {
    func read(_ range: Range<UInt64>) async -> ByteBuffer? {
        await withCheckedContinuation { continuation in
            read(range, on: DiskStage.group.next()) { continuation.resume(returning: $0) }
        }
    }

    func prepare(_ range: Range<UInt64>) async -> Bool {
        await withCheckedContinuation { continuation in
            prepare(range, on: DiskStage.group.next()) { continuation.resume(returning: $0) }
        }
    }
}

/// What one thread tells another.
final class TestCount: Sendable {
    let value = Atomic<Int>(0)
}

/// Blocks a test until another thread comes to a point.
final class TestSignal: @unchecked Sendable {
    // Unchecked: a semaphore is made for several threads. On the heap because it must not move.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    init() { sem_init(semaphore, 0, 0) }
    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }
    func raise() { sem_post(semaphore) }
    func wait() { while sem_wait(semaphore) != 0 {} }
}

/// Whether a response that was loaded is the sample, byte for byte.
func expectSame(
    _ loaded: StoredResponse?, _ sample: Sample, sourceLocation: SourceLocation = #_sourceLocation
) {
    guard let loaded else {
        Issue.record("nothing was loaded", sourceLocation: sourceLocation)
        return
    }
    let head = sample.head(withBody: false)
    #expect(loaded.key == sample.key, sourceLocation: sourceLocation)
    #expect(loaded.zone == sample.zoneTag, sourceLocation: sourceLocation)
    #expect(loaded.facts == sample.facts, sourceLocation: sourceLocation)
    #expect(loaded.vary == sample.vary, sourceLocation: sourceLocation)
    #expect(loaded.tags == sample.tags.sorted(), sourceLocation: sourceLocation)
    #expect(loaded.birth == sample.birth, sourceLocation: sourceLocation)
    #expect(loaded.head.end == head.end && loaded.head.eTag == head.eTag, sourceLocation: sourceLocation)
    #expect(loaded.head.typeEnd == head.typeEnd, sourceLocation: sourceLocation)
    #expect(loaded.head.contentType == head.contentType, sourceLocation: sourceLocation)
    let all = Array(loaded.head.bytes.readableBytesView)
    #expect(Array(all.prefix(head.end)) == Array(sample.headText.utf8), sourceLocation: sourceLocation)
    switch loaded.body {
    case .inline: #expect(Array(all.dropFirst(head.end)) == sample.body, sourceLocation: sourceLocation)
    case .blocks(let body):
        #expect(body.blocks.flatMap { Array($0.readableBytesView) } == sample.body, sourceLocation: sourceLocation)
        #expect((body.trailers != nil) == sample.hasTrailers, sourceLocation: sourceLocation)
    case .file(let body): #expect(body.byteCount == UInt64(sample.bodyBytes), sourceLocation: sourceLocation)
    case .partial: Issue.record("a partial body", sourceLocation: sourceLocation)
    }
}

/// The same numbers in every run.
struct DiskRandom: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678 }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
