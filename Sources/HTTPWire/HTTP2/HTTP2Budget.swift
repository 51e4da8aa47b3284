// How much of what is allowed in small numbers a peer has had (RFC 9113, section 10.5): a bucket for each abuse.
//
// A bucket counts up, and is emptied with time and by honest work. Time is only looked at when a bucket is full, so that
// counting is one addition. So a peer that was quiet for long can have twice a burst, and never more.

internal import Limits

/// The buckets of one connection.
struct HTTP2Budget: Sendable {
    private var spent = InlineArray<13, Int32>(repeating: 0)
    private var refilledAt: UInt64 = 0
    /// A bucket that ran over where nobody could be told: the next step does.
    private(set) var overrun: HTTP2Abuse?

    mutating func begin(at now: UInt64) { refilledAt = now }

    /// Counts `count` of `abuse`; false if that is too much.
    @inline(__always)
    mutating func spend(_ abuse: HTTP2Abuse, _ count: Int = 1, at now: UInt64) -> Bool {
        let index = Int(abuse.rawValue)
        let sum = Int(spent[index]) &+ min(max(0, count), Self.countMax)
        spent[index] = Int32(truncatingIfNeeded: min(sum, Self.countMax))
        return sum <= abuse.burst || isEmptied(abuse, at: now)
    }

    /// The same where there is nobody to tell.
    @inline(__always)
    mutating func spendSilently(_ abuse: HTTP2Abuse, at now: UInt64) {
        if !spend(abuse, at: now) { overrun = abuse }
    }

    /// Honest work of which `abuse` is a part: gives back.
    @inline(__always)
    mutating func earn(_ abuse: HTTP2Abuse, _ count: Int) {
        let index = Int(abuse.rawValue)
        // What was earned before stays.
        spent[index] = max(min(0, spent[index]), spent[index] &- Int32(truncatingIfNeeded: count))
    }

    /// DATA was sent, which the peer may answer by WINDOW_UPDATE and PING, all of it much later: with a wide window
    /// thousands of frames are under way. So what is earned by it piles up, within a bound.
    @inline(__always)
    mutating func earnAnswers() {
        earnAnswers(.windowUpdateFlood, Limits.http2CreditPerFrame)
        earnAnswers(.pingFlood, 1)
    }

    @inline(__always)
    private mutating func earnAnswers(_ abuse: HTTP2Abuse, _ count: Int) {
        let index = Int(abuse.rawValue)
        spent[index] = max(-Self.answersMax, spent[index] &- Int32(truncatingIfNeeded: count))
    }

    private static var answersMax: Int32 { Int32(clamping: Limits.http2AnswersMax) }

    private static var countMax: Int { 1 << 30 }

    /// Empties all buckets by the time that has passed; false if this one still runs over.
    @inline(never)
    private mutating func isEmptied(_ abuse: HTTP2Abuse, at now: UInt64) -> Bool {
        let milliseconds = now > refilledAt ? Int(truncatingIfNeeded: min((now &- refilledAt) / 1_000_000, 1 << 30)) : 0
        // In less than this, some buckets would get nothing for the time that is then taken as used.
        if milliseconds >= 1000 {
            refilledAt = now
            for other in HTTP2Abuse.allCases {
                let index = Int(other.rawValue)
                let freed = min(milliseconds &* other.perSecond / 1000, Self.countMax)
                spent[index] = max(min(0, spent[index]), spent[index] &- Int32(truncatingIfNeeded: freed))
            }
        }
        return Int(spent[Int(abuse.rawValue)]) <= abuse.burst
    }
}

extension HTTP2Abuse {
    /// How much at once is still honest.
    var burst: Int {
        switch self {
        case .rapidReset: Limits.http2RapidResetBurst
        case .serverReset: Limits.http2ServerResetBurst
        case .settingsFlood: Limits.http2SettingsFloodBurst
        case .pingFlood: Limits.http2PingFloodBurst
        case .windowUpdateFlood: Limits.http2WindowUpdateFloodBurst
        case .emptyFrames: Limits.http2EmptyFramesBurst
        case .priorityFlood: Limits.http2PriorityFloodBurst
        case .hpackBomb: Limits.http2HPACKBombBurst
        case .tinyWindow: Limits.http2TinyWindowBurst
        case .streamFlood: Limits.http2StreamFloodBurst
        case .unknownFrames: Limits.http2UnknownFramesBurst
        // Judged by size.
        case .continuationFlood, .controlBacklog: 0
        }
    }

    /// How much a second is.
    var perSecond: Int {
        switch self {
        case .rapidReset: Limits.http2RapidResetPerSecond
        case .serverReset: Limits.http2ServerResetPerSecond
        case .settingsFlood: Limits.http2SettingsFloodPerSecond
        case .pingFlood: Limits.http2PingFloodPerSecond
        case .windowUpdateFlood: Limits.http2WindowUpdateFloodPerSecond
        case .emptyFrames: Limits.http2EmptyFramesPerSecond
        case .priorityFlood: Limits.http2PriorityFloodPerSecond
        case .hpackBomb: Limits.http2HPACKBombPerSecond
        case .tinyWindow: Limits.http2TinyWindowPerSecond
        case .streamFlood: Limits.http2StreamFloodPerSecond
        case .unknownFrames: Limits.http2UnknownFramesPerSecond
        case .continuationFlood, .controlBacklog: 0
        }
    }
}
