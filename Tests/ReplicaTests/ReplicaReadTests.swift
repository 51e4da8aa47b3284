import ConfigLog
import Glibc
import Limits
import Synchronization
import Testing

@testable import Replica

@Suite struct ReplicaReadTests {
    @Test func prefixesAndPages() throws {
        let stage = ReplicaStage()
        let replica = try stage.open()
        var changes: [String: [UInt8]?] = ["a": [1], "name": [1], "name0": [2], "z": [3], "name/broken": [1]]
        for number in 0..<25 {
            changes["name/zone\(number + 10).test"] = ZoneID(high: UInt64(number), low: 7).bytes
        }
        _ = try replica.apply(stage.frame(changes))
        #expect(try ReplicaStage.content(replica, prefix: "name/").count == 26)
        #expect(try ReplicaStage.content(replica, prefix: "nothing").isEmpty)
        #expect(try ReplicaStage.content(replica, prefix: "z") == ["z": [3]])
        var pages: [[String]] = []
        var last: String?
        while true {
            let page = try replica.zones(after: last, limit: 10)
            guard !page.isEmpty else { break }
            pages.append(page.map(\.name))
            last = page.last?.name
        }
        #expect(pages.map(\.count) == [10, 10, 5])
        #expect(pages.flatMap { $0 } == (10..<35).map { "zone\($0).test" })
        #expect(try replica.zones(after: "zone33.test", limit: 9).map(\.zone.high) == [24])
        #expect(try replica.zones(limit: 0).isEmpty)
        var seen: [String] = []
        try replica.read { transaction in
            #expect(try transaction.position == stage.position)
            try transaction.withValue("z") { #expect($0?.first == 3) }
            try transaction.withValue("y") { #expect($0 == nil) }
            try transaction.each(prefix: "name", after: "name/zone33.test") { key, _ in
                seen.append(key)
                return seen.count < 2
            }
        }
        #expect(seen == ["name/zone34.test", "name0"])
    }

    @Test func whatABodyThrowsComesOut() throws {
        struct Stop: Error {}
        let stage = ReplicaStage()
        let replica = try stage.open()
        _ = try replica.apply(stage.frame(["a": [1], "b": [2]]))
        var count = 0
        #expect(throws: Stop.self) {
            try replica.each(prefix: "") { _, _ in
                count += 1
                throw Stop()
            }
        }
        #expect(count == 1)
    }

    /// Every group sets all keys to one number: a reader that saw half a group would see two.
    @Test func manyReadWhileOneWrites() throws {
        let stage = ReplicaStage()
        let replica = try stage.open(bytesMax: 64 * 1024 * 1024)
        func group(_ number: UInt8) -> [String: [UInt8]?] {
            Dictionary(uniqueKeysWithValues: (0..<40).map { ("key/\($0)", [number, number]) })
        }
        _ = try replica.apply(stage.frame(group(0)))
        let frames = try (1...200).map { number in try stage.frame(group(UInt8(number))) }
        let isDone = Atomic<Bool>(false)
        let halves = Atomic<Int>(0)
        let failures = Atomic<Int>(0)
        let backwards = Atomic<Int>(0)
        inParallel(9) { thread in
            if thread == 0 {
                for frame in frames where (try? replica.apply(frame)) == nil {
                    _ = failures.add(1, ordering: .relaxed)
                }
                isDone.store(true, ordering: .releasing)
                return
            }
            var last: UInt8 = 0
            repeat {
                var values: Set<[UInt8]> = []
                do {
                    try replica.each(prefix: "key/") { _, value in
                        values.insert([UInt8](value))
                        return true
                    }
                } catch { _ = failures.add(1, ordering: .relaxed) }
                if values.count != 1 { _ = halves.add(1, ordering: .relaxed) }
                if let now = values.first?.first {
                    if now < last { _ = backwards.add(1, ordering: .relaxed) }
                    last = now
                }
            } while !isDone.load(ordering: .acquiring)
        }
        #expect(failures.load(ordering: .relaxed) == 0)
        #expect(halves.load(ordering: .relaxed) == 0)
        #expect(backwards.load(ordering: .relaxed) == 0)
        try stage.expectEqual(replica)
    }

    @Test func threadsThatEndLeaveNoReaderSlots() throws {
        let stage = ReplicaStage()
        let replica = try stage.open()
        _ = try replica.apply(stage.frame(["a": [1]]))
        let failures = Atomic<Int>(0)
        // Far more threads than there are slots, a few at a time, and more nested reads than are kept.
        for _ in 0..<100 {
            inParallel(8) { _ in
                if (try? replica.value("a")) != [1] { _ = failures.add(1, ordering: .relaxed) }
            }
        }
        func nested(_ depth: Int) throws {
            guard depth > 0 else { return }
            try replica.read { transaction in
                #expect(try transaction.value("a") == [1])
                try nested(depth - 1)
            }
        }
        try nested(Limits.replicaReadersKeptMax + 20)
        try nested(Limits.replicaReadersKeptMax + 20)
        #expect(failures.load(ordering: .relaxed) == 0)
        #expect(throws: ReplicaError.self) { try nested(Limits.replicaReadersMax + 1) }
        #expect(try replica.value("a") == [1])
    }

    @Test func aReaderKeepsItsStateOverAnImport() throws {
        let stage = ReplicaStage()
        let replica = try stage.open()
        _ = try replica.apply(stage.frame(["a": [1]]))
        let other = ReplicaStage()
        let source = try other.open()
        _ = try source.apply(other.frame(["a": [2]]))
        try replica.read { transaction in
            let manifest = try source.exportSnapshot()
            let incoming = try replica.beginImport(manifest)
            for index in incoming.lacking {
                try incoming.store(index: index, try #require(source.exportedChunk(manifest.chunks[index].hash)))
            }
            _ = try incoming.finish()
            #expect(try transaction.value("a") == [1])
            #expect(try replica.value("a") == [2])
        }
        #expect(replica.position == other.position)
    }
}
