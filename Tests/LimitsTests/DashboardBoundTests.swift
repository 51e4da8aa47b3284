// How the dashboard's bounds relate to the API's, which it asks.

import Limits
import Testing

@Suite("Bounds of the dashboard")
struct DashboardBoundTests {
    @Test("pages are no longer than what the API gives out at once")
    func pages() {
        #expect(Limits.dashboardRowsPerPage <= Limits.apiRecordsPerPageMax)
        #expect(Limits.dashboardRowsPerPage <= Limits.apiObjectsPerPageMax)
        #expect(Limits.dashboardNodesPerPage <= Limits.apiObjectsPerPageMax)
        #expect(Limits.dashboardZonesPerPage <= Limits.apiZonesPerPageMax)
        #expect(Limits.dashboardZoneChoicesMax <= Limits.apiZonesPerPageMax)
        #expect(Limits.dashboardRecentChanges <= Limits.apiObjectsPerPageMax)
    }

    @Test("a form has room for what the API takes, in percent-encoding")
    func forms() {
        #expect(Limits.dashboardBodyBytesMax >= 3 * Limits.apiBodyBytesMax)
        #expect(Limits.dashboardBodyBytesMax >= 3 * 2 * Limits.apiCertificateBytesMax)
        // A token, a path to go on to, and the names of both.
        #expect(Limits.dashboardSignInBytesMax > 3 * (Limits.apiTokenBytesMax + Limits.dashboardPathBytesMax))
        // A cookie has room for a session beside other cookies.
        #expect(Limits.dashboardCookieBytesMax > 64 * Limits.dashboardSecretBytes)
    }

    @Test("somebody who watches the graphs stays far below the API's rate")
    func rates() {
        // The overview looks at the samples once in a refresh.
        let looks = Limits.apiRateWindowSeconds / Limits.dashboardRefreshSeconds
        #expect(looks * 4 < Limits.apiRateRequestsDefault)
    }

    @Test("a graph has a point for each step of the hour it shows")
    func graphs() { #expect(Limits.dashboardGraphPointsMax * 10 == 3600) }
}
