import Limits
import Testing

@Suite("Bounds of the operator's commands")
struct OperatorBoundTests {
    @Test("a wait outlasts the API's window for rates, and patience ends")
    func patience() {
        #expect(Limits.operatorWaitSecondsMax > Limits.apiRateWindowSeconds)
        #expect((2...10).contains(Limits.operatorAttemptsMax))
        #expect(Limits.operatorWaitSecondsDefault <= Limits.operatorWaitSecondsMax)
        #expect(Limits.operatorConnectMilliseconds < Limits.operatorRequestMilliseconds)
    }

    @Test("pages are no larger than the API's, and an answer holds one")
    func pages() {
        #expect(Limits.operatorObjectsPerPage <= Limits.apiZonesPerPageMax)
        #expect(Limits.operatorRecordsPerPage <= Limits.apiRecordsPerPageMax)
        // A record of ordinary size takes less than 1 KiB.
        #expect(Limits.operatorRecordsPerPage * 1024 <= Limits.operatorAnswerBytesMax)
        #expect(Limits.operatorPagesMax <= Limits.apiPageMax)
        // Every record of the largest zone, and every object of one kind.
        #expect(Limits.operatorRecordsPerPage * Limits.operatorPagesMax >= Limits.apiRecordsPerZoneMax)
        #expect(Limits.operatorObjectsPerPage * Limits.operatorPagesMax >= Limits.zonesMax)
    }

    @Test("what is typed and kept fits what is asked")
    func texts() {
        #expect(Limits.operatorTokenBytesMax <= Limits.apiTokenBytesMax)
        #expect(
            Limits.operatorTokenBytesMax + Limits.operatorAddressBytesMax < Limits.operatorCredentialsBytesMax)
        #expect(Limits.apiImportBytesMax <= Limits.operatorAnswerBytesMax)
        // Reads under way at once leave most of a caller's rate to others.
        #expect(Limits.operatorReadsAtOnceMax * 10 < Limits.apiRateRequestsDefault)
    }
}
