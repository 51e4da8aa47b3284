/// The bounds of HTTP/2 (RFC 9113), towards clients and towards origins.
extension Limits {
    // MARK: Frames

    /// Payload bytes of one frame, either way: SETTINGS_MAX_FRAME_SIZE is never raised (RFC 9113, section 4.2).
    package static let http2FrameBytesMax = 16 * 1024
    /// Bytes of one DATA frame as it is written, its header included.
    package static let http2DataFrameBytesMax = http2FrameBytesMax + 9
    /// Bytes of DATA frames that are gathered into one write.
    package static let http2BatchBytes = 64 * 1024
    /// Control frames that wait to be written, in bytes. More pile up only where nothing is taken from us.
    package static let http2ControlBytesMax = 32 * 1024
    /// Room for control frames, and for a block in pieces, that a connection keeps for the next ones.
    package static let http2KeptControlBytesMax = 512

    // MARK: Streams

    /// Streams that a client may have open at a time on one connection.
    package static let http2StreamsPerConnectionDefault = 128
    package static let http2StreamsPerConnectionRange = 1...1024
    /// The same towards an origin: it may allow fewer.
    package static let http2OriginStreamsMax = 256
    /// Streams opened towards an origin before its SETTINGS have come: RFC 9113, section 6.5.2, asks for no fewer.
    package static let http2UnsettledStreamsMax = 100
    /// Streams that are over and of which it is remembered how they ended (RFC 9113, section 5.1).
    package static let http2ClosedStreamsMax = 64
    /// Streams not begun yet whose priority is remembered (RFC 9218, section 7.1).
    package static let http2EarlyPrioritiesMax = 32
    /// Streams that an event loop keeps for the next requests.
    package static let http2SpareStreamsMax = 1024
    /// How often a connection with streams looks for those that are late.
    package static let http2SweepMilliseconds = 1000

    // MARK: Heads

    /// Bytes of names and values of one decoded head, cookies that are joined counted twice.
    package static let http2HeadBytesMax = 512 * 1024
    /// A list beyond so many times those bytes is not decoded to its end (RFC 7541, section 7.3).
    package static let http2ListShareMax = 2
    /// A block in pieces may have so many times the bytes of the head that it makes.
    package static let http2BlockShareMax = 2
    /// CONTINUATION frames of one block, and those of them that may be empty.
    package static let http2ContinuationFramesMax = 64
    package static let http2EmptyContinuationFramesMax = 4
    /// Bytes of the table that fields are decoded with, and of that they are encoded with (RFC 7541, section 4.2).
    package static let http2DecoderTableBytesMax = 4096
    package static let http2EncoderTableBytesMax = 4096

    /// Rows of a decoded block beside its fields: pseudo-header fields, and pieces of cookies beyond the first.
    package static let http2ExtraRowsMax = 256

    // MARK: Windows (RFC 9113, section 5.2)

    /// What a client may send on one stream, and on all of its connection, until it is told of more. Bytes.
    package static let http2StreamWindowBytes = 256 * 1024
    package static let http2ConnectionWindowBytes = 1024 * 1024
    /// The same for an origin. Streams whose clients take nothing hold on to their windows; so that they do not hold
    /// up the others, the connection's is that of many.
    package static let http2OriginStreamWindowBytes = 512 * 1024
    package static let http2OriginConnectionWindowBytes = 32 * 1024 * 1024
    /// Bytes of response body that wait in one stream above which its source is paused, and below which it goes on.
    package static let http2StreamQueueBytesLow = 16 * 1024
    package static let http2StreamQueueBytesHigh = 64 * 1024
    /// Bytes of response bodies that wait for clients of one event loop. Above the first, a stream whose client takes
    /// nothing for `http2PressedStallMilliseconds` is reset, and not only after the write timeout; above the second, a
    /// stream that adds to a full queue is reset at once. An origin of HTTP/2 may send a whole window more after it was
    /// paused.
    package static let http2QueuedBytesPerLoopHigh = 64 * 1024 * 1024
    package static let http2QueuedBytesPerLoopMax = 256 * 1024 * 1024
    package static let http2PressedStallMilliseconds = 2_000
    /// Slowest response that counts as taken by its client, bytes per second over the write timeout.
    package static let http2ResponseBytesPerSecondMin = 256
    /// Streams of one connection that are reset because its client takes nothing; then the connection is to end as well.
    package static let http2StalledStreamsMax = 16
    /// Batches written in one turn of the loop before others have theirs.
    package static let http2BatchesPerTurnMax = 4
    /// Bytes of request bodies that one event loop holds for origins before it reads no more of those who send them.
    package static let http2HeldBytesPerLoopMax = 64 * 1024 * 1024

    // MARK: Turns

    /// Frames that go to more urgent streams before one goes to a less urgent one that waits.
    package static let http2FramesBeforeLessUrgent = 64

    // MARK: Abuse: how much at once, and how much a second (RFC 9113, section 10.5)

    /// Streams that the peer cancels. A browser that leaves a page cancels all it had asked for; each stream that is
    /// carried to its end gives one back.
    package static let http2RapidResetBurst = 256
    package static let http2RapidResetPerSecond = 32
    /// Streams that we reset because of what the peer sent on them.
    package static let http2ServerResetBurst = 128
    package static let http2ServerResetPerSecond = 8
    /// SETTINGS frames.
    package static let http2SettingsFloodBurst = 64
    package static let http2SettingsFloodPerSecond = 4
    /// PING frames. gRPC sends one for every few DATA frames to learn how wide the way is: each DATA frame gives back.
    package static let http2PingFloodBurst = 128
    package static let http2PingFloodPerSecond = 8
    /// WINDOW_UPDATE frames. Many clients send two for each DATA frame they get: each DATA frame gives back.
    package static let http2WindowUpdateFloodBurst = 1024
    package static let http2WindowUpdateFloodPerSecond = 128
    /// DATA and HEADERS frames without content that do not end their stream.
    package static let http2EmptyFramesBurst = 128
    package static let http2EmptyFramesPerSecond = 8
    /// PRIORITY and PRIORITY_UPDATE frames.
    package static let http2PriorityFloodBurst = 512
    package static let http2PriorityFloodPerSecond = 64
    /// Heads beyond the bound, each as often as it is larger than that.
    package static let http2HPACKBombBurst = 128
    package static let http2HPACKBombPerSecond = 8
    /// DATA frames that the peer's windows made smaller than `http2TinyFrameBytes`.
    package static let http2TinyWindowBurst = 256
    package static let http2TinyWindowPerSecond = 16
    package static let http2TinyFrameBytes = 512
    /// Streams beyond those we allow.
    package static let http2StreamFloodBurst = 512
    package static let http2StreamFloodPerSecond = 16
    /// Frames of types that nobody knows, and GOAWAY frames.
    package static let http2UnknownFramesBurst = 128
    package static let http2UnknownFramesPerSecond = 8
    /// What one DATA frame of some size, and one stream that was carried to its end, give back of each budget that they
    /// are the honest cause of.
    package static let http2CreditPerFrame = 4
    package static let http2CreditPerStream = 4
    /// WINDOW_UPDATE frames, and PING frames, that DATA sent earlier may still be answered by, at most.
    package static let http2AnswersMax = 128 * 1024
}
