// The families that are read at scrape time instead of being counted: origins' health and the process itself.

/// One origin of one zone, as it stands at a scrape.
package struct OriginStatus: Sendable {
    package var zone: String
    /// The origin's URL, without user information.
    package var origin: String
    /// What the active health check last found; true where none is configured.
    package var isHealthy: Bool
    package var isEjected: Bool
    /// Connections serving an exchange.
    package var activeConnections: Int
    /// Connections waiting in the pool.
    package var idleConnections: Int

    package init(
        zone: String, origin: String, isHealthy: Bool, isEjected: Bool, activeConnections: Int, idleConnections: Int
    ) {
        self.zone = zone
        self.origin = origin
        self.isHealthy = isHealthy
        self.isEjected = isEjected
        self.activeConnections = activeConnections
        self.idleConnections = idleConnections
    }
}

extension PrometheusText {
    /// Origins shown on one page. An operator with more has them in the access log.
    static let originsShownMax = 10_000

    static func renderOrigins(_ origins: [OriginStatus], into page: inout PrometheusPage) {
        // A zone that names an origin twice would print a series twice, which makes the whole page invalid.
        var seen: Set<[String]> = []
        var rows: [OriginStatus] = []
        for origin in origins where rows.count < originsShownMax {
            if seen.insert([origin.zone, origin.origin]).inserted { rows.append(origin) }
        }
        page.header("martlet_origin_up", "Whether an origin passes its health checks.", type: "gauge")
        for row in rows {
            page.sample("martlet_origin_up", labels(row), row.isHealthy ? 1 : 0)
        }
        page.header("martlet_origin_ejected", "Whether an origin is left alone after failures.", type: "gauge")
        for row in rows {
            page.sample("martlet_origin_ejected", labels(row), row.isEjected ? 1 : 0)
        }
        page.header("martlet_origin_pool_connections", "Connections to an origin, by state.", type: "gauge")
        for row in rows {
            let active = UInt64(max(row.activeConnections, 0))
            let idle = UInt64(max(row.idleConnections, 0))
            page.sample("martlet_origin_pool_connections", labels(row) + [("state", "active")], active)
            page.sample("martlet_origin_pool_connections", labels(row) + [("state", "idle")], idle)
        }
    }

    private static func labels(_ row: OriginStatus) -> [PrometheusPage.Label] {
        [("zone", row.zone), ("origin", row.origin)]
    }

    static func renderProcess(_ facts: ProcessFacts, into page: inout PrometheusPage) {
        page.header("process_cpu_seconds_total", "User and system CPU time.", type: "counter")
        page.seconds("process_cpu_seconds_total", nanoseconds: facts.cpuNanoseconds)
        page.header("process_resident_memory_bytes", "Resident memory.", type: "gauge")
        page.sample("process_resident_memory_bytes", facts.residentBytes)
        page.header("process_virtual_memory_bytes", "Virtual memory.", type: "gauge")
        page.sample("process_virtual_memory_bytes", facts.virtualBytes)
        page.header("process_open_fds", "Open file descriptors.", type: "gauge")
        page.sample("process_open_fds", facts.openFileDescriptors)
        page.header("process_max_fds", "Most file descriptors that may be open.", type: "gauge")
        page.sample("process_max_fds", facts.fileDescriptorsMax)
        page.header("process_start_time_seconds", "When the process began, in Unix time.", type: "gauge")
        page.seconds("process_start_time_seconds", nanoseconds: facts.startUnixNanoseconds)
        page.header("process_threads", "Threads.", type: "gauge")
        page.sample("process_threads", facts.threads)
    }
}
