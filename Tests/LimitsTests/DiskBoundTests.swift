import Limits
import Testing

@Suite("Bounds of the disk: writes")
struct DiskBoundTests {
    @Test("large objects are written in whole blocks, and what waits for a write is little")
    func largeObjects() {
        #expect(Limits.cacheDiskWriteBytesMin.isMultiple(of: Limits.cacheDiskChecksumBytes))
        #expect(Limits.cacheDiskWriteBytes.isMultiple(of: Limits.cacheDiskWriteBytesMin))
        // A body begins where a write may: the kernel's pieces then do too.
        #expect((2 * Limits.cacheDiskSlotBytes).isMultiple(of: Limits.cacheDiskWriteBytesMin))
        // The source goes on before there is nothing left to write.
        #expect(Limits.cacheDiskWriteBytes <= Limits.cacheFillWindowBytes)
        #expect(Limits.cacheDiskWriteBytesMin * Limits.cacheDiskWritersMax <= 2 * Limits.cacheFillBytesMin)
        // IOV_MAX.
        #expect(Limits.cacheDiskWritePiecesMax <= 1024)
    }

    @Test("all purges that are kept may wait for the journal")
    func purges() {
        #expect(Limits.cacheDiskPurgesMax * 256 <= Limits.cacheDiskJournalBytesQueuedMax)
    }
}
