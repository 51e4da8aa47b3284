import FoundationEssentials
import JSON

/// A moment, as the store keeps it and the API shows it.
package struct APITime: Sendable, Hashable, Comparable {
    /// Since 1970-01-01T00:00:00Z.
    package var microseconds: Int64

    package init(microseconds: Int64) { self.microseconds = microseconds }

    package static func < (left: APITime, right: APITime) -> Bool { left.microseconds < right.microseconds }

    package static var now: APITime {
        APITime(microseconds: Int64(exactly: (Date().timeIntervalSince1970 * 1_000_000).rounded()) ?? 0)
    }

    /// RFC 3339, with or without a fraction of the second.
    package init?(parsing text: String) {
        guard text.utf8.count <= 64 else { return nil }
        let date =
            (try? Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(text))
            ?? (try? Date.ISO8601FormatStyle().parse(text))
        guard let date, let value = Int64(exactly: (date.timeIntervalSince1970 * 1_000_000).rounded()) else {
            return nil
        }
        microseconds = value
    }

    /// RFC 3339 in UTC, to the microsecond: `2026-01-31T12:00:00.123456Z`.
    package var text: String {
        let (second, fraction) = Self.split(microseconds)
        let date = Date(timeIntervalSince1970: Double(second))
        let digits = String(1_000_000 + fraction).dropFirst()
        return date.formatted(Date.ISO8601FormatStyle()).dropLast() + ".\(digits)Z"
    }

    private static func split(_ microseconds: Int64) -> (second: Int64, fraction: Int64) {
        let fraction = ((microseconds % 1_000_000) + 1_000_000) % 1_000_000
        return ((microseconds - fraction) / 1_000_000, fraction)
    }

    var json: JSONValue { .string(text) }
}
