import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import Telemetry

/// Whether the origin is still there, and whether the connection is still wanted.
///
/// One deadline serves all: it is set to the next moment at which something may be due, and looked at then. What
/// happens in between only notes when.
extension HTTP2OriginConnection {
    /// Bytes came. Whatever they are, they answer the question that is open.
    func heard(at now: UInt64) {
        heardAt = now
        askedAt = 0
    }

    /// Bytes came that answer nothing: the next silence is asked about as soon as the first.
    func heardOfStreams() {
        patience = Limits.http2OriginPingAfterMilliseconds
    }

    /// A stream begins. Behind a long silence its connection may be gone: the question goes out with it, so that an
    /// origin that answers slowly is told from one that is not there.
    func askIfSilent() {
        let now = shared.now()
        let silence = now &- heardAt
        guard flags.contains(.hasSettled), askedAt == 0,
            silence > UInt64(Limits.http2OriginPingAfterMilliseconds) &* 1_000_000
        else { return }
        ask(now)
        watch()
    }

    private func ask(_ now: UInt64) {
        askedAt = max(now, 1)
        session.ping(now)
        requestWrite()
    }

    /// Sets the deadline to the next thing that may be due.
    func watch() {
        guard !flags.contains(.isClosed) else { return }
        // Until SETTINGS have come, the time to connect counts.
        guard flags.contains(.hasSettled) else { return }
        let now = shared.now()
        var due =
            askedAt != 0
            ? askedAt &+ UInt64(Limits.http2OriginPingTimeoutMilliseconds) &* 1_000_000
            : heardAt &+ UInt64(patience) &* 1_000_000
        if flags.contains(.isIdle) { due = min(due, idleSince &+ UInt64(server.key.pool.keepAlive) &* 1_000_000) }
        let left = due > now ? (due &- now) / 1_000_000 : 0
        loop.deadlines.set(self, milliseconds: Int(clamping: left))
    }

    /// Something may be due.
    func look() {
        guard !flags.contains(.isClosed) else { return }
        guard flags.contains(.hasSettled) else {
            // An origin that has not said SETTINGS by now speaks something else.
            return close(.originClosedEarly)
        }
        let now = shared.now()
        if flags.contains(.isIdle), now &- idleSince >= UInt64(server.key.pool.keepAlive) &* 1_000_000 {
            // Somebody has it in hand: their stream comes in a moment.
            if hasClaims { idleSince = now } else { return leave() }
        }
        if askedAt != 0 {
            if now &- askedAt >= UInt64(Limits.http2OriginPingTimeoutMilliseconds) &* 1_000_000 {
                return close(.originClosedEarly)
            }
        } else if now &- heardAt >= UInt64(patience) &* 1_000_000 {
            patience = min(patience * Limits.http2OriginPingFactor, Limits.http2OriginPingAfterMillisecondsMax)
            if flags.contains(.isIdle) { session.trim() }
            ask(now)
        }
        watch()
    }
}
