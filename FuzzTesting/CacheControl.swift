// rooms: Limits HTTPWire; corpus: cache-control
// Cache-Control and the targeted fields: no trap, every lifetime within its bounds, and no text before a restriction
// that hides it.

import HTTPWire
import Limits

private let bounds = HeadBounds(startLineBytesMax: 100, headBytesMax: 200_000, fieldCountMax: 10)

/// The directives of a response whose lines of `name` have these values; nil if the values cannot stand in a field.
private func response(_ name: String, _ values: [UInt8]...) -> ResponseDirectives? {
    var bytes = Array("HTTP/1.1 200 OK\r\n".utf8)
    for value in values { bytes += Array("\(name): ".utf8) + value + [13, 10] }
    bytes += [13, 10]
    var parser = ResponseHeadParser(bounds: bounds)
    var head = ResponseHead()
    guard case .complete(bytes.count)? = try? parser.parse(bytes.span, answering: .get, into: &head) else { return nil }
    let directives = ResponseDirectives(head, bytes.span)
    for field in head.fields {
        _ = directives.noCacheFields.contains(field.name, in: bytes.span)
        _ = directives.privateFields.contains(field.known, in: bytes.span)
    }
    return directives
}

private func request(_ value: [UInt8]) -> RequestDirectives? {
    let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nCache-Control: ".utf8) + value + [13, 10, 13, 10]
    var parser = RequestHeadParser(bounds: bounds)
    var head = RequestHead()
    guard case .complete(bytes.count)? = try? parser.parse(bytes.span, into: &head) else { return nil }
    return RequestDirectives(head, bytes.span)
}

private func check(_ span: Int64?) {
    if let span { precondition((0...Limits.cacheLifetimeMillisecondsMax).contains(span) || span == .max) }
}

/// What libFuzzer calls with every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let value = Array(UnsafeBufferPointer(start: start, count: count))
    // A line's end within it would make it two fields.
    guard !value.contains(10), let plain = response("Cache-Control", value) else { return 0 }
    for span in [plain.maxAge, plain.sMaxAge, plain.staleWhileRevalidate, plain.staleIfError] { check(span) }
    for (text, isSeen) in [
        ("no-store", { $0.noStore }), ("private", { $0.isPrivate }), ("no-cache", { $0.noCache }),
        ("must-revalidate", { $0.mustRevalidate }), ("max-age=0", { $0.maxAge == 0 }),
    ] as [(String, (ResponseDirectives) -> Bool)] {
        let strict = response("Cache-Control", value + Array(", \(text)".utf8))
        precondition(strict.map(isSeen) == true, "\(text) is hidden")
        precondition(response("Cache-Control", value, Array(text.utf8)).map(isSeen) == true, "\(text) is hidden")
        guard let targeted = response("CDN-Cache-Control", value), targeted.source.isTargeted else { continue }
        let strictTarget = response("CDN-Cache-Control", value + Array(", \(text)".utf8))
        precondition(strictTarget.map(isSeen) == true, "\(text) is hidden in a targeted field")
    }
    if let asked = request(value) {
        for span in [asked.maxAge, asked.minFresh, asked.maxStale, asked.staleIfError] { check(span) }
        precondition(request(value + Array(", no-store".utf8))?.noStore == true)
    }
    return 0
}
