import Cache
import ConfigModel
import Limits
import Logging
import NIOPosix
import Telemetry

/// Puts the cache of a starting edge together.
enum CacheStart {
    /// nil where the configuration has none. A disk that cannot be used is no reason not to serve.
    static func open(_ settings: CacheStoreSettings?, metrics: SharedMetrics, log: Logger) -> EdgeCache? {
        guard let settings else { return nil }
        guard let bytesMax = settings.diskBytesMax else { return EdgeCache(settings: settings, secret: .random()) }
        do throws(DiskError) {
            let disk = try openDisk(settings.path, bytesMax, metrics, log)
            let cache = EdgeCache(settings: settings, secret: disk.secret)
            attach(disk, to: cache, log)
            return cache
        } catch {
            guard error.kind == .locked, let secret = DiskStore.secret(at: settings.path) else {
                log.error(
                    "no disk cache: objects are kept in memory alone",
                    metadata: ["path": "\(settings.path)", "reason": "\(error)"])
                return EdgeCache(settings: settings, secret: .random())
            }
            // The predecessor has it until its last connection is gone.
            let cache = EdgeCache(settings: settings, secret: secret)
            attachWhenFree(settings.path, bytesMax, to: cache, metrics, log)
            return cache
        }
    }

    private static func openDisk(
        _ path: String, _ bytesMax: UInt64, _ metrics: SharedMetrics, _ log: Logger
    ) throws(DiskError) -> DiskStore {
        let observer = DiskObserver(
            didRead: { metrics.observe(.cacheDiskRead, nanoseconds: $0) },
            didWrite: { metrics.observe(.cacheDiskWrite, nanoseconds: $0) })
        return try DiskStore.open(path: path, bytesMax: bytesMax, log: log, observer: observer)
    }

    private static func attach(_ disk: DiskStore, to cache: EdgeCache, _ log: Logger) {
        cache.attach(disk)
        let statistics = disk.statistics
        log.info("disk cache open", metadata: ["objects": "\(statistics.objects)", "bytes": "\(statistics.bytes)"])
    }

    private static func attachWhenFree(
        _ path: String, _ bytesMax: UInt64, to cache: EdgeCache, _ metrics: SharedMetrics, _ log: Logger
    ) {
        Task.detached {
            while true {
                try? await Task.sleep(for: .milliseconds(Limits.cacheDiskRetryMilliseconds))
                let disk = try? await NIOThreadPool.singleton.runIfActive { () -> DiskStore? in
                    do throws(DiskError) {
                        return try openDisk(path, bytesMax, metrics, log)
                    } catch {
                        return nil
                    }
                }
                guard let opened = disk ?? nil else { continue }
                return attach(opened, to: cache, log)
            }
        }
    }
}
