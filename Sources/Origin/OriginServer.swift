package import ConfigModel
package import Exchange
import Limits
package import Logging
import NIOCore
package import Synchronization
package import Telemetry

/// One origin server at run time: its addresses, its health and its pool of connections, shared by all event loops.
///
/// Connections live on event loops; what they share is here. Idle connections are shelved per loop, so that a request
/// finds one on its own loop under a lock that nobody else wants; only when that shelf is empty does it look at the
/// others', and then drives the connection from afar (RemoteLink.swift). Without that, N loops would hold N pools and
/// open N times the connections.
///
/// Whatever is atomic here is a hint (counts, health); what must be exact is under a lock.
package final class OriginServer: Sendable {
    package let key: Key
    package let addresses: OriginAddresses
    package let health: OriginHealth
    let security: OriginSecurity?
    /// `name` as bytes, for the access log.
    package let nameBytes: [UInt8]

    private let shelves: [IdleShelf]
    /// Connections that exist or are being made, over all loops.
    let connectionCount = Atomic<Int>(0)
    /// Exchanges that hold a connection or wait for one, over all loops: what least-outstanding compares.
    package let outstanding = Atomic<Int>(0)
    /// Who waits for any connection, and who for one of HTTP/1.1 from an origin that otherwise speaks HTTP/2.
    let line = SharedLine()
    private let upgradeLine = SharedLine()
    private let isRetiredFlag = Atomic<Bool>(false)
    /// What is known of HTTP/2 with this server, and its connections: see OriginServer+HTTP2.swift.
    let http2 = HTTP2Lot()
    let loops: OriginLoops

    /// What makes two configured origins the same server: then they share this object, also across reloads.
    package struct Key: Hashable, Sendable {
        package var origin: ConfigModel.Origin
        package var pool: Zone.Pool
        package var timeouts: Zone.OriginTimeouts
        package var ejection: Zone.Ejection

        package init(
            origin: ConfigModel.Origin, pool: Zone.Pool, timeouts: Zone.OriginTimeouts, ejection: Zone.Ejection
        ) {
            self.origin = origin
            self.pool = pool
            self.timeouts = timeouts
            self.ejection = ejection
        }
    }

    /// - Parameter loops: what the servers of a fleet share on each event loop.
    package init(
        key: Key, loopCount: Int, security: OriginSecurity?, log: Logger, metrics: SharedMetrics? = nil,
        loops: OriginLoops? = nil
    ) {
        self.key = key
        self.loops = loops ?? OriginLoops(count: loopCount)
        self.addresses = OriginAddresses(host: key.origin.host, port: key.origin.port, log: log, metrics: metrics)
        self.health = OriginHealth(ejection: key.ejection)
        self.security = security
        self.nameBytes = Array(Self.name(of: key.origin).utf8)
        self.shelves = (0..<max(loopCount, 1)).map { _ in IdleShelf() }
    }

    /// `http://name:port`, for logs and metrics.
    package var name: String { Self.name(of: key.origin) }

    private static func name(of origin: ConfigModel.Origin) -> String {
        let host = origin.host.contains(":") ? "[\(origin.host)]" : origin.host
        return "\(origin.scheme.rawValue)://\(host):\(origin.port)"
    }

    package var openConnections: Int { connectionCount.load(ordering: .relaxed) }
    package var idleConnections: Int { shelves.reduce(http2.idleCount) { $0 + $1.count } }
    var isRetired: Bool { isRetiredFlag.load(ordering: .relaxed) }
}

// MARK: Taking a connection

extension OriginServer {
    /// Gives `receiver` a link: one that is free at once, else `originReady` or `originUnavailable` is called later
    /// and the returned acquisition can be given up.
    ///
    /// - Parameters:
    ///   - fresh: no connection of HTTP/1.1 that was used before, for a retry after one of those was found dead.
    ///   - mayUpgrade: the request offers to switch protocols, see `RequestShape`.
    package func acquire(
        for receiver: any OriginReceiver, on loop: EdgeLoop, fresh: Bool, mayUpgrade: Bool = false
    ) -> AcquireResult {
        let offer = offer(mayUpgrade: mayUpgrade)
        if let link = takeFree(offer, on: loop, fresh: fresh) {
            loop.metrics.add(.originConnectionsReused)
            return .ready(link)
        }
        let acquisition = Acquisition(receiver: receiver, loop: loop, server: self, offer: offer)
        if reserveConnection(for: offer) {
            OriginConnector(server: self, loop: loop, acquisition: acquisition).connect()
            return .pending(acquisition)
        }
        return enqueue(acquisition)
    }

    private func takeFree(_ offer: OriginOffer, on loop: EdgeLoop, fresh: Bool) -> (any OriginLink)? {
        if offer != .http1, let link = takeStream(on: loop) { return link }
        return !fresh && usesHTTP1(offer) ? takeIdle(on: loop) : nil
    }

    private func takeIdle(on loop: EdgeLoop) -> (any OriginLink)? {
        if let own = shelves[loop.index % shelves.count].take() {
            noteIdle(-1, on: loop)
            return own.takeLink()
        }
        guard shelves.count > 1 else { return nil }
        for step in 1..<shelves.count {
            if let other = shelves[(loop.index + step) % shelves.count].take() {
                noteIdle(-1, on: loop)
                return RemoteLink(driving: other, from: loop)
            }
        }
        return nil
    }

    /// Counts one more connection, if the pool's bound allows it.
    func reserveConnection() -> Bool {
        let before = connectionCount.wrappingAdd(1, ordering: .relaxed).oldValue
        if before < key.pool.connections { return true }
        connectionCount.wrappingSubtract(1, ordering: .relaxed)
        return false
    }

    private func line(of acquisition: Acquisition) -> SharedLine {
        acquisition.offer == .http1 && OriginOffer(key.origin, mayUpgrade: false) != .http1 ? upgradeLine : line
    }

    private func enqueue(_ acquisition: Acquisition) -> AcquireResult {
        let metrics = acquisition.loop.metrics
        guard line(of: acquisition).enter(acquisition) else {
            metrics.add(.originPoolOverflows)
            return .unavailable(.poolExhausted)
        }
        metrics.add(.originPoolWaits)
        // One may have become free between the last look and the entry, by somebody who saw nobody wait.
        if let link = takeFree(acquisition.offer, on: acquisition.loop, fresh: false) {
            if leaveLine(acquisition) { return .ready(link) }
            link.cancel()
        } else if reserveConnection(for: acquisition.offer) {
            // The same for a slot.
            if leaveLine(acquisition) {
                OriginConnector(server: self, loop: acquisition.loop, acquisition: acquisition).connect()
                return .pending(acquisition)
            }
            connectingEnded(acquisition.offer)
            connectionEnded()
        }
        // Who waits for a connection that another has begun to make has as much patience as if it were its own.
        let isBeingMade = isConnecting(acquisition.offer)
        acquisition.waits(milliseconds: isBeingMade ? max(key.pool.wait, key.timeouts.connect) : key.pool.wait)
        return .pending(acquisition)
    }

    /// False: it was not in the line, for it has just been served.
    @discardableResult
    func leaveLine(_ acquisition: Acquisition) -> Bool {
        line(of: acquisition).leave(acquisition)
    }

    /// Who could do with a connection of HTTP/1.1, or with a place for a new one.
    private func nextWaiter() -> Acquisition? {
        upgradeLine.next() ?? line.next()
    }
}

// MARK: Giving it back

extension OriginServer {
    /// A connection is free. On its loop. It goes to whoever waits, else on the shelf.
    func release(_ connection: OriginConnection) {
        let loop = connection.loop
        if let waiter = nextWaiter() { return waiter.succeed(with: connection, isReused: true) }
        let room = key.pool.idleConnections / shelves.count + 1
        guard !isRetired, shelves[loop.index % shelves.count].put(connection, room: room) else {
            connection.close()
            return
        }
        noteIdle(1, on: loop)
        connection.enterShelf(keepAliveMilliseconds: key.pool.keepAlive)
        // Somebody may have begun to wait between the first look and the shelf.
        guard let late = nextWaiter() else { return }
        guard let shelved = shelves[loop.index % shelves.count].take() else { return returnToLine(late) }
        noteIdle(-1, on: loop)
        late.succeed(with: shelved, isReused: true)
    }

    /// So many more connections without an exchange, and so many fewer at work.
    func noteIdle(_ count: Int, on loop: EdgeLoop) {
        loop.metrics.adjust(.originConnectionsIdle, by: count)
        loop.metrics.adjust(.originConnectionsActive, by: -count)
    }

    /// A connection closed itself while it was idle. On its loop. False: somebody has just taken it.
    func removeIdle(_ connection: OriginConnection) -> Bool {
        guard shelves[connection.loop.index % shelves.count].remove(connection) else { return false }
        noteIdle(-1, on: connection.loop)
        return true
    }

    /// A counted connection is no more, or was never made. On `loop`, whose waiter may try in its place.
    func connectionEnded() {
        connectionCount.wrappingSubtract(1, ordering: .sequentiallyConsistent)
        if let waiter = nextWaiter() { connectInTurn(waiter) }
    }

    /// Lets one who waited make a connection, if there is a place for one.
    func connectInTurn(_ waiter: Acquisition) {
        waiter.loop.eventLoop.execute {
            guard waiter.isWanted else { return self.connectionSlotFreed() }
            guard self.reserveConnection(for: waiter.offer) else { return self.returnToLine(waiter) }
            waiter.waitIsOver()
            OriginConnector(server: self, loop: waiter.loop, acquisition: waiter).connect()
        }
    }

    /// A slot went to somebody who no longer wants it: the next in line gets its turn.
    private func connectionSlotFreed() {
        connectionCount.wrappingAdd(1, ordering: .relaxed)
        connectionEnded()
    }

    /// Puts a waiter back that lost a race for a slot. Its time to wait goes on.
    private func returnToLine(_ acquisition: Acquisition) {
        let line = line(of: acquisition)
        line.enterFirst(acquisition)
        if line === self.line { serveLine() }
    }

    /// No configuration names this server any more: idle connections close, busy ones when they are done.
    package func retire() {
        isRetiredFlag.store(true, ordering: .sequentiallyConsistent)
        for shelf in shelves {
            for connection in shelf.takeAll() {
                connection.loop.eventLoop.execute {
                    self.noteIdle(-1, on: connection.loop)
                    connection.close()
                }
            }
        }
        retireHTTP2()
    }
}

/// What asking for a connection gives.
package enum AcquireResult {
    case ready(any OriginLink)
    case pending(Acquisition)
    case unavailable(Failure)
}
