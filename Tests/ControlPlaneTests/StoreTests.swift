// Transactions: what is seen, what is left behind, what is refused. The same for both databases.

import ConfigLog
import Foundation
import Limits
import Synchronization
import Testing

@testable import ControlPlane

@Suite("Transactions of the store")
struct StoreTests {
    private struct Stop: Error, Equatable {}

    @Test("a write is seen by the next read, on any connection", arguments: StoreKind.allCases)
    func visible(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            for round in 1...100 {
                try await store.write { try $0.addRecord("r\(round)") }
                let seen = try await withThrowingTaskGroup(of: Int64.self) { group in
                    for _ in 0..<6 { group.addTask { try await store.count("dns_records") } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(seen.allSatisfy { $0 == Int64(round) })
            }
        }
    }

    @Test("a body that throws leaves nothing, and its error comes out as it is", arguments: StoreKind.allCases)
    func rollback(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            await #expect(throws: Stop()) {
                try await store.write { transaction in
                    try transaction.addRecord("r")
                    throw Stop()
                }
            }
            for table in ["dns_records", "outbox", "audit"] { #expect(try await store.count(table) == 0, "\(table)") }
        }
    }

    @Test("what is published and audited stands beside what was written", arguments: StoreKind.allCases)
    func published(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            try await store.write { transaction in
                try transaction.addRecord("r1")
                try transaction.addRecord("r2")
            }
            let rows = try await store.read { try $0.query("SELECT changes, sequence FROM outbox") }
            let row = try #require(rows.first)
            #expect(rows.count == 1)
            #expect(try ChangeGroup(decoding: row.blob(0)).changes.map(\.key) == ["zone/z/dns/r1", "zone/z/dns/r2"])
            #expect(row[1] == .null)
            let audits = try await store.read {
                try $0.query(
                    "SELECT actor, action, resource, scope, before, after, request_id, length(id) FROM audit ORDER BY id"
                )
            }
            #expect(audits.count == 2)
            let audit = try #require(audits.first { $0[2] == "dns_record/r1" })
            #expect(
                audit.values == [
                    "token/t", "create", "dns_record/r1", "zone/z", nil,
                    "{\"name\":\"www.example.com\",\"content\":\"192.0.2.1\"}", "r", 32,
                ])
        }
    }

    @Test("a statement that fails fails the transaction, though the body goes on", arguments: StoreKind.allCases)
    func swallowed(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            await #expect(throws: StoreError.uniqueViolation(table: "zones", columns: ["id"])) {
                try await store.write { transaction in
                    try transaction.addRecord("r")
                    try? transaction.addZone("z", name: "other.com")
                    _ = try? transaction.query("SELECT 1")
                }
            }
            #expect(try await store.count("dns_records") == 0)
            #expect(try await store.count("outbox") == 0)
        }
    }

    @Test("violations say what they hit, in the same words", arguments: StoreKind.allCases)
    func violations(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            func expect(_ error: StoreError, _ body: @escaping @Sendable (Transaction) throws -> Void) async {
                await #expect(throws: error) { try await store.write(body) }
            }
            await expect(.uniqueViolation(table: "zones", columns: ["name"])) {
                try $0.addZone("y", name: "example0.com")
            }
            await expect(.uniqueViolation(table: "accounts", columns: ["id"])) { try $0.addAccount("a") }
            let add =
                "INSERT INTO objects (kind, scope_id, id, body, created_on, modified_on) VALUES ('k', 's', 'i', '{}', 0, 0)"
            try await store.write { try $0.execute(add) }
            await expect(.uniqueViolation(table: "objects", columns: ["kind", "scope_id", "id"])) {
                try $0.execute(add)
            }
            await expect(.referenceViolation) { try $0.addRecord("r", zone: "nowhere") }
            await expect(.referenceViolation) { try $0.execute("DELETE FROM accounts") }
        }
    }

    @Test("values that no store can hold are refused by name", arguments: StoreKind.allCases)
    func hostileValues(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            func isInvalid(_ body: @escaping @Sendable (Transaction) throws -> Void) async {
                let failure = await store.failure(body)
                guard case .invalid(let why) = failure else {
                    Issue.record("expected .invalid, found \(String(describing: failure))")
                    return
                }
                #expect(!why.contains("hostile"))
            }
            await isInvalid { try $0.addRecord("r", content: "hostile\0text") }
            await isInvalid { try $0.execute("UPDATE zones SET meta = ?", [nil]) }
            await isInvalid { try $0.execute("UPDATE zones SET paused = ?", ["hostile"]) }
            await isInvalid { _ = try $0.query("SELECT CAST(? AS DOUBLE PRECISION)", [.real(.nan)]) }
            await isInvalid { transaction in
                transaction.audit(AuditEntry(actor: "hostile\0", action: "", resource: "", scope: ""))
            }
            await isInvalid { $0.publish(Change(key: "", value: nil)) }
            let failure = await store.failure { transaction in
                for part in 0..<9 {
                    transaction.publish(Change(key: "k\(part)", value: [UInt8](repeating: 1, count: 1024 * 1024)))
                }
                try transaction.addRecord("big")
            }
            guard case .tooLarge = failure else {
                Issue.record("expected .tooLarge, found \(String(describing: failure))")
                return
            }
            #expect(try await store.count("dns_records") == 0)
            // The connections serve on.
            try await store.write { try $0.addRecord("'; DROP TABLE zones; --", content: "'\"\\?$1\u{1F426}") }
            let content = try await store.read { try $0.first("SELECT content FROM dns_records")?.text(0) }
            #expect(content == "'\"\\?$1\u{1F426}")
        }
    }

    @Test("every kind of value comes back as it went in", arguments: StoreKind.allCases)
    func values(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            for sealed in [bytes, [], [0], Array(repeating: 0xff, count: 9)] {
                try await store.write { transaction in
                    try transaction.execute("DELETE FROM secrets")
                    try transaction.execute(
                        "INSERT INTO secrets (object_id, sealed, modified_on) VALUES (?, ?, ?)",
                        ["", .blob(sealed), .integer(.min)])
                }
                let row = try await store.read { try $0.first("SELECT object_id, sealed, modified_on FROM secrets") }
                #expect(row?.values == ["", .blob(sealed), .integer(.min)])
            }
            let row = try await store.read { transaction in
                try transaction.first(
                    """
                    SELECT CAST(? AS BIGINT), CAST(? AS DOUBLE PRECISION), CAST(? AS TEXT), CAST(1.5e300 AS DOUBLE PRECISION), CAST(NULL AS TEXT),
                        'a?b', -1 -- ?
                    """, [.integer(.max), .real(-0.125), "\u{1F426}é\n"])
            }
            let found = try #require(row)
            #expect(try found.integer(0) == .max)
            #expect(try found.real(1) == -0.125)
            #expect(try found.text(2) == "\u{1F426}é\n")
            #expect(try found.textOrNil(4) == nil)
            #expect(try found.text(5) == "a?b")
            #expect(try found.integer(6) == -1)
            #expect(found[99] == .null)
            #expect(throws: StoreError.self) { try found.text(0) }
        }
    }

    @Test("both understand the same statements in the same way", arguments: StoreKind.allCases)
    func dialect(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            try await store.write { transaction in
                for (id, name) in [("1", "b"), ("2", "B"), ("3", "a"), ("4", "é"), ("5", "_"), ("6", "ab")] {
                    try transaction.addRecord(id, name: name)
                }
            }
            try await store.write { transaction in
                func ids(_ rest: String, _ values: [SQLValue] = []) throws -> String {
                    try transaction.query("SELECT id FROM dns_records \(rest)", values).map { try $0.text(0) }.joined()
                }
                #expect(try ids("ORDER BY name") == "253614")
                #expect(try ids("WHERE name LIKE ? ORDER BY id", ["b%"]) == "1")
                #expect(try ids("WHERE name LIKE ? ESCAPE '\\' ORDER BY id", ["\\_%"]) == "5")
                #expect(try ids("ORDER BY name LIMIT ? OFFSET ?", [2, 1]) == "53")
                #expect(try ids("WHERE id IN (?, ?) ORDER BY id", ["2", "4"]) == "24")
                #expect(try ids("WHERE lower(name) = ? ORDER BY id", ["b"]) == "12")
                let counted = try transaction.first(
                    "SELECT count(*), CAST(sum(ttl) AS BIGINT), max(ttl) FROM dns_records")
                #expect(counted?.values == [6, 1800, 300])
                #expect(
                    try transaction.execute(
                        "UPDATE dns_records SET ttl = ttl + ? WHERE proxied = ?", [1, SQLValue(true)]) == 6)
                let returned = try transaction.query("DELETE FROM dns_records WHERE id = ? RETURNING name, ttl", ["1"])
                #expect(returned.map(\.values) == [["b", 301]])
                let upsert = """
                    INSERT INTO secrets (object_id, sealed, modified_on) VALUES ('o', ?, ?)
                    ON CONFLICT (object_id) DO UPDATE SET sealed = excluded.sealed, modified_on = secrets.modified_on + 1
                    """
                for _ in 0..<3 { try transaction.execute(upsert, [.blob([1]), 5]) }
                #expect(try transaction.first("SELECT modified_on FROM secrets")?.integer(0) == 7)
            }
            try await store.write { try $0.execute("DELETE FROM zones") }
            #expect(try await store.count("dns_records") == 0)
        }
    }

    @Test("a read sees one state throughout, and cannot write", arguments: StoreKind.allCases)
    func reading(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            let (first, firstDone) = AsyncStream.makeStream(of: Void.self)
            let gate = DispatchSemaphore(value: 0)
            async let counts = store.read { transaction in
                let before = try transaction.count("dns_records")
                firstDone.finish()
                gate.wait()
                return [before, try transaction.count("dns_records")]
            }
            for await _ in first {}
            try await store.write { try $0.addRecord("r") }
            gate.signal()
            #expect(try await counts == [0, 0])
            #expect(try await store.count("dns_records") == 1)

            await #expect(throws: StoreError.self) {
                try await store.read { try $0.execute("DELETE FROM dns_records") }
            }
            await #expect(throws: StoreError.self) {
                try await store.read { $0.publish(Change(key: "k", value: nil)) }
            }
            #expect(try await store.count("dns_records") == 1)
        }
    }

    @Test("a transaction that somebody kept does nothing any more", arguments: StoreKind.allCases)
    func kept(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            try await store.prepare()
            // Sendable for the test's sake: it is used by one thread after the other.
            final class Pocket: @unchecked Sendable { var transaction: Transaction? }
            let pocket = Pocket()
            try await store.write { pocket.transaction = $0 }
            let transaction = try #require(pocket.transaction)
            #expect(throws: StoreError.other("a transaction was used after its body")) {
                try transaction.addAccount("b")
            }
            #expect(try await store.count("accounts") == 1)
        }
    }

    @Test("more texts than are kept prepared", arguments: StoreKind.allCases)
    func manyTexts(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, _ in
            for round in 0..<2 {
                let sum = try await store.read { transaction in
                    var sum: Int64 = 0
                    for number in 0..<(Limits.storeStatementsMax + 200) {
                        sum += try transaction.first("SELECT CAST(? AS BIGINT) + \(number)", [1])?.integer(0) ?? 0
                    }
                    return sum
                }
                let count = Int64(Limits.storeStatementsMax + 200)
                #expect(sum == count + count * (count - 1) / 2, "round \(round)")
            }
        }
    }

    @Test("PostgreSQL: a connection whose transaction could not be ended is not used again")
    func failingEnd() async throws {
        let stage = try StoreStage(.postgres)
        let store = try await stage.open()
        await store.close()
        let url = try PostgresURL(stage.place)
        // With one of these numbers the place for prepared statements is full just when ROLLBACK comes.
        for count in (Limits.storeStatementsMax - 14)..<Limits.storeStatementsMax {
            let connection = try PostgresConnection(url)
            let session = PostgresTransaction(connection, isWrite: true, scopes: [])
            _ = session.attempt(key: stage.key) { transaction in
                for number in 0..<count { _ = try transaction.query("SELECT \(number)") }
                try transaction.execute("INSERT INTO meta (key, value) VALUES ('schema', '')")
            }
            guard !connection.isBroken else { continue }
            #expect(try connection.roundTrip([SQLStatement(sql: "SELECT 1")]).last?.rows.first?.integer(0) == 1)
        }
    }

    @Test("secrets open where they were sealed, and nowhere else", arguments: StoreKind.allCases)
    func secrets(_ kind: StoreKind) async throws {
        try await withStore(kind) { store, stage in
            let plain = Array("private key".utf8)
            let sealed = try await store.write { try $0.seal(plain, for: "certificate/1") }
            #expect(!sealed.contains(plain))
            try await store.read { transaction in
                let opened = try transaction.open(sealed, for: "certificate/1")
                #expect(opened == plain)
                var other = sealed
                other[other.count / 2] ^= 1
                for (bytes, context) in [(sealed, "certificate/2"), (other, "certificate/1"), ([], "certificate/1")] {
                    #expect(throws: StoreError.self) { try transaction.open(bytes, for: context) }
                }
            }
            let stranger = try SecretKey.load(path: stage.folder + "/other-key")
            await #expect(throws: StoreError.self) {
                try await Store.open(stage.location, key: stranger, log: stage.log)
            }
        }
    }

    @Test("after its close a store says so", arguments: StoreKind.allCases)
    func closed(_ kind: StoreKind) async throws {
        let stage = try StoreStage(kind)
        let store = try await stage.open()
        let pending = Task { try await store.prepare() }
        try await pending.value
        await store.close()
        await #expect(throws: StoreError.unavailable("it is closed")) { try await store.count("zones") }
        await #expect(throws: StoreError.unavailable("it is closed")) { try await store.prepare() }
        let again = try await stage.open()
        #expect(try await again.count("zones") == 1)
        await again.close()
    }
}
