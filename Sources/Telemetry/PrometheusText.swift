// The page at /metrics, text format 0.0.4. Durations are kept in nanoseconds and printed in seconds with integer
// arithmetic, so every figure is exact. Series that never counted anything are printed as 0 where their labels are
// few and fixed, and left out where they are many: statuses, methods, zones.

/// Renders metrics for Prometheus.
package enum PrometheusText {
    /// Value of the Content-Type field for a rendered page.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// The whole page. With a thousand zones it is about a megabyte, so render off the event loops.
    ///
    /// - Parameters:
    ///   - snapshot: The merged values of every loop, of `SharedMetrics` and of the logs.
    ///   - zones: `ZoneRegistry.names()`, taken after the snapshot so that every index in it has a name.
    ///   - origins: The origins' state now; one element for each pair of zone and origin.
    ///   - process: nil leaves the `process_` family out.
    package static func render(
        _ snapshot: MetricsSnapshot,
        zones: [String],
        origins: [OriginStatus],
        process: ProcessFacts?,
        version: String
    ) -> [UInt8] {
        var page = PrometheusPage()
        page.header("martlet_build_info", "Which build this is.", type: "gauge")
        page.sample("martlet_build_info", [("version", version)], 1)
        renderCounters(snapshot, into: &page)
        renderGauges(snapshot, into: &page)
        renderKinds(snapshot, into: &page)
        renderResponses(snapshot, into: &page)
        renderHistograms(snapshot, into: &page)
        renderZones(snapshot, zones, into: &page)
        renderOrigins(origins, into: &page)
        if let process { renderProcess(process, into: &page) }
        return page.bytes
    }

    private static func renderCounters(_ snapshot: MetricsSnapshot, into page: inout PrometheusPage) {
        var family = ""
        for counter in Counter.allCases {
            let series = counter.series
            let name = series.name.description
            if name != family {
                page.header(series.name, series.help, type: "counter")
                family = name
            }
            page.sample(series.name, fixedLabels: series.labels, snapshot[counter])
        }
    }

    private static func renderGauges(_ snapshot: MetricsSnapshot, into page: inout PrometheusPage) {
        for gauge in Gauge.allCases {
            page.header(gauge.series.name, gauge.series.help, type: "gauge")
            page.sample(gauge.series.name, signed: snapshot[gauge])
        }
    }

    private static func renderKinds(_ snapshot: MetricsSnapshot, into page: inout PrometheusPage) {
        page.header("martlet_errors_total", "Exchanges that failed, by kind and by whose side it was.", type: "counter")
        for failure in Failure.allCases {
            page.sample(
                "martlet_errors_total",
                [("kind", failure.label.description), ("side", failure.side.label.description)], snapshot[failure])
        }
        let closed: StaticString = "martlet_client_connections_closed_total"
        page.header(closed, "Client connections closed, by reason.", type: "counter")
        for reason in CloseReason.allCases {
            page.sample(closed, [("reason", reason.label.description)], snapshot[reason])
        }
        let handshakes: StaticString = "martlet_tls_handshakes_total"
        page.header(handshakes, "TLS handshakes with clients, by version and result.", type: "counter")
        for version in TLSVersion.allCases {
            for result in TLSHandshakeResult.allCases {
                let labels: [PrometheusPage.Label] = [
                    ("version", version.label.description), ("result", result.label.description),
                ]
                page.sample(handshakes, labels, snapshot.tlsHandshakes(result, version: version))
            }
        }
    }

    private static func renderResponses(_ snapshot: MetricsSnapshot, into page: inout PrometheusPage) {
        let responses: StaticString = "martlet_responses_total"
        page.header(responses, "Final responses by exact status; none where the client left first.", type: "counter")
        for status in 100...600 {
            let count = snapshot.responses(status: status)
            guard count > 0 else { continue }
            page.sample(responses, [("status", status == 600 ? "none" : String(status))], count)
        }
        let byMethod: StaticString = "martlet_requests_by_method_total"
        page.header(byMethod, "Exchanges ended, by method and class of status.", type: "counter")
        for method in MethodLabel.allCases {
            for statusClass in 0...5 {
                let count = snapshot.responses(method: method, statusClass: statusClass)
                guard count > 0 else { continue }
                let labels: [PrometheusPage.Label] = [
                    ("method", method.label.description), ("class", className(statusClass)),
                ]
                page.sample(byMethod, labels, count)
            }
        }
    }

    private static func renderHistograms(_ snapshot: MetricsSnapshot, into page: inout PrometheusPage) {
        for histogram in Histogram.allCases {
            let name = histogram.series.name
            page.header(name, histogram.series.help, type: "histogram")
            var total: UInt64 = 0
            for bucket in 0..<HistogramBuckets.count {
                total &+= snapshot.count(histogram, bucket: bucket)
                page.bucket(name, bound: HistogramBuckets.upperBound(bucket), total)
            }
            page.seconds(name, suffix: "_sum", nanoseconds: snapshot.sum(histogram))
            page.sample(name, suffix: "_count", total)
        }
    }

    private static func renderZones(
        _ snapshot: MetricsSnapshot, _ zones: [String], into page: inout PrometheusPage
    ) {
        page.header("martlet_requests_total", "Exchanges ended, by zone and class of status.", type: "counter")
        for (index, zone) in zones.enumerated() {
            for statusClass in 0...5 {
                let count = snapshot.responses(zone: index, statusClass: statusClass)
                guard count > 0 else { continue }
                page.sample("martlet_requests_total", [("zone", zone), ("class", className(statusClass))], count)
            }
        }
        page.header("martlet_zone_bytes_total", "Bytes exchanged with clients, by zone.", type: "counter")
        for (index, zone) in zones.enumerated() {
            let bytes = snapshot.zoneBytes(zone: index)
            guard bytes.in > 0 || bytes.out > 0 else { continue }
            page.sample("martlet_zone_bytes_total", [("zone", zone), ("direction", "in")], bytes.in)
            page.sample("martlet_zone_bytes_total", [("zone", zone), ("direction", "out")], bytes.out)
        }
        renderZoneCaches(snapshot, zones, into: &page)
    }

    private static func renderZoneCaches(
        _ snapshot: MetricsSnapshot, _ zones: [String], into page: inout PrometheusPage
    ) {
        let requests: StaticString = "martlet_cache_requests_total"
        page.header(requests, "Exchanges ended, by zone and what the cache did.", type: "counter")
        for (index, zone) in zones.enumerated() {
            for result in CacheResult.allCases {
                let count = snapshot.cacheResults(zone: index, result)
                guard count > 0 else { continue }
                page.sample(requests, [("zone", zone), ("result", result.label.description)], count)
            }
        }
        let bytes: StaticString = "martlet_cache_bytes_total"
        page.header(bytes, "Body bytes that clients got from the cache, by zone.", type: "counter")
        for (index, zone) in zones.enumerated() {
            let count = snapshot.cacheBytes(zone: index)
            if count > 0 { page.sample(bytes, [("zone", zone)], count) }
        }
    }

    private static func className(_ statusClass: Int) -> String {
        statusClass == 0 ? "none" : "\(statusClass)xx"
    }
}
