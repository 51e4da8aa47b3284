// Values that go up and down. Each loop keeps its own part; a scrape adds the parts up.

/// A value that goes up and down. What belongs to the whole process is set in `SharedMetrics` alone.
package enum Gauge: Int, CaseIterable, Sendable {
    case clientConnectionsActive
    /// Open, between requests.
    case clientConnectionsIdle
    case requestsActive
    case tunnelsActive
    case originConnectionsActive
    case originConnectionsIdle
    /// Exchanges waiting for an origin connection now.
    case originPoolWaiters
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
        case .originConnectionsActive:
            .init("martlet_origin_connections_active", "Origin connections serving an exchange now.")
        case .originConnectionsIdle:
            .init("martlet_origin_connections_idle", "Origin connections waiting in the pool now.")
        case .originPoolWaiters:
            .init("martlet_origin_pool_waiters", "Exchanges waiting for an origin connection now.")
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
