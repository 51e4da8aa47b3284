import ConfigModel
import Exchange
import Limits
import NIOConcurrencyHelpers
import NIOCore
import Synchronization
import Telemetry

/// What one origin server's requests share of HTTP/2: its connections, whichever loop each lives on, and what is known
/// of the protocols it speaks.
///
/// Room for a stream is claimed from any loop: under the lock of the list a connection is found, and by an atomic of
/// its own the claim is made. The stream itself is opened on the connection's loop.
final class HTTP2Lot: Sendable {
    /// What the origin chose when it was last offered both.
    enum Dialect: UInt8 { case unknown, http1, http2 }

    fileprivate let connections = NIOLockedValueBox<ContiguousArray<HTTP2OriginConnection>>([])
    /// So that no connections are seen without the lock.
    fileprivate let count = Atomic<Int>(0)
    fileprivate let idle = Atomic<Int>(0)
    /// Connections being made that may come to speak HTTP/2, until the origin's SETTINGS say how many streams it takes.
    fileprivate let connecting = Atomic<Int>(0)
    /// Streams that a connection had room for lately.
    fileprivate let expectedStreams = Atomic<Int>(Limits.http2UnsettledStreamsMax)
    fileprivate let dialect = Atomic<UInt8>(Dialect.unknown.rawValue)
    /// The origin answered with HTTP_1_1_REQUIRED (RFC 9113, section 7).
    fileprivate let requiresHTTP1 = Atomic<Bool>(false)

    /// Connections without a stream.
    var idleCount: Int { idle.load(ordering: .relaxed) }
    var connectionCount: Int { count.load(ordering: .relaxed) }
}

// MARK: Which protocol

extension OriginServer {
    func offer(mayUpgrade: Bool) -> OriginOffer {
        let offer = OriginOffer(key.origin, mayUpgrade: mayUpgrade)
        return offer == .either && http2.requiresHTTP1.load(ordering: .relaxed) ? .http1 : offer
    }

    /// Whether requests with this offer go over HTTP/1.1, one to a connection, as far as is known.
    func usesHTTP1(_ offer: OriginOffer) -> Bool {
        switch offer {
        case .http1: true
        case .http2: false
        case .either: http2.dialect.load(ordering: .relaxed) == HTTP2Lot.Dialect.http1.rawValue
        }
    }

    /// The origin was offered both and chose.
    func noteDialect(_ dialect: HTTP2Lot.Dialect) {
        let before = http2.dialect.exchange(dialect.rawValue, ordering: .sequentiallyConsistent)
        guard dialect == .http1, before != dialect.rawValue else { return }
        // Those who waited for one connection to share need one each.
        let free = key.pool.connections - connectionCount.load(ordering: .relaxed)
        for _ in 0..<max(0, min(free, line.count)) {
            guard let waiter = line.next() else { return }
            connectInTurn(waiter)
        }
    }

    /// The origin wants a request to come over HTTP/1.1. What it wants of one it is given of all: a second round trip
    /// for each of them would cost more than HTTP/2 saves. False: it is configured otherwise.
    func noteHTTP1Required() -> Bool {
        guard key.origin.http2 == .auto else { return false }
        http2.requiresHTTP1.store(true, ordering: .relaxed)
        noteDialect(.http1)
        return true
    }
}

// MARK: Making connections

extension OriginServer {
    /// Counts one more connection, if one should be made: by the pool's bound, and for HTTP/2 only if those under way
    /// would not have room for all who wait.
    func reserveConnection(for offer: OriginOffer) -> Bool {
        guard offer != .http1 else { return reserveConnection() }
        if usesHTTP1(offer) {
            http2.connecting.wrappingAdd(1, ordering: .sequentiallyConsistent)
        } else {
            var before = http2.connecting.load(ordering: .sequentiallyConsistent)
            while true {
                let (room, isBeyond) = before.multipliedReportingOverflow(
                    by: max(1, http2.expectedStreams.load(ordering: .relaxed)))
                guard before == 0 || !isBeyond && line.count > room else { return false }
                let (isDone, now) = http2.connecting.compareExchange(
                    expected: before, desired: before + 1, ordering: .sequentiallyConsistent)
                if isDone { break }
                before = now
            }
        }
        if reserveConnection() { return true }
        connectingEnded(offer)
        return false
    }

    /// A connection of which it was not known what it would become is there, and has settled, or is not to be.
    func connectingEnded(_ offer: OriginOffer) {
        if offer != .http1 { http2.connecting.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
    }

    func isConnecting(_ offer: OriginOffer) -> Bool {
        !usesHTTP1(offer) && http2.connecting.load(ordering: .relaxed) > 0
    }

    /// The connection that others waited for is not to be. Unless there is another, they learn why now, rather than to
    /// try one after the other what has just failed.
    func failLine(_ failure: Failure) {
        guard offer(mayUpgrade: false) != .http1, !usesHTTP1(offer(mayUpgrade: false)),
            http2.count.load(ordering: .sequentiallyConsistent) == 0,
            http2.connecting.load(ordering: .sequentiallyConsistent) == 0
        else { return }
        for _ in 0..<line.count {
            guard let waiter = line.next() else { return }
            waiter.loop.eventLoop.execute { waiter.fail(failure) }
        }
    }
}

// MARK: Streams

extension OriginServer {
    /// A link over a connection that has room, if there is one; rather one of this loop.
    func takeStream(on loop: EdgeLoop) -> (any OriginLink)? {
        guard let connection = claimStream(preferring: loop) else { return nil }
        return connection.loop === loop ? connection.takeLink() : RemoteLink(driving: connection, from: loop)
    }

    private func claimStream(preferring loop: EdgeLoop?) -> HTTP2OriginConnection? {
        guard http2.count.load(ordering: .sequentiallyConsistent) > 0 else { return nil }
        return http2.connections.withLockedValue { connections in
            if let loop, connections.count > 1,
                let own = connections.first(where: { $0.loop === loop && $0.claim() })
            {
                return own
            }
            // The first ones are filled first, so that those that are too many age out.
            return connections.first { $0.claim() }
        }
    }

    /// Gives room to those in line. On any loop.
    func serveLine() {
        while line.count > 0, let connection = claimStream(preferring: nil) {
            if let waiter = line.next() {
                waiter.succeed(with: connection, isReused: true)
            } else {
                connection.unclaim()
            }
        }
    }

    /// A connection is there. On its loop.
    func add(_ connection: HTTP2OriginConnection) {
        noteDialect(.http2)
        http2.connections.withLockedValue { connections in
            connections.append(connection)
            http2.count.store(connections.count, ordering: .sequentiallyConsistent)
        }
    }

    /// A connection takes no more streams. On its loop.
    func remove(_ connection: HTTP2OriginConnection) {
        http2.connections.withLockedValue { connections in
            connections.removeAll { $0 === connection }
            http2.count.store(connections.count, ordering: .sequentiallyConsistent)
        }
    }

    /// A connection has room for so many streams.
    func noteRoom(_ streams: Int) {
        http2.expectedStreams.store(streams, ordering: .relaxed)
    }

    /// So many more connections have no stream. On the loop of one.
    func noteIdleHTTP2(_ count: Int, on loop: EdgeLoop) {
        http2.idle.wrappingAdd(count, ordering: .relaxed)
        noteIdle(count, on: loop)
    }

    func retireHTTP2() {
        for connection in http2.connections.withLockedValue({ $0 }) {
            connection.loop.eventLoop.execute { connection.leave() }
        }
    }
}
