// A connection that breaks during COMMIT leaves the caller's question open: was it committed? A proxy before the server
// breaks it at exactly that place, in both ways.

import ConfigLog
import Foundation
import Synchronization
import Testing

@testable import ControlPlane

/// Passes bytes between clients of a Unix socket and a server's, until it is told to lose some.
private final class LossyProxy: Sendable {
    enum Loss: Sendable { case nothing, request, answer }

    let directory: String
    private let server: String
    private let listener: Int32
    private let nextLoss = Mutex(Loss.nothing)

    init(before server: PostgresServer) throws {
        self.server = server.directory + "/.s.PGSQL.5432"
        directory = "/tmp/martlet-proxy-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let address = directory + "/.s.PGSQL.5432"
        guard withAddress(address, { bind(listener, $0, $1) }) == 0, listen(listener, 64) == 0 else {
            throw StageFailure("no proxy")
        }
        Thread.detachNewThread { [self] in
            while case let client = accept(listener, nil, nil), client >= 0 {
                Thread.detachNewThread { [self] in carry(client) }
            }
        }
    }

    /// What the next bytes meet; once.
    func lose(_ loss: Loss) { nextLoss.withLock { $0 = loss } }

    func stop() {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        try? FileManager.default.removeItem(atPath: directory)
    }

    private func carry(_ client: Int32) {
        let upstream = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer {
            close(client)
            close(upstream)
        }
        guard withAddress(server, { connect(upstream, $0, $1) }) == 0 else { return }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var isAnswerLost = false
        while true {
            var entries = [
                pollfd(fd: client, events: Int16(POLLIN), revents: 0),
                pollfd(fd: upstream, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&entries, 2, -1) > 0 else { return }
            for (from, to) in [(0, upstream), (1, client)] where entries[from].revents != 0 {
                let count = read(entries[from].fd, &buffer, buffer.count)
                guard count > 0 else { return }
                if from == 0 {
                    let loss = nextLoss.withLock { loss in
                        defer { loss = .nothing }
                        return loss
                    }
                    if loss == .request { return }
                    isAnswerLost = loss == .answer
                } else if isAnswerLost {
                    return
                }
                guard send(to, buffer, count, Int32(MSG_NOSIGNAL)) == count else { return }
            }
        }
    }
}

private func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}

@Suite("PostgreSQL: a connection that breaks during the commit")
struct StoreLostAnswerTests {
    private func withProxy(_ body: (Store, LossyProxy) async throws -> Void) async throws {
        let server = try PostgresServer.shared.get()
        let proxy = try LossyProxy(before: server)
        defer { proxy.stop() }
        let direct = try StoreStage(.postgres)
        let url = direct.place.replacingOccurrences(of: server.directory, with: proxy.directory)
        let stage = try StoreStage(folder: direct.folder, location: StoreLocation(parsing: url))
        let store = try await stage.open()
        do {
            try await store.prepare()
            try await body(store, proxy)
        } catch {
            await store.close()
            throw error
        }
        await store.close()
    }

    /// Runs of the body, and what the caller hears.
    private func write(_ store: Store, _ proxy: LossyProxy, losing loss: LossyProxy.Loss, isAudited: Bool = true) async
        -> (Int, StoreError?)
    {
        let runs = Runs()
        let failure = await store.failure { transaction in
            if isAudited {
                try transaction.addRecord("r")
            } else {
                try transaction.addAccount("b")
            }
            // What leaves next is the commit, with what is written last.
            if runs.count() == 1 { proxy.lose(loss) }
        }
        return (runs.value, failure)
    }

    private final class Runs: Sendable {
        private let number = Mutex(0)
        var value: Int { number.withLock { $0 } }
        func count() -> Int {
            number.withLock { number in
                number += 1
                return number
            }
        }
    }

    @Test("the answer is lost: the caller hears of success, and the body is not run again")
    func answerLost() async throws {
        try await withProxy { store, proxy in
            let (runs, failure) = await write(store, proxy, losing: .answer)
            #expect(runs == 1 && failure == nil)
            for table in ["dns_records", "audit", "outbox"] {
                let count = try await store.count(table)
                #expect(count == 1, "\(table)")
            }
        }
    }

    @Test("the request is lost: the body is run again")
    func requestLost() async throws {
        try await withProxy { store, proxy in
            let (runs, failure) = await write(store, proxy, losing: .request)
            #expect(runs == 2 && failure == nil)
            for table in ["dns_records", "audit", "outbox"] {
                let count = try await store.count(table)
                #expect(count == 1, "\(table)")
            }
        }
    }

    @Test("without an audit row nobody can know, and the caller is told that")
    func unknown() async throws {
        try await withProxy { store, proxy in
            let (runs, failure) = await write(store, proxy, losing: .answer, isAudited: false)
            #expect(runs == 1 && failure == .unknownOutcome)
            let count = try await store.count("accounts")
            #expect(count == 2)
        }
    }

    @Test("a scope that cannot be had stops what only publishes")
    func lockedOut() async throws {
        try await withProxy { store, proxy in
            let holder = try PostgresConnection(
                PostgresURL("postgres://martlet@/\(try database(of: store))?host=\(proxy.directory)"))
            _ = try holder.roundTrip([
                SQLStatement(sql: "SELECT pg_advisory_lock(?)", values: [.integer(PostgresLock.key(scope: "zone/z"))])
            ])
            await #expect(throws: StoreError.self) {
                try await store.write(locking: ["zone/z"]) { $0.publish(.init(key: "k", value: nil)) }
            }
            let before = try await store.count("outbox")
            #expect(before == 0)
            _ = try holder.roundTrip([SQLStatement(sql: "SELECT pg_advisory_unlock_all()")])
            try await store.write(locking: ["zone/z"]) { $0.publish(.init(key: "k", value: nil)) }
            let after = try await store.count("outbox")
            #expect(after == 1)
        }
    }

    private func database(of store: Store) throws -> String {
        guard case .postgres(let url) = store.location else { return "" }
        return try #require(try PostgresURL(url)["dbname"])
    }
}
