/// The bounds of the fleet: nodes, how they join, what they report, and how global objects are rolled out over them.
extension Limits {
    // MARK: Global objects

    /// Bytes of one as it is published: body, the one before it, stage and salt.
    package static let globalObjectBytesMax = 256 * 1024
    /// Bytes of a body, so that two of them and the rest fit.
    package static let globalBodyBytesMax = 96 * 1024
}
