import Foundation
import Glibc
import Testing

/// A disk that is full, that fails, or whose bytes change: clients get the right bytes or see that some are missing, and
/// the cache goes on without what it lost.
@Suite("Cache: faults of the disk", .onStageThreads)
struct FaultJourneys {
    private static let megabyte = 1 << 20

    private func store(_ path: String, memory: String = "16MiB") -> String {
        "{ memory: \(memory), memory_object: 128KiB, disk: 256MiB, path: \"\(path)\" }"
    }

    /// Whatever was cut, no byte that came is wrong.
    private func expectNothingWrong(
        _ answer: Message, of name: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(answer.status == 200, "\(answer.head)", sourceLocation: sourceLocation)
        #expect(MarkedBody.fault(answer.body, of: name) == nil, sourceLocation: sourceLocation)
    }

    // MARK: Full

    @Test(
        "The filesystem fills up in the middle of a large object: clients get all of it, and with room it is stored again",
        .enabled(if: TestDisk.mayMount, "\(TestDisk.why)"))
    func fullWhileFilling() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let disk = try TestDisk(.memory, megabytes: 96, on: stage)
        let cast = try CacheStage(on: stage, store: store(disk.path + "/cache"))
        let count = 24 * Self.megabyte + 321
        let (begun, release) = (Gate(), Gate())
        let page = try Resource.large(count, "Cache-Control: max-age=600", on: cast) { offset in
            guard offset >= 8 * Self.megabyte else { return }
            begun.open()
            release.pass()
        }
        let clients = try (0..<3).map { _ in
            let client = try cast.edge.client(receiveBufferBytes: 128 * 1024)
            try client.send(page.request())
            return client
        }
        #expect(begun.pass())
        for client in clients { while client.buffered.count < 7 * Self.megabyte { #expect(try client.receive()) } }
        #expect(try disk.fill() > Self.megabyte)
        release.open()
        // Side by side: what nobody stores is kept for those alone who are not far behind.
        for progress in stride(from: 7 * Self.megabyte, to: count, by: Self.megabyte / 2) {
            for client in clients { while client.buffered.count < progress { #expect(try client.receive()) } }
        }
        for client in clients { #expect(page.fault(in: try client.readAnswer(), count: count) == nil) }
        #expect(page.requestCount == 1)
        #expect(cast.edge.comesToSay("disk"), "\(cast.edge.process.errors)")
        // Nothing is stored, and nobody suffers from it.
        let other = try Resource.large(4 * Self.megabyte, "Cache-Control: max-age=600", on: cast)
        for _ in 1...2 { #expect(other.fault(in: try other.get(), count: 4 * Self.megabyte) == nil) }
        let small = try Resource("Cache-Control: max-age=600", on: cast)
        _ = try small.get()
        try small.get().expectHit("v1")
        disk.empty()
        let isStored = try eventually {
            let answer = try other.get()
            #expect(other.fault(in: answer, count: 4 * Self.megabyte) == nil)
            if !answer.cache.isHit { pause(milliseconds: 500) }
            return answer.cache.isHit
        }
        #expect(isStored, "\(cast.edge.process.errors)")
    }

    @Test(
        "A bound that the filesystem cannot hold: far more comes than fits, and every answer is right",
        .enabled(if: TestDisk.mayMount, "\(TestDisk.why)"))
    func smallerThanItsBound() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let disk = try TestDisk(.memory, megabytes: 24, on: stage)
        let cast = try CacheStage(on: stage, store: store(disk.path + "/cache", memory: "2MiB"))
        let page = try Resource(
            playing: { connection, request, _ in
                let count = Self.bytes(request.target)
                try connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: \(count)\r\n\r\n")
                try connection.wire.send(MarkedBody.bytes(request.target, count: count))
            }, on: cast)
        let client = try cast.edge.client()
        for round in 0..<2 {
            for number in 0..<120 {
                try client.send(page.request(query: "?\(number)"))
                let answer = try client.readAnswer()
                let name = "\(page.path)?\(number)"
                #expect(
                    answer.ending == .complete && answer.body.count == Self.bytes(name),
                    "round \(round): \(answer.head)")
                expectNothingWrong(answer, of: name)
            }
        }
        #expect(try cast.edge.admin("/healthz").status == 200)
        #expect(cast.edge.process.exitStatus == nil)
    }

    /// From 20 KB to 1 MB: in memory, in segments, and in files of their own.
    private static func bytes(_ target: String) -> Int {
        let number = Int(target.split(separator: "?").last ?? "") ?? 0
        return 20_000 + number * 104_729 % 1_000_000
    }

    // MARK: Failing

    @Test(
        "The device fails in the middle of a large object: its readers get all of it; what it had is fetched again",
        .enabled(if: TestDisk.mayMountImages, "\(TestDisk.why)"))
    func failingWhileFilling() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let disk = try TestDisk(.image, megabytes: 300, on: stage)
        let cast = try CacheStage(on: stage, store: store(disk.path + "/cache"))
        let size = 3 * Self.megabyte
        let stored = try Resource.large(size, "Cache-Control: max-age=600", on: cast)
        try stored.settle()
        let count = 24 * Self.megabyte
        let (begun, release) = (Gate(), Gate())
        let page = try Resource.large(count, "Cache-Control: max-age=600", on: cast) { offset in
            guard offset >= 12 * Self.megabyte else { return }
            begun.open()
            release.pass()
        }
        let client = try cast.edge.client()
        try client.send(page.request())
        #expect(begun.pass())
        while client.buffered.count < 11 * Self.megabyte { #expect(try client.receive()) }
        let small = try Resource("Cache-Control: max-age=600", on: cast)
        _ = try small.get()
        #expect(disk.fail())
        release.open()
        #expect(page.fault(in: try client.readAnswer(), count: count) == nil)
        // A body that was begun from the disk may be cut, and is seen to be; then it is fetched again.
        let isWhole = try eventually {
            let answer = try stored.get()
            expectNothingWrong(answer, of: stored.path)
            return answer.ending == .complete && answer.body.count == size
        }
        #expect(isWhole)
        #expect(stored.requestCount >= 2)
        for _ in 1...2 { #expect(stored.fault(in: try stored.get(), count: size) == nil) }
        try small.get().expectHit("v1")
        #expect(page.fault(in: try page.get(), count: count) == nil)
        #expect(cast.edge.process.exitStatus == nil)
        // What was asked of it meanwhile does not keep it from ending.
        cast.edge.process.signal(SIGTERM)
        #expect(cast.edge.process.waitForExit() == 0, "\(cast.edge.process.errors)")
    }

    @Test(
        "A purge is answered and in force although the device has failed",
        .enabled(if: TestDisk.mayMountImages, "\(TestDisk.why)"))
    func failingPurge() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let disk = try TestDisk(.image, megabytes: 300, on: stage)
        let cast = try CacheStage(on: stage, store: store(disk.path + "/cache"))
        let page = try Resource("Cache-Control: max-age=600", "Cache-Tag: red", on: cast)
        let kept = try Resource("Cache-Control: max-age=600", "Cache-Tag: blue", on: cast)
        for one in [page, kept] {
            _ = try one.get()
            try one.get().expectHit("v1")
        }
        #expect(disk.fail())
        #expect(try cast.edge.admin(post: "/cache/purge", "{\"tags\": [\"red\"]}").status == 200)
        #expect(try page.get().text == "v2")
        try kept.get().expectHit("v1")
    }

    // MARK: Damaged

    @Test("Bytes of a large object change on the device: not one of them is sent, and the object is fetched again")
    func damagedLarge() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: store(stage.path("cache")))
        let count = 5 * Self.megabyte
        let page = try Resource.large(count, "Cache-Control: max-age=600", on: cast)
        try page.settle()
        // One byte, in the middle of the body: its slots take 512 KiB before it.
        let place = (Self.megabyte / 2) + 3 * Self.megabyte + 77
        guard let changed = try Damage.flip(in: stage.path("cache"), suffix: ".big", from: place, every: 1 << 40) else {
            return
        }
        #expect(changed == 1)
        let first = try page.get()
        expectNothingWrong(first, of: page.path)
        #expect(first.body.count <= 3 * Self.megabyte + 77 || page.requestCount > 1)
        #expect(try cast.edge.metric("martlet_cache_disk_reads_total", "result=\"corrupt\"") >= 1)
        let isWhole = try eventually { page.fault(in: try page.get(), count: count) == nil }
        #expect(isWhole && page.requestCount == 2)
        try page.settle()
        #expect(page.requestCount == 2)
    }

    @Test("Bytes of small objects change on the device: each is right or fetched again")
    func damagedSmall() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: store(stage.path("cache"), memory: "2MiB"))
        let count = 40_000
        let page = try Resource(
            playing: { connection, request, _ in
                try connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: \(count)\r\n\r\n")
                try connection.wire.send(MarkedBody.bytes(request.target, count: count))
            }, on: cast)
        let client = try cast.edge.client()
        func ask(_ number: Int) throws -> Message {
            try client.send(page.request(query: "?\(number)"))
            return try client.readAnswer()
        }
        for _ in 1...2 { for number in 0..<200 { _ = try ask(number) } }
        #expect(try eventually { try cast.edge.metric("martlet_cache_disk_objects") > 150 })
        let before = page.requestCount
        // Every second or third record is hit.
        guard let changed = try Damage.flip(in: stage.path("cache"), suffix: ".log", from: 12_345, every: 100_003)
        else { return }
        #expect(changed > 20)
        for number in 0..<200 {
            let answer = try ask(number)
            #expect(answer.ending == .complete && answer.body.count == count, "\(answer.head)")
            expectNothingWrong(answer, of: "\(page.path)?\(number)")
        }
        #expect(page.requestCount > before + 10 && page.requestCount < before + 150)
        #expect(try cast.edge.metric("martlet_cache_disk_reads_total", "result=\"corrupt\"") > 10)
    }

    // MARK: Too large, too slow

    @Test("A chunked body outgrows what may be stored, for a client that is slow: it gets all of it, at its own pace")
    func outgrownSlowly() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(
            on: stage, store: "{ memory: 16MiB, memory_object: 128KiB, disk: 256MiB, object: 2MiB }")
        let count = 40 * Self.megabyte
        let sent = Shared(0)
        let page = try Resource.large(count, "Cache-Control: max-age=600", isChunked: true, on: cast) { offset in
            sent.withLock { $0 = offset }
        }
        let before = cast.edge.process.memoryKiB("VmRSS")
        let slow = try cast.edge.client(receiveBufferBytes: 4096)
        try slow.send(page.request())
        while slow.buffered.count < 3 * Self.megabyte { #expect(try slow.receive()) }
        // It stops reading: the origin is held back, not gathered up.
        var last = -1
        let isHeldBack = eventually {
            pause(milliseconds: 300)
            defer { last = sent.current }
            return last == sent.current
        }
        #expect(isHeldBack && sent.current < 24 * Self.megabyte, "\(sent.current) bytes left the origin")
        #expect(cast.edge.process.memoryKiB("VmRSS") - before < 48 * 1024)
        // Who comes now fetches for itself.
        let other = try page.get()
        #expect(page.fault(in: other, count: count) == nil)
        #expect(!other.cache.isShared)
        let answer = try slow.readAnswer()
        #expect(page.fault(in: answer, count: count) == nil)
        #expect(page.requestCount == 2)
        #expect(try !page.get().cache.isHit)
    }

    @Test("The same with one that keeps up: it waits for nobody, and the slow one is cut where it can be seen")
    func outgrownBeside() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(
            on: stage, store: "{ memory: 16MiB, memory_object: 128KiB, disk: 256MiB, object: 2MiB }")
        let count = 40 * Self.megabyte
        let release = Gate()
        let page = try Resource.large(count, "Cache-Control: max-age=600", isChunked: true, on: cast) { offset in
            if offset == Self.megabyte { release.pass() }
        }
        let slow = try cast.edge.client(receiveBufferBytes: 4096)
        try slow.send(page.request())
        _ = try slow.receive(atMost: 1)
        let quick = try cast.edge.client()
        try quick.send(page.request())
        while quick.buffered.count < Self.megabyte / 2 { #expect(try quick.receive()) }
        release.open()
        #expect(page.fault(in: try quick.readAnswer(), count: count) == nil)
        let answer = try slow.readAnswer()
        expectNothingWrong(answer, of: page.path)
        #expect(answer.ending == .cut || answer.body.count == count)
        #expect(page.requestCount == 1)
        #expect(cast.edge.process.exitStatus == nil)
    }
}
