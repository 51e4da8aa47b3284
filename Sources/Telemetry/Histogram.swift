// Latencies per stage. The bounds are log-linear: two buckets for each power of two, from 32.768 µs to 68.7 s, so
// that the bucket of a value follows from its leading zeros and no search is needed.
//
//     bucket   0          1          2          3          …   42        43
//     bound    2^15 ns    1.5·2^15   2^16       1.5·2^16       2^36 ns   +Inf
//
// A bound belongs to its bucket (Prometheus's `le` is "less or equal").

/// A stage whose duration is measured. The raw value is its row in `MetricCells`.
package enum Histogram: Int, CaseIterable, Sendable {
    /// From the first byte of a request to the last byte of its response.
    case requestTotal
    case tlsHandshake
    /// From asking the pool for a connection to having one, waiting and connecting included.
    case originPoolWait
    /// TCP and TLS together.
    case originConnect
    /// From the end of the request's head to the first byte of the response.
    case originFirstByte
    /// From asking the disk store for an object to having it, waiting included.
    case cacheDiskRead
    /// One write of the disk store, without waiting.
    case cacheDiskWrite
}

extension Histogram {
    /// Name and help of the family.
    package var series: SeriesDescription {
        switch self {
        case .requestTotal:
            .init("martlet_request_duration_seconds", "First byte of a request to the last of its response.")
        case .tlsHandshake:
            .init("martlet_tls_handshake_duration_seconds", "TLS handshakes with clients.")
        case .originPoolWait:
            .init("martlet_origin_pool_wait_seconds", "Asking for an origin connection to having one.")
        case .originConnect:
            .init("martlet_origin_connect_duration_seconds", "Connecting to an origin, TLS included.")
        case .originFirstByte:
            .init("martlet_origin_first_byte_seconds", "Request head sent to first byte of the response.")
        case .cacheDiskRead:
            .init("martlet_cache_disk_read_seconds", "Asking the cache's disk store for an object to having it.")
        case .cacheDiskWrite:
            .init("martlet_cache_disk_write_seconds", "Writes of the cache's disk store.")
        }
    }
}

/// The arithmetic of the buckets.
package enum HistogramBuckets {
    @inlinable static var firstExponent: Int { 15 }
    @inlinable static var lastExponent: Int { 36 }
    /// Buckets of one histogram, the one without an upper bound included.
    package static let count = 44

    /// The bucket that counts a duration.
    @inlinable package static func index(nanoseconds: UInt64) -> Int {
        // Bounds belong to the bucket below them, hence the value less one. Clamping first leaves 15…36 for the
        // exponent; the two top bits (2 or 3) tell the halves of an octave apart.
        let below = nanoseconds &- (nanoseconds == 0 ? 0 : 1)
        let clamped = min(max(below, (1 &<< UInt64(firstExponent)) &- 1), 1 &<< UInt64(lastExponent))
        let exponent = 63 &- clamped.leadingZeroBitCount
        let topBits = Int(truncatingIfNeeded: clamped &>> UInt64(truncatingIfNeeded: exponent &- 1))
        return 2 &* (exponent &- firstExponent) &+ topBits &- 1
    }

    /// The largest duration a bucket counts, in nanoseconds; nil for the last, which has no bound.
    package static func upperBound(_ bucket: Int) -> UInt64? {
        guard bucket >= 0, bucket < count - 1 else { return nil }
        let octave = UInt64(1) << UInt64(firstExponent + bucket / 2)
        return bucket % 2 == 0 ? octave : octave + octave / 2
    }
}
