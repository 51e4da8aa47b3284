/// Every bound of the house, in one place.
///
/// Three kinds stand here: fixed ones (`static let`), the defaults of configurable ones (`…Default`), and the
/// span a configurable one may take (`…Range`). Names carry their unit last. How they relate is asserted by
/// `LimitsTests`, so that raising one without its neighbour fails the build rather than a request.
package enum Limits {
    // MARK: Request heads (RFC 9112, sections 3 and 5)

    /// Longest request line, in bytes. RFC 9112, section 3, asks for at least 8000. Beyond it: 414.
    package static let requestLineBytesDefault = 16 * 1024
    package static let requestLineBytesRange = 1024...64 * 1024
    /// Bytes of a whole head: start line, fields and the empty line. Beyond it: 431.
    package static let headBytesDefault = 64 * 1024
    package static let headBytesRange = 4 * 1024...256 * 1024
    /// Fields of one head, trailers counted apart. Beyond it: 431.
    package static let fieldCountDefault = 128
    package static let fieldCountRange = 16...1024
    /// Longest method token, in bytes. Beyond it: 501.
    package static let methodBytesMax = 32
    /// Longest host in a Host field or an authority, in bytes: a DNS name's 253 and a port.
    package static let hostBytesMax = 262
    /// Origins may be chattier than clients.
    package static let responseHeadBytesMax = 128 * 1024
    package static let responseFieldCountMax = 256
    /// Room for a head that a finished exchange keeps for the next.
    package static let keptHeadBytesMax = 8 * 1024
    /// Interim (1xx) responses passed on for one request before the origin is held to be broken.
    package static let interimResponsesMax = 16

    /// Members of an address list that are looked at, from its end.
    package static let forwardedMembersMax = 64

    // MARK: Bodies (RFC 9112, sections 6 and 7)

    /// Hex digits of one chunk size: 15 leave 4 bits of head-room in UInt64.
    package static let chunkSizeDigitsMax = 15
    /// Bytes of the extensions of one chunk, and of all chunks of one message. Dropped, never forwarded.
    package static let chunkExtensionBytesMax = 256
    package static let chunkExtensionBytesPerMessageMax = 16 * 1024
    /// Bytes and fields of one trailer section.
    package static let trailerBytesMax = 16 * 1024
    package static let trailerFieldCountMax = 64
    /// Request body bytes read and thrown away to keep a connection after an early reply; beyond, it closes.
    package static let drainBodyBytesMax = 256 * 1024
    /// Body bytes held for one direction of one exchange before its source is paused.
    package static let bodyBufferBytesMax = 256 * 1024
    /// A body piece up to this size is copied behind what precedes it, so that both leave in one write.
    package static let coalescedBytesMax = 16 * 1024
    /// Bytes waiting for a client's or an origin's socket above which its source is paused, and below which it goes on.
    package static let writeBufferBytesLow = 64 * 1024
    package static let writeBufferBytesHigh = 256 * 1024
    /// A body up to this size is kept until the response starts, so that a stale connection can be retried.
    package static let retryBodyBytesMax = 16 * 1024
    /// Read buffers of one socket adapt between these sizes, in bytes.
    package static let firstReadBytes = 1024
    /// The same where TLS comes first: its handshake reads more than once anyhow.
    package static let firstSecureReadBytes = 64
    package static let readBufferBytesRange = 2 * 1024...128 * 1024

    // MARK: Connections

    package static let requestsPerConnectionDefault = 100_000
    package static let connectionsDefault = 200_000
    package static let listenBacklogCount = 4096
    /// Connections accepted in one turn of an event loop; where turns are long, fewer would let newcomers wait for ever.
    package static let acceptsPerTurnMax: UInt = 128
    package static let eventLoopCountRange = 1...512
    /// Pipelined bytes kept while a request is being answered; reading pauses above it.
    package static let pipelineBytesMax = 64 * 1024
    /// PROXY protocol v1 line (the specification's 107) and v2 block with TLVs.
    package static let proxyProtocolV1BytesMax = 107
    package static let proxyProtocolV2BytesMax = 16 + 4096
    /// A ClientHello with post-quantum shares takes about 1.8 KiB; 16 KiB is one whole TLS record.
    package static let clientHelloBytesMax = 16 * 1024 + 5

    // MARK: Timeouts, in milliseconds

    package static let headerTimeoutMillisecondsDefault = 10_000
    package static let handshakeTimeoutMillisecondsDefault = 10_000
    package static let bodyTimeoutMillisecondsDefault = 30_000
    package static let writeTimeoutMillisecondsDefault = 60_000
    package static let idleTimeoutMillisecondsDefault = 400_000
    package static let tunnelIdleTimeoutMillisecondsDefault = 900_000
    package static let drainTimeoutMillisecondsDefault = 30_000
    package static let connectTimeoutMillisecondsDefault = 5_000
    package static let firstByteTimeoutMillisecondsDefault = 120_000
    package static let originIdleTimeoutMillisecondsDefault = 120_000
    package static let originKeepAliveMillisecondsDefault = 60_000
    package static let poolWaitTimeoutMillisecondsDefault = 5_000
    /// How long a closing connection still takes bytes, so that its last response is not overtaken by a reset.
    package static let lingerMilliseconds = 2_000
    package static let timeoutMillisecondsRange = 10...86_400_000
    /// How often an event loop looks at its deadlines.
    package static let deadlineTickMilliseconds = 100
    /// Slowest body accepted, in bytes per second, measured over the body timeout.
    package static let bodyRateBytesPerSecondDefault = 240

    // MARK: Origins

    package static let originsPerZoneMax = 256
    package static let originConnectionsDefault = 1024
    package static let originConnectionsRange = 1...65_536
    package static let originIdleConnectionsDefault = 512
    /// Requests waiting for a connection of one origin; beyond, 503 at once.
    package static let originWaitersMax = 4096
    package static let originWeightRange = 1...1000
    /// Attempts at one request, the first included.
    package static let attemptsDefault = 2
    /// Kept connections found dead, one after the other, by one request.
    package static let staleRetriesMax = 3
    package static let attemptsRange = 1...5
    package static let healthIntervalMillisecondsDefault = 10_000
    package static let healthTimeoutMillisecondsDefault = 3_000
    package static let healthThresholdRange = 1...100
    package static let ejectionFailuresDefault = 5
    package static let ejectionMillisecondsDefault = 30_000
    package static let slowStartMillisecondsDefault = 10_000
    package static let resolveIntervalMillisecondsDefault = 30_000
    package static let resolveTimeoutMilliseconds = 5_000
    package static let addressesPerNameMax = 32
    package static let resolverThreadCount = 4

    // MARK: Configuration

    package static let configurationFileBytesMax = 64 * 1024 * 1024
    package static let zonesMax = 1_000_000
    package static let hostnamesPerZoneMax = 1024
    package static let certificateFileBytesMax = 1024 * 1024
    package static let configurationPollMilliseconds = 1_000
    /// How often the process looks up from waiting for signals.
    /// How long an event loop may take to answer before the process is held to be unwell.
    package static let loopAnswerMilliseconds = 2_000
    package static let signalTickMilliseconds = 100
    /// How long a successor may take to serve before it is held to have failed.
    package static let successorReadyMilliseconds = 60_000
    /// Zones whose certificates are made ready before they are asked for.
    package static let certificatesPreparedMax = 1_000

    // MARK: Telemetry

    /// Bytes of access log waiting for the disk, over all event loops; beyond, lines are dropped and counted.
    package static let accessLogBufferBytesDefault = 8 * 1024 * 1024
    package static let accessLogBufferBytesRange = 64 * 1024...1024 * 1024 * 1024
    /// Longest value of one access log member, in bytes; longer ones are cut.
    package static let accessLogValueBytesMax = 1024
    /// Zones with metrics of their own; the rest share `zone="other"`.
    package static let zonesMeasuredMax = 1000
    /// Concurrent connections to the admin address and bytes of one request to it.
    package static let adminConnectionsMax = 64
    package static let adminRequestBytesMax = 8 * 1024
}
