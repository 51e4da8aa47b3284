package import HTTPWire

/// Walks the cookies of a request (RFC 6265, section 4.2.1): `name=value` pairs between semicolons, over all lines of
/// Cookie. A pair without `=` is a name without a value.
struct CookiePairs {
    private var field = 0
    private var position: Int?

    mutating func next(_ request: RequestHead, _ bytes: Span<UInt8>) -> (name: ByteRange, value: ByteRange)? {
        guard request.has(.cookie) else { return nil }
        while field < request.fields.count {
            let line = request.fields[field]
            if line.known == .cookie, !line.isDropped, line.value.end <= bytes.count {
                let start = position ?? Int(line.value.start)
                if start < line.value.end {
                    return pair(bytes, from: start, limit: line.value.end)
                }
            }
            field &+= 1
            position = nil
        }
        return nil
    }

    private mutating func pair(
        _ bytes: Span<UInt8>, from start: Int, limit: Int
    ) -> (name: ByteRange, value: ByteRange) {
        let end = bytes.firstIndex(of: UInt8(ascii: ";"), from: start, limit: limit)
        position = end &+ 1
        let equals = bytes.firstIndex(of: UInt8(ascii: "="), from: start, limit: end)
        return (
            bytes.trimmingBlanks(ByteRange(from: start, to: equals)),
            bytes.trimmingBlanks(ByteRange(from: min(equals &+ 1, end), to: end))
        )
    }
}

/// Names of cookies, some perhaps only begun: a trailing `*` covers all names that begin so.
package struct CookieNames: Sendable {
    private let names: [[UInt8]]
    private let beginnings: [[UInt8]]

    package init(_ names: [String]) {
        self.names = names.filter { !$0.hasSuffix("*") }.map { Array($0.utf8) }
        beginnings = names.filter { $0.hasSuffix("*") }.map { Array($0.utf8.dropLast()) }
    }

    package var isEmpty: Bool { names.isEmpty && beginnings.isEmpty }

    /// Whether the request has a cookie of one of these names, compared exactly.
    package func match(_ request: RequestHead, _ bytes: Span<UInt8>) -> Bool {
        if isEmpty { return false }
        var cookies = CookiePairs()
        while let cookie = cookies.next(request, bytes) {
            for name in names where Octet.equal(bytes, cookie.name.range, name.span, 0..<name.count) { return true }
            for beginning in beginnings where beginning.count <= Int(cookie.name.count) {
                let start = Int(cookie.name.start)
                if Octet.equal(bytes, start..<start &+ beginning.count, beginning.span, 0..<beginning.count) {
                    return true
                }
            }
        }
        return false
    }
}
