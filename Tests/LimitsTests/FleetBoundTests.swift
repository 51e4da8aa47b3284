import Testing

@testable import Limits

@Suite("Bounds of the fleet and of the configuration's history")
struct FleetBoundTests {
    @Test("statements that write many rows stay within the placeholders of one")
    func placeholders() {
        let (nodes, samples, state, audit, items) = (13, 7, 4, 9, 8)
        #expect(Limits.fleetRowsPerStatement * max(nodes, samples) + 1 <= Limits.storePlaceholdersMax)
        for (rows, columns) in [(Limits.logStateRowsPerStatement, state), (Limits.auditRowsPerStatement, audit)] {
            #expect(rows == rows.sorted(by: >))
            #expect(rows.allSatisfy { $0 * columns <= Limits.storePlaceholdersMax })
        }
        #expect(Limits.auditRowsPerStatement.last == 1)
        #expect(Limits.apiListRowsPerStatement * items <= Limits.storePlaceholdersMax)
        #expect(Limits.apiTokenUsesMax + 1 <= Limits.storePlaceholdersMax)
    }

    @Test("pages of the log's state fit into a result, with the largest value there may be")
    func state() {
        #expect(Limits.logStatePageBytesTarget + Limits.configGroupBytesMax <= Limits.storeResultBytesMax)
        #expect(Limits.logStatePageRowsMax <= Limits.storeResultRowsMax)
    }

    @Test("a global object holds two bodies, and a value of the store holds it")
    func globals() {
        #expect(2 * Limits.globalBodyBytesMax + 1024 <= Limits.globalObjectBytesMax)
        #expect(Limits.globalObjectBytesMax <= Limits.storeValueBytesMax)
        #expect(Limits.globalObjectBytesMax <= Limits.configGroupBytesMax)
        #expect(Limits.globalBodyBytesMax <= Limits.apiBodyBytesMax)
    }

    @Test("an edge that is gone is known to be before a stage can pass, and is not taken for slow")
    func rollouts() {
        let soak = Limits.rolloutSoakSecondsRange.lowerBound * 1000
        #expect(Int64(Limits.rolloutLookMilliseconds) * 2 <= soak)
        #expect(Limits.rolloutGoneMilliseconds < Limits.rolloutApplyMilliseconds)
        #expect(Limits.rolloutSoakSecondsRange.contains(Limits.rolloutSoakSecondsDefault))
        #expect(Limits.rolloutErrorsMin < Limits.rolloutRequestsMin)
    }

    @Test("more samples go than come, and what is shown as connected was heard of lately")
    func samples() {
        let perPrune = Limits.fleetSamplePruneSeconds / Limits.fleetSampleSeconds
        #expect(Int64(Limits.fleetSamplePruneRowsMax) >= Int64(Limits.fleetNodesMax) * perPrune)
        #expect(Limits.fleetSilentSeconds > 2 * Limits.fleetSampleSeconds)
        #expect(Limits.joinTokenSecondsRange.contains(Limits.joinTokenSecondsDefault))
        #expect(Limits.fleetNodesMax == Limits.configNodesMax)
    }

    @Test("what one difference goes over fits into a result")
    func history() {
        #expect(Limits.historyEntriesMax <= Limits.storeResultRowsMax)
        #expect(Limits.historyBytesMax <= Limits.storeResultBytesMax)
    }
}
