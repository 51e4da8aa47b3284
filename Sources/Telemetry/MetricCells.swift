// Where each value lives in a loop's block of cells. Every table has a fixed place with room to grow, so that the hot
// path adds at `constant + index`; a test asserts that no table outgrows its room.
//
//     0         96                      192       224   240        320         832           1216
//     counters  failures                closings  TLS   method·6   status 512  histograms    gauges 32   zones·16
//
// A zone takes two cache lines: requests by status class (0 none or odd, 1xx … 5xx), bytes in, bytes out; requests by
// what the cache did (`CacheResult`), bytes out from the cache.

import Limits

/// First cells of the tables, and their strides. Computed, because another module reads a stored constant through a
/// function call.
package enum MetricCells {
    @inlinable static var counters: Int { 0 }
    @inlinable static var failures: Int { 96 }
    @inlinable static var closeReasons: Int { 192 }
    @inlinable static var handshakes: Int { 224 }
    @inlinable static var handshakeResultCount: Int { 4 }
    @inlinable static var methods: Int { 240 }
    @inlinable static var classCount: Int { 8 }
    @inlinable static var methodCount: Int { 10 }
    @inlinable static var statuses: Int { 320 }
    /// Statuses 100…599 in order, then unused cells; the last counts everything else.
    @inlinable static var statusCount: Int { 512 }
    @inlinable static var histograms: Int { 832 }
    /// Buckets, then the sum of nanoseconds, then padding.
    @inlinable static var histogramStride: Int { 48 }
    @inlinable static var histogramSum: Int { 44 }
    @inlinable static var gauges: Int { 1216 }
    @inlinable static var gaugeCount: Int { 32 }
    @inlinable static var zones: Int { 1248 }
    @inlinable static var zoneStride: Int { 16 }
    @inlinable static var zoneBytesIn: Int { 6 }
    @inlinable static var zoneBytesOut: Int { 7 }
    @inlinable static var zoneCacheResults: Int { 8 }
    @inlinable static var zoneCacheBytes: Int { 15 }
    /// Zones with cells: the shared one at index 0, and those with a name.
    static let zoneCount = Limits.zonesMeasuredMax + 1
    static let count = zones + zoneCount * zoneStride
}
