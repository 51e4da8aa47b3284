// The monotone counts that need no label chosen at run time. One row per series: adding one is adding a case and
// its row in `series`. Cases of one family stand together, because the family's HELP is printed before its first.

/// A count that only grows. The raw value is its cell in `MetricCells`.
package enum Counter: Int, CaseIterable, Sendable {
    // From the client.
    case clientConnectionsAcceptedHTTP
    case clientConnectionsAcceptedHTTPS
    /// Accepted and closed at once, because `limits.connections` was reached.
    case clientConnectionsRefused
    /// Request heads read, answered or not.
    case requestsReceived
    /// 1xx responses passed on (RFC 9110, section 15.2).
    case interimResponses
    case clientBytesIn
    case clientBytesOut
    case tunnelsOpened
    /// Client to origin.
    case tunnelBytesIn
    /// Origin to client.
    case tunnelBytesOut

    // HTTP/2 with clients (RFC 9113).
    case http2ConnectionsSecure
    case http2ConnectionsClear
    case http2Streams
    case http2ResetsByClient
    /// Streams that we reset: the client's errors, and responses that could not be completed.
    case http2ResetsByEdge
    /// Connections ended because the client broke the protocol.
    case http2ProtocolErrors
    /// Connections ended with ENHANCE_YOUR_CALM, by what the client did too much of.
    case http2AbuseRapidReset
    case http2AbuseServerReset
    case http2AbuseContinuationFlood
    case http2AbuseSettingsFlood
    case http2AbusePingFlood
    case http2AbuseWindowUpdateFlood
    case http2AbuseEmptyFrames
    case http2AbusePriorityFlood
    case http2AbuseHPACKBomb
    case http2AbuseTinyWindow
    case http2AbuseStreamFlood
    case http2AbuseUnknownFrames
    case http2AbuseControlBacklog

    // To the origin.
    case originBytesIn
    case originBytesOut
    case originConnectsOK
    case originConnectsFailed
    /// Exchanges that ran over a connection opened for them.
    case originConnectionsNew
    /// Exchanges that ran over a pooled connection.
    case originConnectionsReused
    /// Exchanges that had to wait for a connection.
    case originPoolWaits
    /// Exchanges refused because too many waited already.
    case originPoolOverflows
    case originRetriesStaleConnection
    case originRetriesFailover
    case originEjections
    case originReadmissions
    case originHealthChecksOK
    case originHealthChecksFailed
    case originLookupsOK
    case originLookupsFailed

    // The cache.
    /// Responses fetched for it, by what became of them.
    case cacheFillsStored
    /// May not be stored: the origin's fields, the request's, or the zone's settings.
    case cacheFillsUncacheable
    /// Larger than `cache.object`, or than any store has room for.
    case cacheFillsTooLarge
    /// The origin broke off.
    case cacheFillsFailed
    /// Given up because everybody had left and more than a bound was still to come.
    case cacheFillsAbandoned
    /// The origin answered 304.
    case cacheRevalidationsNotModified
    /// The origin answered with another response.
    case cacheRevalidationsChanged
    case cacheRevalidationsFailed
    case cacheEvictionsMemory
    case cacheEvictionsDisk
    /// Objects that came from the disk into memory because they were asked for.
    case cachePromotions
    case cacheDiskReadsOK
    /// Refused because too much waited already: served as a miss.
    case cacheDiskReadsBusy
    /// A checksum did not match.
    case cacheDiskReadsCorrupt
    case cacheDiskReadsFailed
    case cacheDiskWritesOK
    /// Not begun because too much waited already.
    case cacheDiskWritesDropped
    case cacheDiskWritesFailed
    case cacheDiskBytesRead
    case cacheDiskBytesWritten
    /// Objects invalidated by an unsafe request (RFC 9111, section 4.4).
    case cacheInvalidations
    /// What the operator asked for.
    case cachePurges
    case cachePurgedObjects

    // The process.
    case configReloadsOK
    case configReloadsFailed
    case certificateReloadsOK
    case certificateReloadsFailed
    case accessLogLinesWritten
    case accessLogLinesDropped
    case accessLogWriteErrors
    case processLogLinesDropped
}

/// How one value appears in the Prometheus text: the family's name and help, and the labels between the braces.
package struct SeriesDescription: Sendable {
    package let name: StaticString
    package let help: StaticString
    /// `key="value"` pairs with commas, already escaped; empty for none.
    package let labels: StaticString

    init(_ name: StaticString, _ help: StaticString) {
        self.init(name, "", help)
    }

    init(_ name: StaticString, _ labels: StaticString, _ help: StaticString) {
        self.name = name
        self.labels = labels
        self.help = help
    }
}

extension Counter {
    /// Name, labels and help of the series.
    package var series: SeriesDescription {
        switch self {
        case .clientConnectionsAcceptedHTTP, .clientConnectionsAcceptedHTTPS, .clientConnectionsRefused,
            .requestsReceived, .interimResponses, .clientBytesIn, .clientBytesOut, .tunnelsOpened, .tunnelBytesIn,
            .tunnelBytesOut:
            clientSeries
        case .http2ConnectionsSecure, .http2ConnectionsClear, .http2Streams, .http2ResetsByClient, .http2ResetsByEdge,
            .http2ProtocolErrors:
            http2Series
        case .http2AbuseRapidReset, .http2AbuseServerReset, .http2AbuseContinuationFlood, .http2AbuseSettingsFlood,
            .http2AbusePingFlood, .http2AbuseWindowUpdateFlood, .http2AbuseEmptyFrames, .http2AbusePriorityFlood,
            .http2AbuseHPACKBomb, .http2AbuseTinyWindow, .http2AbuseStreamFlood, .http2AbuseUnknownFrames,
            .http2AbuseControlBacklog:
            http2AbuseSeries
        case .configReloadsOK, .configReloadsFailed, .certificateReloadsOK, .certificateReloadsFailed,
            .accessLogLinesWritten, .accessLogLinesDropped, .accessLogWriteErrors, .processLogLinesDropped:
            processSeries
        case .cacheFillsStored, .cacheFillsUncacheable, .cacheFillsTooLarge, .cacheFillsFailed, .cacheFillsAbandoned,
            .cacheRevalidationsNotModified, .cacheRevalidationsChanged, .cacheRevalidationsFailed,
            .cacheEvictionsMemory, .cacheEvictionsDisk, .cachePromotions, .cacheInvalidations, .cachePurges,
            .cachePurgedObjects:
            cacheSeries
        case .cacheDiskReadsOK, .cacheDiskReadsBusy, .cacheDiskReadsCorrupt, .cacheDiskReadsFailed,
            .cacheDiskWritesOK, .cacheDiskWritesDropped, .cacheDiskWritesFailed, .cacheDiskBytesRead,
            .cacheDiskBytesWritten:
            cacheDiskSeries
        default:
            originSeries
        }
    }

    private var clientSeries: SeriesDescription {
        switch self {
        case .clientConnectionsAcceptedHTTP:
            .init("martlet_client_connections_total", #"listener="http""#, "Client connections accepted.")
        case .clientConnectionsAcceptedHTTPS:
            .init("martlet_client_connections_total", #"listener="https""#, "Client connections accepted.")
        case .clientConnectionsRefused:
            .init("martlet_client_connections_refused_total", "Client connections closed at once: too many open.")
        case .requestsReceived:
            .init("martlet_requests_received_total", "Request heads read, whether answered or not.")
        case .interimResponses:
            .init("martlet_interim_responses_total", "Interim (1xx) responses passed on to clients.")
        case .clientBytesIn:
            .init("martlet_client_bytes_total", #"direction="in""#, "Bytes exchanged with clients, without TLS.")
        case .clientBytesOut:
            .init("martlet_client_bytes_total", #"direction="out""#, "Bytes exchanged with clients, without TLS.")
        case .tunnelsOpened:
            .init("martlet_tunnels_opened_total", "Connections that became tunnels after a 101 from the origin.")
        case .tunnelBytesIn:
            .init("martlet_tunnel_bytes_total", #"direction="in""#, "Bytes carried by tunnels, seen from the client.")
        default:
            .init("martlet_tunnel_bytes_total", #"direction="out""#, "Bytes carried by tunnels, seen from the client.")
        }
    }

    private var originSeries: SeriesDescription {
        switch self {
        case .originBytesIn:
            .init("martlet_origin_bytes_total", #"direction="in""#, "Bytes exchanged with origins, without TLS.")
        case .originBytesOut:
            .init("martlet_origin_bytes_total", #"direction="out""#, "Bytes exchanged with origins, without TLS.")
        case .originConnectsOK:
            .init("martlet_origin_connects_total", #"result="ok""#, "Attempts to connect to an origin.")
        case .originConnectsFailed:
            .init("martlet_origin_connects_total", #"result="failed""#, "Attempts to connect to an origin.")
        case .originConnectionsNew:
            .init(
                "martlet_origin_connections_total", #"reused="false""#,
                "Origin connections taken for an exchange, new or from the pool.")
        case .originConnectionsReused:
            .init(
                "martlet_origin_connections_total", #"reused="true""#,
                "Origin connections taken for an exchange, new or from the pool.")
        case .originPoolWaits:
            .init("martlet_origin_pool_waits_total", "Exchanges that waited for an origin connection.")
        case .originPoolOverflows:
            .init("martlet_origin_pool_overflows_total", "Exchanges refused: too many waited for the origin already.")
        case .originRetriesStaleConnection:
            .init("martlet_origin_retries_total", #"reason="stale_connection""#, "Exchanges tried again.")
        case .originRetriesFailover:
            .init("martlet_origin_retries_total", #"reason="failover""#, "Exchanges tried again.")
        case .originEjections:
            .init("martlet_origin_ejections_total", "Origins ejected after failures in a row.")
        case .originReadmissions:
            .init("martlet_origin_readmissions_total", "Origins taken back after an ejection.")
        case .originHealthChecksOK:
            .init("martlet_origin_health_checks_total", #"result="ok""#, "Active health checks.")
        case .originHealthChecksFailed:
            .init("martlet_origin_health_checks_total", #"result="failed""#, "Active health checks.")
        case .originLookupsOK:
            .init("martlet_origin_lookups_total", #"result="ok""#, "Look-ups of origins' names.")
        default:
            .init("martlet_origin_lookups_total", #"result="failed""#, "Look-ups of origins' names.")
        }
    }

    private var processSeries: SeriesDescription {
        switch self {
        case .configReloadsOK:
            .init("martlet_config_reloads_total", #"result="ok""#, "Configuration files read after the first.")
        case .configReloadsFailed:
            .init("martlet_config_reloads_total", #"result="failed""#, "Configuration files read after the first.")
        case .certificateReloadsOK:
            .init("martlet_certificate_reloads_total", #"result="ok""#, "Certificates read anew after a change.")
        case .certificateReloadsFailed:
            .init("martlet_certificate_reloads_total", #"result="failed""#, "Certificates read anew after a change.")
        case .accessLogLinesWritten:
            .init("martlet_access_log_lines_total", #"result="written""#, "Access log lines by their fate.")
        case .accessLogLinesDropped:
            .init("martlet_access_log_lines_total", #"result="dropped""#, "Access log lines by their fate.")
        case .accessLogWriteErrors:
            .init("martlet_access_log_write_errors_total", "Failed attempts to open or write the access log.")
        default:
            .init("martlet_process_log_lines_dropped_total", "Lines of the process's own log that found no taker.")
        }
    }
}
