// Processes that are killed while they write. The victim is this test binary again, told by its environment to run one
// "test" that writes until it is killed and says through a pipe how far it got.

import ConfigLog
import Glibc
import Limits
import Testing

@testable import Replica

/// The log that parent and victim both know: what each frame holds follows from its number.
private enum KnownLog {
    static let keys = 300

    static func groups(_ frame: UInt64) -> [[Change]] {
        var numbers = SeededNumbers(frame)
        return numbers.groups(3, keys: keys, largest: 2000)
    }

    /// The state after frames that end at `sequence`.
    static func model(_ sequence: UInt64) -> [String: [UInt8]] {
        var model: [String: [UInt8]] = [:]
        for first in stride(from: UInt64(0), to: sequence, by: 3) {
            for change in groups(first).flatMap({ $0 }) { model[change.key] = change.value }
        }
        return model
    }
}

private let victimRole = getenv("MARTLET_REPLICA_VICTIM").map { String(cString: $0) }
private let victimPath = getenv("MARTLET_REPLICA_PATH").map { String(cString: $0) } ?? ""
private let victimSource = getenv("MARTLET_REPLICA_SOURCE").map { String(cString: $0) } ?? ""

/// Runs in the child alone.
@Suite struct ReplicaVictim {
    private func say() {
        var byte: UInt8 = 1
        // File descriptor 3 is the pipe to the parent.
        if write(3, &byte, 1) != 1 { exit(3) }
    }

    @Test(.enabled(if: victimRole == "apply")) func replicaVictimApplies() throws {
        let replica = try Replica.open(path: victimPath, bytesMax: ReplicaStage.bytesMax, log: ReplicaStage.log)
        if replica.refused != nil { exit(4) }
        say()
        var position = replica.position
        while true {
            let frame = try Frame.seal(
                epoch: 1, after: (position.sequence, position.hash), groups: KnownLog.groups(position.sequence),
                committedAt: 1)
            _ = try replica.apply(frame)
            position = frame.position
            say()
        }
    }

    @Test(.enabled(if: victimRole == "import")) func replicaVictimImports() throws {
        let replica = try Replica.open(path: victimPath, bytesMax: ReplicaStage.bytesMax, log: ReplicaStage.log)
        if replica.refused != nil { exit(4) }
        let manifests = try ["one", "two"].map { name in
            let bytes = try #require(ReplicaDirectory.contents(victimSource + "/" + name, bytesMax: .max))
            return try SnapshotManifest(decoding: bytes)
        }
        while true {
            let manifest = replica.position == manifests[0].position ? manifests[1] : manifests[0]
            let incoming = try replica.beginImport(manifest)
            say()
            for index in incoming.lacking {
                let chunk = victimSource + "/export/" + manifest.chunks[index].hash.description
                let bytes = try #require(ReplicaDirectory.contents(chunk, bytesMax: .max))
                try incoming.store(index: index, bytes)
                say()
            }
            _ = try incoming.finish()
            say()
        }
    }
}

/// A child and the pipe it speaks through.
private final class Victim {
    let process: pid_t
    private let pipe: Int32

    init(_ role: String, _ test: String, path: String, source: String = "") throws {
        var ends: [Int32] = [0, 0]
        #expect(Glibc.pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 3)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        // What other tests have open must not live on in this child: their peers would wait for an end that never comes.
        let open = try ReplicaDirectory.names("/proc/self/fd").compactMap { Int32($0) }
        for descriptor in 4..<(open.max() ?? 0) + 1000 { posix_spawn_file_actions_addclose(&actions, descriptor) }
        let words = ["replica-victim", "--testing-library", "swift-testing", "--filter", test]
        var arguments = words.map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = []
        var next = environ
        while let variable = next.pointee {
            variables.append(strdup(variable))
            next = next.advanced(by: 1)
        }
        for (name, value) in [("VICTIM", role), ("PATH", path), ("SOURCE", source)] {
            variables.append(strdup("MARTLET_REPLICA_\(name)=\(value)"))
        }
        variables.append(nil)
        defer { for text in arguments + variables { free(text) } }
        var child = pid_t()
        let code = posix_spawn(&child, "/proc/self/exe", &actions, nil, &arguments, &variables)
        close(ends[1])
        process = child
        pipe = ends[0]
        try #require(code == 0, "posix_spawn: \(code)")
    }

    deinit { close(pipe) }

    /// Waits until the child has said something so often.
    /// - Returns: how often it did: less if it ended.
    func wait(_ count: Int) -> Int {
        var heard = 0
        var byte: UInt8 = 0
        while heard < count, read(pipe, &byte, 1) == 1 { heard += 1 }
        return heard
    }

    /// Ends it at once.
    /// - Returns: how often it had said something since.
    func end() -> Int {
        kill(process, SIGKILL)
        let heard = wait(.max)
        var status: Int32 = 0
        waitpid(process, &status, 0)
        #expect(status & 0x7F == SIGKILL, "it ended by itself with status \(status)")
        return heard
    }
}

@Suite(.serialized, .enabled(if: victimRole == nil)) struct ReplicaKillTests {
    @Test func aKilledWriterLeavesItsLastFrameWhole() throws {
        let stage = ReplicaStage()
        var numbers = SeededNumbers(21)
        var acknowledged: UInt64 = 0
        for _ in 0..<50 {
            let victim = try Victim("apply", "replicaVictimApplies", path: stage.path)
            // One word for having opened, and one for each frame.
            let frames = Int(numbers.next() % 12)
            let heard = victim.wait(1 + frames)
            try #require(heard == 1 + frames)
            for _ in 0..<numbers.next() % 200_000 {}
            acknowledged += UInt64(frames + victim.end()) * 3
            let replica = try stage.open()
            #expect(replica.refused == nil)
            let sequence = replica.position.sequence
            // The last one may have been committed and not been said.
            #expect(sequence == acknowledged || sequence == acknowledged + 3)
            acknowledged = sequence
            #expect(try ReplicaStage.content(replica) == KnownLog.model(sequence))
            #expect(try replica.verify())
            replica.close()
        }
    }

    @Test func aKilledImportLeavesOneStateOrTheOther() throws {
        let stage = ReplicaStage()
        let source = ReplicaStage()
        let origin = try source.open()
        var states: [LogPosition: StateSummary] = [:]
        var seed = SeededNumbers(8)
        for name in ["one", "two"] {
            let changes = (0..<2500).map { _ in
                Change(key: "zone/\(ZoneID(high: seed.next(), low: seed.next()))/x", value: seed.bytes(500))
            }
            _ = try origin.apply(source.frame([changes]))
            let manifest = try origin.exportSnapshot()
            try ReplicaDirectory.put(manifest.encoded(), at: source.path + "/" + name)
            states[manifest.position] = try origin.summary()
        }
        states[.none] = try ReplicaStage().open().summary()
        var numbers = SeededNumbers(22)
        var seen: [LogPosition: Int] = [:]
        for _ in 0..<50 {
            let victim = try Victim("import", "replicaVictimImports", path: stage.path, source: source.path)
            let steps = Int(numbers.next() % 20)
            try #require(victim.wait(steps) == steps)
            for _ in 0..<numbers.next() % 1_000_000 {}
            _ = victim.end()
            let replica = try stage.open()
            #expect(replica.refused == nil)
            let summary = try replica.summary()
            #expect(try replica.verify())
            #expect(states[replica.position] == summary)
            #expect(try stage.names().filter { $0.hasPrefix("state.") }.count == 1)
            seen[replica.position, default: 0] += 1
            replica.close()
        }
        #expect(seen.count >= 2)
    }

    /// A successor reads beside its predecessor, and writes once that is gone.
    @Test func aSuccessorTakesOver() throws {
        let stage = ReplicaStage()
        let victim = try Victim("apply", "replicaVictimApplies", path: stage.path)
        #expect(victim.wait(3) == 3)
        let replica = try stage.open()
        let opened = replica.position.sequence
        #expect(opened >= 6)
        #expect(victim.wait(5) == 5)
        func next(_ position: LogPosition) throws -> Frame {
            try Frame.seal(
                epoch: 1, after: (position.sequence, position.hash), groups: KnownLog.groups(position.sequence),
                committedAt: 1)
        }
        do {
            _ = try replica.apply(next(replica.position))
            Issue.record("two wrote")
        } catch let error as ReplicaError { #expect(error.kind == .locked) }
        // A reader sees what the other one writes.
        let seen = try replica.read { transaction in try transaction.position }
        #expect(seen.sequence >= opened)
        _ = victim.end()
        let left = try replica.read { transaction in try transaction.position }
        let touched = try replica.apply(next(left))
        // What came from the other process is not in any list of changes.
        #expect(touched.isEverything)
        #expect(try ReplicaStage.content(replica) == KnownLog.model(left.sequence + 3))
        #expect(try !replica.apply(next(replica.position)).isEverything)
        #expect(replica.statistics.isWriter)
    }
}
