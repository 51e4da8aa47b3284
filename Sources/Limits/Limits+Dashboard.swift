// Bounds of the dashboard.

extension Limits {
    // MARK: Dashboard: sessions

    /// From signing in to having to sign in again.
    package static let dashboardSessionSeconds: Int64 = 12 * 3600
    /// Sessions at a time; beyond, the one that was used least lately ends.
    package static let dashboardSessionsMax = 4096
    /// Of a session's identifier, of its form token.
    package static let dashboardSecretBytes = 32
    /// A `Cookie` field; a longer one is not looked at.
    package static let dashboardCookieBytesMax = 8192

    // MARK: Dashboard: what comes in

    /// A form of somebody who is signed in: a list's items in percent-encoding at its largest.
    package static let dashboardBodyBytesMax = 12 * 1024 * 1024
    /// A form of anybody: a token and the page to go on to.
    package static let dashboardSignInBytesMax = 8192
    package static let dashboardFormFieldsMax = 512
    package static let dashboardPathBytesMax = 2048

    // MARK: Dashboard: what goes out

    package static let dashboardRowsPerPage = 50
    package static let dashboardZonesPerPage = 25
    package static let dashboardNodesPerPage = 200
    /// Zones that a form offers to choose from.
    package static let dashboardZoneChoicesMax = 50
    package static let dashboardRecentChanges = 8
    /// JSON of one audit line that is shown.
    package static let dashboardAuditBytesMax = 20_000
    /// Between two looks at the graphs.
    package static let dashboardRefreshSeconds = 10
    /// Points of one graph: an hour in steps of ten seconds.
    package static let dashboardGraphPointsMax = 360
}
