/// Where the control plane keeps its truth. Its description hides the password.
package enum StoreLocation: Sendable, Equatable, CustomStringConvertible {
    /// A file; its directory has to be there.
    case sqlite(path: String)
    /// `postgres://user:password@host:port/database?sslmode=verify-full`, with every parameter that libpq knows.
    case postgres(url: String)

    /// From `store:` of the configuration: a URL of PostgreSQL, `sqlite:PATH`, or a path.
    package init(parsing text: String) throws(StoreError) {
        if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") {
            _ = try PostgresURL(text)
            self = .postgres(url: text)
            return
        }
        let path = text.hasPrefix("sqlite:") ? String(text.dropFirst("sqlite:".count)) : text
        guard !path.isEmpty, !path.contains("://"), !path.utf8.contains(0) else {
            // Not quoted: a mistyped URL may hold a password.
            throw .other(
                "expected postgres://USER@HOST/DATABASE, sqlite:PATH or a path as the store, found something else")
        }
        self = .sqlite(path: path)
    }

    package var description: String {
        switch self {
        case .sqlite(let path): "sqlite:\(path)"
        case .postgres(let url): (try? PostgresURL(url).description) ?? "postgres://(not understood)"
        }
    }
}
