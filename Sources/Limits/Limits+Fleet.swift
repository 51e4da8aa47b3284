/// The bounds of the fleet: nodes, how they join, what they report, and how global objects are rolled out over them.
extension Limits {
    // MARK: Nodes

    /// Nodes that may be enrolled, revoked ones that were not forgotten included: as many as a root can know of.
    package static let fleetNodesMax = configNodesMax
    /// Rows that one statement writes: columns times rows stay within the store's placeholders.
    package static let fleetRowsPerStatement = 512
    /// A node that nobody reported for so long is shown as not connected, and another control process's word counts.
    package static let fleetSilentSeconds: Int64 = 30
    /// Seconds between two samples of a node, how long they are kept, and how often old ones are looked for.
    package static let fleetSampleSeconds: Int64 = 10
    package static let fleetSamplesKeptSeconds: Int64 = 3_600
    package static let fleetSamplePruneSeconds: Int64 = 60
    /// Rows that one such look takes away: more than come in meanwhile.
    package static let fleetSamplePruneRowsMax = 100_000
    /// Seconds that a sample's counts are of.
    package static let fleetWindowSeconds: Int64 = 60

    // MARK: Joining

    /// Seconds that a join token is good for.
    package static let joinTokenSecondsRange: ClosedRange<Int64> = 60...604_800
    package static let joinTokenSecondsDefault: Int64 = 3_600
    /// Join tokens that are kept, and how long they are shown after their end.
    package static let joinTokensMax = 10_000
    package static let joinTokenKeptSeconds: Int64 = 2_592_000

    // MARK: Global objects

    /// Bytes of one as it is published: body, the one before it, stage and salt.
    package static let globalObjectBytesMax = 256 * 1024
    /// Bytes of a body, so that two of them and the rest fit.
    package static let globalBodyBytesMax = 96 * 1024

    // MARK: Roll-outs

    /// Seconds that a stage is watched for.
    package static let rolloutSoakSecondsRange: ClosedRange<Int64> = 10...86_400
    package static let rolloutSoakSecondsDefault: Int64 = 60
    /// How often the leading control process looks.
    package static let rolloutLookMilliseconds = 2_000
    /// How long edges of a stage may take to apply it, and how long one may be away.
    package static let rolloutApplyMilliseconds: Int64 = 60_000
    package static let rolloutGoneMilliseconds: Int64 = 15_000
    /// Requests in `fleetWindowSeconds` below which shares and latencies say nothing.
    package static let rolloutRequestsMin: UInt64 = 50
    /// By how much the share of 5xx may rise, in thousandths of the requests, and how many there must be at least.
    package static let rolloutErrorsPerMilleMax: UInt64 = 10
    package static let rolloutErrorsMin: UInt64 = 5
    /// By how much the 99th percentile may rise: by this share, and so many microseconds more.
    package static let rolloutLatencyPercentMax: UInt64 = 50
    package static let rolloutLatencyMicroseconds: UInt64 = 50_000
    /// What is kept of a roll-out's history, and roll-outs that are kept.
    package static let rolloutEventsMax = 64
    package static let rolloutsKeptMax = 1_000
}
