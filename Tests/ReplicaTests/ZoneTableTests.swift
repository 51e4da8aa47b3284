import ConfigLog
import Glibc
import Limits
import Synchronization
import Testing

@testable import Replica

/// What the tests decode: the bytes of a zone's keys. A first byte of 255 does not decode.
final class TestZone: Sendable {
    let values: [[UInt8]]
    init(_ values: [[UInt8]]) { self.values = values }
}

struct TestFault: Error, CustomStringConvertible {
    let description: String
}

@Suite struct ZoneTableTests {
    /// A replica with a table over it.
    final class Stage {
        let replica: ReplicaStage
        let open: Replica
        let table: ZoneTable<TestZone>
        let decodes: Counter

        final class Counter: Sendable {
            let all = Atomic<Int>(0)
            let atOnce = Atomic<Int>(0)
            let mostAtOnce = Atomic<Int>(0)
        }

        init(zonesMax: Int = 1000, stage: ReplicaStage = ReplicaStage()) throws {
            replica = stage
            open = try stage.open()
            let decodes = Counter()
            self.decodes = decodes
            table = ZoneTable(replica: open, zonesMax: zonesMax, log: ReplicaStage.log) { _, entries in
                _ = decodes.all.add(1, ordering: .relaxed)
                let now = decodes.atOnce.add(1, ordering: .relaxed).newValue
                _ = decodes.mostAtOnce.max(now, ordering: .relaxed)
                defer { _ = decodes.atOnce.subtract(1, ordering: .relaxed) }
                for entry in entries where entry.value.first == 255 {
                    throw TestFault(description: "255 at \(entry.key)")
                }
                return TestZone(entries.map(\.value))
            }
        }

        func apply(_ changes: [String: [UInt8]?]) throws {
            table.publish(try open.apply(replica.frame(changes)))
        }
    }

    private static func id(_ number: Int) -> ZoneID {
        var numbers = SeededNumbers(UInt64(number))
        return ZoneID(high: numbers.next(), low: numbers.next())
    }

    private static func zone(_ number: Int, _ name: String, _ value: UInt8 = 0) -> [String: [UInt8]?] {
        ["name/\(name)": id(number).bytes, "zone/\(id(number))/meta": [value]]
    }

    private static func found(_ lookup: ZoneLookup<TestZone>) -> UInt8? {
        if case .zone(let zone) = lookup { return zone.value.values.first?.first }
        return nil
    }

    private static func isNone(_ lookup: ZoneLookup<TestZone>) -> Bool {
        if case .none = lookup { return true }
        return false
    }

    private static func fault(_ lookup: ZoneLookup<TestZone>) -> ZoneFault? {
        if case .bad(let fault) = lookup { return fault }
        return nil
    }

    @Test func theLongestNameWins() throws {
        let stage = try Stage()
        try stage.apply(Self.zone(1, "example.test", 1))
        try stage.apply(Self.zone(2, "deep.sub.example.test", 2))
        try stage.apply(Self.zone(3, "single", 3))
        let cache = stage.table.makeCache()
        for (host, expected) in [
            ("example.test", 1), ("EXAMPLE.Test", 1), ("example.test.", 1), ("www.example.test", 1),
            ("sub.example.test", 1), ("deep.sub.example.test", 2), ("a.b.DEEP.sub.example.test.", 2), ("single", 3),
            ("any.single", 3), ("notexample.test", nil), ("test", nil), ("example.test.other", nil), ("", nil),
            (".", nil),
            ("..", nil), (String(repeating: "a.", count: 126) + "a", nil), (String(repeating: "a", count: 300), nil),
            (String(repeating: "a.", count: 110) + "example.test", 1), (".example.test", 1),
        ] as [(String, UInt8?)] {
            for _ in 0..<2 {
                #expect(Self.found(stage.table.lookup(host: host)) == expected, "\(host)")
                #expect(Self.found(cache.lookup(host: host)) == expected, "\(host)")
            }
        }
        #expect(Self.found(stage.table.zone(Self.id(2))) == 2)
        #expect(Self.isNone(stage.table.zone(Self.id(77))))
        #expect(stage.decodes.all.load(ordering: .relaxed) == 3)
    }

    @Test func aChangeReplacesThatZoneAlone() throws {
        let stage = try Stage()
        for number in 0..<20 { try stage.apply(Self.zone(number, "zone\(number).test", 1)) }
        let cache = stage.table.makeCache()
        for number in 0..<20 { #expect(Self.found(cache.lookup(host: "zone\(number).test")) == 1) }
        guard case .zone(let held) = stage.table.lookup(host: "zone7.test") else {
            Issue.record("no zone")
            return
        }
        #expect(held.isCurrent)
        let before = stage.decodes.all.load(ordering: .relaxed)
        try stage.apply(["zone/\(Self.id(7))/meta": [2]])
        for number in 0..<20 {
            #expect(Self.found(cache.lookup(host: "zone\(number).test")) == (number == 7 ? 2 : 1))
            #expect(Self.found(stage.table.lookup(host: "zone\(number).test")) == (number == 7 ? 2 : 1))
        }
        #expect(stage.decodes.all.load(ordering: .relaxed) == before + 1)
        // Who began with the older one has it still.
        #expect(held.value.values == [[1]])
        #expect(!held.isCurrent)
    }

    @Test func namesComeMoveAndGo() throws {
        let stage = try Stage()
        let cache = stage.table.makeCache()
        func both(_ host: String) -> UInt8? {
            let found = Self.found(stage.table.lookup(host: host))
            #expect(Self.found(cache.lookup(host: host)) == found)
            return found
        }
        #expect(both("www.example.test") == nil)
        try stage.apply(Self.zone(1, "example.test", 1))
        #expect(both("www.example.test") == 1)
        // A zone below takes its hosts, and gives them back.
        try stage.apply(Self.zone(2, "www.example.test", 2))
        #expect(both("www.example.test") == 2)
        #expect(both("example.test") == 1)
        try stage.apply(["name/www.example.test": nil, "zone/\(Self.id(2))/meta": nil])
        #expect(both("www.example.test") == 1)
        #expect(Self.isNone(stage.table.zone(Self.id(2))))
        // A name that leads elsewhere.
        try stage.apply(Self.zone(3, "other.test", 3))
        try stage.apply(["name/example.test": Self.id(3).bytes])
        #expect(both("www.example.test") == 3)
        // A name above all.
        try stage.apply(["name/example.test": nil])
        #expect(both("www.example.test") == nil)
        try stage.apply(Self.zone(4, "test", 4))
        #expect(both("www.example.test") == 4)
        // A name without a zone is no zone.
        try stage.apply(["zone/\(Self.id(4))/meta": nil])
        #expect(both("www.example.test") == nil)
    }

    @Test func aBadZoneKeepsItsLastGoodOne() throws {
        let storage = ReplicaStage()
        do {
            let stage = try Stage(stage: storage)
            try stage.apply(Self.zone(1, "one.test", 1))
            try stage.apply(Self.zone(2, "two.test", 2))
            let cache = stage.table.makeCache()
            #expect(Self.found(cache.lookup(host: "one.test")) == 1)
            #expect(Self.found(cache.lookup(host: "two.test")) == 2)
            try stage.apply(["zone/\(Self.id(1))/meta": [255]])
            for _ in 0..<3 {
                #expect(Self.found(stage.table.lookup(host: "one.test")) == 1)
                #expect(Self.found(cache.lookup(host: "one.test")) == 1)
            }
            #expect(stage.table.faults.map(\.id) == [Self.id(1)])
            #expect(stage.table.faults.first?.servesOlder == true)
            #expect(stage.table.faults.first?.reason.hasPrefix("255 at zone/") == true)
            // Bad in another way, with a snapshot's worth of doubt, and still the last good one.
            stage.table.publish(.everything(stage.open.position))
            #expect(Self.found(cache.lookup(host: "one.test")) == 1)
            #expect(Self.found(cache.lookup(host: "two.test")) == 2)
            stage.open.close()
        }
        // After a restart there is no last good one; the other zone does not mind.
        let stage = try Stage(stage: storage)
        let cache = stage.table.makeCache()
        for _ in 0..<3 {
            #expect(Self.fault(stage.table.lookup(host: "one.test"))?.servesOlder == false)
            #expect(Self.fault(cache.lookup(host: "one.test")) != nil)
        }
        #expect(stage.decodes.all.load(ordering: .relaxed) == 1)
        #expect(Self.found(stage.table.lookup(host: "two.test")) == 2)
        #expect(stage.table.faults.count == 1)
        try stage.apply(["zone/\(Self.id(1))/meta": [3]])
        #expect(Self.found(cache.lookup(host: "one.test")) == 3)
        #expect(stage.table.faults.isEmpty)
    }

    @Test func manyThreadsDecodeOnce() throws {
        let stage = try Stage()
        for number in 0..<50 { try stage.apply(Self.zone(number, "zone\(number).test", UInt8(number))) }
        let wrong = Atomic<Int>(0)
        let table = stage.table
        inParallel(16) { thread in
            for number in 0..<50 where Self.found(table.lookup(host: "www.zone\(number).test")) != UInt8(number) {
                _ = wrong.add(1, ordering: .relaxed)
            }
        }
        #expect(wrong.load(ordering: .relaxed) == 0)
        #expect(stage.decodes.all.load(ordering: .relaxed) == 50)
    }

    /// A zone changes while it is being decoded from what was before.
    @Test func aChangeDuringADecodingIsNotMissed() throws {
        let storage = ReplicaStage()
        let replica = try storage.open()
        _ = try replica.apply(storage.frame(Self.zone(1, "one.test", 1)))
        let change = try storage.frame(["zone/\(Self.id(1))/meta": [2]])
        let began = Atomic<Bool>(false)
        let changed = Atomic<Bool>(false)
        let table = ZoneTable<TestZone>(replica: replica, log: ReplicaStage.log) { _, entries in
            if !began.exchange(true, ordering: .acquiringAndReleasing) {
                while !changed.load(ordering: .acquiring) { usleep(100) }
            }
            return TestZone(entries.map(\.value))
        }
        let first = Atomic<UInt8>(0)
        inParallel(2) { thread in
            if thread == 0 {
                first.store(Self.found(table.lookup(host: "one.test")) ?? 0, ordering: .releasing)
                return
            }
            while !began.load(ordering: .acquiring) { usleep(100) }
            if let touched = try? replica.apply(change) { table.publish(touched) }
            changed.store(true, ordering: .releasing)
        }
        #expect(first.load(ordering: .acquiring) == 2)
        #expect(Self.found(table.lookup(host: "one.test")) == 2)
    }

    @Test func whoIsAskedForTwicePushesOutNobodyWhoIsUsed() {
        // One set of eight: six that are kept, two on trial.
        var sets = KeptSets<ZoneID>(capacity: 8)
        func key(_ number: Int) -> HostKey { HostKey(first: UInt64(number + 1), second: 0) }
        for number in 0..<6 {
            #expect(sets.store(key(number), Self.id(number)) == nil)
            for _ in 0..<12 { #expect(sets.find(key(number)) == Self.id(number)) }
        }
        for number in 100..<103 {
            _ = sets.store(key(number), Self.id(number))
            #expect(sets.find(key(number)) == Self.id(number))
        }
        for number in 0..<6 { #expect(sets.peek(key(number)) == Self.id(number)) }
        #expect(sets.peek(key(100)) == nil)
        #expect(sets.used == 8)
        // Who is asked for all the time gets in; who is pinned stays.
        _ = sets.store(key(0), Self.id(0), isPinned: true)
        for _ in 0..<200 { _ = sets.find(key(102)) }
        for number in 103..<110 { _ = sets.store(key(number), Self.id(number)) }
        #expect(sets.peek(key(102)) == Self.id(102))
        #expect(sets.peek(key(0)) == Self.id(0))
        #expect(sets.find(key(0), stamp: 1) == nil)
        // Where all are pinned, nobody gets in.
        for number in 200..<206 { _ = sets.store(key(number), Self.id(number)) }
        let kept = (0..<300).filter { number in sets.peek(key(number)) != nil }
        for number in kept { _ = sets.store(key(number), Self.id(number), isPinned: true) }
        _ = sets.store(key(300), Self.id(300))
        for _ in 0..<50 { _ = sets.find(key(300)) }
        #expect(kept.count { number in sets.peek(key(number)) != nil } >= 7)
        _ = sets.store(key(301), Self.id(301))
        _ = sets.store(key(302), Self.id(302))
        #expect(kept.count { number in sets.peek(key(number)) != nil } >= 7)
        #expect(sets.remove(key(0)) == Self.id(0))
        #expect(sets.peek(key(0)) == nil)
    }

    /// Readers never see a zone go back, and see what was published before they began.
    @Test func lookupsWhileZonesChange() throws {
        let stage = try Stage(zonesMax: 64)
        for number in 0..<200 { try stage.apply(Self.zone(number, "zone\(number).test", 0)) }
        let frames = try (1...240).map { round in
            try stage.replica.frame(
                Dictionary(
                    uniqueKeysWithValues: (0..<10).map { step in
                        ("zone/\(Self.id((round * 7 + step * 13) % 200))/meta", [UInt8(round)] as [UInt8]?)
                    }))
        }
        var last: [Int: UInt8] = [:]
        for (index, frame) in frames.enumerated() {
            for change in frame.groups[0].changes {
                for number in 0..<200 where change.key == "zone/\(Self.id(number))/meta" {
                    last[number] = UInt8(index + 1)
                }
            }
        }
        let published = Atomic<Int>(0)
        let wrong = Atomic<Int>(0)
        let (table, open, expected) = (stage.table, stage.open, last)
        inParallel(5) { thread in
            if thread == 0 {
                for frame in frames {
                    if let touched = try? open.apply(frame) { table.publish(touched) }
                    _ = published.add(1, ordering: .releasing)
                }
                return
            }
            var numbers = SeededNumbers(UInt64(thread))
            let cache = table.makeCache()
            var seen = [UInt8](repeating: 0, count: 200)
            while published.load(ordering: .acquiring) < frames.count {
                let number = Int(numbers.next() % 200)
                let host = "zone\(number).test"
                let found = Self.found(thread % 2 == 0 ? cache.lookup(host: host) : table.lookup(host: host))
                guard let found, found >= seen[number] else {
                    _ = wrong.add(1, ordering: .relaxed)
                    continue
                }
                seen[number] = found
            }
            for number in 0..<200 {
                let host = "zone\(number).test"
                if Self.found(cache.lookup(host: host)) != expected[number, default: 0] {
                    _ = wrong.add(1, ordering: .relaxed)
                }
            }
        }
        #expect(wrong.load(ordering: .relaxed) == 0)
        #expect(stage.decodes.mostAtOnce.load(ordering: .relaxed) >= 1)
    }

    @Test func aBoundedNumberIsDecoded() throws {
        let stage = try Stage(zonesMax: Limits.zonesDecodedRange.lowerBound)
        for start in stride(from: 0, to: 3000, by: 100) {
            var changes: [String: [UInt8]?] = [:]
            for number in start..<start + 100 { changes.merge(Self.zone(number, "zone\(number).test", 1)) { $1 } }
            try stage.apply(changes)
        }
        let cache = stage.table.makeCache()
        for number in 0..<3000 { #expect(Self.found(cache.lookup(host: "zone\(number).test")) == 1) }
        // Each of the shards has at least one set of eight.
        #expect(stage.table.statistics.decoded <= Limits.zoneTableShardCount * 8)
        #expect(stage.table.statistics.evictions > 0)
        // What was thrown out of the table is not served from an older copy.
        var changes: [String: [UInt8]?] = [:]
        for number in 0..<3000 { changes["zone/\(Self.id(number))/meta"] = [2] }
        try stage.apply(changes)
        for number in 0..<3000 { #expect(Self.found(cache.lookup(host: "zone\(number).test")) == 2) }
    }

    @Test func strangersPushNobodyOut() throws {
        let stage = try Stage(zonesMax: 4096)
        for number in 0..<100 { try stage.apply(Self.zone(number, "zone\(number).test", 1)) }
        for _ in 0..<20 {
            for number in 0..<100 { #expect(Self.found(stage.table.lookup(host: "www.zone\(number).test")) == 1) }
        }
        let before = stage.table.statistics
        // Names that nobody has, and names below zones that each come once.
        for number in 0..<150_000 {
            #expect(Self.isNone(stage.table.lookup(host: "random\(number).nobody.test")))
            if number < 100_000 { _ = stage.table.lookup(host: "random\(number).zone\(number % 100).test") }
        }
        let during = stage.table.statistics
        for number in 0..<100 { #expect(Self.found(stage.table.lookup(host: "www.zone\(number).test")) == 1) }
        let after = stage.table.statistics
        #expect(before.loads == after.loads)
        #expect(after.misses == during.misses)
        #expect(after.hits == during.hits + 100)
    }

    @Test(arguments: 1...3) func anyChangesGiveWhatADictionaryGives(seed: UInt64) throws {
        let stage = try Stage(zonesMax: 64)
        var numbers = SeededNumbers(seed)
        var names: [String: Int] = [:]
        var zones: [Int: UInt8] = [:]
        let labels = ["a", "b", "c", "test", "x"]
        func name() -> String {
            (0..<Int.random(in: 1...4, using: &numbers)).map { _ in labels.randomElement(using: &numbers) ?? "" }
                .joined(separator: ".")
        }
        let cache = stage.table.makeCache()
        for _ in 0..<250 {
            var changes: [String: [UInt8]?] = [:]
            for _ in 0..<Int.random(in: 1...4, using: &numbers) {
                let number = Int(numbers.next() % 40)
                switch numbers.next() % 4 {
                case 0:
                    let name = name()
                    names[name] = number
                    changes["name/\(name)"] = Self.id(number).bytes
                case 1:
                    let name = name()
                    names[name] = nil
                    changes["name/\(name)"] = .some(nil)
                case 2:
                    let value = UInt8(numbers.next() % 200)
                    zones[number] = value
                    changes["zone/\(Self.id(number))/meta"] = [value]
                default:
                    zones[number] = nil
                    changes["zone/\(Self.id(number))/meta"] = .some(nil)
                }
            }
            try stage.apply(changes)
            for _ in 0..<30 {
                let host = name()
                var rest = Substring(host)
                var expected: UInt8?
                while true {
                    if let number = names[String(rest)] {
                        expected = zones[number]
                        break
                    }
                    guard let dot = rest.firstIndex(of: ".") else { break }
                    rest = rest[rest.index(after: dot)...]
                }
                #expect(Self.found(stage.table.lookup(host: host)) == expected)
                #expect(Self.found(cache.lookup(host: host)) == expected)
            }
        }
    }

    @Test func anImportReplacesEverything() throws {
        let stage = try Stage()
        try stage.apply(Self.zone(1, "one.test", 1))
        try stage.apply(Self.zone(2, "two.test", 2))
        try stage.apply(["name/moves.test": Self.id(2).bytes])
        let cache = stage.table.makeCache()
        #expect(Self.found(cache.lookup(host: "one.test")) == 1)
        #expect(Self.found(cache.lookup(host: "two.test")) == 2)
        #expect(Self.found(cache.lookup(host: "moves.test")) == 2)
        #expect(Self.isNone(cache.lookup(host: "new.test")))
        let other = ReplicaStage()
        let source = try other.open()
        _ = try source.apply(other.frame(Self.zone(1, "one.test", 9)))
        _ = try source.apply(
            other.frame(["name/moves.test": Self.id(1).bytes, "name/new.test": Self.id(1).bytes]))
        let manifest = try source.exportSnapshot()
        let incoming = try stage.open.beginImport(manifest)
        for index in incoming.lacking {
            try incoming.store(index: index, try #require(source.exportedChunk(manifest.chunks[index].hash)))
        }
        stage.table.publish(try incoming.finish())
        #expect(Self.found(cache.lookup(host: "one.test")) == 9)
        #expect(Self.found(stage.table.lookup(host: "one.test")) == 9)
        #expect(Self.found(cache.lookup(host: "moves.test")) == 9)
        #expect(Self.found(cache.lookup(host: "new.test")) == 9)
        #expect(Self.isNone(cache.lookup(host: "two.test")))
        #expect(Self.isNone(stage.table.lookup(host: "two.test")))
    }
}
