import Certificates
import ConfigModel
import Glibc
import Limits
import Logging
import NIOCore
import NIOPosix
import Telemetry

/// Puts a changed configuration or a changed certificate in force: by SIGHUP at once, else when the file looks the same
/// in two looks after it changed, so that a half-written one is not read.
struct Reload {
    private let path: String
    private let edge: Edge
    private let log: Logger
    private var applied: FileStamp
    private var seen: FileStamp
    private var certificates = CertificateWatch()
    private var ticks = 0
    /// Where the file's zones go, if not to the edge itself.
    var control: ControlHost?
    /// How the edge follows a control plane elsewhere, which then has the zones.
    var join: EdgeJoin?

    init(path: String, edge: Edge, log: Logger) {
        self.path = path
        self.edge = edge
        self.log = log
        applied = FileStamp(path)
        seen = applied
    }

    /// What shows that a file's content may be another.
    private struct FileStamp: Equatable {
        var inode: UInt64 = 0
        var size: Int64 = 0
        var seconds = 0
        var nanoseconds = 0

        init(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return }
            inode = UInt64(status.st_ino)
            size = Int64(status.st_size)
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
        }

        var exists: Bool { inode != 0 }
    }

    /// Called at every tick; looks once a second.
    mutating func poll() async {
        ticks += 1
        guard ticks * Limits.signalTickMilliseconds >= Limits.configurationPollMilliseconds else { return }
        ticks = 0
        let now = FileStamp(path)
        if now != applied, now == seen, now.exists { await run(because: "the file changed") }
        seen = now
        await pollCertificates()
    }

    mutating func run(because reason: String) async {
        applied = FileStamp(path)
        seen = applied
        do {
            let (path, join) = (self.path, self.join)
            let loaded = try await NIOThreadPool.singleton.runIfActive {
                try Configuration.load(path: path, needsZones: join == nil)
            }
            for warning in loaded.warnings { log.warning("\(warning.oneLine)") }
            let configuration = try join?.checked(loaded.configuration) ?? loaded.configuration
            warnOfWhatNeedsRestart(configuration)
            try await edge.serve(configuration)
            await control?.applyZones()
            edge.sharedMetrics.add(.configReloadsOK)
            log.notice(
                "configuration reloaded",
                metadata: ["because": "\(reason)", "zones": "\(loaded.configuration.zones.count)"])
        } catch {
            refuse(error, reason)
        }
    }

    /// One line of the log for each problem, so that each can be read and searched for.
    private func refuse(_ error: any Error, _ reason: String) {
        edge.sharedMetrics.add(.configReloadsFailed)
        edge.sharedMetrics.set(.configLastReloadSuccess, to: 0)
        if let error = error as? ConfigurationError {
            for problem in error.problems { log.error("\(problem.oneLine)") }
        } else {
            log.error("\(error)")
        }
        log.error("configuration refused; the one in force stays", metadata: ["because": "\(reason)"])
    }

    private func warnOfWhatNeedsRestart(_ new: Configuration) {
        let old = edge.configuration
        var keys: [String] = []
        if new.threads != old.threads { keys.append("threads") }
        if new.data != old.data { keys.append("data") }
        if new.admin != old.admin { keys.append("admin") }
        if new.accessLog != old.accessLog { keys.append("access_log") }
        if new.cacheStore?.path != old.cacheStore?.path || new.cacheStore?.diskBytesMax != old.cacheStore?.diskBytesMax
            || (new.cacheStore == nil) != (old.cacheStore == nil)
        {
            keys.append("cache")
        }
        if new.control != old.control { keys.append("api, store or distribution") }
        if edge.follower != nil,
            new.listen.https.isEmpty != old.listen.https.isEmpty || new.listen.http2 != old.listen.http2
        {
            keys.append("listen")
        }
        if new.log.format != old.log.format { keys.append("log.format") }
        if new.log.level != old.log.level { ProcessLog.setLevel(Logger.Level(new.log.level)) }
        guard !keys.isEmpty else { return }
        log.warning(
            "some changes take effect at the next restart", metadata: ["keys": "\(keys.joined(separator: ", "))"])
    }

    private mutating func pollCertificates() async {
        guard let store = edge.certificates, let refresh = certificates.poll(store) else { return }
        for problem in refresh.problems {
            edge.sharedMetrics.add(.certificateReloadsFailed)
            log.error("certificate refused; the old one stays", metadata: ["reason": "\(problem)"])
        }
        guard !refresh.replaced.isEmpty else { return }
        edge.sharedMetrics.add(.certificateReloadsOK)
        log.notice(
            "certificates reloaded",
            metadata: ["files": "\(refresh.replaced.map(\.certificate).joined(separator: ", "))"])
        await edge.replace(refresh.store)
    }
}
