import Foundation
import Glibc
import Testing

/// The edge's member of a Cache-Status field (RFC 9211), read without the parser under test.
struct CacheStatusSeen {
    /// Members as they stand, all lines joined; the edge's is the last.
    let members: [String]
    private(set) var parameters: [String: String] = [:]

    init(_ lines: [String]) {
        members = Self.split(lines.joined(separator: ","), at: ",")
        for part in Self.split(members.last ?? "", at: ";").dropFirst() {
            let pair = part.split(separator: "=", maxSplits: 1)
            guard let name = pair.first else { continue }
            let value = pair.count == 2 ? String(pair[1]) : ""
            parameters[String(name)] = value.hasPrefix("\"") ? String(value.dropFirst().dropLast()) : value
        }
    }

    /// Parts without white space around them; marks inside quotes do not count.
    private static func split(_ text: String, at mark: Character) -> [String] {
        var parts = [""]
        var (isQuoted, isEscaped) = (false, false)
        for character in text {
            if character == mark, !isQuoted {
                parts.append("")
                continue
            }
            if character == "\"", !isEscaped { isQuoted.toggle() }
            isEscaped = character == "\\" && isQuoted && !isEscaped
            parts[parts.count - 1].append(character)
        }
        return parts.map { $0[...].trimmingSpaces }.filter { !$0.isEmpty }
    }

    /// Whether the last member is the edge's.
    var isOurs: Bool {
        guard let last = members.last else { return false }
        return last == "martlet" || last.hasPrefix("martlet;")
    }
    var isHit: Bool { isOurs && parameters["hit"] != nil }
    var forwarded: String? { isOurs ? parameters["fwd"] : nil }
    var forwardedStatus: Int? { parameters["fwd-status"].flatMap { Int($0) } }
    /// Seconds of freshness left; negative once stale.
    var ttl: Int? { parameters["ttl"].flatMap { Int($0) } }
    var isStored: Bool { parameters["stored"] != nil }
    var isCollapsed: Bool { parameters["collapsed"] != nil }
    /// Without a fetch of its own: from the store, or from a fetch that another request began and that is not over until
    /// the disk has it all.
    var isShared: Bool { isHit || isCollapsed }
    var detail: String? { parameters["detail"] }
}

extension Message {
    var cache: CacheStatusSeen { CacheStatusSeen(all("Cache-Status")) }

    /// The Age field, if there is exactly one and it is a number.
    var age: Int? { self["Age"].flatMap { Int($0) } }

    /// The head and the body's beginning; of a large body no more is looked at.
    private var brief: String { head + Array(body.prefix(200)).text }

    /// Answered from the cache alone: says so, and has what every such answer must have.
    func expectHit(_ body: String? = nil, sourceLocation: SourceLocation = #_sourceLocation) {
        let cache = cache
        #expect(cache.isHit, "expected a hit\n\(brief)", sourceLocation: sourceLocation)
        #expect(cache.forwarded == nil, "hit and fwd exclude each other\n\(head)", sourceLocation: sourceLocation)
        // RFC 9111, section 5.1: a response from a cache carries its age. RFC 9110, section 6.6.1: and its date.
        #expect((age ?? -1) >= 0, "Age is missing or odd\n\(head)", sourceLocation: sourceLocation)
        #expect(self["Date"] != nil, "Date is missing or there twice\n\(head)", sourceLocation: sourceLocation)
        #expect(ending == .complete, sourceLocation: sourceLocation)
        if let body { #expect(text == body, "\(head)", sourceLocation: sourceLocation) }
    }

    /// Fetched from the origin, for this reason (RFC 9211, section 2.2).
    func expectForwarded(
        _ reasons: String..., body: String? = nil, stored: Bool? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let cache = cache
        #expect(!cache.isHit, "expected no hit\n\(brief)", sourceLocation: sourceLocation)
        let reason = cache.forwarded ?? ""
        #expect(
            reasons.isEmpty ? !reason.isEmpty : reasons.contains(reason), "fwd should be \(reasons)\n\(head)",
            sourceLocation: sourceLocation)
        if let stored {
            #expect(cache.isStored == stored, "stored should be \(stored)\n\(head)", sourceLocation: sourceLocation)
        }
        if let body { #expect(text == body, "\(head)", sourceLocation: sourceLocation) }
    }
}

/// Dates as HTTP writes them.
enum HTTPDate {
    /// IMF-fixdate of a moment this many seconds from now.
    static func at(_ offset: Int) -> String { format(offset, "%a, %d %b %Y %H:%M:%S GMT") }
    /// The obsolete form of RFC 850.
    static func rfc850(_ offset: Int) -> String { format(offset, "%A, %d-%b-%y %H:%M:%S GMT") }
    /// The obsolete form of C's asctime.
    static func asctime(_ offset: Int) -> String { format(offset, "%a %b %e %H:%M:%S %Y") }

    static func format(_ offset: Int, _ form: String) -> String {
        var moment = time(nil) + offset
        var parts = tm()
        gmtime_r(&moment, &parts)
        var buffer = [CChar](repeating: 0, count: 64)
        let count = strftime(&buffer, buffer.count, form, &parts)
        return buffer.prefix(count).map { UInt8(bitPattern: $0) }.text
    }
}
