// How the bounds relate. Each expectation says what would break if one were moved without its neighbour.

import Limits
import Testing

@Suite("Bounds of messages")
struct MessageBoundTests {
    @Test("a request line may be as long as RFC 9112, section 3, asks, and no longer than its head")
    func requestLine() {
        #expect(Limits.requestLineBytesDefault >= 8000)
        #expect(Limits.requestLineBytesRange.contains(Limits.requestLineBytesDefault))
        #expect(Limits.requestLineBytesDefault <= Limits.headBytesDefault)
        // Whatever line may be configured, some head that may be configured has room for it.
        #expect(Limits.requestLineBytesRange.upperBound <= Limits.headBytesRange.upperBound)
        #expect(Limits.requestLineBytesRange.lowerBound <= Limits.headBytesRange.lowerBound)
        // The line holds a method, a host and something more.
        #expect(Limits.methodBytesMax + Limits.hostBytesMax < Limits.requestLineBytesRange.lowerBound)
    }

    @Test("a head's defaults lie within what may be configured")
    func head() {
        #expect(Limits.headBytesRange.contains(Limits.headBytesDefault))
        #expect(Limits.fieldCountRange.contains(Limits.fieldCountDefault))
        // A field line takes five bytes at least (name, colon, value, CRLF), so the count can be reached at all.
        #expect(Limits.fieldCountDefault * 5 < Limits.headBytesDefault)
        #expect(Limits.fieldCountRange.upperBound * 5 < Limits.headBytesRange.upperBound)
        // Ranges into a head are kept in 32 bits.
        #expect(Limits.headBytesRange.upperBound < Int(UInt32.max))
        #expect(Limits.responseHeadBytesMax < Int(UInt32.max))
    }

    @Test("origins may be chattier than clients")
    func responses() {
        #expect(Limits.responseHeadBytesMax >= Limits.headBytesDefault)
        #expect(Limits.responseFieldCountMax >= Limits.fieldCountDefault)
        #expect(Limits.interimResponsesMax >= 1)
    }

    @Test("the longest name of DNS fits, with a port")
    func host() {
        #expect(Limits.hostBytesMax >= 253 + ":65535".utf8.count)
    }

    @Test("a chunk size cannot overflow")
    func chunkSize() {
        #expect(Limits.chunkSizeDigitsMax * 4 < UInt64.bitWidth)
        // Sizes are also counted as Int.
        #expect(Limits.chunkSizeDigitsMax * 4 < Int.bitWidth)
        #expect(Limits.chunkExtensionBytesMax <= Limits.chunkExtensionBytesPerMessageMax)
    }

    @Test("trailers are bounded more tightly than heads")
    func trailers() {
        #expect(Limits.trailerBytesMax <= Limits.headBytesDefault)
        #expect(Limits.trailerFieldCountMax <= Limits.fieldCountDefault)
    }
}

@Suite("Bounds of buffers")
struct BufferBoundTests {
    @Test("what is thrown away for a connection's sake is no less than what is kept for a retry")
    func bodies() {
        // A body that was held whole must not be the reason to close.
        #expect(Limits.drainBodyBytesMax >= Limits.retryBodyBytesMax)
        #expect(Limits.bodyBufferBytesMax >= Limits.retryBodyBytesMax)
    }

    @Test("copying stops before back-pressure begins")
    func writes() {
        // A coalesced piece by itself must not make the channel unwritable.
        #expect(Limits.coalescedBytesMax <= Limits.writeBufferBytesLow)
        #expect(Limits.writeBufferBytesLow < Limits.writeBufferBytesHigh)
    }

    @Test("one read fits every buffer it goes into")
    func reads() {
        let largest = Limits.readBufferBytesRange.upperBound
        #expect(largest <= Limits.bodyBufferBytesMax)
        #expect(largest <= Limits.writeBufferBytesHigh)
        // The first buffer of a channel is kept for good: smaller than any it asks for later.
        #expect(Limits.firstReadBytes <= Limits.readBufferBytesRange.lowerBound)
    }

    @Test("a whole head fits among the bytes kept while reading goes on")
    func pipelining() {
        #expect(Limits.pipelineBytesMax >= Limits.headBytesDefault)
        #expect(Limits.pipelineBytesMax >= Limits.requestLineBytesRange.upperBound)
    }

    @Test("preludes fit their formats")
    func preludes() {
        // RFC 8446, section 5.1: 2^14 bytes of a record behind 5 of its header.
        #expect(Limits.clientHelloBytesMax >= 16 * 1024 + 5)
        // The PROXY protocol's specification: 107 bytes for version 1, 16 of header for version 2, 216 of addresses.
        #expect(Limits.proxyProtocolV1BytesMax >= 107)
        #expect(Limits.proxyProtocolV2BytesMax >= 16 + 216)
    }

    @Test("the access log holds at least one line of every loop there may be")
    func accessLog() {
        #expect(Limits.accessLogBufferBytesRange.contains(Limits.accessLogBufferBytesDefault))
        // The shard's own buffer and longest line are 64 and 16 KiB.
        #expect(Limits.accessLogBufferBytesRange.lowerBound >= 64 * 1024)
        // Eight values of the longest, none of them escaped, stay within a line.
        #expect(Limits.accessLogValueBytesMax * 8 < 16 * 1024)
    }

    @Test("an admin request is a small one")
    func admin() {
        #expect(Limits.adminRequestBytesMax <= Limits.headBytesDefault)
        #expect(Limits.adminConnectionsMax < Limits.connectionsDefault)
    }
}

@Suite("Bounds of time")
struct TimeBoundTests {
    /// Every timeout that has a default and may be configured.
    static let defaults: [(String, Int)] = [
        ("header", Limits.headerTimeoutMillisecondsDefault),
        ("handshake", Limits.handshakeTimeoutMillisecondsDefault),
        ("body", Limits.bodyTimeoutMillisecondsDefault),
        ("write", Limits.writeTimeoutMillisecondsDefault),
        ("idle", Limits.idleTimeoutMillisecondsDefault),
        ("tunnel", Limits.tunnelIdleTimeoutMillisecondsDefault),
        ("drain", Limits.drainTimeoutMillisecondsDefault),
        ("connect", Limits.connectTimeoutMillisecondsDefault),
        ("first byte", Limits.firstByteTimeoutMillisecondsDefault),
        ("origin idle", Limits.originIdleTimeoutMillisecondsDefault),
        ("keep alive", Limits.originKeepAliveMillisecondsDefault),
        ("pool wait", Limits.poolWaitTimeoutMillisecondsDefault),
        ("health interval", Limits.healthIntervalMillisecondsDefault),
        ("health timeout", Limits.healthTimeoutMillisecondsDefault),
        ("ejection", Limits.ejectionMillisecondsDefault),
        ("slow start", Limits.slowStartMillisecondsDefault),
        ("resolve", Limits.resolveIntervalMillisecondsDefault),
    ]

    @Test("every default lies within what may be configured", arguments: defaults)
    func defaultsInRange(name: String, milliseconds: Int) {
        #expect(Limits.timeoutMillisecondsRange.contains(milliseconds), "\(name)")
    }

    @Test("a tick is small beside every default, for deadlines are late by up to two", arguments: defaults)
    func tick(name: String, milliseconds: Int) {
        #expect(Limits.deadlineTickMilliseconds * 10 <= milliseconds, "\(name)")
    }

    @Test("the table of deadlines can hold the longest timeout")
    func longestDeadline() {
        // DeadlineTable clamps to 2^30 ticks.
        #expect(Limits.timeoutMillisecondsRange.upperBound / Limits.deadlineTickMilliseconds < 1 << 30)
    }

    @Test("lingering is shorter than draining, so that a stopping process sees its connections end")
    func linger() {
        #expect(
            Limits.lingerMilliseconds + 2 * Limits.deadlineTickMilliseconds < Limits.drainTimeoutMillisecondsDefault)
        #expect(Limits.deadlineTickMilliseconds <= Limits.lingerMilliseconds)
    }

    @Test("who waits on whom")
    func order() {
        // A keep-alive shorter than the patience for one response makes pools useful and stale connections rare.
        #expect(Limits.originKeepAliveMillisecondsDefault <= Limits.originIdleTimeoutMillisecondsDefault)
        // A new connection is tried before the queue for one is given up.
        #expect(Limits.connectTimeoutMillisecondsDefault <= Limits.firstByteTimeoutMillisecondsDefault)
        #expect(Limits.poolWaitTimeoutMillisecondsDefault <= Limits.firstByteTimeoutMillisecondsDefault)
        // A body may stall no longer than the connection might be idle.
        #expect(Limits.bodyTimeoutMillisecondsDefault <= Limits.idleTimeoutMillisecondsDefault)
        #expect(Limits.idleTimeoutMillisecondsDefault <= Limits.tunnelIdleTimeoutMillisecondsDefault)
        // One check is over before the next begins.
        #expect(Limits.healthTimeoutMillisecondsDefault <= Limits.healthIntervalMillisecondsDefault)
        // A look-up is over before the next begins.
        #expect(Limits.resolveTimeoutMilliseconds <= Limits.resolveIntervalMillisecondsDefault)
        // The process looks up from waiting at least as often as it looks at its files.
        #expect(Limits.signalTickMilliseconds <= Limits.configurationPollMilliseconds)
        // A successor's predecessor goes on serving until it is ready; it may take as long as a drain.
        #expect(Limits.successorReadyMilliseconds >= Limits.drainTimeoutMillisecondsDefault)
    }

    @Test("the slowest body moves at all within one window")
    func bodyRate() {
        let perWindow = Limits.bodyRateBytesPerSecondDefault * Limits.bodyTimeoutMillisecondsDefault / 1000
        #expect(perWindow > 0)
        // No rate times window overflows.
        #expect(
            !Limits.bodyRateBytesPerSecondDefault.multipliedReportingOverflow(
                by: Limits.timeoutMillisecondsRange.upperBound
            ).overflow)
    }
}

@Suite("Bounds of numbers")
struct CountBoundTests {
    @Test("origins: defaults within ranges")
    func origins() {
        #expect(Limits.originConnectionsRange.contains(Limits.originConnectionsDefault))
        #expect(Limits.originIdleConnectionsDefault >= 1)
        #expect(Limits.originIdleConnectionsDefault <= Limits.originConnectionsDefault)
        #expect(Limits.attemptsRange.contains(Limits.attemptsDefault))
        #expect(Limits.healthThresholdRange.contains(Limits.ejectionFailuresDefault))
        #expect(Limits.addressesPerNameMax >= 1)
        // The line for a connection is no shorter than the pool it waits for.
        #expect(Limits.originWaitersMax >= Limits.originConnectionsDefault)
    }

    @Test("a round of the balancer has a place for every origin")
    func balancer() {
        // Balancer keeps indices in 16 bits and a round of at most 4096 turns.
        #expect(Limits.originsPerZoneMax <= Int(UInt16.max))
        #expect(Limits.originsPerZoneMax <= 4096)
        #expect(Limits.originWeightRange.lowerBound >= 1)
    }

    @Test("what is measured and prepared is part of what may be configured")
    func zones() {
        #expect(Limits.zonesMeasuredMax <= Limits.zonesMax)
        #expect(Limits.certificatesPreparedMax <= Limits.zonesMax)
        #expect(Limits.hostnamesPerZoneMax >= 2)
        // The shortest zone takes more than 40 bytes of a file; a million of them must fit.
        #expect(Limits.zonesMax * 40 <= Limits.configurationFileBytesMax)
        #expect(Limits.certificateFileBytesMax <= Limits.configurationFileBytesMax)
    }

    @Test("every loop there may be can hold connections")
    func connections() {
        #expect(Limits.connectionsDefault >= Limits.eventLoopCountRange.upperBound)
        #expect(Limits.requestsPerConnectionDefault >= 1)
        #expect(Limits.listenBacklogCount >= 128)
    }
}
