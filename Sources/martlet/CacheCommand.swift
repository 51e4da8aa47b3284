import Admin
import ArgumentParser
import ConfigModel
import Glibc

/// `martlet cache`
struct CacheCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache", abstract: "Look into the cache of the running process.",
        subcommands: [Inspect.self, Statistics.self])
}

extension CacheCommand {
    /// `martlet cache inspect`
    struct Inspect: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what is stored for a URL: key, variants, freshness, and where it lies.")

        @Argument(help: "The URL as a visitor has it, such as https://www.example.test/logo.png.") var url: String
        @Option(help: "The zone, where it is not the one that answers for the URL's host.") var zone: String?
        @Flag(help: "Print as JSON.") var json = false
        @OptionGroup var address: AdminAddress

        func run() async throws {
            try await CacheCommand.reported {
                var target = "/cache/inspect?url=\(Self.encoded(url))"
                if let zone { target += "&zone=\(Self.encoded(zone))" }
                let (inspection, text) = try await address.client().get(target, as: CacheInspection.self)
                print(json ? text : InspectionText.text(inspection))
            }
        }

        /// Percent-encoded but for what stands for itself in a query (RFC 3986, section 3.4) and separates nothing.
        static func encoded(_ text: String) -> String {
            var out = ""
            for byte in text.utf8 {
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    out.unicodeScalars.append(Unicode.Scalar(byte))
                case _ where "-._~:/?@!$'()*,;=".utf8.contains(byte): out.unicodeScalars.append(Unicode.Scalar(byte))
                default:
                    let hex = String(byte, radix: 16, uppercase: true)
                    out += hex.count == 1 ? "%0\(hex)" : "%\(hex)"
                }
            }
            return out
        }
    }

    /// `martlet cache stats`
    struct Statistics: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "stats", abstract: "Show how full the cache is, and which zones fill it.")

        @Flag(help: "Print as JSON.") var json = false
        @OptionGroup var address: AdminAddress

        func run() async throws {
            try await CacheCommand.reported {
                let (statistics, text) = try await address.client().get("/cache/stats", as: CacheStatistics.self)
                print(json ? text : StatisticsText.text(statistics))
            }
        }
    }

    /// Says on standard error what failed.
    fileprivate static func reported(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let failure as StartFailure {
            StandardError.write("martlet: \(failure)\n")
            throw ExitCode(ExitStatus.failure)
        }
    }
}

/// `martlet cache inspect` for people.
enum InspectionText {
    static func text(_ inspection: CacheInspection) -> String {
        var lines = [
            "zone  \(TerminalText.plain(inspection.zone))", "key   \(TerminalText.plain(inspection.key))",
            "hash  \(TerminalText.plain(inspection.hash))",
        ]
        if inspection.isFilling { lines.append("A fetch for it is under way.") }
        if let reason = inspection.uncacheable {
            lines.append("The last response was not stored: \(TerminalText.plain(reason)).")
        }
        if inspection.variants.isEmpty { lines.append("Nothing is stored.") }
        for (index, variant) in inspection.variants.enumerated() {
            lines.append("")
            lines += variantLines(variant, number: index + 1, of: inspection.variants.count)
        }
        return lines.joined(separator: "\n")
    }

    private static func variantLines(_ variant: CacheInspection.Variant, number: Int, of count: Int) -> [String] {
        var lines = [
            "variant \(number) of \(count): \(variant.status), \(TerminalText.size(variant.bytes))"
                + (variant.contentType.map { ", \(TerminalText.plain($0))" } ?? "")
        ]
        lines.append("  \(freshness(variant))")
        if variant.staleWhileRevalidate > 0 {
            lines.append("  may be served stale for \(seconds(variant.staleWhileRevalidate)) while it is validated")
        }
        if variant.staleIfError > 0 {
            lines.append("  may be served stale for \(seconds(variant.staleIfError)) when the origin fails")
        }
        if !variant.vary.isEmpty {
            let names = variant.vary.map(TerminalText.plain).joined(separator: ", ")
            lines.append("  varies by \(names)" + (variant.varyHash.map { " (\(TerminalText.plain($0)))" } ?? ""))
        }
        lines.append("  \(place(variant))")
        if !variant.ranges.isEmpty { lines.append("  has the bytes \(variant.ranges.joined(separator: ", "))") }
        let validators = [("etag", variant.eTag), ("last modified", variant.lastModified)]
        for case (let name, let value?) in validators { lines.append("  \(name) \(TerminalText.plain(value))") }
        if variant.tagCount > 0 { lines.append("  has \(TerminalText.count(variant.tagCount, "tag"))") }
        if !variant.flags.isEmpty { lines.append("  \(variant.flags.map(TerminalText.plain).joined(separator: ", "))") }
        return lines
    }

    private static func freshness(_ variant: CacheInspection.Variant) -> String {
        let age = "age \(seconds(variant.age)) of \(seconds(variant.freshnessLifetime))"
        if variant.isSoftPurged { return "stale by a soft purge, \(age)" }
        return variant.freshFor > 0
            ? "fresh for \(seconds(variant.freshFor)), \(age)" : "stale for \(seconds(0 &- variant.freshFor)), \(age)"
    }

    private static func place(_ variant: CacheInspection.Variant) -> String {
        let memory = "in memory (\(TerminalText.size(UInt64(max(0, variant.memoryBytes)))))"
        return switch (variant.isInMemory, variant.isOnDisk) {
        case (true, true): "\(memory) and on the disk"
        case (true, false): memory
        case (false, true): "on the disk"
        case (false, false): "nowhere any more"
        }
    }

    private static func seconds(_ count: Int64) -> String {
        let product = Int(clamping: count).multipliedReportingOverflow(by: 1000)
        return product.overflow ? "\(count)s" : DurationText.text(milliseconds: product.partialValue)
    }
}

/// `martlet cache stats` for people.
enum StatisticsText {
    static func text(_ statistics: CacheStatistics) -> String {
        var stores = [["", "used", "limit", "objects", "evicted"], row("memory", statistics.memory)]
        if let disk = statistics.disk { stores.append(row("disk", disk)) }
        var text = TerminalText.table(stores)
        if statistics.disk == nil { text += "\nThere is no disk store." }
        let fetches = statistics.fillsActive == 1 ? "1 fetch" : "\(statistics.fillsActive) fetches"
        let waiters = TerminalText.count(statistics.waiters, "exchange")
        text += "\n\nUnder way: \(fetches), and \(waiters) served by one that another exchange began.\n"
        guard !statistics.zones.isEmpty else { return text + "No zone has anything in it." }
        var rows = [["zone", "memory", "disk", "objects", "served", "hits", "requests", "ratio"]]
        for zone in statistics.zones { rows.append(zoneRow(zone)) }
        text += "\n" + TerminalText.table(rows)
        let hidden = statistics.zoneCount - statistics.zones.count
        return hidden > 0 ? text + "\nand \(TerminalText.count(hidden, "zone")) with less" : text
    }

    private static func row(_ name: String, _ store: CacheStatistics.Store) -> [String] {
        [
            name, TerminalText.size(store.bytes), TerminalText.size(store.bytesMax), "\(store.objects)",
            "\(store.evictions)",
        ]
    }

    private static func zoneRow(_ zone: CacheStatistics.Zone) -> [String] {
        let hits = ["hit", "stale", "revalidated", "coalesced"].reduce(UInt64(0)) { $0 &+ (zone.requests[$1] ?? 0) }
        let requests = zone.requests.values.reduce(UInt64(0), &+)
        // In tenths of a percent.
        let ratio = requests == 0 ? 0 : UInt64(Double(hits) / Double(requests) * 1000)
        return [
            TerminalText.plain(zone.name), TerminalText.size(zone.memoryBytes), TerminalText.size(zone.diskBytes),
            "\(max(zone.memoryObjects, zone.diskObjects))", TerminalText.size(zone.bytesServed), "\(hits)",
            "\(requests)", requests == 0 ? "-" : "\(ratio / 10).\(ratio % 10) %",
        ]
    }
}
