import Limits
import Testing

@Suite("How the log's bounds relate")
struct LogBoundTests {
    @Test("the largest group fits a frame, and the largest frame a message")
    func sizes() {
        #expect(Limits.configGroupBytesMax + Limits.configFrameBytesTarget < Limits.configFrameBytesMax)
        #expect(Limits.configFrameBytesMax < Limits.configMessageBytesMax)
        #expect(Limits.configSnapshotChunksMax * 36 + 64 <= Limits.configMessageBytesMax)
        // Keys have their length in 16 bits, and fit a replica's 511 bytes.
        #expect(Limits.configKeyBytesMax <= 511)
        // Names and texts have theirs in 8.
        #expect(Limits.configNameBytesMax <= 255 && Limits.configGoodbyeBytesMax <= 255)
        // A hello and a goodbye are the longest of the small messages.
        #expect(Limits.configNameBytesMax + 64 < Limits.configHelloBytesMax)
        #expect(Limits.configGoodbyeBytesMax + 64 < Limits.configHelloBytesMax)
        // A full message of reports: two names, a position, times, health.
        #expect(
            Limits.configReportsPerMessageMax * (2 * (Limits.configNameBytesMax + 1) + 48 + 12 + 28 + 2) + 6
                <= Limits.configChildMessageBytesMax)
    }

    @Test("one frame alone cuts nobody, and what is in flight is less than what may be behind")
    func queues() {
        #expect(Limits.configInFlightBytesMax + Limits.configFrameBytesMax <= Limits.configChildQueueBytesMax)
        #expect(Limits.configChildQueueBytesMax < Limits.configWindowBytesMax)
        #expect(Limits.configFrameBytesMax <= Limits.configWindowBytesMax / 2)
    }

    @Test(
        "a parent speaks at least twice before it is held to be dead, and a lost root shows before its children leave")
    func waits() {
        #expect(Limits.configPingMilliseconds * 3 <= Limits.configSilenceMillisecondsMax)
        #expect(Limits.configAcknowledgeMilliseconds < Limits.configPingMilliseconds)
        // A relay that changes its own parent is back before its children give it up.
        #expect(
            Limits.configOrphanMilliseconds
                > Limits.configSilenceMillisecondsMax + Limits.configBackOffMilliseconds.lowerBound)
        #expect(Limits.configOrphanStayMilliseconds > Limits.configOrphanMilliseconds)
        #expect(Limits.configStableMilliseconds >= Limits.configBackOffMilliseconds.upperBound)
        #expect(Limits.configResendsPerParentMax < Limits.configResendsMax)
        #expect(Limits.configChildStallMilliseconds > Limits.configSilenceMillisecondsMax)
    }
}
