// How the bounds of HTTP/2 relate, to each other and to those of their neighbours.

import Limits
import Testing

@Suite("Bounds of HTTP/2: frames and heads")
struct HTTP2FrameBoundTests {
    @Test("frames are of the size that every peer takes")
    func frames() {
        // RFC 9113, section 4.2: without a setting, no more and no less.
        #expect(Limits.http2FrameBytesMax == 16_384)
        #expect(Limits.http2DataFrameBytesMax == Limits.http2FrameBytesMax + 9)
        #expect(Limits.http2DataFrameBytesMax <= Limits.http2BatchBytes)
        // A batch by itself must not make the channel unwritable.
        #expect(Limits.http2BatchBytes + Limits.http2DataFrameBytesMax <= Limits.writeBufferBytesHigh)
        #expect(Limits.http2TinyFrameBytes < Limits.http2FrameBytesMax)
    }

    @Test("what is kept for control frames holds a connection's beginning: preface, SETTINGS, WINDOW_UPDATE")
    func controlKept() {
        #expect(Limits.http2KeptControlBytesMax >= 24 + 9 + 6 * 6 + 13)
        #expect(Limits.http2KeptControlBytesMax <= Limits.http2ControlBytesMax)
    }

    @Test("budgets give out before the answers that they allow fill the backlog")
    func controlBacklog() {
        // A bucket gives twice its burst at most (emptied once by time), and each of these is answered by one frame.
        let pings = 2 * Limits.http2PingFloodBurst * 17
        let settings = 2 * Limits.http2SettingsFloodBurst * 9
        let resets = 2 * (Limits.http2ServerResetBurst + Limits.http2StreamFloodBurst) * 13
        #expect(pings + settings + resets <= Limits.http2ControlBytesMax)
    }

    @Test("every head that may be configured can be decoded")
    func heads() {
        // Cookies that are joined lie there twice.
        #expect(Limits.http2HeadBytesMax >= 2 * Limits.headBytesRange.upperBound)
        #expect(Limits.http2HeadBytesMax >= Limits.responseHeadBytesMax)
        #expect(Limits.http2HeadBytesMax <= Int(UInt32.max))
        #expect(Limits.http2ListShareMax >= 1)
    }

    @Test("every head that may be configured can come in pieces")
    func continuation() {
        #expect(Limits.http2BlockShareMax >= 1)
        let pieces = Limits.http2ContinuationFramesMax * Limits.http2FrameBytesMax
        #expect(pieces >= Limits.http2BlockShareMax * Limits.headBytesRange.upperBound)
        #expect(pieces >= Limits.http2BlockShareMax * Limits.responseHeadBytesMax)
        // The default one also in small pieces of 1 KiB.
        #expect(Limits.http2ContinuationFramesMax * 1024 >= Limits.headBytesDefault)
        #expect(Limits.http2EmptyContinuationFramesMax < Limits.http2ContinuationFramesMax)
    }

    @Test("tables are no larger than what holds without a setting, so that none is sent and none waited for")
    func tables() {
        #expect(Limits.http2DecoderTableBytesMax <= 4096)
        #expect(Limits.http2EncoderTableBytesMax <= 4096)
        // A table is small beside the smallest head it stands for: what two bytes can say is bounded by it.
        #expect(Limits.http2DecoderTableBytesMax <= Limits.headBytesRange.lowerBound)
    }
}

@Suite("Bounds of HTTP/2: streams and windows")
struct HTTP2StreamBoundTests {
    @Test("numbers of streams")
    func streams() {
        #expect(Limits.http2StreamsPerConnectionRange.contains(Limits.http2StreamsPerConnectionDefault))
        // RFC 9113, section 6.5.2: not below 100, for a client would lose parallelism.
        #expect(Limits.http2StreamsPerConnectionDefault >= 100)
        #expect(Limits.http2UnsettledStreamsMax >= 100)
        #expect(Limits.http2UnsettledStreamsMax <= Limits.http2OriginStreamsMax)
        // Slots and identifiers of streams fit their 31 bits, and rows their Int32.
        #expect(Limits.http2StreamsPerConnectionRange.upperBound < Int(Int32.max))
        // A whole connection's streams can be kept for the next one's.
        #expect(Limits.http2SpareStreamsMax >= Limits.http2StreamsPerConnectionRange.upperBound)
        #expect(Limits.http2SpareStreamsMax >= Limits.http2OriginStreamsMax)
        // A connection's counters of requests do not end it within one round of its streams.
        #expect(Limits.requestsPerConnectionDefault > Limits.http2StreamsPerConnectionRange.upperBound)
    }

    @Test("late streams are looked for soon enough for every default")
    func sweep() {
        #expect(Limits.http2SweepMilliseconds >= Limits.deadlineTickMilliseconds)
        for (name, milliseconds) in TimeBoundTests.defaults where milliseconds > 5000 {
            #expect(Limits.http2SweepMilliseconds * 10 <= milliseconds, "\(name)")
        }
    }

    @Test("windows lie between what holds without a word and 2^31-1")
    func windows() {
        let windows = [
            Limits.http2StreamWindowBytes, Limits.http2ConnectionWindowBytes,
            Limits.http2OriginStreamWindowBytes, Limits.http2OriginConnectionWindowBytes,
        ]
        // RFC 9113, sections 6.9.1 and 6.9.2. A smaller one would hold only once it is acknowledged.
        #expect(windows.allSatisfy { 65_535...0x7FFF_FFFF ~= $0 })
        // A peer is told of more at half a window, which must leave it a frame to send meanwhile.
        #expect(windows.allSatisfy { $0 / 2 >= Limits.http2FrameBytesMax })
        // One stream that is not read must not hold up the others.
        #expect(Limits.http2StreamWindowBytes * 2 <= Limits.http2ConnectionWindowBytes)
        #expect(Limits.http2OriginStreamWindowBytes * 2 <= Limits.http2OriginConnectionWindowBytes)
    }

    @Test("bodies that are kept, or thrown away, fit what their clients may send")
    func bodies() {
        // Otherwise a body that is kept for a retry stops the client before it is whole.
        #expect(Limits.retryBodyBytesMax <= Limits.http2StreamWindowBytes)
        // One connection by itself must not stop the loop's reading.
        #expect(Limits.http2HeldBytesPerLoopMax >= 16 * Limits.http2ConnectionWindowBytes)
    }

    @Test("a queue goes on while it still has a frame to give, and stops below what a socket holds")
    func queues() {
        #expect(Limits.http2StreamQueueBytesLow >= Limits.http2FrameBytesMax)
        #expect(Limits.http2StreamQueueBytesLow < Limits.http2StreamQueueBytesHigh)
        #expect(Limits.http2StreamQueueBytesHigh <= Limits.writeBufferBytesHigh)
        #expect(Limits.http2StreamQueueBytesHigh >= Limits.http2BatchBytes)
    }

    @Test("an origin is asked whether it lives, answers within its time, and is asked ever less")
    func originPings() {
        #expect(Limits.http2OriginPingTimeoutMilliseconds <= Limits.http2OriginPingAfterMilliseconds)
        #expect(
            Limits.http2OriginPingAfterMilliseconds + Limits.http2OriginPingTimeoutMilliseconds
                < Limits.originKeepAliveMillisecondsDefault)
        #expect(Limits.http2OriginPingTimeoutMilliseconds > 2 * Limits.deadlineTickMilliseconds)
        #expect(Limits.http2OriginPingFactor > 1)
        // Two questions within five minutes of silence, and the third beyond them.
        let second = Limits.http2OriginPingAfterMilliseconds * (1 + Limits.http2OriginPingFactor)
        let third = min(
            Limits.http2OriginPingAfterMilliseconds * Limits.http2OriginPingFactor * Limits.http2OriginPingFactor,
            Limits.http2OriginPingAfterMillisecondsMax)
        #expect(second + third > 300_000)
        #expect(Limits.http2OriginPingAfterMillisecondsMax >= Limits.http2OriginPingAfterMilliseconds)
    }
}

@Suite("Bounds of HTTP/2: abuse")
struct HTTP2AbuseBoundTests {
    @Test("a burst is what one honest page may do, by the streams it may have")
    func bursts() {
        let page = Limits.http2StreamsPerConnectionDefault
        // A page is left, and the next one at once: all of their requests are cancelled.
        #expect(Limits.http2RapidResetBurst >= 2 * page)
        // Each request of a page is wrong in the same way, or has too many cookies, or an empty frame.
        #expect(Limits.http2ServerResetBurst >= page)
        #expect(Limits.http2HPACKBombBurst >= page)
        #expect(Limits.http2EmptyFramesBurst >= page)
        // A client that has not read our SETTINGS yet.
        #expect(Limits.http2StreamFloodBurst >= 4 * page)
        // The priority of each is said and changed twice; each stream's window, and the connection's, is opened.
        #expect(Limits.http2PriorityFloodBurst >= 3 * page)
        #expect(Limits.http2WindowUpdateFloodBurst >= 2 * page)
        #expect(Limits.http2TinyWindowBurst >= page)
        // RFC 9218: as many early priorities as are remembered may be sent.
        #expect(Limits.http2EarlyPrioritiesMax <= Limits.http2PriorityFloodBurst)
    }

    /// Burst and rate of each kind.
    static let rates: [(String, burst: Int, perSecond: Int)] = [
        ("rapid reset", Limits.http2RapidResetBurst, Limits.http2RapidResetPerSecond),
        ("server reset", Limits.http2ServerResetBurst, Limits.http2ServerResetPerSecond),
        ("settings", Limits.http2SettingsFloodBurst, Limits.http2SettingsFloodPerSecond),
        ("ping", Limits.http2PingFloodBurst, Limits.http2PingFloodPerSecond),
        ("window update", Limits.http2WindowUpdateFloodBurst, Limits.http2WindowUpdateFloodPerSecond),
        ("empty frames", Limits.http2EmptyFramesBurst, Limits.http2EmptyFramesPerSecond),
        ("priority", Limits.http2PriorityFloodBurst, Limits.http2PriorityFloodPerSecond),
        ("HPACK bomb", Limits.http2HPACKBombBurst, Limits.http2HPACKBombPerSecond),
        ("tiny window", Limits.http2TinyWindowBurst, Limits.http2TinyWindowPerSecond),
        ("stream flood", Limits.http2StreamFloodBurst, Limits.http2StreamFloodPerSecond),
        ("unknown frames", Limits.http2UnknownFramesBurst, Limits.http2UnknownFramesPerSecond),
    ]

    @Test("each bucket is emptied in a minute at most, and not within a second", arguments: rates)
    func rate(name: String, burst: Int, perSecond: Int) {
        #expect(perSecond >= 1, "\(name)")
        #expect(burst > perSecond, "\(name)")
        #expect(burst <= 60 * perSecond, "\(name)")
    }

    @Test("what DATA earns lasts for all of it that can be under way")
    func answers() {
        // Two WINDOW_UPDATE a frame, one for the stream and one for the connection.
        #expect(Limits.http2CreditPerFrame >= 2)
        #expect(Limits.http2CreditPerStream >= 2)
        // As many frames as the widest window holds may be answered, and the counters stay in 32 bits.
        #expect(Limits.http2AnswersMax >= 0x7FFF_FFFF / Limits.http2FrameBytesMax)
        #expect(Limits.http2AnswersMax < Int(Int32.max) / 2)
    }

    @Test("an origin sees less of us than we take ourselves")
    func ours() {
        #expect(Limits.http2OriginPingAfterMilliseconds >= 1000 / Limits.http2PingFloodPerSecond)
        // All streams may be cancelled once. Twice as much, and an origin that does as we do would end the connection.
        #expect(Limits.http2OriginResetsMax >= Limits.http2OriginStreamsMax)
        #expect(Limits.http2OriginResetsMax <= Limits.http2RapidResetBurst)
    }
}
