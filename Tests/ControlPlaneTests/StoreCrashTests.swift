// What is left when processes end without a word: everything that was acknowledged, and nothing by halves.

import ConfigLog
import Foundation
import Synchronization
import Testing

@testable import ControlPlane

/// Lines that one process leaves for another. What was written is there when the writer is killed.
final class Notes: Sendable {
    private let descriptor: Int32
    private let path: String

    init(_ path: String) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    }

    deinit { close(descriptor) }

    func add(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(descriptor, bytes, bytes.count)
    }

    var lines: [String] {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }
}

/// What writers were told of.
private final class Acknowledged: Sendable {
    private let state = Mutex((ids: Set<String>(), isOver: false))

    func add(_ id: String) { state.withLock { _ = $0.ids.insert(id) } }
    var ids: Set<String> { state.withLock { $0.ids } }
    var count: Int { state.withLock { $0.ids.count } }
    var isOver: Bool {
        get { state.withLock { $0.isOver } }
        set { state.withLock { $0.isOver = newValue } }
    }
}

@Suite("The store when processes are killed", .serialized)
struct StoreCrashTests {
    static let rounds = 20

    @Test("SQLite: a writer is killed twenty times, and nothing that it was told of is lost")
    func killedWriter() async throws {
        let stage = try StoreStage(.sqlite)
        let setting = try await stage.open()
        try await setting.prepare()
        await setting.close()
        let folder = stage.folder
        let notes = Notes(folder + "/acknowledged")
        for round in 1...Self.rounds {
            let before = notes.lines.count
            await #expect(processExitsWith: .signal(SIGKILL)) { [folder = folder as String, round = round as Int] in
                try await writeUntilKilled(folder: folder, round: round)
            }
            #expect(notes.lines.count > before, "the writer of round \(round) had no time to write")
            let store = try await stage.open()
            let (records, audits, published) = try await store.read { transaction in
                (
                    Set(try transaction.query("SELECT id FROM dns_records").map { try $0.text(0) }),
                    try transaction.count("audit"), try transaction.count("outbox")
                )
            }
            await store.close()
            let lost = Set(notes.lines).subtracting(records)
            #expect(lost.isEmpty, "round \(round) lost \(lost.count) of \(notes.lines.count)")
            // Acknowledged or not: whole or not at all.
            #expect(Int(audits) == records.count && Int(published) == records.count)
        }
    }

    @Test("PostgreSQL: twenty times a server's process is killed, and each write happens once")
    func killedServer() async throws {
        let server = try PostgresServer()
        let stage = try StoreStage(.postgres, server: server)
        let store = try await stage.open()
        try await store.prepare()
        let acknowledged = Acknowledged()
        let writing = Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<16 {
                    group.addTask {
                        var number = 0
                        while !acknowledged.isOver {
                            number += 1
                            let id = "w\(writer).\(number)"
                            try await Self.write(store, id)
                            acknowledged.add(id)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        for round in 1...Self.rounds {
            let before = acknowledged.count
            #expect(await eventually { acknowledged.count > before + 16 }, "round \(round)")
            if round % 2 == 0 {
                server.killAll()
                try server.start()
            } else {
                try server.killOneConnection()
            }
        }
        let before = acknowledged.count
        #expect(await eventually { acknowledged.count > before + 16 })
        acknowledged.isOver = true
        // A write that was done twice would have met its own record, one that was lost in silence is missing below.
        try await writing.value
        let told = acknowledged.ids
        let records = try await store.read { Set(try $0.query("SELECT id FROM dns_records").map { try $0.text(0) }) }
        #expect(records == told)
        #expect(try await store.count("audit") == Int64(told.count))
        #expect(try await store.count("outbox") == Int64(told.count))
        await store.close()
    }

    /// As a client of the API does: again, as long as it hears that nothing was written.
    private static func write(_ store: Store, _ id: String) async throws {
        while true {
            do {
                return try await store.write { try $0.addRecord(id) }
            } catch let error as StoreError where error.isRetryable {
                continue
            }
        }
    }

    @Test("PostgreSQL: who waits while the server restarts is served afterwards")
    func restartedServer() async throws {
        let server = try PostgresServer()
        let stage = try StoreStage(.postgres, server: server)
        let store = try await stage.open()
        try await store.prepare()
        let work = Sequencing(store, stage)
        #expect(await eventually { work.sequencer.isLeader })
        server.stop()
        async let written: Void = store.write { try $0.addRecord("during") }
        async let seen = store.count("zones")
        #expect(await eventually { !work.sequencer.isLeader })
        try server.start()
        try await written
        #expect(try await seen == 1)
        #expect(await eventually { work.delivered.keys == ["zone/z/dns/during"] && work.sequencer.isLeader })
        try await work.stop()
        await store.close()
        // And with nobody there, opening says so at once.
        server.stop()
        do {
            _ = try await stage.open()
            Issue.record("expected that nobody answers")
        } catch {
            #expect((error as? StoreError)?.isRetryable == true, "\(error)")
        }
    }

    @Test("the leading process is killed: another leads within seconds", arguments: StoreKind.allCases)
    func killedLeader(_ kind: StoreKind) async throws {
        let stage = try StoreStage(kind)
        let store = try await stage.open()
        let (folder, location) = (stage.folder, stage.place)
        async let child = #expect(processExitsWith: .signal(SIGKILL)) {
            [folder = folder as String, location = location as String] in
            try await leadUntilKilled(folder: folder, location: location)
        }
        let pid = try await Self.leadingChild(folder)
        let work = Sequencing(store, stage, lease: 60_000)
        try await store.write { $0.publish(Change(key: "parent/1", value: nil)) }
        #expect(await eventually { work.delivered.keys.contains("parent/1") })
        #expect(!work.sequencer.isLeader)
        let killed = ContinuousClock.now
        kill(pid, SIGKILL)
        _ = await child
        #expect(await eventually { work.sequencer.isLeader })
        print("failover of \(kind.rawValue) after kill -9: \(killed.duration(to: .now))")
        try await store.write { $0.publish(Change(key: "parent/2", value: nil)) }
        let acknowledged = Notes(folder + "/acknowledged").lines + ["parent/1", "parent/2"]
        #expect(await eventually { Set(acknowledged).isSubset(of: work.delivered.keys) })
        try await work.stop()
        try work.delivered.check()
        #expect(work.delivered.keys.count == Set(work.delivered.keys).count)
        await store.close()
    }

    @Test("PostgreSQL: the leading process is stopped, and finds another in its place when it goes on")
    func pausedLeader() async throws {
        let stage = try StoreStage(.postgres)
        let store = try await stage.open()
        let (folder, location) = (stage.folder, stage.place)
        async let child = #expect(processExitsWith: .signal(SIGKILL)) {
            [folder = folder as String, location = location as String] in
            try await leadUntilKilled(folder: folder, location: location)
        }
        let pid = try await Self.leadingChild(folder)
        let work = Sequencing(store, stage, lease: 1000)
        #expect(await eventually { work.delivered.keys.count > 10 })
        kill(pid, SIGSTOP)
        #expect(await eventually { work.sequencer.isLeader })
        for number in 1...20 { try await store.write { $0.publish(Change(key: "meanwhile/\(number)", value: nil)) } }
        #expect(await eventually { work.delivered.keys.contains("meanwhile/20") })
        kill(pid, SIGCONT)
        // It follows now: what it delivers is what is delivered here, frame by frame.
        let acknowledged = Notes(folder + "/acknowledged")
        let before = acknowledged.lines.count
        #expect(await eventually { acknowledged.lines.count > before + 20 })
        #expect(work.sequencer.isLeader)
        let end = try await store.logPosition().sequence
        let frames = Notes(folder + "/frames")
        #expect(await eventually { frames.lines.compactMap { UInt64($0.prefix { $0 != " " }) }.contains { $0 >= end } })
        kill(pid, SIGKILL)
        _ = await child
        #expect(await eventually { Set(acknowledged.lines).isSubset(of: work.delivered.keys) })
        try await work.stop()
        try work.delivered.check()
        #expect(work.delivered.keys.count == Set(work.delivered.keys).count)
        let theirs = frames.lines
        #expect(theirs == work.delivered.all.prefix(theirs.count).map { "\($0.last) \($0.hash)" })
        await store.close()
    }

    private static func leadingChild(_ folder: String) async throws -> pid_t {
        let notes = Notes(folder + "/pid")
        guard await eventually({ !notes.lines.isEmpty }), let line = notes.lines.first, let pid = pid_t(line) else {
            throw StageFailure("the child does not lead")
        }
        return pid
    }
}

extension StoreStage {
    /// The location as a text for another process.
    var place: String {
        switch location {
        case .sqlite(let path): path
        case .postgres(let url): url
        }
    }
}

/// In a child: writes records until a thread of its own kills the process, somewhere.
private func writeUntilKilled(folder: String, round: Int) async throws {
    let stage = try StoreStage(folder: folder, location: .sqlite(path: folder + "/store.db"))
    let store = try await stage.open()
    let notes = Notes(folder + "/acknowledged")
    try await withThrowingTaskGroup(of: Void.self) { group in
        for writer in 0..<8 {
            group.addTask {
                for number in 0..<1_000_000 {
                    let id = "r\(round).\(writer).\(number)"
                    try await store.write { try $0.addRecord(id) }
                    notes.add(id)
                    // From a while after the first write on, at any moment.
                    if writer == 0, number == 3 {
                        Thread.detachNewThread {
                            usleep(UInt32.random(in: 0...200_000))
                            kill(getpid(), SIGKILL)
                        }
                    }
                }
            }
        }
        try await group.waitForAll()
    }
}

/// In a child: leads and publishes until somebody kills the process.
private func leadUntilKilled(folder: String, location: String) async throws {
    let stage = try StoreStage(folder: folder, location: StoreLocation(parsing: location))
    let store = try await stage.open()
    let (acknowledged, frames) = (Notes(folder + "/acknowledged"), Notes(folder + "/frames"))
    let sequencer = Sequencer(store: store, leaseMilliseconds: 1000, log: stage.log)
    let work = Task { try await sequencer.run(after: 0) { frames.add("\($0.last) \($0.hash)") } }
    _ = await eventually { sequencer.isLeader }
    Notes(folder + "/pid").add("\(getpid())")
    for number in 0..<1_000_000 {
        let key = "child/\(number)"
        try await store.write { $0.publish(Change(key: key, value: nil)) }
        acknowledged.add(key)
        try await Task.sleep(for: .milliseconds(5))
    }
    try await work.value
}
