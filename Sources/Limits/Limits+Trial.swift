/// The bounds of `martlet simulate --processes`: real processes on one machine.
extension Limits {
    /// Relays and edges that are started.
    package static let trialProcessesRange = 2...200
    /// How long changes are made, in real time.
    package static let trialSecondsMax = 600.0
    /// Changes a second.
    package static let trialChangesPerSecondMax = 10_000.0
    /// How long all may take to join, and to hold the last change.
    package static let trialJoinSecondsMax = 60
    package static let trialArrivalSecondsMax = 60
    /// How long a process may take to end when it is told to.
    package static let trialStopSecondsMax = 10
    /// What an edge's replica may grow to.
    package static let trialReplicaBytesMax = 1024 * 1024 * 1024
}
