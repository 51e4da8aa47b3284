package import HTTPWire
import Limits

/// Which part of a representation answers a request (RFC 9110, section 14.2).
package enum RangeSelection: Sendable, Equatable {
    /// All of it, status 200: no Range is there, or it is one that is ignored.
    case whole
    /// 206 with this range, not empty.
    case single(Range<UInt64>)
    /// 206 as multipart/byteranges: two ranges or more that neither overlap nor touch, in the order they were asked
    /// for.
    case multiple([Range<UInt64>])
    /// 416: no range asked for has a byte that exists.
    case unsatisfiable

    /// - Parameter length: bytes of the representation.
    package init(_ request: RequestHead, _ bytes: Span<UInt8>, length: UInt64) {
        // Range means something with GET alone.
        guard request.method == .get, let value = RangeField.value(request) else {
            self = .whole
            return
        }
        self.init(bytes, value, length: length)
    }

    /// The same for what is stored: If-Range, the status, and whether the origin wants its ranges served are looked at.
    package init(
        _ request: RequestHead, _ bytes: Span<UInt8>, of stored: StoredResponse, nowMilliseconds: Int64
    ) {
        guard request.has(.range), stored.facts.status == 200 || stored.facts.status == 206,
            !stored.facts.flags.contains(.refusesRanges),
            Preconditions.rangeApplies(request, bytes, stored, nowMilliseconds: nowMilliseconds)
        else {
            self = .whole
            return
        }
        self.init(request, bytes, length: stored.facts.representationBytes)
    }

    init(_ bytes: Span<UInt8>, _ value: ByteRange, length: UInt64) {
        var specs = RangeSpecs(bytes, value)
        var first: Range<UInt64>?
        var others: [Range<UInt64>] = []
        var count = 0
        while let spec = specs.next(bytes) {
            count &+= 1
            // No range of nothing can be expressed, but its end can be asked for.
            if length == 0, case .suffix(1...) = spec { count = .max }
            guard count <= Limits.cacheRangesMax else { break }
            guard let range = spec.resolve(length: length) else { continue }
            if first == nil {
                first = range
            } else {
                others.append(range)
            }
        }
        guard !specs.isMalformed, count <= Limits.cacheRangesMax else {
            self = .whole
            return
        }
        guard let first else {
            self = .unsatisfiable
            return
        }
        if others.isEmpty {
            self = .single(first)
        } else {
            others.insert(first, at: 0)
            self.init(coalescing: others, length: length)
        }
    }

    /// Joins what overlaps or touches (RFC 9110, section 15.3.7.2). Who asks for more than twice of all there is does
    /// not mean it well (section 17.15) and gets it once.
    private init(coalescing ranges: [Range<UInt64>], length: UInt64) {
        let (doubled, isTooLarge) = length.multipliedReportingOverflow(by: 2)
        let limit = isTooLarge ? .max : doubled
        var sum: UInt64 = 0
        for range in ranges {
            let (next, overflow) = sum.addingReportingOverflow(range.upperBound &- range.lowerBound)
            guard !overflow, next <= limit else {
                self = .whole
                return
            }
            sum = next
        }
        var joined: [(order: Int, range: Range<UInt64>)] = []
        for (order, range) in ranges.enumerated().sorted(by: { $0.element.lowerBound < $1.element.lowerBound }) {
            if let last = joined.last, range.lowerBound <= last.range.upperBound {
                let end = max(last.range.upperBound, range.upperBound)
                joined[joined.count - 1] = (min(last.order, order), last.range.lowerBound..<end)
            } else {
                joined.append((order, range))
            }
        }
        if joined.count == 1 {
            self = .single(joined[0].range)
        } else {
            self = .multiple(joined.sorted { $0.order < $1.order }.map(\.range))
        }
    }
}

/// The Range field itself.
package enum RangeField {
    /// What it asks for, if that is one range: for a body whose length is not known yet. Nil also for a method that has
    /// no ranges.
    package static func only(_ request: RequestHead, _ bytes: Span<UInt8>) -> RangeSpec? {
        guard request.method == .get, let value = value(request) else { return nil }
        var specs = RangeSpecs(bytes, value)
        let first = specs.next(bytes)
        guard specs.next(bytes) == nil, !specs.isMalformed else { return nil }
        return first
    }

    /// Its value; nil if it is missing or there twice, which has no meaning.
    static func value(_ request: RequestHead) -> ByteRange? {
        guard request.has(.range) else { return nil }
        var value: ByteRange?
        for field in request.fields where field.known == .range {
            guard value == nil else { return nil }
            value = field.value
        }
        return value
    }
}
