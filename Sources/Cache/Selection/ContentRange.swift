package import HTTPWire

/// Content-Range (RFC 9110, section 14.4): which part of a representation a 206 has, or how long one is that a 416
/// speaks of.
package struct ContentRange: Sendable, Equatable {
    /// Nil: unsatisfied (`bytes */100`).
    package var range: Range<UInt64>?
    /// Bytes of the whole representation; nil: unknown (`bytes 0-9/*`).
    package var completeLength: UInt64?

    /// That of a response: nil if it is missing, there twice, or invalid.
    package init?(of response: ResponseHead, _ bytes: Span<UInt8>) {
        guard response.has(.contentRange) else { return nil }
        var value: ByteRange?
        for field in response.fields where field.known == .contentRange {
            guard value == nil else { return nil }
            value = field.value
        }
        guard let value else { return nil }
        self.init(bytes, value)
    }

    /// Nil if `value` is none in bytes, or contradicts itself.
    package init?(_ bytes: Span<UInt8>, _ value: ByteRange) {
        let limit = value.end
        guard limit <= bytes.count, bytes.hasPrefixIgnoringCase(value, "bytes ") else { return nil }
        let start = Int(value.start) &+ 6
        let slash = bytes.firstIndex(of: UInt8(ascii: "/"), from: start, limit: limit)
        guard slash < limit else { return nil }
        let length = ByteRange(from: slash &+ 1, to: limit)
        if bytes.equals(length, "*") {
            completeLength = nil
        } else {
            guard let number = Self.number(bytes, slash &+ 1..<limit) else { return nil }
            completeLength = number
        }
        if bytes.equals(ByteRange(from: start, to: slash), "*") {
            guard completeLength != nil else { return nil }
            range = nil
            return
        }
        let hyphen = bytes.firstIndex(of: UInt8(ascii: "-"), from: start, limit: slash)
        guard hyphen < slash, let first = Self.number(bytes, start..<hyphen),
            let last = Self.number(bytes, hyphen &+ 1..<slash), first <= last
        else { return nil }
        if let completeLength, last >= completeLength { return nil }
        range = first..<last &+ 1
    }

    /// Digits alone, and of a number that has a successor.
    private static func number(_ bytes: Span<UInt8>, _ digits: Range<Int>) -> UInt64? {
        guard let (number, end) = Decimal.read(bytes, from: digits.lowerBound, limit: digits.upperBound),
            end == digits.upperBound, number < .max
        else { return nil }
        return number
    }

    /// The value for a range that is not empty: `bytes 0-9/100`.
    package static func write(_ range: Range<UInt64>, of length: UInt64, to writer: inout ByteWriter) {
        writer.write("bytes ")
        writer.write(decimal: range.lowerBound)
        writer.write("-")
        writer.write(decimal: range.upperBound == 0 ? 0 : range.upperBound &- 1)
        writer.write("/")
        writer.write(decimal: length)
    }

    /// The value for 416: `bytes */100`.
    package static func writeUnsatisfied(length: UInt64, to writer: inout ByteWriter) {
        writer.write("bytes */")
        writer.write(decimal: length)
    }
}
