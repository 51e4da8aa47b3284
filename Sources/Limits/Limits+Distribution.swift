/// The bounds of the road between control plane, relays and edges: certificates, enrolment, sockets, the replica's queue.
extension Limits {
    // MARK: Identity

    /// Where a root or relay listens unless told otherwise.
    package static let distributionPort = 7071
    /// A node's name is a DNS label (RFC 1035, section 2.3.4).
    package static let nodeNameBytesMax = 63
    /// A certificate of the installation's authority, and of a node.
    package static let fleetAuthorityDays = 3650
    package static let nodeCertificateDays = 90
    /// By how much a machine's clock may be late, so that a new certificate is valid there.
    package static let nodeCertificateSkewSeconds = 3600
    /// How often a node looks whether its certificate is due, and waits after a renewal that failed.
    package static let nodeRenewalCheckSeconds = 600
    /// Bytes of the file that holds key, certificate and authority.
    package static let nodeIdentityBytesMax = 64 * 1024
    /// Characters of a join token's secret: 40 of 64, that is 240 bits.
    package static let joinTokenSecretCharacters = 40
    /// Bytes of a join token's text, before it is looked at.
    package static let joinTokenBytesMax = 256
    /// Addresses of parents that one node may be given.
    package static let distributionParentsMax = 16

    // MARK: Enrolment

    /// Bytes of a request and of an answer.
    package static let enrolmentMessageBytesMax = 16 * 1024
    /// Bytes of one certificate or one signing request within it.
    package static let enrolmentCertificateBytesMax = 4 * 1024
    /// Bytes of a refusal's text.
    package static let enrolmentTextBytesMax = 500
    /// Enrolments that one node carries out at a time; who comes beyond is told to come back.
    package static let enrolmentsMax = 16
    /// Time from an accepted handshake to the answer, at the root.
    package static let enrolmentMilliseconds: Int64 = 15_000
    /// Relays through which a request may pass: a circle of them ends here.
    package static let enrolmentHopsMax = 8
    /// How long a node that joins tries while nobody answers.
    package static let joinSecondsMax = 60
    package static let joinRetryMilliseconds: ClosedRange<UInt64> = 500...8000

    // MARK: Connections

    /// Time for a connection to a parent, and from an accepted connection to the end of its handshake.
    package static let distributionHandshakeMilliseconds: Int64 = 5000
    /// Connections that have not said who they are: of all, and of one address.
    package static let distributionStrangersMax = 256
    package static let distributionStrangersPerAddressMax = 64
    /// Bytes that one child may say in a second; beyond, it is read again in the next one.
    package static let distributionChildReadBytesPerSecondMax = 512 * 1024
    /// Bytes that wait unwritten in the sockets of all children together; beyond, whoever has most of them is cut.
    package static let distributionUnwrittenBytesMax = 512 * 1024 * 1024
    /// How long what was sent may take to leave when a connection is closed.
    package static let distributionLingerMilliseconds: Int64 = 2000
    /// How often revocation, expiry and unwritten bytes are looked at.
    package static let distributionSweepMilliseconds: Int64 = 1000
    /// How often an edge is asked for its health.
    package static let distributionHealthMilliseconds: Int64 = 5000

    // MARK: Replica

    /// Bytes of frames and chunks that wait for the replica; beyond, the parent is not read, and who publishes waits.
    package static let distributionReplicaQueueBytesMax = 16 * 1024 * 1024
    /// Bytes of frames that are applied in one transaction while catching up.
    package static let distributionApplyBatchBytes = 4 * 1024 * 1024
    /// How often a replica that another process still writes is tried again.
    package static let distributionLockedRetryMilliseconds = 100
    /// Waits between the attempts of a root to write its own replica; after the last one it gives up, and tells so.
    package static let distributionApplyRetryMilliseconds = [100, 500, 2000]
}
