// How HTTP/2's counters appear in the Prometheus text.

extension Counter {
    var http2Series: SeriesDescription {
        let connections: StaticString = "martlet_http2_connections_total"
        let connectionsHelp: StaticString = "Client connections that speak HTTP/2."
        let resets: StaticString = "martlet_http2_stream_resets_total"
        let resetsHelp: StaticString = "Streams that were reset (RFC 9113, section 6.4), by whom."
        return switch self {
        case .http2ConnectionsSecure: .init(connections, #"transport="tls""#, connectionsHelp)
        case .http2ConnectionsClear: .init(connections, #"transport="clear""#, connectionsHelp)
        case .http2Streams: .init("martlet_http2_streams_total", "Requests that came as streams of HTTP/2.")
        case .http2ResetsByClient: .init(resets, #"by="client""#, resetsHelp)
        case .http2ResetsByEdge: .init(resets, #"by="edge""#, resetsHelp)
        default:
            .init(
                "martlet_http2_protocol_errors_total",
                "Connections ended by an error of HTTP/2 (RFC 9113, section 5.4.1), abuse counted apart.")
        }
    }

    var http2AbuseSeries: SeriesDescription {
        let labels: StaticString =
            switch self {
            case .http2AbuseRapidReset: #"kind="rapid_reset""#
            case .http2AbuseServerReset: #"kind="server_reset""#
            case .http2AbuseContinuationFlood: #"kind="continuation_flood""#
            case .http2AbuseSettingsFlood: #"kind="settings_flood""#
            case .http2AbusePingFlood: #"kind="ping_flood""#
            case .http2AbuseWindowUpdateFlood: #"kind="window_update_flood""#
            case .http2AbuseEmptyFrames: #"kind="empty_frames""#
            case .http2AbusePriorityFlood: #"kind="priority_flood""#
            case .http2AbuseHPACKBomb: #"kind="hpack_bomb""#
            case .http2AbuseTinyWindow: #"kind="tiny_window""#
            case .http2AbuseStreamFlood: #"kind="stream_flood""#
            case .http2AbuseUnknownFrames: #"kind="unknown_frames""#
            default: #"kind="control_backlog""#
            }
        return .init("martlet_http2_abuse_total", labels, "Client connections ended for abuse of HTTP/2, by its kind.")
    }
}
