import Limits

/// The bounds of one node that a test or an operator may want otherwise; the usual ones stand in `Limits`.
package struct LogBounds: Sendable {
    package var windowBytesMax = Limits.configWindowBytesMax
    package var windowFramesMax = Limits.configWindowFramesMax
    package var inFlightBytesMax = Limits.configInFlightBytesMax
    package var childQueueBytesMax = Limits.configChildQueueBytesMax
    package var childStallMilliseconds = Limits.configChildStallMilliseconds
    package var childrenMax = Limits.configChildrenMax
    package var returnMilliseconds = Limits.configReturnMilliseconds

    package init() {}
}
