// The schema: taken once, by whoever comes first, and never over a newer one.

import Foundation
import Testing

@testable import ControlPlane

@Suite("The schema of the store")
struct StoreMigrationTests {
    @Test("opening again changes nothing, and what was written is there", arguments: StoreKind.allCases)
    func again(_ kind: StoreKind) async throws {
        let stage = try StoreStage(kind)
        for round in 0..<3 {
            let store = try await stage.open()
            if round == 0 { try await store.prepare() }
            #expect(try await store.count("zones") == 1)
            let steps = try await store.read { try $0.first("SELECT value FROM meta WHERE key = 'schema'")?.text(0) }
            #expect(steps == String(Schema.newest))
            await store.close()
        }
    }

    @Test("many that open at once take each step once", arguments: StoreKind.allCases)
    func together(_ kind: StoreKind) async throws {
        let stage = try StoreStage(kind)
        let stores = try await withThrowingTaskGroup(of: Store.self) { group in
            for _ in 0..<6 { group.addTask { try await stage.open() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(stores.count == 6)
        try await stores[0].prepare()
        for store in stores {
            #expect(try await store.count("leader") == 1)
            #expect(try await store.count("zones") == 1)
        }
        for store in stores { await store.close() }
    }

    @Test("a schema of a newer program is refused, and stays as it is", arguments: StoreKind.allCases)
    func newer(_ kind: StoreKind) async throws {
        let stage = try StoreStage(kind)
        let store = try await stage.open()
        try await store.write { try $0.execute("UPDATE meta SET value = '1000000' WHERE key = 'schema'") }
        await store.close()
        do {
            _ = try await stage.open()
            Issue.record("expected a refusal")
        } catch {
            guard case .other(let why)? = error as? StoreError else { throw error }
            #expect(why.contains("1000000") && why.contains("newer"))
        }
        // Whoever knows that step opens it as before.
        try stage.migrate(Schema.migrations + [Migration(number: 1_000_000, name: "later", statements: [])])
    }

    @Test("a step that fails leaves the schema before it", arguments: StoreKind.allCases)
    func failing(_ kind: StoreKind) async throws {
        let stage = try StoreStage(kind)
        let store = try await stage.open()
        try await store.prepare()
        await store.close()
        let broken =
            Schema.migrations + [
                Migration(
                    number: Schema.newest + 1, name: "broken",
                    statements: [
                        "CREATE TABLE new_one (id {text})", "DELETE FROM zones", "CREATE TABLE zones (id {text})",
                    ])
            ]
        #expect(throws: StoreError.self) { try stage.migrate(broken) }
        let after = try await stage.open()
        #expect(try await after.count("zones") == 1)
        await #expect(throws: StoreError.self) { try await after.count("new_one") }
        await after.close()
        let mended =
            Schema.migrations + [
                Migration(number: Schema.newest + 1, name: "mended", statements: ["CREATE TABLE new_one (id {text})"])
            ]
        try stage.migrate(mended)
        // This program knows less than the database now.
        await #expect(throws: StoreError.self) { try await stage.open() }
    }

    @Test("numbers of steps rise by one from one")
    func numbers() {
        #expect(Schema.migrations.map(\.number) == Array(1...Schema.migrations.count))
        for migration in Schema.migrations {
            for statement in migration.statements {
                for dialect in [SQLDialect.sqlite, .postgres] {
                    let text = dialect.render(statement).replacingOccurrences(of: "'{}'", with: "")
                    #expect(!text.contains("{") && !text.contains("}"), "\(text)")
                }
            }
        }
    }
}

extension StoreStage {
    /// Takes other steps than the program's.
    func migrate(_ migrations: [Migration]) throws {
        switch location {
        case .sqlite(let path): try SQLiteStore.migrate(path: path, key: key, migrations: migrations)
        case .postgres(let url):
            try PostgresMigration(try PostgresConnection(PostgresURL(url))).run(key: key, migrations: migrations)
        }
    }
}
