// What a purge is about, and whether it is about an object. Hosts and paths are compared with the key's bytes, which
// name them as they were when the object was asked for (CacheKey.swift draws them).

internal import Glibc
internal import Limits

/// What a purge is about.
package enum PurgeScope: Sendable, Hashable {
    /// All objects of one URL, whatever else is in their keys: `CacheKey.urlHash`.
    case url(KeyHash)
    /// All objects of a host, by either scheme.
    case host(PurgeHost)
    /// Those of them whose path and query begin so, byte by byte.
    case prefix(PurgeHost, path: [UInt8])
    /// All objects with a tag: its `CacheTag.hash`.
    case tag(UInt64)
    /// The whole zone.
    case everything

    /// Whether it is about a response.
    package func covers(_ response: StoredResponse) -> Bool {
        switch self {
        // Asked of every response of a zone: these leave the key's bytes where they are.
        case .url(let hash): hash == response.key.urlHash
        case .tag(let tag): Self.contains(response.tags, tag)
        case .everything: true
        case .host, .prefix:
            response.key.bytes.withUnsafeBytes {
                covers(keyBytes: $0, urlHash: response.key.urlHash, tags: response.tags)
            }
        }
    }

    /// Whether it is about what lies under a key with these tags. `tags` is sorted.
    package func covers(keyBytes: UnsafeRawBufferPointer, urlHash: KeyHash, tags: [UInt64]) -> Bool {
        switch self {
        case .url(let hash): return hash == urlHash
        case .tag(let tag): return Self.contains(tags, tag)
        case .everything: return true
        case .host(let host):
            guard let parts = KeyParts(keyBytes) else { return false }
            return host.covers(parts, keyBytes)
        case .prefix(let host, let path):
            guard let parts = KeyParts(keyBytes) else { return false }
            return host.covers(parts, keyBytes) && parts.pathBegins(with: path, keyBytes)
        }
    }

    private static func contains(_ tags: [UInt64], _ tag: UInt64) -> Bool {
        var low = 0
        var high = tags.count
        while low < high {
            let middle = (low &+ high) / 2
            if tags[middle] < tag { low = middle &+ 1 } else { high = middle }
        }
        return low < tags.count && tags[low] == tag
    }
}

/// A host that is to be purged, with one port or with all.
package struct PurgeHost: Sendable, Hashable {
    /// In lower case, without the dot that may end it; a literal IPv6 address keeps its brackets.
    package let name: [UInt8]
    /// In decimal; nil: every port.
    package let port: [UInt8]?

    package init(name: [UInt8], port: [UInt8]?) {
        self.name = name
        self.port = port
    }

    func covers(_ parts: KeyParts, _ keyBytes: UnsafeRawBufferPointer) -> Bool {
        guard Self.isEqual(name, keyBytes, parts.host) else { return false }
        guard let port else { return true }
        return Self.isEqual(port, keyBytes, parts.port)
    }

    private static func isEqual(_ bytes: [UInt8], _ key: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
        guard bytes.count == range.count else { return false }
        return key[range].elementsEqual(bytes)
    }
}

/// Where in a key's bytes its host, port and path are.
struct KeyParts {
    var host: Range<Int>
    var port: Range<Int>
    /// Path and query begin here; they end with the key, or where custom parts begin.
    var path: Int

    /// nil for what is no key.
    init?(_ key: UnsafeRawBufferPointer) {
        guard let zoneEnd = Self.lineEnd(key, from: 0), let schemeEnd = Self.lineEnd(key, from: zoneEnd &+ 1),
            let hostEnd = Self.lineEnd(key, from: schemeEnd &+ 1), let portEnd = Self.lineEnd(key, from: hostEnd &+ 1)
        else { return nil }
        host = schemeEnd &+ 1..<hostEnd
        port = hostEnd &+ 1..<portEnd
        path = portEnd &+ 1
    }

    func pathBegins(with prefix: [UInt8], _ key: UnsafeRawBufferPointer) -> Bool {
        guard key.count &- path >= prefix.count, let base = key.baseAddress else { return false }
        return prefix.withUnsafeBytes { wanted in
            guard let start = wanted.baseAddress else { return true }
            return memcmp(base + path, start, wanted.count) == 0
        }
    }

    private static func lineEnd(_ key: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard start < key.count, let base = key.baseAddress else { return nil }
        guard let found = memchr(base + start, 0x0A, key.count &- start) else { return nil }
        return UnsafeRawPointer(found) - base
    }
}
