/// The bounds of the control plane's store: its two databases, the outbox and the sequencer.
extension Limits {
    // MARK: Transactions

    /// Transactions that wait for their turn. Beyond it: unavailable.
    package static let storeQueueMax = 4096
    /// How long a transaction may wait for its turn, reconnecting included, before it is given up.
    package static let storeWaitMilliseconds = 15_000
    /// Times that a body is run again after a serialization failure or a deadlock, and the pause before that: it
    /// doubles from the first to the last, half of it by chance.
    package static let storeRetriesMax = 12
    package static let storeRetryMillisecondsRange = 2...250
    /// Scopes that one transaction may lock.
    package static let storeScopesMax = 64

    // MARK: Statements

    /// Placeholders of one statement: SQLite's bound is 32,766, that of PostgreSQL's protocol 65,535.
    package static let storePlaceholdersMax = 32_000
    /// Bytes of one value. PostgreSQL's own bound is 1 GiB for a whole row.
    package static let storeValueBytesMax = 64 * 1024 * 1024
    /// Rows and bytes of one result. Whoever may need more asks page by page.
    package static let storeResultRowsMax = 1_000_000
    package static let storeResultBytesMax = 512 * 1024 * 1024
    /// Prepared statements that one connection keeps.
    package static let storeStatementsMax = 512
    /// What PostgreSQL gives a statement, and a wait for a lock. A client waits the grace longer before it takes the
    /// server for gone.
    package static let storeStatementMilliseconds = 10_000
    package static let storeLockMilliseconds = 5_000
    package static let storeAnswerGraceMilliseconds = 5_000

    // MARK: SQLite

    /// Readers at the same time.
    package static let storeSQLiteReadersMax = 4
    /// Writes that share one commit, and the time after which no more join it.
    package static let storeSQLiteGroupMax = 256
    package static let storeSQLiteGroupMilliseconds = 20
    /// How long to wait for another process that writes the same file.
    package static let storeSQLiteBusyMilliseconds = 10_000
    /// The write-ahead log is cut back to this after a checkpoint.
    package static let storeSQLiteLogBytesMax = 64 * 1024 * 1024

    // MARK: PostgreSQL

    /// Connections of one process, the sequencer's apart, and how many of them may write at the same time: a read
    /// finds a connection however long writers wait for each other. Writers that commit at the same time share a flush.
    /// Three processes fit into the hundred connections that a server has unless told otherwise.
    package static let storePostgresConnectionsMax = 30
    package static let storePostgresWritersMax = 26
    package static let storePostgresConnectSeconds = 5
    /// How long to look for the outcome of a commit during which the connection broke: longer than any other wait, since
    /// a server that recovers can tell, and nobody else.
    package static let storeSettleMilliseconds = 60_000
    /// Pause before connecting again; doubles from the first to the last, half of it by chance.
    package static let storePostgresReconnectMillisecondsRange = 50...2_000
    /// Oldest server that is spoken to.
    package static let storePostgresVersionMin = 13_00_00
    /// What one step of a migration may take, and how long to wait for another process that migrates.
    package static let storeMigrationMilliseconds = 1_800_000
    package static let storeMigrationLockMilliseconds = 60_000

    // MARK: The sequencer

    /// Outbox rows read for one frame.
    package static let sequencerGroupsMax = 2_000
    /// Frames that are read at a time, and the bytes after which no further one is.
    package static let sequencerFramesPerTurnMax = 256
    package static let sequencerTurnBytesMax = 16 * 1024 * 1024
    /// Rows of the log's state that one statement writes, largest first; what is left goes in one more.
    package static let logStateRowsPerStatement = [1024, 256, 64]
    /// Rows of one page of it, and the bytes of values after which a page takes no further one.
    package static let logStatePageRowsMax = 1024
    package static let logStatePageBytesTarget = 4 * 1024 * 1024
    /// How often to look without having been woken.
    package static let sequencerPollMilliseconds = 500
    /// A leader says so often that it lives; after the lease without a word another takes its place.
    package static let sequencerRenewMilliseconds = 1_000
    package static let sequencerLeaseMilliseconds = 5_000
    /// Pause after a failure of the database; doubles from the first to the last.
    package static let sequencerRetryMillisecondsRange = 50...2_000
    /// Frames kept: at least this many, whatever they hold; and as many more as fit in the bytes, up to the maximum.
    package static let sequencerFramesKeptMin = 1_000
    package static let sequencerFramesKeptMax = 200_000
    package static let sequencerFramesKeptBytesMax = 1024 * 1024 * 1024
    /// Seconds between two prunings, the rows of each table that one transaction takes away, and transactions at a time.
    package static let sequencerPruneSeconds = 60
    package static let sequencerPruneRowsMax = 5_000
    package static let sequencerPrunesMax = 20
    /// Audit rows that one statement writes, largest first, one last.
    package static let auditRowsPerStatement = [256, 16, 1]
    /// Days that audit rows are kept.
    package static let auditKeptDays = 550
}
