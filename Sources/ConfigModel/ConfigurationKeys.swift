// Every key the configuration file may have, as data: the reader takes its words from here, the errors list them,
// and a test holds docs/configuration.md against them, defaults included.

import Limits

/// One key: what its value looks like and what holds without it, both as the reference writes them.
package struct ConfigurationKey: Sendable {
    package var name: String
    package var form: String
    /// What the file would say to get the default; `required` and `none` are words for the reader.
    package var standard: String

    init(_ name: String, _ form: String, _ standard: String) {
        self.name = name
        self.form = form
        self.standard = standard
    }

    static func duration(_ name: String, _ milliseconds: Int) -> ConfigurationKey {
        ConfigurationKey(name, "duration", DurationText.text(milliseconds: milliseconds))
    }

    static func size(_ name: String, _ bytes: Int) -> ConfigurationKey {
        ConfigurationKey(name, "size", SizeText.text(bytes: UInt64(max(0, bytes))))
    }

    static func number(_ name: String, _ standard: Int) -> ConfigurationKey {
        ConfigurationKey(name, "number", String(standard))
    }
}

/// The keys of one mapping of the file.
package struct ConfigurationTable: Sendable {
    /// Completes "keys of …"; also the heading of its section in the reference.
    package var title: String
    package var keys: [ConfigurationKey]

    package var names: [String] { keys.map(\.name) }
}

extension ConfigurationTable {
    static let file = ConfigurationTable(
        title: "the file",
        keys: [
            ConfigurationKey("listen", "mapping", "required"),
            ConfigurationKey("admin", "address or off", "127.0.0.1:9090"),
            ConfigurationKey("data", "path", "./var"),
            ConfigurationKey("threads", "number or auto", "auto"),
            ConfigurationKey("log", "mapping", "none"),
            ConfigurationKey("access_log", "path, off, - or mapping", "access.log in data"),
            ConfigurationKey("trusted_proxies", "list of address blocks", "[]"),
            ConfigurationKey("client_address_header", "field name", "X-Forwarded-For"),
            ConfigurationKey("timeouts", "mapping", "none"),
            ConfigurationKey("limits", "mapping", "none"),
            ConfigurationKey("cache", "mapping or off", "none"),
            ConfigurationKey("zones", "mapping", "required"),
            ConfigurationKey("api", "address or off", "off"),
            ConfigurationKey("store", "path or postgres URL", "control.db in data"),
            ConfigurationKey("distribution", "address or off", "off"),
        ]
    )
    static let listen = ConfigurationTable(
        title: "listen",
        keys: [
            ConfigurationKey("http", "address or list of addresses", "[]"),
            ConfigurationKey("https", "address or list of addresses", "[]"),
            ConfigurationKey("http2", "true or false", "true"),
        ]
    )
    static let listenAddress = ConfigurationTable(
        title: "an address to listen on",
        keys: [
            ConfigurationKey("address", "address", "required"),
            ConfigurationKey("proxy_protocol", "true or false", "false"),
            ConfigurationKey("http2", "true or false", "false"),
        ]
    )
    static let log = ConfigurationTable(
        title: "log",
        keys: [
            ConfigurationKey("level", "trace, debug, info, notice, warning or error", "info"),
            ConfigurationKey("format", "text or json", "text"),
        ]
    )
    static let accessLog = ConfigurationTable(
        title: "access_log",
        keys: [
            ConfigurationKey("path", "path, off or -", "access.log in data"),
            .size("buffer", Limits.accessLogBufferBytesDefault),
        ]
    )
    static let clientTimeouts = ConfigurationTable(
        title: "timeouts",
        keys: [
            .duration("header", Limits.headerTimeoutMillisecondsDefault),
            .duration("handshake", Limits.handshakeTimeoutMillisecondsDefault),
            .duration("body", Limits.bodyTimeoutMillisecondsDefault),
            .duration("write", Limits.writeTimeoutMillisecondsDefault),
            .duration("idle", Limits.idleTimeoutMillisecondsDefault),
            .duration("tunnel", Limits.tunnelIdleTimeoutMillisecondsDefault),
            .duration("drain", Limits.drainTimeoutMillisecondsDefault),
        ]
    )
    static let clientLimits = ConfigurationTable(
        title: "limits",
        keys: [
            .size("request_line", Limits.requestLineBytesDefault),
            .size("header_bytes", Limits.headBytesDefault),
            .number("header_count", Limits.fieldCountDefault),
            .size("body_rate", Limits.bodyRateBytesPerSecondDefault),
            .number("requests_per_connection", Limits.requestsPerConnectionDefault),
            .number("streams_per_connection", Limits.http2StreamsPerConnectionDefault),
            .number("connections", Limits.connectionsDefault),
        ]
    )
    static let zone = ConfigurationTable(
        title: "a zone",
        keys: [
            ConfigurationKey("hostnames", "list of host names", "the name and all below it"),
            ConfigurationKey("origins", "URL, mapping or list of them", "required"),
            ConfigurationKey("tls", "mapping", "none"),
            ConfigurationKey("balance", "word or mapping", "round_robin"),
            ConfigurationKey("health", "path, mapping or off", "off"),
            ConfigurationKey("ejection", "mapping or off", "none"),
            .number("attempts", Limits.attemptsDefault),
            ConfigurationKey("redirect_to_https", "true or false", "false"),
            ConfigurationKey("timeouts", "mapping", "none"),
            ConfigurationKey("limits", "mapping", "none"),
            ConfigurationKey("pool", "mapping", "none"),
            ConfigurationKey("cache", "on, off or mapping", "on"),
        ]
    )
    static let zoneTLS = ConfigurationTable(
        title: "tls of a zone",
        keys: [
            ConfigurationKey("certificate", "path", "required"),
            ConfigurationKey("key", "path", "required"),
        ]
    )
    static let balance = ConfigurationTable(
        title: "balance",
        keys: [
            ConfigurationKey("hash", "client_address, uri, header:NAME or cookie:NAME", "none"),
            ConfigurationKey("sticky", "cookie name", "none"),
        ]
    )
    static let health = ConfigurationTable(
        title: "health",
        keys: [
            ConfigurationKey("path", "path of a URL", "/"),
            .duration("every", Limits.healthIntervalMillisecondsDefault),
            .duration("timeout", Limits.healthTimeoutMillisecondsDefault),
            .number("healthy_after", Origin.Health().healthyAfter),
            .number("unhealthy_after", Origin.Health().unhealthyAfter),
            ConfigurationKey("expect", "status or range of statuses", "200-399"),
        ]
    )
    static let ejection = ConfigurationTable(
        title: "ejection",
        keys: [
            .number("failures", Limits.ejectionFailuresDefault),
            .duration("for", Limits.ejectionMillisecondsDefault),
            .duration("slow_start", Limits.slowStartMillisecondsDefault),
        ]
    )
    static let originTimeouts = ConfigurationTable(
        title: "timeouts of a zone",
        keys: [
            .duration("connect", Limits.connectTimeoutMillisecondsDefault),
            .duration("first_byte", Limits.firstByteTimeoutMillisecondsDefault),
            .duration("idle", Limits.originIdleTimeoutMillisecondsDefault),
        ]
    )
    static let zoneLimits = ConfigurationTable(
        title: "limits of a zone",
        keys: [ConfigurationKey("body", "size or unlimited", "unlimited")]
    )
    static let pool = ConfigurationTable(
        title: "pool",
        keys: [
            .number("connections", Limits.originConnectionsDefault),
            .number("idle", Limits.originIdleConnectionsDefault),
            .duration("keep_alive", Limits.originKeepAliveMillisecondsDefault),
            .duration("wait", Limits.poolWaitTimeoutMillisecondsDefault),
        ]
    )
    static let origin = ConfigurationTable(
        title: "an origin",
        keys: [
            ConfigurationKey("url", "URL", "required"),
            .number("weight", 1),
            ConfigurationKey("backup", "true or false", "false"),
            ConfigurationKey("host", "Host value", "the client's"),
            ConfigurationKey("http2", "auto, on or off", Origin.HTTP2Use.auto.rawValue),
            .duration("resolve_every", Limits.resolveIntervalMillisecondsDefault),
            ConfigurationKey("health", "path, mapping or off", "the zone's"),
            ConfigurationKey("tls", "mapping", "none"),
        ]
    )
    static let originTLS = ConfigurationTable(
        title: "tls of an origin",
        keys: [
            ConfigurationKey("verify", "true or false", "true"),
            ConfigurationKey("ca", "path", "the system's roots"),
            ConfigurationKey("server_name", "host name", "host, else the URL's"),
            ConfigurationKey("certificate", "path", "none"),
            ConfigurationKey("key", "path", "none"),
        ]
    )

    /// Every table, in the reference's order.
    package static let all: [ConfigurationTable] = [
        file, listen, listenAddress, log, accessLog, clientTimeouts, clientLimits, cacheStore, zone, zoneTLS, origin,
        originTLS, health, balance, ejection, originTimeouts, zoneLimits, pool, zoneCache, cacheQuery, cacheKey,
    ]
}
