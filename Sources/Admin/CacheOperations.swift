/// What the operator may ask of a running cache. The door knows only this; the cache is put behind it at the start.
package struct CacheOperations: Sendable {
    /// Removes or marks responses. Done when it is in force and its objects are counted.
    package var purge: @Sendable (CachePurge) async throws(CacheProblem) -> CachePurgeAnswer
    /// What is stored for a URL.
    ///
    /// - Parameter zone: nil finds the zone by the URL's host.
    package var inspect: @Sendable (_ url: String, _ zone: String?) async throws(CacheProblem) -> CacheInspection
    package var statistics: @Sendable () async -> CacheStatistics

    package init(
        purge: @escaping @Sendable (CachePurge) async throws(CacheProblem) -> CachePurgeAnswer,
        inspect: @escaping @Sendable (_ url: String, _ zone: String?) async throws(CacheProblem) -> CacheInspection,
        statistics: @escaping @Sendable () async -> CacheStatistics
    ) {
        self.purge = purge
        self.inspect = inspect
        self.statistics = statistics
    }
}

/// Why the cache cannot do what was asked. Nothing was changed.
package enum CacheProblem: Error, Sendable, Equatable {
    /// No zone of this name is configured.
    case unknownZone(String)
    /// No zone answers for this host.
    case noZone(host: String)
    /// Nothing is cached there.
    case cacheOff(zone: String)
    /// No key can be made of it.
    case badURL(String)
    /// The request itself is wrong; in words for the operator.
    case badRequest(String)

    /// The word that scripts compare.
    package var kind: String {
        switch self {
        case .unknownZone: "unknown_zone"
        case .noZone: "no_zone"
        case .cacheOff: "cache_off"
        case .badURL: "bad_url"
        case .badRequest: "bad_request"
        }
    }

    package var status: Int {
        switch self {
        case .unknownZone, .noZone, .cacheOff: 404
        case .badURL, .badRequest: 400
        }
    }
}

extension CacheProblem: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unknownZone(let name): "no zone is called \"\(name)\""
        case .noZone(let host): "no zone answers for the host \"\(host)\""
        case .cacheOff(let zone): "nothing is cached for the zone \"\(zone)\": its cache is off"
        case .badURL(let url): "expected a URL such as https://www.example.test/path, found \"\(url)\""
        case .badRequest(let text): text
        }
    }
}
