// The Range field (RFC 9110, section 14.1.2): `bytes=0-99, 200-, -50`.

import HTTPWire

/// One range as it was asked for, before the length is known.
package enum RangeSpec: Sendable, Equatable {
    /// `first-`
    case from(UInt64)
    /// `first-last`, both included.
    case between(UInt64, UInt64)
    /// `-count`: the last bytes.
    case suffix(UInt64)

    /// Which bytes of a representation it means; nil if none of them exists (it is unsatisfiable).
    package func resolve(length: UInt64) -> Range<UInt64>? {
        switch self {
        case .from(let first): return first < length ? first..<length : nil
        case .between(let first, let last):
            guard first < length, first <= last else { return nil }
            return first..<(last < length ? last &+ 1 : length)
        case .suffix(let count):
            guard count > 0, length > 0 else { return nil }
            return (count < length ? length &- count : 0)..<length
        }
    }
}

/// Walks the ranges of a Range field. Behind the last one, or the first that is malformed, there are no more; see
/// `isMalformed`.
struct RangeSpecs {
    private var position: Int
    private let end: Int
    /// It is in another unit than bytes, has no range, or one that is none: the whole field is to be ignored.
    private(set) var isMalformed = false
    private var isEmpty = true

    init(_ bytes: Span<UInt8>, _ value: ByteRange) {
        position = Int(value.start) &+ 6
        end = value.end
        if end > bytes.count || !bytes.hasPrefixIgnoringCase(value, "bytes=") {
            isMalformed = true
            position = end
        }
    }

    mutating func next(_ bytes: Span<UInt8>) -> RangeSpec? {
        guard !isMalformed, end <= bytes.count else { return nil }
        // Members may be empty (RFC 9110, section 5.6.1.2).
        while position < end, bytes[position] == UInt8(ascii: ",") || Octet.isBlank(bytes[position]) { position &+= 1 }
        guard position < end else {
            if isEmpty { isMalformed = true }
            return nil
        }
        isEmpty = false
        guard let spec = spec(bytes), isAtMemberEnd(bytes) else {
            isMalformed = true
            return nil
        }
        return spec
    }

    private mutating func spec(_ bytes: Span<UInt8>) -> RangeSpec? {
        let first = number(bytes)
        guard position < end, bytes[position] == UInt8(ascii: "-") else { return nil }
        position &+= 1
        let last = number(bytes)
        switch (first, last) {
        case (let first?, let last?): return first <= last ? .between(first, last) : nil
        case (let first?, nil): return .from(first)
        case (nil, let count?): return .suffix(count)
        case (nil, nil): return nil
        }
    }

    /// Digits; a number too large counts as the largest.
    private mutating func number(_ bytes: Span<UInt8>) -> UInt64? {
        guard let (number, next) = Decimal.read(bytes, from: position, limit: end) else { return nil }
        position = next
        return number
    }

    private mutating func isAtMemberEnd(_ bytes: Span<UInt8>) -> Bool {
        while position < end, Octet.isBlank(bytes[position]) { position &+= 1 }
        return position == end || bytes[position] == UInt8(ascii: ",")
    }
}

/// Unsigned decimal numbers of any length.
enum Decimal {
    /// The number whose digits begin at `start`, and where they end. `UInt64.max` stands for everything above it.
    static func read(_ bytes: Span<UInt8>, from start: Int, limit: Int) -> (number: UInt64, end: Int)? {
        var index = start
        var number: UInt64 = 0
        while index < limit, let digit = Octet.digit(bytes[index]) {
            let (tenfold, isTooLarge) = number.multipliedReportingOverflow(by: 10)
            let (sum, isStillTooLarge) = tenfold.addingReportingOverflow(UInt64(digit))
            number = isTooLarge || isStillTooLarge ? .max : sum
            index &+= 1
        }
        return index > start ? (number, index) : nil
    }
}
