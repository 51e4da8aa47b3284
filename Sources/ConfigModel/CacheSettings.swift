import Limits

/// The cache of the whole process: what `cache:` says at the top of the file.
package struct CacheStoreSettings: Sendable, Equatable {
    /// Most bytes of memory that objects take, with everything that holds them together.
    package var memoryBytesMax: UInt64 = Limits.cacheMemoryBytesDefault
    /// Objects up to this size live in memory; larger ones on the disk alone.
    package var memoryObjectBytesMax: UInt64 = Limits.cacheMemoryObjectBytesDefault
    /// Most bytes on the disk; nil: no disk store.
    package var diskBytesMax: UInt64? = Limits.cacheDiskBytesDefault
    /// Directory of the disk store, absolute.
    package var path = ""
    /// The largest object that is stored at all.
    package var objectBytesMax: UInt64 = Limits.cacheObjectBytesDefault

    package init() {}
}

/// How one zone is cached. The defaults follow the origin's fields and nothing else.
package struct CacheSettings: Sendable, Equatable {
    /// False: nothing of the zone is looked up or stored.
    package var isEnabled = true
    /// What of the URL and the request tells two objects apart.
    package var key = CacheKeySettings()
    /// A request with one of these cookies goes past the cache. Names, compared exactly; a trailing `*` covers all that
    /// begin so.
    package var bypassCookies: [String] = []
    /// Stores every answer to GET that carries no directive against it, for `defaultTTL` if the origin names no
    /// lifetime.
    package var everything = false
    /// The lifetime of what `everything` stores without one; milliseconds.
    package var defaultTTL = Limits.cacheDefaultTTLMillisecondsDefault
    /// Lifetimes that replace the origin's, by status, the narrowest range first; the first that covers it counts. 0:
    /// never stored.
    package var ttlByStatus: [StatusTTL] = []
    /// Share of the time since Last-Modified that a response without a lifetime is fresh for, in hundredths (RFC 9111,
    /// section 4.2.2); 0: no heuristic.
    package var heuristicPercent = 0
    /// Whether a request's own directives are obeyed (RFC 9111, section 5.2.1).
    package var respectsClientDirectives = true
    /// Serves what it has, however stale, while no origin answers.
    package var alwaysOnline = false
    /// Windows of RFC 5861 where the origin names none; milliseconds.
    package var staleWhileRevalidate = 0
    package var staleIfError = 0
    /// Most bytes of memory and of disk for this zone; nil: its fair share.
    package var memoryBytesMax: UInt64?
    package var diskBytesMax: UInt64?
    /// Reduces Accept-Encoding to the codings origins speak, in one order, for the key and for the origin alike.
    package var normalizesAcceptEncoding = true

    package init() {}

    package struct StatusTTL: Sendable, Equatable {
        package var statuses: ClosedRange<Int>
        /// Milliseconds.
        package var ttl: Int
        package init(statuses: ClosedRange<Int>, ttl: Int) {
            self.statuses = statuses
            self.ttl = ttl
        }
    }
}

/// The parts of a cache key that a zone chooses.
package struct CacheKeySettings: Sendable, Equatable {
    package enum Query: Sendable, Equatable {
        case all
        /// `ignore_query: true`.
        case none
        /// Only the parameters of these names.
        case only([String])
        /// All parameters but those of these names.
        case except([String])
    }

    package var query = Query.all
    /// Orders the query's parameters by name, in the key and in what the origin gets.
    package var sortsQuery = false
    /// Request fields whose values are part of the key; lower case.
    package var headers: [String] = []
    /// Cookies whose values are part of the key.
    package var cookies: [String] = []
    /// Whether the kind of device (mobile, tablet, desktop, from User-Agent) is part of the key.
    package var device = false
    /// Whether the first language of Accept-Language is part of the key.
    package var language = false

    package init() {}

    /// Whether something beyond the URL counts.
    package var hasParts: Bool { !headers.isEmpty || !cookies.isEmpty || device || language }
}
