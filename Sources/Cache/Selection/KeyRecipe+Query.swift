// Which of a query's parameters count, and in what order. Parameters are what lies between `&`s, empty ones included.

import ConfigModel
package import HTTPWire
import Limits

/// Which parameters are part of the key.
enum QueryRule: Sendable {
    case all
    case none
    /// `isListed`: those of these names count; else all others.
    case filter(names: [[UInt8]], isListed: Bool)

    init(_ setting: CacheKeySettings.Query) {
        switch setting {
        case .all: self = .all
        case .none: self = .none
        case .only(let names): self = .filter(names: names.map { Array($0.utf8) }, isListed: true)
        case .except(let names): self = .filter(names: names.map { Array($0.utf8) }, isListed: false)
        }
    }

    /// Whether a parameter counts. One with a `;` always does: an origin may see two parameters in it.
    func counts(_ parameter: QueryParameter, _ query: UnsafeRawBufferPointer) -> Bool {
        switch self {
        case .all: return true
        case .none: return false
        case .filter(let names, let isListed):
            for index in names.indices where parameter.isNamed(names[index], query) {
                return isListed || parameter.contains(UInt8(ascii: ";"), query)
            }
            return !isListed || parameter.contains(UInt8(ascii: ";"), query)
        }
    }
}

/// One parameter as offsets into its query.
struct QueryParameter {
    let start: Int
    let nameEnd: Int
    let end: Int

    /// The one that starts at `start`, which is at most `query.count`.
    init(_ query: UnsafeRawBufferPointer, at start: Int) {
        self.start = start
        var index = start
        var equals: Int?
        while index < query.count, query[index] != UInt8(ascii: "&") {
            if equals == nil, query[index] == UInt8(ascii: "=") { equals = index }
            index &+= 1
        }
        end = index
        nameEnd = equals ?? index
    }

    func contains(_ byte: UInt8, _ query: UnsafeRawBufferPointer) -> Bool {
        for index in start..<end where query[index] == byte { return true }
        return false
    }

    /// Whether its name is `name` once `%41` is read as A and `+` as a blank, as origins do.
    func isNamed(_ name: [UInt8], _ query: UnsafeRawBufferPointer) -> Bool {
        var index = start
        var matched = 0
        while index < nameEnd {
            var byte = query[index]
            if byte == UInt8(ascii: "%"), index &+ 2 < nameEnd, let high = Octet.hexDigit(query[index &+ 1]),
                let low = Octet.hexDigit(query[index &+ 2])
            {
                byte = high &<< 4 | low
                index &+= 2
            } else if byte == UInt8(ascii: "+") {
                byte = UInt8(ascii: " ")
            }
            guard matched < name.count, name[matched] == byte else { return false }
            matched &+= 1
            index &+= 1
        }
        return matched == name.count
    }

    /// Order by name; parameters of one name keep the order they came in, which may mean something.
    static func isBefore(_ one: QueryParameter, _ other: QueryParameter, _ query: UnsafeRawBufferPointer) -> Bool {
        let common = min(one.nameEnd &- one.start, other.nameEnd &- other.start)
        for offset in 0..<common {
            let left = query[one.start &+ offset]
            let right = query[other.start &+ offset]
            if left != right { return left < right }
        }
        let difference = (one.nameEnd &- one.start) &- (other.nameEnd &- other.start)
        return difference == 0 ? one.start < other.start : difference < 0
    }
}

extension KeyRecipe {
    /// The query as the origin is to get it, without the `?`: sorted where the zone says so, else as it came.
    package func writeForwardedQuery(_ request: RequestHead, _ bytes: Span<UInt8>, to writer: inout ByteWriter) {
        guard sortsQuery, request.query.end <= bytes.count else { return writer.write(bytes, request.query) }
        bytes.withUnsafeBytes { all in
            Self.write(
                UnsafeRawBufferPointer(rebasing: all[request.query.range]), .all, isSorted: true, before: "", &writer)
        }
    }

    /// `?` and the parameters that count; nothing where a filter leaves none.
    @inline(__always)
    func writeKeyQuery(_ query: ByteRange, _ bytes: Span<UInt8>, _ writer: inout ByteWriter) {
        switch queryRule {
        case .none: return
        case .all where !sortsQuery:
            writer.write("?")
            writer.write(bytes, query)
        case .all, .filter:
            guard query.end <= bytes.count else { return }
            bytes.withUnsafeBytes { all in
                let text = UnsafeRawBufferPointer(rebasing: all[query.range])
                Self.write(text, queryRule, isSorted: sortsQuery, before: "?", &writer)
            }
        }
    }

    /// Writes the parameters that count, joined by `&`, the first one behind `before`.
    private static func write(
        _ query: UnsafeRawBufferPointer, _ rule: QueryRule, isSorted: Bool, before: StaticString,
        _ writer: inout ByteWriter
    ) {
        var count = 1
        for byte in query where byte == UInt8(ascii: "&") { count &+= 1 }
        var isFirst = true
        if isSorted, count > 1, count <= Limits.cacheSortedParametersMax {
            withUnsafeTemporaryAllocation(of: QueryParameter.self, capacity: count) { memory in
                var start = 0
                for index in 0..<count {
                    let parameter = QueryParameter(query, at: start)
                    memory.initializeElement(at: index, to: parameter)
                    start = min(parameter.end &+ 1, query.count)
                }
                var sorted = memory
                sorted.sort { QueryParameter.isBefore($0, $1, query) }
                for parameter in sorted { write(parameter, query, rule, before, &isFirst, &writer) }
            }
            return
        }
        var start = 0
        while start <= query.count {
            let parameter = QueryParameter(query, at: start)
            write(parameter, query, rule, before, &isFirst, &writer)
            start = parameter.end &+ 1
        }
    }

    private static func write(
        _ parameter: QueryParameter, _ query: UnsafeRawBufferPointer, _ rule: QueryRule, _ before: StaticString,
        _ isFirst: inout Bool, _ writer: inout ByteWriter
    ) {
        guard rule.counts(parameter, query) else { return }
        writer.write(isFirst ? before : "&")
        isFirst = false
        writer.write(UnsafeRawBufferPointer(rebasing: query[parameter.start..<parameter.end]))
    }
}
