// Values that go up and down. Each loop keeps its own part; a scrape adds the parts up.

/// A value that goes up and down. What belongs to the whole process is set in `SharedMetrics` alone.
package enum Gauge: Int, CaseIterable, Sendable {
    case clientConnectionsActive
    /// Open, between requests.
    case clientConnectionsIdle
    case requestsActive
    case tunnelsActive
    case http2ConnectionsActive
    /// Requests of HTTP/2 being answered, those included that wait for their client's window.
    case http2StreamsActive
    case originConnectionsActive
    case originConnectionsIdle
    /// Exchanges waiting for an origin connection now.
    case originPoolWaiters
    /// What objects take, with everything that holds them together.
    case cacheMemoryBytes
    case cacheMemoryBytesMax
    case cacheMemoryObjects
    case cacheDiskBytes
    /// 0 without a disk store.
    case cacheDiskBytesMax
    case cacheDiskObjects
    /// Fetches for the cache under way.
    case cacheFillsActive
    /// Exchanges that wait for such a fetch, or stream from it, and did not begin it.
    case cacheWaiters
    /// Unix seconds of the last attempt to load the configuration.
    case configLastReloadTimestamp
    /// 1 if that attempt was taken, 0 if the file was refused.
    case configLastReloadSuccess
    case zonesConfigured
    case accessLogBufferedBytes
}

extension Gauge {
    /// Name, labels and help of the series.
    package var series: SeriesDescription {
        switch self {
        case .clientConnectionsActive:
            .init("martlet_client_connections_active", "Client connections open now.")
        case .clientConnectionsIdle:
            .init("martlet_client_connections_idle", "Client connections open now, between requests.")
        case .requestsActive:
            .init("martlet_requests_active", "Requests being answered now.")
        case .tunnelsActive:
            .init("martlet_tunnels_active", "Upgraded connections carrying bytes now.")
        case .http2ConnectionsActive:
            .init("martlet_http2_connections_active", "Client connections open now that speak HTTP/2.")
        case .http2StreamsActive:
            .init("martlet_http2_streams_active", "Streams of HTTP/2 open now, with clients.")
        case .originConnectionsActive:
            .init("martlet_origin_connections_active", "Origin connections serving an exchange now.")
        case .originConnectionsIdle:
            .init("martlet_origin_connections_idle", "Origin connections waiting in the pool now.")
        case .originPoolWaiters:
            .init("martlet_origin_pool_waiters", "Exchanges waiting for an origin connection now.")
        case .cacheMemoryBytes:
            .init("martlet_cache_memory_bytes", "Memory that cached objects take.")
        case .cacheMemoryBytesMax:
            .init("martlet_cache_memory_limit_bytes", "Memory that cached objects may take.")
        case .cacheMemoryObjects:
            .init("martlet_cache_memory_objects", "Responses cached in memory.")
        case .cacheDiskBytes:
            .init("martlet_cache_disk_bytes", "Disk space that cached objects take.")
        case .cacheDiskBytesMax:
            .init("martlet_cache_disk_limit_bytes", "Disk space that cached objects may take.")
        case .cacheDiskObjects:
            .init("martlet_cache_disk_objects", "Responses cached on the disk.")
        case .cacheFillsActive:
            .init("martlet_cache_fills_active", "Fetches for the cache under way now.")
        case .cacheWaiters:
            .init("martlet_cache_waiters", "Exchanges served now by a fetch that another began.")
        case .configLastReloadTimestamp:
            .init("martlet_config_last_reload_timestamp_seconds", "Unix time of the last configuration load.")
        case .configLastReloadSuccess:
            .init("martlet_config_last_reload_success", "Whether the last configuration load was taken.")
        case .zonesConfigured:
            .init("martlet_zones_configured", "Zones of the configuration being served.")
        case .accessLogBufferedBytes:
            .init("martlet_access_log_buffered_bytes", "Bytes of access log waiting to be written.")
        }
    }
}
