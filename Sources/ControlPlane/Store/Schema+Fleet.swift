extension Schema {
    /// Nodes and what they report, how they join, and how global objects are rolled out over them.
    static let fleet = [
        """
        CREATE TABLE nodes (
            name {text} NOT NULL CONSTRAINT nodes__name PRIMARY KEY,
            role {text} NOT NULL,
            state {text} NOT NULL,
            canary {int} NOT NULL DEFAULT 0,
            serial {text} NOT NULL DEFAULT '',
            previous_serial {text} NOT NULL DEFAULT '',
            certificate_expires {int},
            enrolled_on {int} NOT NULL,
            reporter {text} NOT NULL DEFAULT '',
            parent {text} NOT NULL DEFAULT '',
            version {text} NOT NULL DEFAULT '',
            epoch {int} NOT NULL DEFAULT 0,
            sequence {int},
            applied_at {int},
            lag_ms {int} NOT NULL DEFAULT 0,
            health {text},
            connected {int} NOT NULL DEFAULT 0,
            seen_at {int}
        ){strict}
        """,
        """
        CREATE TABLE node_samples (
            name {text} NOT NULL,
            at {int} NOT NULL,
            requests {int} NOT NULL,
            server_errors {int} NOT NULL,
            cache_hits {int} NOT NULL,
            bytes {int} NOT NULL,
            p99_us {int} NOT NULL,
            CONSTRAINT node_samples__name__at PRIMARY KEY (name, at)
        ){strict}
        """,
        "CREATE INDEX node_samples_by_time ON node_samples (at)",
        """
        CREATE TABLE join_tokens (
            id {text} NOT NULL CONSTRAINT join_tokens__id PRIMARY KEY,
            digest {bytes} NOT NULL CONSTRAINT join_tokens__digest UNIQUE,
            role {text} NOT NULL,
            name {text},
            created_on {int} NOT NULL,
            expires_on {int} NOT NULL,
            used_on {int},
            used_by {text},
            key_digest {bytes}
        ){strict}
        """,
        """
        CREATE TABLE rollouts (
            id {text} NOT NULL CONSTRAINT rollouts__id PRIMARY KEY,
            kind {text} NOT NULL,
            object_id {text} NOT NULL,
            version {int} NOT NULL,
            state {text} NOT NULL,
            machine {text} NOT NULL,
            events {text} NOT NULL DEFAULT '[]',
            revision {int} NOT NULL DEFAULT 1,
            created_on {int} NOT NULL,
            modified_on {int} NOT NULL
        ){strict}
        """,
        "CREATE INDEX rollouts_by_object ON rollouts (kind, object_id, created_on)",
        "CREATE INDEX rollouts_by_state ON rollouts (state)",
        // Of large objects, what lists of them show.
        "ALTER TABLE objects ADD COLUMN head {text}",
        // Which numbers a change got: its audit rows have the same time.
        "CREATE INDEX outbox_by_time ON outbox (created)",
    ]
}
