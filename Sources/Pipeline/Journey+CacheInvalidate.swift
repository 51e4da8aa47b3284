import Cache
import Exchange
import HTTPWire
import NIOCore
import Telemetry

/// What an unsafe request makes untrue (RFC 9111, section 4.4).
extension Journey {
    func invalidate(in cache: CacheZone, _ bytes: ByteBuffer) {
        guard Invalidation.applies(request.method, status: answer.head.status), let key = visit.key else { return }
        // Its own fetch is no reason to keep a record of it.
        let hadBirth = visit.birth != nil
        endBirth()
        cache.invalidate(key)
        for field in [KnownField.location, .contentLocation] where answer.head.has(field) {
            let target = requestBytes.withBytes { requestSpan in
                bytes.withBytes { span in
                    Invalidation.target(
                        field, request: request, requestSpan, isSecure: isSecure, response: answer.head, span)
                }
            }
            let path =
                target.flatMap { bytes.getString(at: bytes.readerIndex + Int($0.start), length: Int($0.count)) }
                ?? relativeTarget(field, bytes)
            guard let path else { continue }
            if let other = cache.recipe.key(forURL: ownOrigin + (path.hasPrefix("/") ? path : "/" + path)) {
                cache.invalidate(other)
            }
        }
        // What this response itself brings is newer than what it makes untrue.
        if hadBirth { visit.birth = cache.purges.fillBegan() }
        loop.metrics.add(.cacheInvalidations)
    }

    /// Where a reference leads that is relative to the path of the request (RFC 3986, section 5.2); nil if it is not
    /// such a one.
    private func relativeTarget(_ field: KnownField, _ bytes: ByteBuffer) -> String? {
        guard let value = answer.head.first(field),
            let whole = bytes.getString(at: bytes.readerIndex + Int(value.start), length: Int(value.count))
        else { return nil }
        let reference = whole.prefix { $0 != "#" }
        let first = reference.prefix { $0 != "/" && $0 != "?" }
        guard !reference.hasPrefix("/"), !first.contains(":"), !reference.isEmpty else { return nil }
        let base = text(request.path) ?? "/"
        let referencePath = reference.prefix { $0 != "?" }
        let query = reference.dropFirst(referencePath.count)
        if referencePath.isEmpty { return base + query }
        var segments = base.split(separator: "/", omittingEmptySubsequences: false).dropFirst().dropLast()
        let added = referencePath.split(separator: "/", omittingEmptySubsequences: false)
        for segment in added.dropLast() {
            switch segment {
            case ".": break
            case "..": segments = segments.dropLast()
            default: segments.append(segment)
            }
        }
        let last = added.last ?? ""
        if last == ".." { segments = segments.dropLast() }
        segments.append(last == "." || last == ".." ? "" : last)
        return "/" + segments.joined(separator: "/") + query
    }

    /// `https://host:port` as the client named it.
    private var ownOrigin: String {
        let host = text(request.host) ?? ""
        let port = request.port.map { ":\($0)" } ?? ""
        return (isSecure ? "https://" : "http://") + host + port
    }
}
