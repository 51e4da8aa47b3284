import HTTPWire
import Limits

/// Dates as caches read them, and the arithmetic of spans that nothing outside can make overflow.
enum CacheDate {
    /// Milliseconds since 1970 of the date that the whole of `range` is; nil if it is none. Letters may be of any case,
    /// which RFC 9111, section 4.2, asks of caches though dates are case-sensitive elsewhere.
    /// - Parameter now: milliseconds since 1970, to place years of two digits.
    static func milliseconds(_ bytes: Span<UInt8>, _ range: ByteRange, now: Int64) -> Int64? {
        let seconds = HTTPDate.parse(bytes, range, now: now / 1000) ?? inAnyCase(bytes, range, now: now / 1000)
        return seconds.map { $0 &* 1000 }
    }

    private static func inAnyCase(_ bytes: Span<UInt8>, _ range: ByteRange, now: Int64) -> Int64? {
        guard range.count <= 33, range.end <= bytes.count else { return nil }
        var text = InlineArray<33, UInt8>(repeating: 0)
        var isInWord = false
        for offset in 0..<Int(range.count) {
            let byte = bytes[Int(range.start) &+ offset]
            let isLetter = (byte | 0x20) &- UInt8(ascii: "a") < 26
            text[offset] = !isLetter ? byte : isInWord ? byte | 0x20 : byte & ~0x20
            isInWord = isLetter
        }
        let whole = ByteRange(start: 0, count: range.count)
        if whole.count >= 3, bytes.equalsIgnoringCase(ByteRange(from: range.end &- 3, to: range.end), "GMT") {
            for (offset, letter) in [UInt8(ascii: "G"), UInt8(ascii: "M"), UInt8(ascii: "T")].enumerated() {
                text[Int(whole.count) &- 3 &+ offset] = letter
            }
        }
        return HTTPDate.parse(text.span, whole, now: now)
    }

    /// The span from one moment to another, within 0 and `Limits.cacheLifetimeMillisecondsMax`.
    static func span(from start: Int64, to end: Int64) -> Int64 {
        let (difference, isOverflow) = end.subtractingReportingOverflow(start)
        if isOverflow { return end > start ? Limits.cacheLifetimeMillisecondsMax : 0 }
        return clamped(difference)
    }

    /// The sum of two spans, each within 0 and `Limits.cacheLifetimeMillisecondsMax`, and so is the sum.
    static func sum(_ one: Int64, _ other: Int64) -> Int64 { clamped(clamped(one) + clamped(other)) }

    static func clamped(_ span: Int64) -> Int64 { min(max(span, 0), Limits.cacheLifetimeMillisecondsMax) }
}
