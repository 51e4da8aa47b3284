import ConfigLog
import Glibc
import Limits
import Logging
import Testing

@testable import Replica

/// A replica's directory, a log that leads into it, and what the replica must hold then.
final class ReplicaStage {
    static let bytesMax = 256 * 1024 * 1024
    static let log = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    let path: String
    private(set) var position = LogPosition.none
    private(set) var model: [String: [UInt8]] = [:]

    init() {
        path = "/tmp/martlet-replica-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    }

    deinit { ReplicaDirectory.remove(path) }

    func open(bytesMax: Int = ReplicaStage.bytesMax) throws -> Replica {
        try Replica.open(path: path, bytesMax: bytesMax, log: ReplicaStage.log)
    }

    /// The frame with these groups that comes next in the log.
    func frame(_ groups: [[Change]]) throws -> Frame {
        let frame = try Frame.seal(
            epoch: 1, after: (position.sequence, position.hash), groups: groups, committedAt: 1)
        position = frame.position
        for group in groups { for change in group { model[change.key] = change.value } }
        return frame
    }

    /// One group in one frame.
    func frame(_ changes: [String: [UInt8]?]) throws -> Frame {
        try frame([changes.sorted { $0.key < $1.key }.map { Change(key: $0.key, value: $0.value) }])
    }

    static func content(_ replica: Replica, prefix: String = "") throws -> [String: [UInt8]] {
        var content: [String: [UInt8]] = [:]
        var last: [UInt8] = []
        try replica.each(prefix: prefix) { key, value in
            #expect(last.isEmpty || last.lexicographicallyPrecedes(Array(key.utf8)))
            last = Array(key.utf8)
            content[key] = [UInt8](value)
            return true
        }
        return content
    }

    /// The replica holds what the log says, by every way of asking.
    func expectEqual(_ replica: Replica, sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(replica.position == position, sourceLocation: sourceLocation)
        #expect(try ReplicaStage.content(replica) == model, sourceLocation: sourceLocation)
        let summary = try replica.summary()
        #expect(summary.position == position, sourceLocation: sourceLocation)
        #expect(summary.keys == UInt64(model.count), sourceLocation: sourceLocation)
        #expect(try replica.verify(), sourceLocation: sourceLocation)
    }

    /// Changes one file's bytes.
    func change(_ name: String, _ change: (inout [UInt8]) -> Void) throws {
        let file = path + "/" + name
        var bytes = try #require(ReplicaDirectory.contents(file, bytesMax: .max))
        change(&bytes)
        try ReplicaDirectory.put(bytes, at: file)
    }

    func names(_ folder: String = "") throws -> [String] {
        try ReplicaDirectory.names(folder.isEmpty ? path : path + "/" + folder).sorted()
    }
}

/// The same numbers for the same seed.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }

    /// Groups of changes over a small space of keys, so that keys are written again and removed.
    mutating func groups(_ count: Int, keys: Int = 400, largest: Int = 3000) -> [[Change]] {
        (0..<count).map { _ in
            (0..<Int.random(in: 1...12, using: &self)).map { _ in
                let key =
                    "zone/\(Int.random(in: 0..<keys, using: &self))/" + String(repeating: "k", count: Int(next() % 40))
                let isRemoved = next() % 4 == 0
                // Most are small; some lie on pages of their own.
                let size = next() % 20 == 0 ? Int(next() % UInt64(largest * 10)) : Int(next() % UInt64(largest) / 10)
                return Change(key: key, value: isRemoved ? nil : bytes(size))
            }
        }
    }
}

/// Runs closures on threads of their own and waits for all.
func inParallel(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    final class Work: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    var threads: [pthread_t] = []
    for index in 0..<count {
        var thread = pthread_t()
        let work = Unmanaged.passRetained(Work { body(index) })
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, work.toOpaque())
        #expect(code == 0)
        if code == 0 { threads.append(thread) }
    }
    for thread in threads { pthread_join(thread, nil) }
}
