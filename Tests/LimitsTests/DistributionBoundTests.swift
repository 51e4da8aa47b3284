import Limits
import Testing

@Suite("Bounds of the distribution")
struct DistributionBoundTests {
    @Test("an enrolment's parts fit its message, and a refusal its text")
    func enrolment() {
        #expect(Limits.enrolmentCertificateBytesMax * 3 + 1024 < Limits.enrolmentMessageBytesMax)
        #expect(Limits.enrolmentTextBytesMax + 16 < Limits.enrolmentMessageBytesMax)
        // Lengths are written in two bytes.
        #expect(Limits.enrolmentCertificateBytesMax <= Int(UInt16.max))
        // Key, certificate and authority as PEM, a third larger and with their borders.
        #expect(Limits.enrolmentCertificateBytesMax * 3 * 3 / 2 < Limits.nodeIdentityBytesMax)
        #expect(Limits.joinTokenSecretCharacters + 64 < Limits.joinTokenBytesMax)
        // A secret's length is written in one byte.
        #expect(Limits.joinTokenSecretCharacters <= Int(UInt8.max))
    }

    @Test("a node's name fits into the log's messages, and its version into a report")
    func names() {
        #expect(Limits.nodeNameBytesMax <= Limits.configNameBytesMax)
        #expect(Limits.configSoftwareBytesMax <= Int(UInt8.max))
        let report = 2 * (Limits.configNameBytesMax + 1) + Limits.configSoftwareBytesMax + 1 + 48 + 64 + 64
        #expect(Limits.configReportsPerMessageMax * report < Limits.configChildMessageBytesMax)
    }

    @Test("a child that behaves is never cut for what waits in its socket")
    func queues() {
        let largest = max(Limits.configInFlightBytesMax, Limits.configFrameBytesMax)
        let chunks = Limits.configChunkRequestsMax * Limits.configChunkBytesMax
        #expect(largest + chunks + 64 * 1024 <= Limits.configChildQueueBytesMax)
        #expect(Limits.configChildQueueBytesMax <= Limits.distributionUnwrittenBytesMax)
        // What one child may say at a time passes within a second.
        #expect(Limits.configChildMessageBytesMax <= Limits.distributionChildReadBytesPerSecondMax)
        // A parent stops sending before the replica's queue is full by frames alone.
        #expect(Limits.configInFlightBytesMax <= Limits.distributionReplicaQueueBytesMax)
    }

    @Test("waits: a handshake is given up no later than the machine gives up the connection")
    func waits() {
        #expect(Limits.distributionHandshakeMilliseconds <= Int64(Limits.configConnectMilliseconds))
        #expect(Limits.distributionLingerMilliseconds < Limits.distributionHandshakeMilliseconds)
        #expect(Limits.distributionStrangersPerAddressMax < Limits.distributionStrangersMax)
        #expect(Limits.enrolmentsMax < Limits.distributionStrangersMax)
        // A third of the shortest certificate is many looks long.
        #expect(Limits.nodeCertificateDays * 86_400 / 3 > Limits.nodeRenewalCheckSeconds * 100)
        #expect(Limits.nodeCertificateDays < Limits.fleetAuthorityDays)
    }
}
