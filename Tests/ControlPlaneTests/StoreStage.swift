// What the store's tests share: a fresh store of either kind, and rows to put into it.

import ConfigLog
import Foundation
import Logging
import Testing

@testable import ControlPlane

/// Every test of the store runs against both.
enum StoreKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case sqlite, postgres
    var testDescription: String { rawValue }
}

/// A place for one test's store: a folder or a database of the shared server.
final class StoreStage: Sendable {
    let location: StoreLocation
    let folder: String
    let key: SecretKey
    private let ownsFolder: Bool

    init(_ kind: StoreKind, server: PostgresServer? = nil) throws {
        folder =
            FileManager.default.temporaryDirectory.appendingPathComponent("martlet-store-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        key = try SecretKey.load(path: folder + "/key")
        ownsFolder = true
        switch kind {
        case .sqlite: location = .sqlite(path: folder + "/store.db")
        case .postgres: location = .postgres(url: try (server ?? PostgresServer.shared.get()).makeDatabase())
        }
    }

    /// The place that another process made.
    init(folder: String, location: StoreLocation) throws {
        self.folder = folder
        self.location = location
        key = try SecretKey.load(path: folder + "/key")
        ownsFolder = false
    }

    deinit {
        if ownsFolder { try? FileManager.default.removeItem(atPath: folder) }
    }

    var log: Logger {
        var log = Logger(label: "store-test") { _ in SwiftLogNoOpLogHandler() }
        log.logLevel = .critical
        return log
    }

    func open() async throws -> Store { try await Store.open(location, key: key, log: log) }
}

/// Opens a store, runs the test and closes it.
func withStore(_ kind: StoreKind, _ body: (Store, StoreStage) async throws -> Void) async throws {
    let stage = try StoreStage(kind)
    let store = try await stage.open()
    do {
        try await body(store, stage)
    } catch {
        await store.close()
        throw error
    }
    await store.close()
}

extension Transaction {
    func addAccount(_ id: String) throws {
        try execute(
            "INSERT INTO accounts (id, name, created_on, modified_on) VALUES (?, ?, ?, ?)",
            [.text(id), .text("account \(id)"), .integer(now), .integer(now)])
    }

    func addZone(_ id: String, account: String = "a", name: String) throws {
        try execute(
            """
            INSERT INTO zones (id, account_id, name, status, type, created_on, modified_on)
            VALUES (?, ?, ?, 'active', 'full', ?, ?)
            """, [.text(id), .text(account), .text(name), .integer(now), .integer(now)])
    }

    /// What an API write does: the record, its audit row and what is published.
    func addRecord(_ id: String, zone: String = "z", name: String = "www.example.com", content: String = "192.0.2.1")
        throws
    {
        try execute(
            """
            INSERT INTO dns_records (id, zone_id, name, type, content, ttl, proxied, created_on, modified_on)
            VALUES (?, ?, ?, 'A', ?, 300, 1, ?, ?)
            """, [.text(id), .text(zone), .text(name), .text(content), .integer(now), .integer(now)])
        publish(Change(key: "zone/\(zone)/dns/\(id)", value: Array(content.utf8)))
        audit(
            AuditEntry(
                actor: "token/t", action: "create", resource: "dns_record/\(id)", scope: "zone/\(zone)",
                after: "{\"name\":\"\(name)\",\"content\":\"\(content)\"}", requestID: "r"))
    }

    func count(_ table: String) throws -> Int64 { try first("SELECT count(*) FROM \(table)")?.integer(0) ?? -1 }
}

extension Store {
    /// An account "a" with a zone "z".
    func prepare(zones: Int = 1) async throws {
        try await write { transaction in
            try transaction.addAccount("a")
            for number in 0..<zones {
                try transaction.addZone(number == 0 ? "z" : "z\(number)", name: "example\(number).com")
            }
        }
    }

    func count(_ table: String) async throws -> Int64 { try await read { try $0.count(table) } }

    /// The error that a write ends with.
    func failure(_ body: @escaping @Sendable (Transaction) throws -> Void) async -> StoreError? {
        do {
            try await write(body)
            return nil
        } catch {
            return error as? StoreError
        }
    }
}

/// Looks again until something holds; gives up after a time that only a broken program needs.
func eventually(_ condition: () async throws -> Bool) async rethrows -> Bool {
    for _ in 0..<6_000 {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return false
}
