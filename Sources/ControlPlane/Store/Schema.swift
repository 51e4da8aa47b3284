// The tables, as numbered steps that only ever go forward. One text serves both databases; what differs is named:
//
//     {text}   text that sorts by its bytes        {int}  64 bits
//     {bytes}  bytes                               {row}  a number that grows with each row, the primary key
//
// A step that has been released never changes: a later one mends it. Constraints are called `<table>__<columns>`, which
// is how a violation's columns are known without parsing a server's words.
//
// Times are microseconds since 1970, truths are 0 or 1, JSON is text.

/// One step of the schema.
struct Migration: Sendable {
    let number: Int
    let name: String
    let statements: [String]
}

enum Schema {
    static let migrations: [Migration] = [
        Migration(number: 1, name: "the first tables", statements: accounts + zones + objects + log + audit),
        Migration(number: 2, name: "the state of the log", statements: logState),
        Migration(number: 3, name: "the fleet", statements: fleet),
    ]

    /// What this program knows. A database beyond it belongs to a newer one.
    static var newest: Int { migrations.last?.number ?? 0 }

    /// Made before anything else, to know which steps were taken.
    static let meta = """
        CREATE TABLE IF NOT EXISTS meta (
            key {text} NOT NULL CONSTRAINT meta__key PRIMARY KEY,
            value {text} NOT NULL
        ){strict}
        """

    /// Who may do what.
    private static let accounts = [
        """
        CREATE TABLE accounts (
            id {text} NOT NULL CONSTRAINT accounts__id PRIMARY KEY,
            name {text} NOT NULL,
            settings {text} NOT NULL DEFAULT '{}',
            created_on {int} NOT NULL,
            modified_on {int} NOT NULL
        ){strict}
        """,
        """
        CREATE TABLE users (
            id {text} NOT NULL CONSTRAINT users__id PRIMARY KEY,
            email {text} NOT NULL CONSTRAINT users__email UNIQUE,
            first_name {text},
            last_name {text},
            created_on {int} NOT NULL,
            modified_on {int} NOT NULL
        ){strict}
        """,
        """
        CREATE TABLE memberships (
            account_id {text} NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            user_id {text} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
            roles {text} NOT NULL DEFAULT '[]',
            CONSTRAINT memberships__account_id__user_id PRIMARY KEY (account_id, user_id)
        ){strict}
        """,
        "CREATE INDEX memberships_by_user ON memberships (user_id)",
        """
        CREATE TABLE tokens (
            id {text} NOT NULL CONSTRAINT tokens__id PRIMARY KEY,
            account_id {text} REFERENCES accounts (id) ON DELETE CASCADE,
            user_id {text} REFERENCES users (id) ON DELETE CASCADE,
            name {text} NOT NULL,
            hash {bytes} NOT NULL CONSTRAINT tokens__hash UNIQUE,
            policies {text} NOT NULL,
            condition {text},
            status {text} NOT NULL,
            not_before {int},
            expires_on {int},
            issued_on {int} NOT NULL,
            modified_on {int} NOT NULL,
            last_used_on {int}
        ){strict}
        """,
        "CREATE INDEX tokens_by_account ON tokens (account_id)",
        "CREATE INDEX tokens_by_user ON tokens (user_id)",
    ]

    private static let zones = [
        """
        CREATE TABLE zones (
            id {text} NOT NULL CONSTRAINT zones__id PRIMARY KEY,
            account_id {text} NOT NULL REFERENCES accounts (id),
            name {text} NOT NULL CONSTRAINT zones__name UNIQUE,
            status {text} NOT NULL,
            paused {int} NOT NULL DEFAULT 0,
            type {text} NOT NULL,
            created_on {int} NOT NULL,
            modified_on {int} NOT NULL,
            activated_on {int},
            development_mode {int} NOT NULL DEFAULT 0,
            name_servers {text} NOT NULL DEFAULT '[]',
            original_name_servers {text},
            vanity_name_servers {text} NOT NULL DEFAULT '[]',
            meta {text} NOT NULL DEFAULT '{}',
            version {int} NOT NULL DEFAULT 1
        ){strict}
        """,
        "CREATE INDEX zones_by_account ON zones (account_id, name)",
        """
        CREATE TABLE dns_records (
            id {text} NOT NULL CONSTRAINT dns_records__id PRIMARY KEY,
            zone_id {text} NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
            name {text} NOT NULL,
            type {text} NOT NULL,
            content {text} NOT NULL,
            ttl {int} NOT NULL,
            proxied {int} NOT NULL DEFAULT 0,
            priority {int},
            data {text},
            comment {text},
            tags {text} NOT NULL DEFAULT '[]',
            settings {text} NOT NULL DEFAULT '{}',
            created_on {int} NOT NULL,
            modified_on {int} NOT NULL,
            comment_modified_on {int},
            tags_modified_on {int}
        ){strict}
        """,
        "CREATE INDEX dns_records_by_name ON dns_records (zone_id, name, type)",
        "CREATE INDEX dns_records_by_type ON dns_records (zone_id, type)",
        // The start of a content only: a long TXT record does not fit into an entry of PostgreSQL's index.
        "CREATE INDEX dns_records_by_content ON dns_records (zone_id, substr(content, 1, 64))",
    ]

    /// Everything else, by kind. The scope is the zone or the account, or empty.
    private static let objects = [
        """
        CREATE TABLE objects (
            kind {text} NOT NULL,
            scope_id {text} NOT NULL,
            id {text} NOT NULL,
            name {text} NOT NULL DEFAULT '',
            body {text} NOT NULL,
            version {int} NOT NULL DEFAULT 1,
            created_on {int} NOT NULL,
            modified_on {int} NOT NULL,
            CONSTRAINT objects__kind__scope_id__id PRIMARY KEY (kind, scope_id, id)
        ){strict}
        """,
        "CREATE INDEX objects_by_name ON objects (kind, scope_id, name)",
        """
        CREATE TABLE secrets (
            object_id {text} NOT NULL CONSTRAINT secrets__object_id PRIMARY KEY,
            sealed {bytes} NOT NULL,
            modified_on {int} NOT NULL
        ){strict}
        """,
    ]

    /// What was published, in the order of its outbox rows; the frames that carry it, once numbered; and who numbers. Large
    /// columns come last: SQLite walks over them to reach those behind.
    private static let log = [
        """
        CREATE TABLE outbox (
            id {row},
            sequence {int},
            created {int} NOT NULL,
            changes {bytes} NOT NULL
        ){strict}
        """,
        "CREATE INDEX outbox_waiting ON outbox (id) WHERE sequence IS NULL",
        "CREATE INDEX outbox_numbered ON outbox (sequence) WHERE sequence IS NOT NULL",
        """
        CREATE TABLE frames (
            first {int} NOT NULL CONSTRAINT frames__first PRIMARY KEY,
            last {int} NOT NULL CONSTRAINT frames__last UNIQUE,
            epoch {int} NOT NULL,
            hash {bytes} NOT NULL,
            committed {int} NOT NULL,
            size {int} NOT NULL,
            bytes {bytes} NOT NULL
        ){strict}
        """,
        """
        CREATE TABLE leader (
            id {int} NOT NULL CONSTRAINT leader__id PRIMARY KEY,
            generation {int} NOT NULL,
            holder {text} NOT NULL,
            renewed {int} NOT NULL,
            epoch {int} NOT NULL,
            sequence {int} NOT NULL,
            hash {bytes} NOT NULL
        ){strict}
        """,
        "INSERT INTO leader (id, generation, holder, renewed, epoch, sequence, hash) VALUES (1, 0, '', 0, 1, 0, {zero})",
    ]

    /// The newest value of each key, and up to which frame that holds.
    private static let logState = [
        """
        CREATE TABLE log_state (
            key {text} NOT NULL CONSTRAINT log_state__key PRIMARY KEY,
            sequence {int} NOT NULL,
            size {int} NOT NULL,
            value {bytes} NOT NULL
        ){strict}
        """,
        "ALTER TABLE leader ADD COLUMN state {int} NOT NULL DEFAULT 0",
    ]

    private static let audit = [
        """
        CREATE TABLE audit (
            id {text} NOT NULL CONSTRAINT audit__id PRIMARY KEY,
            at {int} NOT NULL,
            actor {text} NOT NULL,
            action {text} NOT NULL,
            resource {text} NOT NULL,
            scope {text} NOT NULL,
            before {text},
            after {text},
            request_id {text} NOT NULL
        ){strict}
        """,
        "CREATE INDEX audit_by_time ON audit (at)",
        "CREATE INDEX audit_by_scope ON audit (scope, at)",
    ]
}

/// The two databases, where their languages differ.
enum SQLDialect: Sendable {
    case sqlite, postgres

    /// A statement of the schema in this database's words.
    func render(_ statement: String) -> String {
        let zero = String(repeating: "0", count: 64)
        let words: [(String, sqlite: String, postgres: String)] = [
            ("{text}", "TEXT", "TEXT COLLATE \"C\""),
            ("{int}", "INTEGER", "BIGINT"),
            ("{bytes}", "BLOB", "BYTEA"),
            ("{row}", "INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
            ("{strict}", " STRICT", ""),
            ("{zero}", "x'\(zero)'", "'\\x\(zero)'"),
        ]
        var rendered = statement
        for word in words {
            rendered.replace(word.0, with: self == .sqlite ? word.sqlite : word.postgres)
        }
        return rendered
    }
}
