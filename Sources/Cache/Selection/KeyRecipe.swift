// How a zone makes keys of its requests. `CacheKey.swift` draws what a key looks like.
//
// Two spellings of one URL make one key where every server must read them alike: the host's case and trailing dot, a
// default port that is named or not, an absolute target or one with Host beside it, an empty path. Path and query stay
// as they came, neither decoded nor resolved, for origins differ in how they read them; what they would read
// differently must not share a key.
//
// What a zone leaves out of its keys (`ignore_query`, `only`, `except`) still reaches the origin, as it does at other
// content delivery networks. So leaving out is a promise by the operator that the origin's answer does not depend on
// it: where it does, one client's parameter would be answered to all others. Three things guard the promise:
// names are compared decoded, as origins compare them; a parameter with a `;` in it always counts, because some origins
// split there too; and what Connection strikes out of a request counts as absent, because the origin does not see it.

package import ConfigModel
package import HTTPWire
import Limits

/// What makes keys for one zone: made once for each configuration, used by all event loops.
package final class KeyRecipe: Sendable {
    package let zone: ZoneTag
    package let secret: KeySecret
    /// Whether the origin gets the query's parameters in another order than they came in.
    package let sortsQuery: Bool

    /// Zone and scheme, each with its line feed.
    private let plainPrefix: [UInt8]
    private let securePrefix: [UInt8]
    let queryRule: QueryRule
    private let parts: [KeyPart]

    /// - Parameters:
    ///   - zoneName: as the configuration has it: lower case, no line feed.
    ///   - secret: this installation's.
    package init(zoneName: String, settings: CacheKeySettings, secret: KeySecret) {
        zone = ZoneTag(name: zoneName, secret)
        self.secret = secret
        sortsQuery = settings.sortsQuery
        plainPrefix = Array("\(zoneName)\nhttp\n".utf8)
        securePrefix = Array("\(zoneName)\nhttps\n".utf8)
        queryRule = QueryRule(settings.query)
        parts = KeyPart.all(of: settings)
    }

    /// Renders the key of a request and hashes it.
    /// - Parameters:
    ///   - request: one with a path: GET, HEAD, or an unsafe method whose target is invalidated.
    ///   - isSecure: whether it came over TLS; an absolute target's scheme does not count.
    ///   - scratch: memory of this event loop; `Limits.cacheKeyBytesMax` is always enough.
    /// - Returns: nil if the key is longer than that, or than `scratch`: the request goes past the cache.
    package func render(
        _ request: RequestHead, _ bytes: Span<UInt8>, isSecure: Bool, into scratch: UnsafeMutableRawBufferPointer
    ) -> RenderedKey? {
        let room = UnsafeMutableRawBufferPointer(
            start: scratch.baseAddress, count: min(scratch.count, Limits.cacheKeyBytesMax))
        var writer = ByteWriter(room)
        (isSecure ? securePrefix : plainPrefix).withUnsafeBytes { writer.write($0) }
        writeHost(request, bytes, in: room, &writer)
        if let port = request.port {
            writer.write("\n")
            writer.write(decimal: UInt64(port))
            writer.write("\n")
        } else {
            writer.write(isSecure ? "\n443\n" : "\n80\n")
        }
        if request.path.isEmpty {
            writer.write("/")
        } else {
            writer.write(bytes, request.path)
        }
        if request.hasQuery { writeKeyQuery(request.query, bytes, &writer) }
        let urlEnd = writer.count
        for index in parts.indices { parts[index].write(request, bytes, &writer) }
        guard !writer.hasOverflowed else { return nil }
        return RenderedKey(UnsafeRawBufferPointer(rebasing: room[..<writer.count]), urlEnd: urlEnd, secret)
    }

    /// The host in lower case, without the dot that may end it.
    @inline(__always)
    private func writeHost(
        _ request: RequestHead, _ bytes: Span<UInt8>, in room: UnsafeMutableRawBufferPointer,
        _ writer: inout ByteWriter
    ) {
        var host = request.host
        if host.count > 1, host.end <= bytes.count, bytes[host.end &- 1] == UInt8(ascii: ".") { host.count &-= 1 }
        let start = writer.count
        writer.write(bytes, host)
        Self.lowercase(UnsafeMutableRawBufferPointer(rebasing: room[start..<writer.count]))
    }

    /// Eight bytes at once: the sums carry into a byte's highest bit where it is a letter or behind the letters.
    @inline(__always)
    private static func lowercase(_ text: UnsafeMutableRawBufferPointer) {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let whole = text.count & ~7
        var offset = 0
        while offset < whole {
            let word = text.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            let low = word & (0x7F &* ones)
            let fromA = low &+ (0x80 &- 0x41) &* ones
            let behindZ = low &+ (0x80 &- 0x5B) &* ones
            let capitals = fromA & ~behindZ & ~word & (0x80 &* ones)
            text.storeBytes(of: word | capitals &>> 2, toByteOffset: offset, as: UInt64.self)
            offset &+= 8
        }
        while offset < text.count {
            text[offset] = Octet.lowercased(text[offset])
            offset &+= 1
        }
    }
}

/// A key in an event loop's scratch memory. Valid as long as that is not written to.
package struct RenderedKey {
    package let bytes: UnsafeRawBufferPointer
    /// How many of `bytes` say the URL; what follows are custom parts.
    package let urlEnd: Int
    package let hash: KeyHash
    /// The hash of the URL's part: `hash` itself where the zone has no custom parts.
    package let urlHash: KeyHash

    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer, urlEnd: Int, _ secret: KeySecret) {
        self.bytes = bytes
        self.urlEnd = urlEnd
        hash = SipHasher128.hash(bytes, secret)
        urlHash =
            urlEnd == bytes.count
            ? hash : SipHasher128.hash(UnsafeRawBufferPointer(rebasing: bytes.prefix(urlEnd)), secret)
    }

    /// A copy that outlives the scratch memory.
    package func stored() -> CacheKey {
        CacheKey(hash: hash, urlHash: urlHash, bytes: Array(bytes))
    }
}
