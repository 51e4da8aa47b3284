import ConfigLog
import Glibc
import Limits
import Testing

@testable import Replica

/// Files that are not what was written: never a trap, never a wrong answer.
@Suite struct ReplicaDamageTests {
    /// A state with short and long values, pages that are free, and one that was written several times.
    private func filled(seed: UInt64 = 1) throws -> ReplicaStage {
        let stage = ReplicaStage()
        let replica = try stage.open()
        var numbers = SeededNumbers(seed)
        for _ in 0..<8 { _ = try replica.apply(stage.frame(numbers.groups(12))) }
        try stage.expectEqual(replica)
        replica.close()
        return stage
    }

    private func expectRefused(_ stage: ReplicaStage, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let replica = try stage.open()
        #expect(replica.refused?.kind == .damaged, sourceLocation: sourceLocation)
        #expect(replica.position == .none, sourceLocation: sourceLocation)
        #expect(try ReplicaStage.content(replica).isEmpty, sourceLocation: sourceLocation)
        #expect(try stage.names().filter { $0.hasPrefix("refused.") }.count == 1, sourceLocation: sourceLocation)
        replica.close()
        // The next start finds nothing wrong.
        #expect(try stage.open().refused == nil, sourceLocation: sourceLocation)
    }

    @Test func aFileCutShortIsSetAside() throws {
        for keep in [0, 1, 100, 4096, 5000, 8192, 12_288, 40_960] {
            let stage = try filled()
            try stage.change("state.1/data.mdb") { bytes in bytes = Array(bytes.prefix(keep)) }
            try expectRefused(stage)
        }
    }

    @Test func garbageIsSetAside() throws {
        var numbers = SeededNumbers(3)
        let stage = try filled()
        try stage.change("state.1/data.mdb") { bytes in bytes = numbers.bytes(bytes.count) }
        try expectRefused(stage)
        // Once more: of several that were set aside one stays.
        try stage.change("state.2/data.mdb") { bytes in bytes = [] }
        try expectRefused(stage)
    }

    @Test func aMissingFileIsSetAside() throws {
        let stage = try filled()
        #expect(unlink(stage.path + "/state.1/data.mdb") == 0)
        try expectRefused(stage)
    }

    @Test func zeroedPagesAreFound() throws {
        let whole = try filled()
        let bytes = try #require(ReplicaDirectory.contents(whole.path + "/state.1/data.mdb", bytesMax: .max))
        var refused = 0
        for page in 0..<bytes.count / 4096 {
            let stage = ReplicaStage()
            try ReplicaDirectory.makeOne(stage.path)
            try ReplicaDirectory.makeOne(stage.path + "/state.1")
            var torn = bytes
            for index in page * 4096..<(page + 1) * 4096 { torn[index] = 0 }
            try ReplicaDirectory.put(torn, at: stage.path + "/state.1/data.mdb")
            let replica = try stage.open()
            if replica.refused != nil {
                refused += 1
            } else {
                // A page that nobody uses.
                #expect(replica.position == whole.position)
                #expect(try ReplicaStage.content(replica) == whole.model)
            }
        }
        #expect(refused > bytes.count / 4096 / 3)
    }

    /// A flipped bit is found, or lies where it changes nothing.
    @Test(arguments: 1...4) func flippedBitsAreFound(seed: UInt64) throws {
        let whole = try filled(seed: seed)
        let bytes = try #require(ReplicaDirectory.contents(whole.path + "/state.1/data.mdb", bytesMax: .max))
        var numbers = SeededNumbers(seed)
        for round in 0..<60 {
            let stage = ReplicaStage()
            try ReplicaDirectory.makeOne(stage.path)
            try ReplicaDirectory.makeOne(stage.path + "/state.1")
            var torn = bytes
            for _ in 0...round % 3 {
                // Heads of pages are hit as often as all the rest.
                let page = Int(numbers.next() % UInt64(bytes.count / 4096))
                let offset = numbers.next() % 2 == 0 ? Int(numbers.next() % 256) : Int(numbers.next() % 4096)
                torn[page * 4096 + offset] ^= 1 << UInt8(numbers.next() % 8)
            }
            try ReplicaDirectory.put(torn, at: stage.path + "/state.1/data.mdb")
            let replica = try stage.open()
            guard replica.refused == nil else { continue }
            // The other meta page stands for the state before: whole as well.
            if replica.position == whole.position { #expect(try ReplicaStage.content(replica) == whole.model) }
            #expect(try replica.verify())
            #expect(try replica.summary().keys == UInt64(ReplicaStage.content(replica).count))
        }
    }

    /// The same entries add up to the same sum, but no lookup would find them.
    @Test func entriesOutOfOrderAreFound() throws {
        let whole = try filled()
        let bytes = try #require(ReplicaDirectory.contents(whole.path + "/state.1/data.mdb", bytesMax: .max))
        var refused = 0
        for page in 2..<bytes.count / 4096 {
            let base = page * 4096
            // A leaf (its flags say 2) with at least two nodes: their offsets stand behind the page's head.
            guard bytes[base + 10] == 2, bytes[base + 11] == 0, Int(bytes[base + 12]) >= 20 else { continue }
            let stage = ReplicaStage()
            try ReplicaDirectory.makeOne(stage.path)
            try ReplicaDirectory.makeOne(stage.path + "/state.1")
            var swapped = bytes
            for index in 16..<18 { swapped.swapAt(base + index, base + index + 2) }
            try ReplicaDirectory.put(swapped, at: stage.path + "/state.1/data.mdb")
            let replica = try stage.open()
            if replica.refused != nil {
                refused += 1
            } else {
                #expect(try ReplicaStage.content(replica) == whole.model)
            }
        }
        #expect(refused > 5)
    }

    /// LMDB would give such a page to the next writer.
    @Test func aPageThatIsFreeAndInUseIsFound() throws {
        let stage = try filled()
        try stage.change("state.1/data.mdb") { bytes in
            func number(_ offset: Int, _ count: Int) -> Int {
                (0..<count).reduce(0) { $0 | Int(bytes[offset + $1]) << ($1 * 8) }
            }
            // The newer meta page has the roots of the free list and of the tables.
            let meta = number(144, 8) > number(4096 + 144, 8) ? 0 : 4096
            let free = number(meta + 80, 8) * 4096
            let node = free + number(free + 16, 2)
            let list = node + 8 + number(node + 6, 2)
            #expect(number(list, 8) > 0)
            for index in 0..<8 { bytes[list + 8 + index] = bytes[meta + 128 + index] }
        }
        try expectRefused(stage)
    }

    @Test func aForeignFileIsSetAside() throws {
        let stage = ReplicaStage()
        try ReplicaDirectory.makeOne(stage.path)
        try ReplicaDirectory.makeOne(stage.path + "/state.7")
        do {
            // LMDB, but with a head of something else.
            let file = try ReplicaFile.create(stage.path + "/state.7", bytesMax: 1024 * 1024)
            try file.flush()
        }
        try expectRefused(stage)
        #expect(try stage.names().contains("state.8"))
    }

    @Test func anotherLayoutIsSetAside() throws {
        let head = ReplicaHead(position: LogPosition(epoch: 1, sequence: 2, hash: .of([1])), sum: StateSum())
        var bytes = head.encoded
        #expect(bytes.count == ReplicaHead.byteCount)
        let decoded = try bytes.withUnsafeBytes { try ReplicaHead(decoding: $0, path: "x") }
        #expect(decoded == head)
        bytes[8] += 1
        #expect(throws: ReplicaError.self) {
            try bytes.withUnsafeBytes { _ = try ReplicaHead(decoding: $0, path: "x") }
        }
        #expect(throws: ReplicaError.self) {
            try head.encoded.dropLast().withUnsafeBytes { _ = try ReplicaHead(decoding: $0, path: "x") }
        }
    }

    @Test func theLockFileMayHoldAnything() throws {
        let stage = try filled()
        var numbers = SeededNumbers(5)
        try stage.change("state.1/lock.mdb") { bytes in bytes = numbers.bytes(bytes.count) }
        let replica = try stage.open()
        #expect(replica.refused == nil)
        try stage.expectEqual(replica)
    }

    @Test func leftoversAreRemovedOrDoNotMatter() throws {
        let stage = try filled()
        // A process ended between the rename of a newer state and the removal of the older one.
        try ReplicaDirectory.makeOne(stage.path + "/state.0")
        try ReplicaDirectory.makeOne(stage.path + "/new")
        try ReplicaDirectory.put([1, 2, 3], at: stage.path + "/new/data.mdb")
        let replica = try stage.open()
        try stage.expectEqual(replica)
        #expect(try !stage.names().contains("state.0"))
    }

    @Test func aFileInTheWayIsAnError() throws {
        let stage = ReplicaStage()
        try ReplicaDirectory.put([1], at: stage.path)
        #expect(throws: ReplicaError.self) { try stage.open() }
        unlink(stage.path)
    }
}
