/// What is stored for a URL. Durations are seconds.
package struct CacheInspection: Sendable, Equatable, Codable {
    package var zone: String
    /// The key's parts, in order, joined by spaces.
    package var key: String
    /// Its hash, 32 hexadecimal digits.
    package var hash: String
    /// Whether a fetch for it is under way.
    package var isFilling: Bool
    /// Why the last response was not stored, while that is remembered; nil if it is not.
    package var uncacheable: String?
    /// Newest first; empty: nothing is stored.
    package var variants: [Variant]

    package init(
        zone: String, key: String, hash: String, isFilling: Bool = false, uncacheable: String? = nil,
        variants: [Variant] = []
    ) {
        self.zone = zone
        self.key = key
        self.hash = hash
        self.isFilling = isFilling
        self.uncacheable = uncacheable
        self.variants = variants
    }

    enum CodingKeys: String, CodingKey {
        case zone, key, hash, uncacheable, variants
        case isFilling = "filling"
    }

    /// One stored response.
    package struct Variant: Sendable, Equatable, Codable {
        /// The request fields it depends on, from Vary, and a hash of what they were.
        package var vary: [String] = []
        package var varyHash: String?
        package var status = 200
        package var age: Int64 = 0
        package var freshnessLifetime: Int64 = 0
        /// Negative: stale for so long.
        package var freshFor: Int64 = 0
        package var staleWhileRevalidate: Int64 = 0
        package var staleIfError: Int64 = 0
        package var isSoftPurged = false
        /// `must_revalidate`, `no_cache`, `immutable`, `heuristic`, `zone_ttl`, `partial` and the like.
        package var flags: [String] = []
        package var isInMemory = false
        package var isOnDisk = false
        /// Of the whole body.
        package var bytes: UInt64 = 0
        /// Of memory that it takes.
        package var memoryBytes = 0
        package var tagCount = 0
        package var eTag: String?
        package var lastModified: String?
        package var contentType: String?
        /// Milliseconds since 1970.
        package var storedAt: Int64 = 0
        /// Of a partial body, what is there: `0-1023`.
        package var ranges: [String] = []

        package init() {}

        enum CodingKeys: String, CodingKey {
            case vary, status, age, flags, bytes, ranges
            case varyHash = "vary_hash"
            case freshnessLifetime = "freshness_lifetime"
            case freshFor = "fresh_for"
            case staleWhileRevalidate = "stale_while_revalidate"
            case staleIfError = "stale_if_error"
            case isSoftPurged = "soft_purged"
            case isInMemory = "in_memory"
            case isOnDisk = "on_disk"
            case memoryBytes = "memory_bytes"
            case tagCount = "tags"
            case eTag = "etag"
            case lastModified = "last_modified"
            case contentType = "content_type"
            case storedAt = "stored_at_ms"
        }
    }
}

/// How full the cache is, and who fills it.
package struct CacheStatistics: Sendable, Equatable, Codable {
    package var memory: Store
    /// nil: there is none.
    package var disk: Store?
    package var fillsActive: Int
    package var waiters: Int
    /// Zones that cache.
    package var zoneCount: Int
    /// Those with the most bytes first, at most `Limits.cacheZonesShownMax`.
    package var zones: [Zone]

    package init(
        memory: Store, disk: Store? = nil, fillsActive: Int = 0, waiters: Int = 0, zoneCount: Int = 0,
        zones: [Zone] = []
    ) {
        self.memory = memory
        self.disk = disk
        self.fillsActive = fillsActive
        self.waiters = waiters
        self.zoneCount = zoneCount
        self.zones = zones
    }

    enum CodingKeys: String, CodingKey {
        case memory, disk, waiters, zones
        case fillsActive = "fills_active"
        case zoneCount = "zone_count"
    }

    package struct Store: Sendable, Equatable, Codable {
        package var bytes: UInt64
        package var bytesMax: UInt64
        package var objects: Int
        package var evictions: UInt64

        package init(bytes: UInt64 = 0, bytesMax: UInt64 = 0, objects: Int = 0, evictions: UInt64 = 0) {
            self.bytes = bytes
            self.bytesMax = bytesMax
            self.objects = objects
            self.evictions = evictions
        }

        enum CodingKeys: String, CodingKey {
            case bytes, objects, evictions
            case bytesMax = "bytes_max"
        }
    }

    package struct Zone: Sendable, Equatable, Codable {
        package var name: String
        package var memoryBytes: UInt64 = 0
        package var memoryObjects = 0
        package var diskBytes: UInt64 = 0
        package var diskObjects = 0
        /// Exchanges by what the cache did, in the words of `martlet_cache_requests_total`.
        package var requests: [String: UInt64] = [:]
        /// Body bytes that clients got from the cache.
        package var bytesServed: UInt64 = 0

        package init(name: String) {
            self.name = name
        }

        enum CodingKeys: String, CodingKey {
            case name, requests
            case memoryBytes = "memory_bytes"
            case memoryObjects = "memory_objects"
            case diskBytes = "disk_bytes"
            case diskObjects = "disk_objects"
            case bytesServed = "bytes_served"
        }
    }
}
