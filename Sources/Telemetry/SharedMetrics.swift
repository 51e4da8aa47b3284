// The values of everything that is not an event loop: reloads, certificate watching, look-ups. Cold, so a lock serves.

import Synchronization

/// Counts and gauges that any thread may touch. For the hot path there is `LoopMetrics`.
package final class SharedMetrics: Sendable {
    private let state = Mutex(MetricsSnapshot())

    package init() {}

    /// Adds to a counter.
    package func add(_ counter: Counter, _ amount: UInt64 = 1) {
        state.withLock { $0[counter] &+= amount }
    }

    /// Moves a gauge.
    package func adjust(_ gauge: Gauge, by amount: Int) {
        state.withLock { $0[gauge] &+= amount }
    }

    /// Sets a gauge.
    package func set(_ gauge: Gauge, to value: Int) {
        state.withLock { $0[gauge] = value }
    }

    /// Counts why an exchange failed.
    package func failure(_ failure: Failure) {
        state.withLock { $0[failure] += 1 }
    }

    /// Counts one duration.
    package func observe(_ histogram: Histogram, nanoseconds: UInt64) {
        state.withLock { snapshot in
            let row = MetricCells.histograms + histogram.rawValue * MetricCells.histogramStride
            snapshot.cells[row + HistogramBuckets.index(nanoseconds: nanoseconds)] &+= 1
            snapshot.cells[row + MetricCells.histogramSum] &+= nanoseconds
        }
    }

    /// A copy of every value.
    package func snapshot() -> MetricsSnapshot {
        state.withLock { $0 }
    }
}
