// Bounds of an edge that follows the control plane.

extension Limits {
    // MARK: Purges from the log

    /// Purges that wait to be executed. Beyond, everything is purged of the zones that the others are about.
    package static let followedPurgesWaitingMax = 4096
    /// How much earlier than the newest one executed a purge may have been asked for and yet come later: several control
    /// processes number by their own clocks. Microseconds.
    package static let followedPurgeSlackMicroseconds: Int64 = 60_000_000
    /// How often it is written down up to where purges were executed, in milliseconds. What a crash forgets of it is
    /// executed once more.
    package static let followedPurgeMarkMilliseconds = 1000

    /// Zones of a replica looked at in one read, when all of them are.
    package static let cacheZonesPerLook = 1000

    // MARK: A control process

    /// Groups of the log, the newest ones, that a control process offers to children that come back.
    package static let controlRecentGroupsMax = 50_000
    /// How often it tries to fill its replica from a store that moves on meanwhile.
    package static let controlCatchUpAttemptsMax = 5
    /// How long `martlet up` waits for its control plane before it serves without: at the first start, when there is
    /// nothing to serve, and later; milliseconds.
    package static let controlStartMilliseconds = 15_000
    package static let controlRestartMilliseconds = 2000
    /// Between two attempts to bring up a control plane whose store or address cannot be had, milliseconds.
    package static let controlRetryMilliseconds = 1000

    // MARK: Health

    /// What an edge reports is of this window, sampled this often; milliseconds.
    package static let healthWindowMilliseconds = 60_000
    package static let healthSampleMilliseconds = 5000

    // MARK: Upkeep

    /// How often a follower looks whether a zone's time has come: development mode that ends, a certificate file that
    /// changed; milliseconds.
    package static let followedUpkeepMilliseconds = 1000
}
