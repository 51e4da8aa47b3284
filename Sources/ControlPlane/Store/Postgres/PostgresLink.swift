// A thread's connection, made again when it breaks.

import Glibc
import Limits
import Logging

/// A pause that doubles each time, half of it by chance, so that many who failed together do not come back together.
struct Backoff {
    private let range: ClosedRange<Int>
    private(set) var count = 0

    init(_ range: ClosedRange<Int>) { self.range = range }

    /// How long to wait now, in milliseconds.
    mutating func next() -> Int {
        let whole = min(range.upperBound, range.lowerBound << min(count, 16))
        count += 1
        return Int.random(in: whole / 2...whole)
    }

    /// Blocks the thread for that long, but not beyond the deadline.
    mutating func pause(until deadline: ContinuousClock.Instant) {
        let left = ContinuousClock.now.duration(to: deadline)
        let length = min(Duration.milliseconds(next()), left)
        guard length > .zero else { return }
        usleep(
            UInt32(clamping: length.components.seconds * 1_000_000 + length.components.attoseconds / 1_000_000_000_000))
    }

    mutating func reset() { count = 0 }
}

struct PostgresLink {
    private let url: PostgresURL
    private let log: Logger
    private var connection: PostgresConnection?
    private var backoff = Backoff(Limits.storePostgresReconnectMillisecondsRange)

    init(url: PostgresURL, log: Logger) {
        self.url = url
        self.log = log
    }

    /// A connection that works as far as is known. Tries until the deadline.
    mutating func connected(until deadline: ContinuousClock.Instant) throws(StoreError) -> PostgresConnection {
        if let connection, !connection.isBroken { return connection }
        connection = nil
        while true {
            do throws(StoreError) {
                let made = try PostgresConnection(url)
                connection = made
                backoff.reset()
                return made
            } catch {
                guard error.isRetryable, ContinuousClock.now < deadline else { throw error }
                log.debug("the store's server cannot be reached", metadata: ["reason": "\(error)"])
                backoff.pause(until: deadline)
            }
        }
    }

    var isConnected: Bool { connection?.isBroken == false }

    mutating func drop() { connection = nil }
}
