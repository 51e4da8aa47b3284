// "Did you mean": the known word closest to what was written.

/// Picks the candidate that a mistyped word most likely stands for.
enum NearestKey {
    /// Words longer than this are not compared: nobody mistypes them from a key of ours.
    static let wordBytesMax = 64

    /// The nearest candidate, or nil when none is near enough to be a likely slip. Case and `-` for `_` count for
    /// nothing; insertions, deletions, substitutions and swapped neighbours count one each, and a third of the
    /// word may be wrong.
    static func nearest(to word: String, among candidates: [String]) -> String? {
        guard !word.isEmpty, word.utf8.count <= wordBytesMax else { return nil }
        let written = folded(word)
        var best: (candidate: String, distance: Int)?
        for candidate in candidates {
            let known = folded(candidate)
            // Somebody who stops early (`warn`, `conn`) is nearer than the letters left out.
            let isStart = written.count >= 3 && known.starts(with: written)
            let distance = isStart ? 1 : distance(written, known)
            let allowed = max(1, max(written.count, known.count) / 3)
            if distance <= allowed, distance < min(written.count, known.count), distance < best?.distance ?? .max {
                best = (candidate, distance)
            }
        }
        return best?.candidate
    }

    private static func folded(_ word: String) -> [UInt8] {
        word.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "-"), UInt8(ascii: " "): UInt8(ascii: "_")
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte | 0x20
            default: byte
            }
        }
    }

    /// Optimal string alignment distance.
    static func distance(_ first: [UInt8], _ second: [UInt8]) -> Int {
        var beforeLast = [Int](repeating: 0, count: second.count + 1)
        var last = Array(0...second.count)
        for row in 0..<first.count {
            var current = [row + 1]
            current.reserveCapacity(second.count + 1)
            for column in 0..<second.count {
                let substitution = last[column] + (first[row] == second[column] ? 0 : 1)
                var cost = min(substitution, last[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, first[row] == second[column - 1], first[row - 1] == second[column] {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            beforeLast = last
            last = current
        }
        return last[second.count]
    }
}
