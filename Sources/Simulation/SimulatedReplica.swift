import ConfigLog

/// A node's copy of the state: for every key the number of the change that set it. What a change means is nothing but that
/// number, so that a reader can tell half a change: both keys of a pair are always set together.
struct SimulatedReplica {
    private(set) var position = LogPosition.none
    /// By key; 0: never set.
    private(set) var stamps: [UInt64]
    private let valueBytes: Int

    init(pairs: Int, valueBytes: Int) {
        stamps = Array(repeating: 0, count: pairs * 2)
        self.valueBytes = valueBytes / 2
    }

    // MARK: Changes

    /// The two keys' values of change `number`: its number, and bytes that depend on it.
    static func changes(number: UInt64, pair: Int, valueBytes: Int) -> [Change] {
        [0, 1].map { member in
            Change(key: key(pair * 2 + member), value: value(number, byteCount: valueBytes / 2))
        }
    }

    private static func key(_ index: Int) -> String { "zone/\(index / 16)/key/\(index)" }

    /// The number behind the last slash.
    private static func index(ofKey key: String) -> Int? {
        var (index, place) = (0, 1)
        for byte in key.utf8.reversed() {
            guard byte != UInt8(ascii: "/") else { return place > 1 ? index : nil }
            guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte, place < 1_000_000_000 else { return nil }
            index += Int(byte - UInt8(ascii: "0")) * place
            place *= 10
        }
        return nil
    }

    static func value(_ number: UInt64, byteCount: Int) -> [UInt8] {
        var bytes = (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64($0))) }
        bytes += Array(repeating: UInt8(truncatingIfNeeded: number &* 31), count: max(0, byteCount - 8))
        return bytes
    }

    /// Applies a frame; returns what is wrong with it or with the place, if something is.
    mutating func apply(_ frame: Frame) -> String? {
        guard frame.first == position.sequence + 1 else {
            return "sequence \(frame.first) was applied behind \(position.sequence)"
        }
        var touched: [Int] = []
        for group in frame.groups {
            for change in group.changes {
                guard let index = Self.index(ofKey: change.key), stamps.indices.contains(index),
                    let value = change.value, value.count >= 8
                else { return "a change of \(change.key) came that nobody made" }
                stamps[index] = value[..<8].reduce(0) { $0 << 8 | UInt64($1) }
                guard stamps[index] == group.sequence else {
                    return "change \(stamps[index]) came as sequence \(group.sequence)"
                }
                touched.append(index)
            }
        }
        position = frame.position
        for index in touched {
            if let torn = torn(index / 2) { return torn }
        }
        return nil
    }

    /// What a reader of that pair finds wrong.
    func torn(_ pair: Int) -> String? {
        guard stamps.indices.contains(pair * 2 + 1), stamps[pair * 2] != stamps[pair * 2 + 1] else { return nil }
        return "a reader saw half a change: \(stamps[pair * 2]) beside \(stamps[pair * 2 + 1])"
    }

    // MARK: Snapshots

    static let keysPerChunk = 64

    var chunkCount: Int { (stamps.count + Self.keysPerChunk - 1) / Self.keysPerChunk }

    /// The bytes of a part of the keys: numbers, each with its value behind it.
    func chunk(_ index: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for stamp in stamps[keys(index)] {
            bytes += stamp == 0 ? Array(repeating: 0, count: 8) : Self.value(stamp, byteCount: valueBytes)
        }
        return bytes
    }

    private func keys(_ chunk: Int) -> Range<Int> {
        let start = min(chunk * Self.keysPerChunk, stamps.count)
        return start..<min(start + Self.keysPerChunk, stamps.count)
    }

    var manifest: SnapshotManifest {
        SnapshotManifest(
            position: position,
            chunks: (0..<chunkCount).map { index in
                let bytes = chunk(index)
                return SnapshotManifest.Chunk(hash: ChainHash.of(bytes), byteCount: bytes.count)
            })
    }

    /// Takes a state out of a snapshot's chunks, by index.
    mutating func restore(_ position: LogPosition, _ chunks: [Int: [UInt8]]) -> String? {
        for index in 0..<chunkCount {
            guard let bytes = chunks[index] else { return "chunk \(index) of a snapshot never came" }
            var offset = 0
            for key in keys(index) {
                guard bytes.count >= offset + 8 else { return "chunk \(index) is cut off" }
                stamps[key] = bytes[offset..<offset + 8].reduce(0) { $0 << 8 | UInt64($1) }
                offset += stamps[key] == 0 ? 8 : valueBytes
            }
        }
        self.position = position
        for pair in 0..<stamps.count / 2 {
            if let torn = torn(pair) { return torn }
        }
        return nil
    }
}
