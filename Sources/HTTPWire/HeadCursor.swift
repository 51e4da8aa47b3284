// Where a head parser stands between two calls.
//
// The first look at a line parses it directly. When the line turns out to be unfinished, later calls only look for its
// LF among the bytes that are new, and parse again once it is there (or once the bound is reached, so that a fault in
// the line is reported rather than its length). So a head that drips in byte by byte costs a constant per byte.

struct HeadCursor: Sendable {
    /// The first byte of the line that is not taken yet.
    var lineStart = 0
    /// Up to here an unfinished line is known to hold no LF.
    private var scanned = 0

    /// Whether it is worth parsing from `lineStart`. `limit` is at most `bytes.count`; `isFull` says that the line may
    /// not go on beyond it.
    @inline(__always)
    mutating func mayParse(_ bytes: Span<UInt8>, limit: Int, isFull: Bool) -> Bool {
        if scanned <= lineStart { return true }
        let lineFeed = bytes.firstIndex(of: ASCII.lineFeed, from: scanned, limit: limit)
        if lineFeed < limit || isFull { return true }
        scanned = max(scanned, limit)
        return false
    }

    /// Notes that the line at `lineStart` does not end before `limit`.
    mutating func stop(at limit: Int) { scanned = max(limit, lineStart) }
}
