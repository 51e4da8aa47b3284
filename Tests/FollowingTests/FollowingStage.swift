import Cache
import ConfigLog
import ConfigModel
import Exchange
import Glibc
import JSON
import Limits
import Logging
import NIOCore
import NIOEmbedded
import Origin
import Pipeline
import Replica
import Telemetry

@testable import Following

/// A replica that is told things as the log would, and an edge's zones made of it.
final class FollowingStage {
    static let zone = "0123456789abcdef0123456789abcdef"
    static let account = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

    let path: String
    let replica: Replica
    let cache: EdgeCache
    private var position = LogPosition.none
    private(set) var others: [[String]] = []
    let log = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    init() throws {
        path = "/tmp/martlet-following-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
        replica = try Replica.open(path: path, bytesMax: 64 * 1024 * 1024, log: log)
        var settings = CacheStoreSettings()
        settings.memoryBytesMax = 64 * 1024 * 1024
        settings.diskBytesMax = nil
        cache = EdgeCache(settings: settings, secret: .random())
    }

    deinit {
        replica.close()
        _ = try? removeAll()
    }

    private func removeAll() throws {
        var names: [String] = [path]
        while let name = names.popLast() {
            guard let folder = opendir(name) else {
                unlink(name)
                continue
            }
            var children: [String] = []
            while let entry = readdir(folder) {
                let child = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if child != ".", child != ".." { children.append(name + "/" + child) }
            }
            closedir(folder)
            if children.isEmpty { rmdir(name) } else { names += [name] + children }
        }
    }

    func compiler() -> ZoneCompiler { ZoneCompiler(parts) }

    private var parts: ZoneCompiler.Parts {
        ZoneCompiler.Parts(
            replica: replica, fleet: OriginFleet(loops: [], log: log), cache: cache, metrics: ZoneRegistry(),
            certificates: nil, offersHTTP2: true, keys: nil)
    }

    func follower() -> ReplicaFollower {
        mkdir(path, 0o750)
        return ReplicaFollower(parts, data: path, log: log) { _ in }
    }

    /// Applies one group, as a frame of its own.
    @discardableResult
    func apply(_ changes: [(String, JSONValue?)]) throws -> Touched {
        try applyBytes(changes.map { ($0.0, $0.1.map(\.bytes)) })
    }

    @discardableResult
    func applyBytes(_ changes: [(String, [UInt8]?)]) throws -> Touched {
        let frame = try Frame.seal(
            epoch: 1, after: (position.sequence, position.hash),
            groups: [changes.map { Change(key: $0.0, value: $0.1) }], committedAt: 1)
        position = frame.position
        return try replica.apply(frame)
    }

    /// The zone `example.test`.
    @discardableResult
    func makeZone(_ more: [(String, JSONValue?)] = [], paused: Bool = false) throws -> Touched {
        try applyBytes([("name/example.test", ZoneID(hex: Self.zone)?.bytes)])
        return try apply(
            [
                (
                    "zone/\(Self.zone)/meta",
                    ["name": "example.test", "account": .string(Self.account), "paused": .boolean(paused)]
                )
            ] + more.map { ("zone/\(Self.zone)/\($0.0)", $0.1) })
    }
}

extension FollowedZones {
    func served(_ host: String, isSecure: Bool = false) -> ServedZone? {
        let bytes = Array(host.utf8)
        return zone(forHost: host)?.served(forHost: bytes.span, isSecure: isSecure)
    }
}
