// The values of one event loop. Only that loop touches them: plain loads and stores, no atomics, no locks, no
// dictionary, no allocation after `init`. The type is not Sendable, and that is what keeps it so. Whoever scrapes
// runs `snapshot()` on the loop and carries the copy away.

/// Counts, gauges and latencies of one event loop.
package final class LoopMetrics {
    /// `MetricCells.count` cells. Gauges are kept as the bit patterns of their signed values.
    @usableFromInline let cells: UnsafeMutablePointer<UInt64>
    @usableFromInline let zoneCount: Int

    package init() {
        zoneCount = MetricCells.zoneCount
        cells = .allocate(capacity: MetricCells.count)
        cells.initialize(repeating: 0, count: MetricCells.count)
    }

    deinit {
        cells.deallocate()
    }

    /// Adds to a counter.
    @inlinable package func add(_ counter: Counter, _ amount: UInt64 = 1) {
        cells[MetricCells.counters &+ counter.rawValue] &+= amount
    }

    /// Adds to a counter. A negative amount is ignored: a counter never goes back.
    @inlinable package func add(_ counter: Counter, _ amount: Int) {
        add(counter, UInt64(truncatingIfNeeded: max(amount, 0)))
    }

    /// Moves this loop's part of a gauge.
    @inlinable package func adjust(_ gauge: Gauge, by amount: Int) {
        cells[MetricCells.gauges &+ gauge.rawValue] &+= UInt64(bitPattern: Int64(amount))
    }

    /// Sets this loop's part of a gauge; a scrape shows the sum over all loops.
    @inlinable package func set(_ gauge: Gauge, to value: Int) {
        cells[MetricCells.gauges &+ gauge.rawValue] = UInt64(bitPattern: Int64(value))
    }

    /// Counts one duration.
    @inlinable package func observe(_ histogram: Histogram, nanoseconds: UInt64) {
        let row = cells + (MetricCells.histograms &+ histogram.rawValue &* MetricCells.histogramStride)
        row[HistogramBuckets.index(nanoseconds: nanoseconds)] &+= 1
        row[MetricCells.histogramSum] &+= nanoseconds
    }

    /// Counts one exchange at its end.
    ///
    /// - Parameters:
    ///   - zone: The zone's index in `ZoneRegistry`; 0, or one that is out of range, counts as `other`.
    ///   - status: The final status sent. Anything outside 100...599 counts as "none", such as 0 when the client
    ///     went away first.
    ///   - method: The raw value of a `MethodLabel`.
    @inlinable package func response(zone: Int, status: Int, method: Int) {
        let offset = UInt(bitPattern: status &- 100)
        let isStatus = offset < 500
        // One division, by a constant: a multiplication.
        let statusClass = isStatus ? Int(bitPattern: offset / 100 &+ 1) : 0
        let statusCell = isStatus ? Int(bitPattern: offset) : MetricCells.statusCount &- 1
        let lastMethod = UInt(bitPattern: MetricCells.methodCount &- 1)
        let methodRow = Int(bitPattern: min(UInt(bitPattern: method), lastMethod))
        cells[MetricCells.statuses &+ statusCell] &+= 1
        cells[MetricCells.methods &+ methodRow &* MetricCells.classCount &+ statusClass] &+= 1
        cells[zoneCell(zone) &+ statusClass] &+= 1
    }

    /// Adds the client's bytes of one exchange to its zone: from the client, and to it.
    @inlinable package func zoneBytes(zone: Int, in bytesIn: UInt64, out bytesOut: UInt64) {
        let cell = zoneCell(zone)
        cells[cell &+ MetricCells.zoneBytesIn] &+= bytesIn
        cells[cell &+ MetricCells.zoneBytesOut] &+= bytesOut
    }

    /// Counts what the cache did in one exchange, at its end. Not called for a zone without a cache.
    ///
    /// - Parameter bytes: Body bytes of the response that came from the cache and not from the origin.
    @inlinable package func cache(zone: Int, _ result: CacheResult, bytes: UInt64) {
        let cell = zoneCell(zone)
        cells[cell &+ MetricCells.zoneCacheResults &+ result.rawValue] &+= 1
        cells[cell &+ MetricCells.zoneCacheBytes] &+= bytes
    }

    /// Counts why an exchange failed.
    @inlinable package func failure(_ failure: Failure) {
        cells[MetricCells.failures &+ failure.rawValue] &+= 1
    }

    /// Counts the end of a client connection. The gauges are the caller's to adjust.
    @inlinable package func connectionClosed(_ reason: CloseReason) {
        cells[MetricCells.closeReasons &+ reason.rawValue] &+= 1
    }

    /// Counts a TLS handshake with a client, done or failed.
    @inlinable package func tlsHandshake(_ result: TLSHandshakeResult, version: TLSVersion) {
        let row = version.rawValue &* MetricCells.handshakeResultCount
        cells[MetricCells.handshakes &+ row &+ result.rawValue] &+= 1
    }

    /// A copy of every value, to be carried to another thread.
    package func snapshot() -> MetricsSnapshot {
        MetricsSnapshot(copying: UnsafeBufferPointer(start: cells, count: MetricCells.count))
    }

    @inlinable func zoneCell(_ zone: Int) -> Int {
        let isMeasured = UInt(bitPattern: zone) < UInt(bitPattern: zoneCount)
        return MetricCells.zones &+ (isMeasured ? zone : 0) &* MetricCells.zoneStride
    }
}
