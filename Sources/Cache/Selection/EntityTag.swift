import HTTPWire

/// Comparing entity tags (RFC 9110, section 8.8.3). A tag is `"…"` or, weak, `W/"…"`; what stands within the quotes is
/// opaque. Tags without quotes, which some origins send, compare as they are.
package enum EntityTag {
    package static func isWeak(_ bytes: Span<UInt8>, _ tag: Range<Int>) -> Bool {
        tag.count >= 2 && Octet.isWithin(tag, bytes) && bytes[tag.lowerBound] == UInt8(ascii: "W")
            && bytes[tag.lowerBound &+ 1] == UInt8(ascii: "/")
    }

    /// Equal but for weakness (section 8.8.3.2): good enough to say that nothing has to be sent.
    package static func weakMatch(
        _ one: Span<UInt8>, _ oneTag: Range<Int>, _ other: Span<UInt8>, _ otherTag: Range<Int>
    ) -> Bool {
        !oneTag.isEmpty && Octet.equal(one, opaque(one, oneTag), other, opaque(other, otherTag))
    }

    /// Equal, and neither weak (section 8.8.3.2): good enough to put bytes together.
    package static func strongMatch(
        _ one: Span<UInt8>, _ oneTag: Range<Int>, _ other: Span<UInt8>, _ otherTag: Range<Int>
    ) -> Bool {
        !oneTag.isEmpty && !isWeak(one, oneTag) && Octet.equal(one, oneTag, other, otherTag)
    }

    private static func opaque(_ bytes: Span<UInt8>, _ tag: Range<Int>) -> Range<Int> {
        isWeak(bytes, tag) ? tag.lowerBound &+ 2..<tag.upperBound : tag
    }

    /// Whether a list of tags (the value of If-None-Match) has one that matches weakly, or is `*`.
    static func list(
        _ bytes: Span<UInt8>, _ value: ByteRange, hasMatchFor stored: Span<UInt8>, _ tag: Range<Int>
    ) -> Bool {
        if bytes.equals(value, "*") { return true }
        let limit = value.end
        guard limit <= bytes.count else { return false }
        var position = Int(value.start)
        while position < limit {
            let byte = bytes[position]
            if byte == UInt8(ascii: ",") || Octet.isBlank(byte) {
                position &+= 1
                continue
            }
            let end = memberEnd(bytes, from: position, limit: limit)
            if weakMatch(bytes, position..<end, stored, tag) { return true }
            position = end
        }
        return false
    }

    /// Behind the closing quote, or where a comma or blank ends what has no quotes. Unlike in other lists, a backslash
    /// escapes nothing and commas may stand within quotes.
    private static func memberEnd(_ bytes: Span<UInt8>, from start: Int, limit: Int) -> Int {
        var index = start
        if isWeak(bytes, start..<limit) { index &+= 2 }
        if index < limit, bytes[index] == UInt8(ascii: "\"") {
            let close = bytes.firstIndex(of: UInt8(ascii: "\""), from: index &+ 1, limit: limit)
            return min(close &+ 1, limit)
        }
        while index < limit, bytes[index] != UInt8(ascii: ","), !Octet.isBlank(bytes[index]) { index &+= 1 }
        return index
    }
}
