import ConfigLog

/// Where nodes stand, and how far they are from each other: round trips between regions in milliseconds, plausible ones
/// of well-connected networks. Every site adds its own way to the region's middle.
struct WorldMap {
    struct Region {
        let name: String
        /// The share of the edges that stand here.
        let weight: Double
        /// Round trips to the regions before this one in the table.
        let roundTrips: [Double]
    }

    static let regions = [
        Region(name: "us-east", weight: 14, roundTrips: []),
        Region(name: "us-central", weight: 9, roundTrips: [28]),
        Region(name: "us-west", weight: 10, roundTrips: [64, 38]),
        Region(name: "south-america", weight: 9, roundTrips: [118, 134, 172]),
        Region(name: "europe-west", weight: 15, roundTrips: [78, 102, 138, 188]),
        Region(name: "europe-east", weight: 9, roundTrips: [106, 128, 166, 214, 34]),
        Region(name: "middle-east", weight: 5, roundTrips: [168, 190, 224, 262, 96, 88]),
        Region(name: "africa-south", weight: 4, roundTrips: [226, 246, 278, 280, 156, 172, 190]),
        Region(name: "india", weight: 6, roundTrips: [194, 218, 222, 280, 122, 132, 62, 230]),
        Region(name: "south-east-asia", weight: 7, roundTrips: [224, 206, 172, 280, 162, 174, 96, 270, 60]),
        Region(name: "east-asia", weight: 8, roundTrips: [162, 138, 106, 262, 214, 222, 154, 280, 116, 70]),
        Region(name: "oceania", weight: 4, roundTrips: [202, 176, 142, 280, 256, 268, 182, 280, 148, 94, 112]),
    ]

    /// The root's region.
    static let rootRegion = 0

    /// Milliseconds between the middles of two regions, there and back.
    static func roundTrip(_ first: Int, _ second: Int) -> Double {
        let (low, high) = (min(first, second), max(first, second))
        guard low != high, regions.indices.contains(high), regions[high].roundTrips.indices.contains(low) else {
            return 2
        }
        return regions[high].roundTrips[low]
    }

    /// Shares `count` nodes out to the regions by weight; whoever is nearest to a further one gets it.
    static func share(_ count: Int) -> [Int] {
        let whole = regions.reduce(0) { $0 + $1.weight }
        let exact = regions.map { Double(count) * $0.weight / whole }
        var shares = exact.map { Int($0) }
        let order = regions.indices.sorted {
            let (first, second) = (exact[$0] - Double(shares[$0]), exact[$1] - Double(shares[$1]))
            return first == second ? $0 < $1 : first > second
        }
        for index in order.prefix(max(0, count - shares.reduce(0, +))) { shares[index] += 1 }
        return shares
    }
}

/// One node's place.
struct Site {
    let region: Int
    /// Its own part of every round trip, in milliseconds.
    let lastMile: Double

    init(region: Int, _ generator: inout SeededGenerator) {
        self.region = region
        lastMile = 0.2 + generator.fraction() * 6
    }

    /// Microseconds there and back.
    func roundTrip(to other: Site) -> UInt64 {
        UInt64((WorldMap.roundTrip(region, other.region) + lastMile + other.lastMile) * 1000)
    }
}
