import Limits
import Testing

@testable import Telemetry

@Suite struct LoopMetricsTests {
    /// No table may reach into the next one, or two series would share a cell.
    @Test func tablesStayInTheirRoom() {
        let tables: [(name: String, first: Int, count: Int)] = [
            ("counters", MetricCells.counters, Counter.allCases.count),
            ("failures", MetricCells.failures, Failure.allCases.count),
            ("close reasons", MetricCells.closeReasons, CloseReason.allCases.count),
            ("handshakes", MetricCells.handshakes, TLSVersion.allCases.count * MetricCells.handshakeResultCount),
            ("methods", MetricCells.methods, MetricCells.methodCount * MetricCells.classCount),
            ("statuses", MetricCells.statuses, MetricCells.statusCount),
            ("histograms", MetricCells.histograms, Histogram.allCases.count * MetricCells.histogramStride),
            ("gauges", MetricCells.gauges, MetricCells.gaugeCount),
            ("zones", MetricCells.zones, MetricCells.zoneCount * MetricCells.zoneStride),
        ]
        for (table, next) in zip(tables, tables.dropFirst()) {
            #expect(table.first + table.count <= next.first, "\(table.name) reaches into \(next.name)")
        }
        #expect(MetricCells.zones + MetricCells.zoneCount * MetricCells.zoneStride == MetricCells.count)
        #expect(Gauge.allCases.count <= MetricCells.gaugeCount)
        #expect(TLSHandshakeResult.allCases.count <= MetricCells.handshakeResultCount)
        #expect(MethodLabel.allCases.count == MetricCells.methodCount)
        #expect(HistogramBuckets.count <= MetricCells.histogramSum)
        #expect(MetricCells.histogramSum < MetricCells.histogramStride)
        #expect(MetricCells.zoneCount == Limits.zonesMeasuredMax + 1)
    }

    @Test func everyCounterAndGaugeHasItsOwnCell() {
        let metrics = LoopMetrics()
        for (index, counter) in Counter.allCases.enumerated() { metrics.add(counter, UInt64(index + 1)) }
        for (index, gauge) in Gauge.allCases.enumerated() { metrics.set(gauge, to: -index) }
        for kind in Failure.allCases {
            for _ in 0...kind.rawValue { metrics.failure(kind) }
        }
        for reason in CloseReason.allCases {
            for _ in 0...reason.rawValue { metrics.connectionClosed(reason) }
        }
        let snapshot = metrics.snapshot()
        for (index, counter) in Counter.allCases.enumerated() { #expect(snapshot[counter] == UInt64(index + 1)) }
        for (index, gauge) in Gauge.allCases.enumerated() { #expect(snapshot[gauge] == -index) }
        for kind in Failure.allCases { #expect(snapshot[kind] == UInt64(kind.rawValue + 1)) }
        for reason in CloseReason.allCases { #expect(snapshot[reason] == UInt64(reason.rawValue + 1)) }
    }

    @Test func responsesCountByStatusMethodAndZone() {
        let metrics = LoopMetrics()
        metrics.response(zone: 3, status: 200, method: MethodLabel.get.rawValue)
        metrics.response(zone: 3, status: 204, method: MethodLabel.delete.rawValue)
        metrics.response(zone: 3, status: 599, method: MethodLabel.get.rawValue)
        metrics.response(zone: 4, status: 100, method: MethodLabel.get.rawValue)
        metrics.zoneBytes(zone: 3, in: 10, out: 20)
        let snapshot = metrics.snapshot()
        #expect(snapshot.responses(status: 200) == 1)
        #expect(snapshot.responses(status: 204) == 1)
        #expect(snapshot.responses(status: 599) == 1)
        #expect(snapshot.responses(status: 100) == 1)
        #expect(snapshot.responses(status: 201) == 0)
        #expect(snapshot.responses(method: .get, statusClass: 2) == 1)
        #expect(snapshot.responses(method: .get, statusClass: 5) == 1)
        #expect(snapshot.responses(method: .delete, statusClass: 2) == 1)
        #expect(snapshot.responses(zone: 3, statusClass: 2) == 2)
        #expect(snapshot.responses(zone: 3, statusClass: 5) == 1)
        #expect(snapshot.responses(zone: 4, statusClass: 1) == 1)
        #expect(snapshot.zoneBytes(zone: 3) == (in: 10, out: 20))
        #expect(snapshot.zoneBytes(zone: 4) == (in: 0, out: 0))
    }

    @Test func theCacheCountsByZoneAndResult() {
        let metrics = LoopMetrics()
        for result in CacheResult.allCases {
            for _ in 0...result.rawValue { metrics.cache(zone: 3, result, bytes: 10) }
        }
        metrics.cache(zone: 4, .hit, bytes: .max)
        metrics.cache(zone: Limits.zonesMeasuredMax + 1, .miss, bytes: 1)
        let snapshot = metrics.snapshot()
        for result in CacheResult.allCases {
            #expect(snapshot.cacheResults(zone: 3, result) == UInt64(result.rawValue + 1))
        }
        let count = CacheResult.allCases.count
        #expect(snapshot.cacheBytes(zone: 3) == UInt64(10 * count * (count + 1) / 2))
        #expect(snapshot.cacheResults(zone: 4, .hit) == 1)
        #expect(snapshot.cacheBytes(zone: 4) == .max)
        #expect(snapshot.cacheResults(zone: ZoneRegistry.other, .miss) == 1)
        // Nothing of it reaches into the cells of requests and bytes, nor into the next zone's.
        #expect((0...5).allSatisfy { snapshot.responses(zone: 3, statusClass: $0) == 0 })
        #expect(snapshot.zoneBytes(zone: 3) == (in: 0, out: 0))
        #expect((0...5).allSatisfy { snapshot.responses(zone: 5, statusClass: $0) == 0 })
    }

    @Test func aZonesCellsStayInItsRow() {
        #expect(MetricCells.zoneBytesOut < MetricCells.zoneCacheResults)
        #expect(MetricCells.zoneCacheResults + CacheResult.allCases.count <= MetricCells.zoneCacheBytes)
        #expect(MetricCells.zoneCacheBytes < MetricCells.zoneStride)
        // Whole cache lines, so that two zones share none.
        #expect(MetricCells.zoneStride % 8 == 0)
    }

    @Test(arguments: [Int.min, -1, 0, 99, 600, 1000, Int.max])
    func oddStatusCountsAsNone(status: Int) {
        let metrics = LoopMetrics()
        metrics.response(zone: 1, status: status, method: 0)
        let snapshot = metrics.snapshot()
        #expect(snapshot.responses(status: 0) == 1)
        #expect(snapshot.responses(zone: 1, statusClass: 0) == 1)
        #expect(snapshot.responses(method: .get, statusClass: 0) == 1)
    }

    @Test(arguments: [Int.min, -1, Limits.zonesMeasuredMax + 1, Int.max])
    func oddZoneAndMethodCountAsOther(value: Int) {
        let metrics = LoopMetrics()
        metrics.response(zone: value, status: 200, method: value)
        metrics.zoneBytes(zone: value, in: 1, out: 2)
        let snapshot = metrics.snapshot()
        #expect(snapshot.responses(zone: ZoneRegistry.other, statusClass: 2) == 1)
        #expect(snapshot.responses(method: .other, statusClass: 2) == 1)
        #expect(snapshot.zoneBytes(zone: ZoneRegistry.other) == (in: 1, out: 2))
    }

    @Test func negativeAmountsAreIgnored() {
        let metrics = LoopMetrics()
        metrics.add(.clientBytesIn, 5 as Int)
        metrics.add(.clientBytesIn, -7 as Int)
        #expect(metrics.snapshot()[.clientBytesIn] == 5)
    }

    @Test func mergeAddsUp() {
        let first = LoopMetrics()
        let second = LoopMetrics()
        let shared = SharedMetrics()
        first.add(.requestsReceived, 3 as UInt64)
        second.add(.requestsReceived, 4 as UInt64)
        first.adjust(.clientConnectionsActive, by: 2)
        second.adjust(.clientConnectionsActive, by: -1)
        second.response(zone: 7, status: 301, method: 0)
        second.observe(.originConnect, nanoseconds: 40_000)
        shared.observe(.originConnect, nanoseconds: 41_000)
        shared.add(.configReloadsOK)
        shared.set(.zonesConfigured, to: 9)
        shared.adjust(.zonesConfigured, by: 1)
        shared.failure(.originName)
        second.tlsHandshake(.completed, version: .v13)
        // In an order in which the shorter copy, without zones, comes first.
        var merged = shared.snapshot()
        merged.merge(first.snapshot())
        merged.merge(second.snapshot())
        #expect(merged[.requestsReceived] == 7)
        #expect(merged[.clientConnectionsActive] == 1)
        #expect(merged.responses(zone: 7, statusClass: 3) == 1)
        #expect(merged.count(.originConnect, bucket: 1) == 2)
        #expect(merged.sum(.originConnect) == 81_000)
        #expect(merged[.configReloadsOK] == 1)
        #expect(merged[.zonesConfigured] == 10)
        #expect(merged[Failure.originName] == 1)
        #expect(merged.tlsHandshakes(.completed, version: .v13) == 1)
        #expect(merged.tlsHandshakes(.failed, version: .v13) == 0)
    }

    @Test func zonesKeepTheirIndexAndTheRestShareOne() {
        let registry = ZoneRegistry(zonesMax: 3)
        let first = registry.index(of: "a.test")
        let second = registry.index(of: "b.test")
        #expect(first != second)
        #expect(registry.index(of: "a.test") == first)
        // A zone of that very name must not make the series appear twice.
        #expect(registry.index(of: "other") == ZoneRegistry.other)
        #expect(registry.index(of: "c.test") == 3)
        #expect(registry.index(of: "d.test") == ZoneRegistry.other)
        #expect(registry.index(of: "b.test") == second)
        #expect(registry.names() == ["other", "a.test", "b.test", "c.test"])
    }
}
