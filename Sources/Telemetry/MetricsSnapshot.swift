// A copy of metrics that may travel between threads: what a loop hands to a scrape.

/// The values of one loop at one moment, or of several merged.
package struct MetricsSnapshot: Sendable, Equatable {
    /// Laid out by `MetricCells`. The zones' cells may be missing at the end, and read as 0.
    var cells: [UInt64]

    /// Every value 0.
    package init() {
        cells = Array(repeating: 0, count: MetricCells.zones)
    }

    init(copying source: UnsafeBufferPointer<UInt64>) {
        cells = Array(source)
    }

    /// Adds another's values to these. Gauges add up as well: each loop holds its own part.
    package mutating func merge(_ other: MetricsSnapshot) {
        if cells.count < other.cells.count {
            cells.append(contentsOf: repeatElement(0, count: other.cells.count - cells.count))
        }
        for index in other.cells.indices {
            cells[index] &+= other.cells[index]
        }
    }

    /// A counter's value.
    package subscript(counter: Counter) -> UInt64 {
        get { cells[MetricCells.counters + counter.rawValue] }
        set { cells[MetricCells.counters + counter.rawValue] = newValue }
    }

    /// A gauge's value.
    package subscript(gauge: Gauge) -> Int {
        get { Int(truncatingIfNeeded: cells[MetricCells.gauges + gauge.rawValue]) }
        set { cells[MetricCells.gauges + gauge.rawValue] = UInt64(bitPattern: Int64(newValue)) }
    }

    /// How often this error was met.
    package subscript(failure: Failure) -> UInt64 {
        get { cells[MetricCells.failures + failure.rawValue] }
        set { cells[MetricCells.failures + failure.rawValue] = newValue }
    }

    /// How many connections ended so.
    package subscript(reason: CloseReason) -> UInt64 { cells[MetricCells.closeReasons + reason.rawValue] }

    /// How many handshakes of a version ended so.
    package func tlsHandshakes(_ result: TLSHandshakeResult, version: TLSVersion) -> UInt64 {
        cells[MetricCells.handshakes + version.rawValue * MetricCells.handshakeResultCount + result.rawValue]
    }

    /// How many exchanges ended with a status of 100...599; any other asks for those without a status.
    package func responses(status: Int) -> UInt64 {
        let cell = (100...599).contains(status) ? status - 100 : MetricCells.statusCount - 1
        return cells[MetricCells.statuses + cell]
    }

    /// How many exchanges of a method ended in a class: 1...5, or 0 for none.
    package func responses(method: MethodLabel, statusClass: Int) -> UInt64 {
        guard (0...5).contains(statusClass) else { return 0 }
        return cells[MetricCells.methods + method.rawValue * MetricCells.classCount + statusClass]
    }

    /// How many exchanges of a zone ended in a class: 1...5, or 0 for none.
    package func responses(zone: Int, statusClass: Int) -> UInt64 {
        (0...5).contains(statusClass) ? zoneValue(zone, statusClass) : 0
    }

    /// The client's bytes of a zone's exchanges.
    package func zoneBytes(zone: Int) -> (in: UInt64, out: UInt64) {
        (zoneValue(zone, MetricCells.zoneBytesIn), zoneValue(zone, MetricCells.zoneBytesOut))
    }

    /// In how many exchanges of a zone the cache did this.
    package func cacheResults(zone: Int, _ result: CacheResult) -> UInt64 {
        zoneValue(zone, MetricCells.zoneCacheResults + result.rawValue)
    }

    /// The body bytes that a zone's clients got from the cache.
    package func cacheBytes(zone: Int) -> UInt64 { zoneValue(zone, MetricCells.zoneCacheBytes) }

    /// How many durations fell into a bucket; see `HistogramBuckets`.
    package func count(_ histogram: Histogram, bucket: Int) -> UInt64 {
        guard (0..<HistogramBuckets.count).contains(bucket) else { return 0 }
        return cells[MetricCells.histograms + histogram.rawValue * MetricCells.histogramStride + bucket]
    }

    /// The sum of all durations, in nanoseconds.
    package func sum(_ histogram: Histogram) -> UInt64 {
        let row = MetricCells.histograms + histogram.rawValue * MetricCells.histogramStride
        return cells[row + MetricCells.histogramSum]
    }

    private func zoneValue(_ zone: Int, _ offset: Int) -> UInt64 {
        guard (0..<MetricCells.zoneCount).contains(zone) else { return 0 }
        let index = MetricCells.zones + zone * MetricCells.zoneStride + offset
        return index < cells.count ? cells[index] : 0
    }
}
