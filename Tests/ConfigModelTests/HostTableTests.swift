import Testing

@testable import ConfigModel

/// Generates the same values on every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

@Suite struct HostTableTests {
    /// What the table must agree with: every hostname of every zone is tried.
    func naive(_ zones: [[String]], _ host: String) -> Int? {
        var host = host.lowercased()
        if host.hasSuffix(".") { host.removeLast() }
        var best: (length: Int, zone: Int)?
        for (zone, names) in zones.enumerated() {
            for name in names {
                var length: Int?
                if name == "*" {
                    length = 0
                } else if name.hasPrefix("*.") {
                    if host.hasSuffix(name.dropFirst()), host.count > name.count - 1 { length = name.count }
                } else if name == host {
                    length = .max
                }
                if let length, length > best?.length ?? -1 { best = (length, zone) }
            }
        }
        return best?.zone
    }

    func find(_ table: HostTable, _ host: String) -> Int? { table.zone(forHost: Array(host.utf8).span) }

    @Test func exactBeatsLongestWildcardBeatsEveryHost() {
        let table = HostTable(hostnames: [
            ["example.test", "*.example.test"], ["www.example.test"], ["*.deep.example.test"], ["*"],
        ])
        #expect(find(table, "example.test") == 0)
        #expect(find(table, "WWW.Example.TEST") == 1)
        #expect(find(table, "www.example.test.") == 1)
        #expect(find(table, "x.www.example.test") == 0)
        #expect(find(table, "deep.example.test") == 0)
        #expect(find(table, "y.x.deep.example.test") == 2)
        #expect(find(table, "xample.test") == 3)
        #expect(find(table, "badexample.test") == 3)
        #expect(find(table, "") == 3)
        #expect(find(table, ".") == 3)
    }

    @Test func nothingMatchesWithoutEveryHost() {
        let table = HostTable(hostnames: [["a.test"], ["*.b.test"]])
        for host in ["", ".", "b.test", ".b.test", "a.test..", "a.tes", "aa.test", "a.test:80", "\u{0}", "a.test\u{0}"]
        {
            #expect(find(table, host) == nil, "\(host)")
        }
        #expect(find(HostTable(hostnames: []), "a.test") == nil)
    }

    @Test func oversizedHostsAreNoTrap() {
        let table = HostTable(hostnames: [["*.b.test"], [String(repeating: "a.", count: 500) + "test"]])
        #expect(find(table, String(repeating: "a.", count: 122) + "b.test") == 0)
        #expect(find(table, String(repeating: "a.", count: 500) + "b.test") == nil)
        #expect(find(table, String(repeating: "a.", count: 500) + "test") == nil)
        #expect(find(table, String(repeating: ".", count: 253)) == nil)
    }

    @Test func theFirstZoneKeepsAName() {
        let table = HostTable(hostnames: [["a.test", "*.a.test", "*"], ["a.test", "*.a.test", "*"]])
        for host in ["a.test", "b.a.test", "c"] { #expect(find(table, host) == 0) }
    }

    @Test(arguments: 0..<20) func agreesWithTheNaiveMatcher(seed: UInt64) {
        var generator = SeededGenerator(state: seed)
        // Few and short labels, so that names overlap in every way; some long, to cross the words of the hash.
        let labels = ["a", "b", "ab", "ba", "a-b", "x1", "abcdefg", "abcdefgh", "test"]
        func name(_ count: ClosedRange<Int>) -> String {
            (0..<Int.random(in: count, using: &generator)).map { _ in labels.randomElement(using: &generator) ?? "a" }
                .joined(separator: ".")
        }
        var taken: Set<String> = []
        var zones: [[String]] = []
        for _ in 0..<Int.random(in: 0...60, using: &generator) {
            var names: [String] = []
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let written = Int.random(in: 0...60, using: &generator) == 0 ? "*" : name(1...4)
                let hostname = written != "*" && Bool.random(using: &generator) ? "*.\(written)" : written
                if taken.insert(hostname).inserted { names.append(hostname) }
            }
            zones.append(names)
        }
        let table = HostTable(hostnames: zones, seed: HostHash(using: &generator))
        for _ in 0..<2000 {
            var host = name(1...6)
            switch Int.random(in: 0...9, using: &generator) {
            case 0: host = host.uppercased()
            case 1: host += "."
            case 2: host = "." + host
            default: break
            }
            #expect(find(table, host) == naive(zones, host), "\(host) in \(zones)")
        }
        for (zone, names) in zones.enumerated() {
            for name in names where name != "*" {
                let host = name.hasPrefix("*.") ? "q" + name.dropFirst() : name
                if !name.hasPrefix("*.") { #expect(find(table, host) == zone) }
                #expect(find(table, host) == naive(zones, host), "\(host) in \(zones)")
            }
        }
    }

    @Test func hashesFoldCaseAndNothingElse() {
        var generator = SeededGenerator(state: 7)
        let hash = HostHash(using: &generator)
        for byte in UInt8.min...UInt8.max {
            let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            let expected = isUpper ? byte + 32 : byte
            #expect(HostHash.lowercased(byte) == expected)
            for position in 0..<8 {
                let word = UInt64(byte) << UInt64(position * 8)
                #expect(HostHash.lowercased(word) == UInt64(expected) << UInt64(position * 8))
            }
        }
        for length in 1...40 {
            let lower = (0..<length).map { _ in UInt8.random(in: 97...122, using: &generator) }
            let upper = lower.map { $0 - 32 }
            #expect(hash.whole(lower.span) == hash.whole(upper.span))
            #expect(hash.suffix(lower.span) == hash.suffix(upper.span))
            var zeros = lower
            zeros.append(0)
            #expect(hash.whole(lower.span) != hash.whole(zeros.span))
            #expect(hash.suffix(lower.span) != hash.suffix(zeros.span))
        }
    }

    /// Names in arithmetic progression are what a polynomial alone would lay out in a row. Whatever the secret, no
    /// search may become long.
    @Test(arguments: 0..<20) func neighbouringNamesDoNotCluster(seed: UInt64) {
        var generator = SeededGenerator(state: seed)
        let hash = HostHash(using: &generator)
        let count = 4096
        var slots = [Bool](repeating: false, count: 2 * count)
        var longest = 0
        for number in 0..<count {
            let digits = String(number, radix: 16)
            let name = Array((String(repeating: "0", count: 6 - digits.count) + digits).utf8)
            var index = Int(truncatingIfNeeded: hash.whole(name.span)) & (slots.count - 1)
            var steps = 1
            while slots[index] {
                index = (index + 1) & (slots.count - 1)
                steps += 1
            }
            slots[index] = true
            longest = max(longest, steps)
        }
        #expect(longest < 64)
    }

    @Test func manyZones() {
        let zones = (0..<50_000).map { ["zone-\($0).example", "*.zone-\($0).example"] }
        let table = HostTable(hostnames: zones)
        for number in stride(from: 0, to: zones.count, by: 997) {
            #expect(find(table, "zone-\(number).example") == number)
            #expect(find(table, "a.b.zone-\(number).example") == number)
            #expect(find(table, "zone-\(number + zones.count).example") == nil)
        }
    }
}
