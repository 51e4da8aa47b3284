import ConfigLog
import Glibc
import Limits
import Synchronization
import Telemetry

/// How an edge is, in the words that the control plane judges a roll-out by: counts of the last minute.
final class HealthMeter: Sendable {
    private struct Sample {
        var milliseconds: UInt64
        var counts: MetricsSnapshot
    }

    private struct State {
        /// Oldest first, a little more than the window.
        var samples: [Sample] = []
        var refused = 0
        var crashedUntil: UInt64 = 0
    }

    private let state = Mutex(State())
    private let marker: String

    /// - Parameter data: where a file stands while the edge runs: one that is found there at the start was left by a crash.
    init(data: String) {
        marker = data + "/running"
        let now = MonotonicClock.nanoseconds() / 1_000_000
        let descriptor = open(marker, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
        if descriptor >= 0 {
            close(descriptor)
        } else if errno == EEXIST {
            state.withLock { $0.crashedUntil = now + UInt64(Limits.healthWindowMilliseconds) }
        }
    }

    /// A clean end.
    func stop() { unlink(marker) }

    /// Takes the next sample.
    func add(_ counts: MetricsSnapshot, refused: Int) {
        let now = MonotonicClock.nanoseconds() / 1_000_000
        state.withLock { state in
            state.samples.append(Sample(milliseconds: now, counts: counts))
            state.refused = refused
            let start = now - min(now, UInt64(Limits.healthWindowMilliseconds))
            // The first one is from before the window, so that a whole window lies between it and the last.
            while state.samples.count > 2, state.samples[1].milliseconds <= start { state.samples.removeFirst() }
        }
    }

    /// The last minute, or as much of it as there was.
    var summary: HealthSummary {
        let now = MonotonicClock.nanoseconds() / 1_000_000
        return state.withLock { state in
            var summary = HealthSummary()
            summary.refusedObjects = UInt32(clamping: state.refused)
            summary.crashes = now < state.crashedUntil ? 1 : 0
            guard let first = state.samples.first?.counts, let last = state.samples.last?.counts else { return summary }
            summary.requests = Self.difference(first, last) { $0[.requestsReceived] }
            summary.serverErrors = Self.difference(first, last) { counts in
                Failure.allCases.reduce(0) { $0 &+ ($1.status >= 500 ? counts[$1] : 0) }
            }
            summary.latencyP99Microseconds = Self.latency(first, last)
            summary.cacheHits = Self.difference(first, last, Self.hits)
            summary.bytesSent = Self.difference(first, last) { $0[.clientBytesOut] }
            return summary
        }
    }

    private static func difference(
        _ first: MetricsSnapshot, _ last: MetricsSnapshot, _ value: (MetricsSnapshot) -> UInt64
    ) -> UInt64 {
        let (from, to) = (value(first), value(last))
        return to - min(from, to)
    }

    private static func hits(_ counts: MetricsSnapshot) -> UInt64 {
        let hits: [CacheResult] = [.hit, .stale, .revalidated, .coalesced]
        return (0...Limits.zonesMeasuredMax).reduce(0) { sum, zone in
            hits.reduce(sum) { $0 &+ counts.cacheResults(zone: zone, $1) }
        }
    }

    /// The upper bound of the bucket that the 99th percentile lies in, in microseconds; 0 without a request.
    private static func latency(_ first: MetricsSnapshot, _ last: MetricsSnapshot) -> UInt32 {
        let counts = (0..<HistogramBuckets.count).map { bucket in
            difference(first, last) { $0.count(.requestTotal, bucket: bucket) }
        }
        let total = counts.reduce(0, &+)
        guard total > 0 else { return 0 }
        var seen: UInt64 = 0
        for (bucket, count) in counts.enumerated() {
            seen &+= count
            if seen &* 100 >= total &* 99 {
                return UInt32(clamping: (HistogramBuckets.upperBound(bucket) ?? .max) / 1000)
            }
        }
        return .max
    }
}
