import ConfigLog
import Testing

// Random orders of everything that can happen, each from its seed: commits, deliveries in random pieces, deaths in the
// middle of a message, restarts, damage, lost messages, time. What must hold at every moment is checked at every moment.

@Suite("Random interleavings")
struct InterleavingTests {
    @Test(
        "no order of events shows another history, a gap or half a group, and all end equal",
        arguments: 1...60 as ClosedRange<UInt64>)
    func everything(seed: UInt64) throws {
        var chance = SeededGenerator(seed: seed)
        var bounds = LogBounds()
        bounds.windowFramesMax = 6 + Int(chance.below(60))
        bounds.inFlightBytesMax = 400 + Int(chance.below(4000))
        bounds.childQueueBytesMax = 2000 + Int(chance.below(8000))
        let tree = Tree()
        tree.generator = SeededGenerator(seed: seed ^ 99)
        tree.addRoot(bounds: bounds)
        let parents = ["a": ["root", "b"], "b": ["root"], "x": ["a", "b"], "y": ["b", "a"], "z": ["a"]]
        let roles: [String: NodeRole] = ["a": .relay, "b": .relay, "x": .leaf, "y": .leaf, "z": .leaf]
        let names = parents.keys.sorted()
        for name in names { tree.add(name, roles[name] ?? .leaf, parents[name] ?? [], seed: seed, bounds: bounds) }
        var number: UInt8 = 0
        for _ in 0..<400 {
            let name = names[Int(chance.below(UInt64(names.count)))]
            switch chance.below(100) {
            case 0..<25:
                number &+= 1
                // Two keys of every group always say the same.
                let pair = chance.below(20)
                try tree.commit([
                    Change(key: "p/\(pair)/1", value: [number]), Change(key: "p/\(pair)/2", value: [number]),
                ])
            case 25..<85: for _ in 0..<chance.below(12) where !tree.passing.isEmpty { tree.step() }
            case 85..<88 where tree.nodes[name] != nil:
                tree.down.insert(name)
                tree.kill(name)
                tree.imports[name] = nil
            case 88..<93 where tree.nodes[name] == nil:
                tree.down.remove(name)
                tree.applied[name] = nil
                tree.add(name, roles[name] ?? .leaf, parents[name] ?? [], seed: chance.next(), bounds: bounds)
            case 93..<95: Self.damage(tree, &chance)
            default: tree.pass(chance.below(400))
            }
            Self.check(tree, seed)
        }
        tree.filter = { $0 }
        for name in names where tree.nodes[name] == nil {
            tree.down.remove(name)
            tree.applied[name] = nil
            tree.add(name, roles[name] ?? .leaf, parents[name] ?? [], seed: seed, bounds: bounds)
        }
        for _ in 0..<40 where !tree.isEqual { tree.pass(2000) }
        Self.check(tree, seed)
        #expect(tree.isEqual, "seed \(seed): \(tree.replicas.mapValues(\.position))")
    }

    /// One message that is on its way loses or changes a byte, or does not arrive.
    private static func damage(_ tree: Tree, _ chance: inout SeededGenerator) {
        let choice = Int(chance.below(UInt64(max(1, tree.passing.count))))
        guard tree.passing.indices.contains(choice) else { return }
        let record = tree.passing[choice].record
        var bytes = record.bytes
        guard !bytes.isEmpty else { return }
        let offset = Int(chance.below(UInt64(bytes.count)))
        bytes[offset] ^= UInt8(1 + chance.below(255))
        tree.passing[choice].record = PeerRecord(head: bytes, body: [])
    }

    private static func check(_ tree: Tree, _ seed: UInt64) {
        let hashes = tree.frames.reduce(into: [0: ChainHash.zero] as [UInt64: ChainHash]) { $0[$1.last] = $1.hash }
        for (name, replica) in tree.replicas {
            #expect(hashes[replica.position.sequence] == replica.position.hash, "seed \(seed): \(name)")
            for pair in 0..<20 where replica.values["p/\(pair)/1"] != replica.values["p/\(pair)/2"] {
                Issue.record("seed \(seed): \(name) shows half of a change")
            }
        }
    }
}
