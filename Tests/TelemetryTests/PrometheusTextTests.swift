import Testing

@testable import Telemetry

@Suite struct PrometheusTextTests {
    private func page(
        _ snapshot: MetricsSnapshot, zones: [String] = ["other"], origins: [OriginStatus] = [],
        process: ProcessFacts? = nil, version: String = "1.2.3"
    ) throws -> PrometheusPageParser {
        try PrometheusPageParser(
            PrometheusText.render(snapshot, zones: zones, origins: origins, process: process, version: version))
    }

    @Test func emptyPageIsValidAndShowsTheFixedSeriesAsZero() throws {
        let page = try page(MetricsSnapshot())
        #expect(page.value("martlet_build_info", ["version": "1.2.3"]) == 1)
        #expect(page.value("martlet_origin_connections_total", ["reused": "true"]) == 0)
        #expect(page.value("martlet_errors_total", ["kind": "head_too_large", "side": "client"]) == 0)
        #expect(page.value("martlet_errors_total", ["kind": "origin_first_byte_timeout", "side": "origin"]) == 0)
        #expect(page.value("martlet_tls_handshakes_total", ["version": "1.3", "result": "failed"]) == 0)
        #expect(page.value("martlet_request_duration_seconds_bucket", ["le": "+Inf"]) == 0)
        #expect(page.types["martlet_request_duration_seconds"] == "histogram")
        #expect(page.samples.allSatisfy { $0.name != "process_open_fds" })
    }

    @Test func everySeriesShowsItsValue() throws {
        let metrics = LoopMetrics()
        for counter in Counter.allCases { metrics.add(counter, UInt64(counter.rawValue + 1)) }
        for gauge in Gauge.allCases { metrics.set(gauge, to: 10 - 2 * gauge.rawValue) }
        metrics.response(zone: 0, status: 404, method: MethodLabel.post.rawValue)
        metrics.response(zone: 1, status: 0, method: 99)
        metrics.zoneBytes(zone: 1, in: 5, out: 6)
        let page = try page(metrics.snapshot(), zones: ["other", "example.test"])
        for counter in Counter.allCases {
            let values = page.samples.filter { $0.name == counter.series.name.description }.map(\.value)
            #expect(values.contains(Double(counter.rawValue + 1)), "\(counter)")
        }
        for gauge in Gauge.allCases {
            #expect(page.value(gauge.series.name.description) == Double(10 - 2 * gauge.rawValue), "\(gauge)")
        }
        #expect(page.value("martlet_responses_total", ["status": "404"]) == 1)
        #expect(page.value("martlet_responses_total", ["status": "none"]) == 1)
        #expect(page.value("martlet_requests_by_method_total", ["method": "POST", "class": "4xx"]) == 1)
        #expect(page.value("martlet_requests_total", ["zone": "other", "class": "4xx"]) == 1)
        #expect(page.value("martlet_requests_total", ["zone": "example.test", "class": "none"]) == 1)
        #expect(page.value("martlet_zone_bytes_total", ["zone": "example.test", "direction": "out"]) == 6)
    }

    @Test func whatTheCacheDidIsShownByZone() throws {
        let metrics = LoopMetrics()
        metrics.cache(zone: 1, .hit, bytes: 100)
        metrics.cache(zone: 1, .hit, bytes: 50)
        metrics.cache(zone: 0, .coalesced, bytes: 7)
        metrics.cache(zone: 1, .bypass, bytes: 0)
        let page = try page(metrics.snapshot(), zones: ["other", "example.test"])
        let requests = "martlet_cache_requests_total"
        #expect(page.value(requests, ["zone": "example.test", "result": "hit"]) == 2)
        #expect(page.value(requests, ["zone": "example.test", "result": "bypass"]) == 1)
        #expect(page.value(requests, ["zone": "other", "result": "coalesced"]) == 1)
        #expect(page.samples.count { $0.name == requests } == 3)
        #expect(page.value("martlet_cache_bytes_total", ["zone": "example.test"]) == 150)
        #expect(page.value("martlet_cache_bytes_total", ["zone": "other"]) == 7)
        #expect(page.value("martlet_cache_evictions_total", ["store": "disk"]) == 0)
        #expect(page.value("martlet_cache_fills_total", ["result": "too_large"]) == 0)
        #expect(page.value("martlet_errors_total", ["kind": "only_if_cached", "side": "client"]) == 0)
        #expect(page.types["martlet_cache_disk_read_seconds"] == "histogram")
    }

    @Test func histogramIsCumulativeAndExact() throws {
        let metrics = LoopMetrics()
        for nanoseconds: UInt64 in [1, 32_768, 32_769, 1_000_000, 90_000_000_000] {
            metrics.observe(.originFirstByte, nanoseconds: nanoseconds)
        }
        let page = try page(metrics.snapshot())
        let name = "martlet_origin_first_byte_seconds"
        let buckets = page.samples.filter { $0.name == name + "_bucket" }
        #expect(buckets.count == HistogramBuckets.count)
        let bounds = try buckets.map { sample in
            let bound = try #require(sample.labels["le"])
            return bound == "+Inf" ? Double.infinity : try #require(Double(bound))
        }
        #expect(bounds == bounds.sorted())
        #expect(Set(bounds).count == bounds.count)
        #expect(buckets.map(\.value) == buckets.map(\.value).sorted())
        #expect(page.value(name + "_bucket", ["le": "0.000032768"]) == 2)
        #expect(page.value(name + "_bucket", ["le": "0.000049152"]) == 3)
        #expect(page.value(name + "_bucket", ["le": "68.719476736"]) == 4)
        #expect(page.value(name + "_bucket", ["le": "+Inf"]) == 5)
        #expect(page.value(name + "_count") == 5)
        let text = String(
            decoding: PrometheusText.render(
                metrics.snapshot(), zones: [], origins: [], process: nil, version: ""), as: UTF8.self)
        #expect(text.contains("\n\(name)_sum 90.001065538\n"))
    }

    @Test func labelValuesAreEscaped() throws {
        let odd = "a\"b\\c\nd{}=,é\r"
        let origin = OriginStatus(
            zone: odd, origin: odd, isHealthy: true, isEjected: false, activeConnections: 3, idleConnections: -1)
        let page = try page(MetricsSnapshot(), origins: [origin, origin], version: odd)
        #expect(page.value("martlet_build_info", ["version": odd]) == 1)
        #expect(page.value("martlet_origin_up", ["zone": odd, "origin": odd]) == 1)
        #expect(page.value("martlet_origin_ejected", ["zone": odd, "origin": odd]) == 0)
        let pool = "martlet_origin_pool_connections"
        #expect(page.value(pool, ["zone": odd, "origin": odd, "state": "active"]) == 3)
        #expect(page.value(pool, ["zone": odd, "origin": odd, "state": "idle"]) == 0)
    }

    @Test func originsAreBounded() throws {
        let origins = (0..<PrometheusText.originsShownMax + 5).map {
            OriginStatus(
                zone: "z", origin: "http://\($0)", isHealthy: false, isEjected: true, activeConnections: 0,
                idleConnections: 0)
        }
        let page = try page(MetricsSnapshot(), origins: origins)
        #expect(page.samples.count { $0.name == "martlet_origin_up" } == PrometheusText.originsShownMax)
    }

    @Test func familiesStandTogetherWithOneHelpEach() {
        var finished: Set<String> = []
        var last = ""
        var help = ""
        for counter in Counter.allCases {
            let name = counter.series.name.description
            if name != last {
                #expect(!finished.contains(name), "\(name) is torn apart")
                finished.insert(last)
                last = name
                help = counter.series.help.description
            }
            #expect(counter.series.help.description == help)
            #expect(name.hasPrefix("martlet_") && name.hasSuffix("_total"))
        }
        let series = Counter.allCases.map { $0.series.name.description + "{" + $0.series.labels.description }
        #expect(Set(series).count == series.count)
    }

    @Test func kindsHaveDistinctLabels() {
        #expect(Set(Failure.allCases.map(\.label.description)).count == Failure.allCases.count)
        #expect(Set(CloseReason.allCases.map(\.label.description)).count == CloseReason.allCases.count)
        #expect(Set(CacheResult.allCases.map(\.label.description)).count == CacheResult.allCases.count)
    }

    @Test func processFactsAreShown() throws {
        var facts = ProcessFacts()
        facts.cpuNanoseconds = 1_500_000_000
        facts.residentBytes = 7
        facts.openFileDescriptors = 8
        facts.fileDescriptorsMax = UInt64.max
        facts.startUnixNanoseconds = 1_700_000_000_250_000_000
        let page = try page(MetricsSnapshot(), process: facts)
        #expect(page.value("process_cpu_seconds_total") == 1.5)
        #expect(page.value("process_resident_memory_bytes") == 7)
        #expect(page.value("process_open_fds") == 8)
        #expect(page.value("process_max_fds") == Double(UInt64.max))
        #expect(page.value("process_start_time_seconds") == 1_700_000_000.25)
    }
}
