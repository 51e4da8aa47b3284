import Foundation
import Limits
import Testing

@testable import ConfigModel

/// docs/configuration.md against what the reader knows.
@Suite struct ReferenceTests {
    let reference: String

    init() throws {
        // Tests/ConfigModelTests/ReferenceTests.swift, three levels below the package.
        var package = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { package.deleteLastPathComponent() }
        reference = try String(contentsOf: package.appendingPathComponent("docs/configuration.md"), encoding: .utf8)
    }

    /// The lines between a heading and the next.
    func section(_ heading: String) -> [Substring] {
        let lines = reference.split(separator: "\n", omittingEmptySubsequences: false)
        guard let start = lines.firstIndex(of: "## \(heading)") else { return [] }
        return Array(lines[(start + 1)...].prefix { !$0.hasPrefix("## ") })
    }

    @Test(arguments: ConfigurationTable.all.map(\.title))
    func hasEveryKeyWithItsFormAndDefault(title: String) throws {
        let table = try #require(ConfigurationTable.all.first { $0.title == title })
        let rows = section("Keys of \(title)").filter { $0.hasPrefix("| `") }
        #expect(rows.count == table.keys.count, "\(title)")
        for (row, key) in zip(rows, table.keys) {
            #expect(row.hasPrefix("| `\(key.name)` | \(key.form) | \(key.standard) | "), "\(row)")
        }
    }

    @Test func itsExamplesLoad() throws {
        let blocks = reference.components(separatedBy: "```yaml\n# martlet.yaml\n").dropFirst()
        #expect(blocks.count >= 5)
        for block in blocks {
            let text = try #require(block.components(separatedBy: "```").first)
            #expect(try parse(text).warnings.isEmpty, "\(text)")
        }
    }

    /// A default written out must change nothing.
    @Test func defaultsAreWhatTheTablesSay() throws {
        let scalars = "\nadmin: 127.0.0.1:9090\ndata: ./var\nthreads: auto\ntrusted_proxies: []\n"
        func mapping(_ table: ConfigurationTable, without: Set<String> = []) -> String {
            let pairs = table.keys.filter { !without.contains($0.name) && $0.standard != "required" }
                .map { "\($0.name): \($0.standard)" }
            return "{ \(pairs.joined(separator: ", ")) }"
        }
        let zone = """
                tls: { certificate: c.pem, key: k.pem }
                balance: round_robin
                attempts: 2
                redirect_to_https: false
                ejection: \(mapping(.ejection))
                timeouts: \(mapping(.originTimeouts))
                limits: \(mapping(.zoneLimits))
                pool: \(mapping(.pool))
                cache: \(mapping(.zoneCache, without: ["query", "key", "ttl", "memory", "disk"]))
                health: \(mapping(.health))
                origins:
                  url: https://o.test
                  weight: 1
                  backup: false
                  resolve_every: 30s
                  http2: auto
                  tls: { verify: true }
            """
        let least = """
            listen: { http: "*:2", https: "*:1" }
            zones:
              a.test:
                tls: { certificate: c.pem, key: k.pem }
                health: /
                origins: https://o.test
            """
        let full = """
            listen:
              http: { address: "*:2", proxy_protocol: false, http2: false }
              https: { address: "*:1", proxy_protocol: false }
              http2: true
            log: \(mapping(.log))
            access_log: \(mapping(.accessLog, without: ["path"]))
            timeouts: \(mapping(.clientTimeouts))
            limits: \(mapping(.clientLimits))
            cache: \(mapping(.cacheStore, without: ["path"]))
            \(scalars)
            zones:
              a.test:
            \(zone)
            """
        #expect(try parse(full).configuration == parse(least).configuration)
    }

    /// The numbers that the reference states in words.
    @Test func rangesAreWhatTheReferenceSays() {
        func duration(_ milliseconds: Int) -> String { DurationText.text(milliseconds: milliseconds) }
        func size(_ bytes: Int) -> String { SizeText.text(bytes: UInt64(bytes)) }
        let buffer = Limits.accessLogBufferBytesRange
        let timeouts = Limits.timeoutMillisecondsRange
        let facts = [
            "between \(duration(timeouts.lowerBound)) and \(duration(timeouts.upperBound)).",
            "a file above \(size(Limits.configurationFileBytesMax))",
            "\(Limits.eventLoopCountRange.lowerBound) to \(Limits.eventLoopCountRange.upperBound). `auto`",
            "at most \(Limits.zonesMax).", "At most \(Limits.hostnamesPerZoneMax).",
            "1 to \(Limits.originsPerZoneMax).",
            "\(size(buffer.lowerBound)) to \(size(buffer.upperBound)).",
            "\(size(Limits.requestLineBytesRange.lowerBound)) to \(size(Limits.requestLineBytesRange.upperBound)).",
            "\(size(Limits.headBytesRange.lowerBound)) to \(size(Limits.headBytesRange.upperBound)).",
            "\(Limits.fieldCountRange.lowerBound) to \(Limits.fieldCountRange.upperBound).",
            "up to \(ConfigurationReader.bodyRateRange.upperBound).",
            "1 to \(ConfigurationReader.requestsPerConnectionRange.upperBound).",
            "1 to \(ConfigurationReader.connectionsRange.upperBound).",
            "may have under way at once, 1 to \(Limits.http2StreamsPerConnectionRange.upperBound).",
            "\(Limits.attemptsRange.lowerBound) to \(Limits.attemptsRange.upperBound).",
            "\(Limits.originWeightRange.lowerBound) to \(Limits.originWeightRange.upperBound).",
            "\(Limits.healthThresholdRange.lowerBound) to \(Limits.healthThresholdRange.upperBound).",
            "0 to \(ConfigurationReader.ejectionFailuresRange.upperBound).",
            "1 to \(Limits.originConnectionsRange.upperBound).",
        ]
        for fact in facts { #expect(reference.contains(fact), "\(fact)") }
    }

    @Test func rangesOfTheCacheAreWhatTheReferenceSays() {
        func size(_ range: ClosedRange<UInt64>) -> String {
            "\(SizeText.text(bytes: range.lowerBound)) to \(SizeText.text(bytes: range.upperBound))"
        }
        let ttl = Limits.cacheTTLMillisecondsRange
        let lifetimes =
            "\(DurationText.text(milliseconds: ttl.lowerBound)) to \(DurationText.text(milliseconds: ttl.upperBound))"
        let zoneLeast = SizeText.text(bytes: Limits.cacheZoneBytesRange.lowerBound)
        let heuristicMost = DurationText.text(milliseconds: Int(Limits.cacheHeuristicMillisecondsMax))
        let facts = [
            "\(size(Limits.cacheMemoryBytesRange)).", "\(size(Limits.cacheDiskBytesRange)).",
            "\(size(Limits.cacheObjectBytesRange)), at most half of `disk`.", "For how long, \(lifetimes).",
            "0 or \(lifetimes) each.", "1% to 100%, and at most \(heuristicMost).",
            "The most memory the zone's responses take, \(zoneLeast) to", "disk space they take, \(zoneLeast) to",
            "all that begin so. At most \(Limits.cacheNamesMax).", "part of the key, at most \(Limits.cacheNamesMax).",
            "covers a status counts. At most \(Limits.cacheStatusTTLsMax).",
        ]
        for fact in facts { #expect(reference.contains(fact), "\(fact)") }
    }
}
