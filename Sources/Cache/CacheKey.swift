// What an object is found by. The bytes say everything that tells two objects apart; the hash is what tables are
// keyed by. Both are stored, and both are compared: a collision is a miss, never another's content.
//
//     example.test LF https LF www.example.test LF 8443 LF /path?query [LF part …]
//     └── zone ──┘              └──── host ──────┘ └port┘ └─ raw ───┘
//
// No part can hold a line feed: the request parser refuses control bytes, and custom parts are escaped.

/// 128 bits of SipHash over a key's bytes, keyed with a secret of this installation, so that nobody outside can make
/// two keys collide.
package struct KeyHash: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func == (one: KeyHash, other: KeyHash) -> Bool {
        one.high == other.high && one.low == other.low
    }

    package func hash(into hasher: inout Hasher) {
        // Already as good as random.
        hasher.combine(low)
    }
}

/// An object's name in the cache.
package struct CacheKey: Sendable, Equatable {
    package let hash: KeyHash
    /// The hash of the part before custom parts: the same for every object of one URL, whatever the zone's settings add
    /// to its key. What a purge by URL looks for.
    package let urlHash: KeyHash
    package let bytes: [UInt8]

    package init(hash: KeyHash, urlHash: KeyHash, bytes: [UInt8]) {
        self.hash = hash
        self.urlHash = urlHash
        self.bytes = bytes
    }
}

/// A zone as the cache knows it: 64 bits of SipHash over its name, keyed as `KeyHash` is. The same after a restart and
/// a reload.
package struct ZoneTag: Hashable, Sendable {
    package var value: UInt64
    package init(_ value: UInt64) { self.value = value }
}
