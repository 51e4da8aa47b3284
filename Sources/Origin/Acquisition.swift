import ConfigModel
package import Exchange
import Limits
import NIOCore
import Telemetry

/// Somebody's wish for a connection that could not be met at once.
///
/// It belongs to the event loop of the receiver. The receiver may be gone, or busy with another exchange, by the time
/// the wish is met: whoever asks keeps the acquisition and gives it up by `cancel`, and from then on nothing arrives.
package final class Acquisition: Deadlined, @unchecked Sendable {
    // Unchecked: other loops pass it on and read `loop`, which never changes; all else happens on `loop`.
    let loop: EdgeLoop
    private let server: OriginServer
    private var receiver: (any OriginReceiver)?
    private let askedAt = MonotonicClock.nanoseconds()

    /// What is to be offered to the origin, should a connection be made for it.
    let offer: OriginOffer

    init(receiver: any OriginReceiver, loop: EdgeLoop, server: OriginServer, offer: OriginOffer = .http1) {
        self.receiver = receiver
        self.offer = offer
        self.loop = loop
        self.server = server
        super.init()
    }

    var isWanted: Bool { receiver != nil }

    /// Whether it is counted among those in line.
    private var isCounted = false

    private func count(_ counted: Bool) {
        guard counted != isCounted else { return }
        isCounted = counted
        loop.metrics.adjust(.originPoolWaiters, by: counted ? 1 : -1)
    }

    /// The receiver gives up. On its loop.
    package func cancel() {
        guard receiver != nil else { return }
        receiver = nil
        waitIsOver()
        server.leaveLine(self)
    }

    /// In the line from now on, for so long at most.
    func waits(milliseconds: Int) {
        count(true)
        loop.deadlines.register(self)
        loop.deadlines.set(self, milliseconds: milliseconds)
    }

    /// A connection is being made for it: now the connect timeout counts.
    func waitIsOver() {
        count(false)
        loop.deadlines.release(self)
    }

    package override func deadlinePassed() {
        server.leaveLine(self)
        // The connection that all of them wait for is not made yet: that is the origin's doing, not the pool's.
        fail(server.isConnecting(offer) ? .originConnectTimeout : .poolExhausted)
    }

    /// A seat is there for the receiver. On any loop.
    ///
    /// - Parameter isReused: of a connection that was there already.
    func succeed(with seat: any OriginSeat, isReused: Bool) {
        if loop.eventLoop.inEventLoop {
            deliver(seat, isReused)
        } else {
            loop.eventLoop.execute { self.deliver(seat, isReused) }
        }
    }

    private func deliver(_ seat: any OriginSeat, _ isReused: Bool) {
        waitIsOver()
        guard let receiver else {
            // Nobody wants it any more: back to the pool, on its own loop.
            seat.loop.eventLoop.execute { seat.returnUnused() }
            return
        }
        self.receiver = nil
        if isReused { loop.metrics.add(.originConnectionsReused) }
        loop.metrics.observe(.originPoolWait, nanoseconds: MonotonicClock.nanoseconds() &- askedAt)
        receiver.originReady(seat.loop === loop ? seat.takeLink() : RemoteLink(driving: seat, from: loop))
    }

    /// On the receiver's loop.
    func fail(_ failure: Failure) {
        waitIsOver()
        guard let receiver else { return }
        self.receiver = nil
        receiver.originUnavailable(failure)
    }
}
