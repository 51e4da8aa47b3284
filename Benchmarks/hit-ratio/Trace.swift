/// One lookup: of which object, of how many bytes, in whose zone.
struct Lookup {
    var object: UInt32
    var bytes: UInt32
    var zone: UInt16 = 0
    /// Whether its outcome counts towards the figure.
    var counts = true
}

/// A sequence of lookups, the same in every run.
struct Trace {
    let name: String
    let what: String
    let lookups: [Lookup]

    /// The first part fills the caches and is not counted.
    var warmUp: Int { lookups.count / 4 }

    /// Bytes of all objects that are asked for more than once.
    var workingBytes: Int {
        var seen: [UInt32: Int] = [:]
        var bytes = 0
        for lookup in lookups {
            let count = (seen[lookup.object] ?? 0) + 1
            seen[lookup.object] = count
            if count == 2 { bytes += Int(lookup.bytes) }
        }
        return bytes
    }
}

extension Trace {
    static let bodyBytes: UInt32 = 512

    static func all(lookups count: Int, objects: Int) -> [Trace] {
        [
            zipf("zipf-0.8", 0.8, count, objects), zipf("zipf-1.0", 1.0, count, objects),
            oneTimers(count, objects), scans(count, objects), loop(count, objects), shifting(count, objects),
            sizes(count, objects), flood(count, objects),
        ]
    }

    private static func zipf(_ name: String, _ exponent: Double, _ count: Int, _ objects: Int) -> Trace {
        var random = Random(1)
        let ranks = Zipf(objects, exponent)
        let lookups = (0..<count).map { _ in Lookup(object: ranks.next(&random), bytes: bodyBytes) }
        return Trace(name: name, what: "popularity by Zipf's law, exponent \(exponent)", lookups: lookups)
    }

    private static func oneTimers(_ count: Int, _ objects: Int) -> Trace {
        var random = Random(2)
        let ranks = Zipf(objects, 0.9)
        var unique = UInt32(objects)
        let lookups = (0..<count).map { _ in
            if random.below(10) < 4 {
                unique += 1
                return Lookup(object: unique, bytes: bodyBytes)
            }
            return Lookup(object: ranks.next(&random), bytes: bodyBytes)
        }
        return Trace(
            name: "one-timers", what: "Zipf 0.9, and four in ten asked for once and never again", lookups: lookups)
    }

    private static func scans(_ count: Int, _ objects: Int) -> Trace {
        var random = Random(3)
        let ranks = Zipf(objects, 1.0)
        let period = count / 12
        let length = period / 3
        // A crawler walks over everything, over and over, and is away in between.
        var walk: UInt32 = 0
        let lookups = (0..<count).map { index in
            if index % period < length, index % 3 != 0 {
                walk = (walk + 1) % UInt32(objects)
                return Lookup(object: walk, bytes: bodyBytes, counts: false)
            }
            return Lookup(object: ranks.next(&random), bytes: bodyBytes)
        }
        return Trace(
            name: "scans", what: "Zipf 1.0 while a crawler walks; its own lookups do not count", lookups: lookups)
    }

    private static func loop(_ count: Int, _ objects: Int) -> Trace {
        var random = Random(4)
        let ranks = Zipf(objects, 1.0)
        let length = UInt32(objects / 8)
        var place: UInt32 = 0
        let lookups = (0..<count).map { _ in
            if random.below(2) == 0 {
                place = (place + 1) % length
                return Lookup(object: UInt32(objects) + place, bytes: bodyBytes)
            }
            return Lookup(object: ranks.next(&random), bytes: bodyBytes)
        }
        return Trace(
            name: "loop", what: "Zipf 1.0, and every other lookup goes round an eighth as many", lookups: lookups)
    }

    private static func shifting(_ count: Int, _ objects: Int) -> Trace {
        var random = Random(5)
        let ranks = Zipf(objects, 1.0)
        let period = count / 20
        let lookups = (0..<count).map { index in
            // Another twentieth of all objects is the popular one.
            let shift = UInt32(index / period) * UInt32(objects / 20)
            return Lookup(object: (ranks.next(&random) + shift) % UInt32(objects), bytes: bodyBytes)
        }
        return Trace(
            name: "shifting", what: "Zipf 1.0, the popular objects others after each twentieth", lookups: lookups)
    }

    private static func sizes(_ count: Int, _ objects: Int) -> Trace {
        var random = Random(6)
        let ranks = Zipf(objects, 0.9)
        // Half below 2 KiB, one in a hundred above 40 KiB, none above 64 KiB; the same object always the same.
        let bytes = (0..<objects).map { _ -> UInt32 in
            var size = 256.0
            for _ in 0..<3 { size *= 1 + 3 * random.unit() * random.unit() * 2 }
            return UInt32(min(size, 65_536))
        }
        let lookups = (0..<count).map { _ in
            let object = ranks.next(&random)
            return Lookup(object: object, bytes: bytes[Int(object)])
        }
        return Trace(name: "sizes", what: "Zipf 0.9, objects of 256 bytes to 64 KiB", lookups: lookups)
    }

    private static func flood(_ count: Int, _ objects: Int) -> Trace {
        var random = Random(7)
        let zones = 20
        let each = objects / zones
        let ranks = Zipf(each, 0.9)
        var unique = UInt32(objects)
        let lookups = (0..<count).map { _ in
            if random.below(2) == 0 {
                unique += 1
                return Lookup(object: unique, bytes: bodyBytes, zone: 0, counts: false)
            }
            let zone = random.below(zones - 1) + 1
            return Lookup(object: UInt32(zone * each) + ranks.next(&random), bytes: bodyBytes, zone: UInt16(zone))
        }
        return Trace(
            name: "flood", what: "19 zones of Zipf 0.9, a 20th floods with objects that do not count", lookups: lookups)
    }
}

/// SplitMix64.
struct Random {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    /// From 0 to 1.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}

/// Objects by popularity; the first is asked for most.
struct Zipf {
    private let sums: [Double]

    init(_ count: Int, _ exponent: Double) {
        var sum = 0.0
        sums = (1...count).map { rank in
            sum += 1 / power(Double(rank), exponent)
            return sum
        }
    }

    func next(_ random: inout Random) -> UInt32 {
        let wanted = random.unit() * (sums.last ?? 0)
        var low = 0
        var high = sums.count - 1
        while low < high {
            let middle = (low + high) / 2
            if sums[middle] < wanted { low = middle + 1 } else { high = middle }
        }
        return UInt32(low)
    }
}
