import Limits

/// What an operator writes in `martlet.yaml`, read, checked and with every default filled in.
///
/// A value of this type is valid: whoever holds one need not check it again. `Configuration.load` is the only
/// road from text to here; its errors carry file, line and column.
package struct Configuration: Sendable, Equatable {
    package var listen = Listen()
    /// Address of `/metrics`, `/healthz` and `/readyz`; nil serves none of them.
    package var admin: SocketAddressText?
    /// Directory of everything Martlet writes, absolute.
    package var data = ""
    /// Event loops; nil takes one per available core.
    package var threads: Int?
    package var log = Log()
    package var accessLog = AccessLog()
    /// Peers whose PROXY protocol header and forwarding fields are believed.
    package var trustedProxies: [AddressBlock] = []
    /// The field in which a trusted proxy names the client, lower case.
    package var clientAddressHeader = "x-forwarded-for"
    package var timeouts = ClientTimeouts()
    package var limits = ClientLimits()
    /// The memory and disk of the cache; nil: nothing is cached, whatever the zones say.
    package var cacheStore: CacheStoreSettings? = CacheStoreSettings()
    /// In the file's order.
    package var zones: [Zone] = []
    /// The control plane of this process; nil: it has none, and serves what the file says.
    package var control: Control?

    package init() {}

    /// `api`, `store` and `distribution`.
    package struct Control: Sendable, Equatable {
        /// Where the API and the dashboard listen.
        package var api: SocketAddressText
        /// A path, or the URL of a PostgreSQL, which may hold a password: never to be shown.
        package var store: String
        /// Where relays and edges join; nil: there are none but this process.
        package var distribution: SocketAddressText?
        package init(api: SocketAddressText, store: String, distribution: SocketAddressText? = nil) {
            self.api = api
            self.store = store
            self.distribution = distribution
        }
    }
}

/// An address to listen on: `127.0.0.1:8080`, `[::1]:8080`, `*:80` (every address, both families).
package struct SocketAddressText: Sendable, Hashable {
    /// An IP address in canonical text without brackets; `::` for every address.
    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}

extension SocketAddressText: CustomStringConvertible {
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A CIDR block over IPv4 or IPv6; IPv4 is kept as its v4-mapped IPv6 form so that one comparison serves both.
package struct AddressBlock: Sendable, Hashable {
    package var high: UInt64
    package var low: UInt64
    /// Leading bits that count, 0...128 (an IPv4 /8 is kept as 104).
    package var prefixBits: Int

    package init(high: UInt64, low: UInt64, prefixBits: Int) {
        self.high = high
        self.low = low
        self.prefixBits = prefixBits
    }

    /// Whether the address with these 128 bits (v4-mapped for IPv4) lies in the block.
    package func contains(high otherHigh: UInt64, low otherLow: UInt64) -> Bool {
        let highBits = min(prefixBits, 64)
        let lowBits = prefixBits - highBits
        let highMask = highBits == 0 ? 0 : ~UInt64(0) << UInt64(64 - highBits)
        let lowMask = lowBits == 0 ? 0 : ~UInt64(0) << UInt64(64 - lowBits)
        return (high ^ otherHigh) & highMask == 0 && (low ^ otherLow) & lowMask == 0
    }
}

extension Configuration {
    package struct Listen: Sendable, Equatable {
        package var http: [ListenAddress] = []
        package var https: [ListenAddress] = []
        /// Whether HTTP/2 is offered to clients of `https` (ALPN, RFC 9113, section 3.2).
        package var http2 = true
        package init() {}
    }

    package struct ListenAddress: Sendable, Hashable {
        package var address: SocketAddressText
        /// Whether connections from `trusted_proxies` must begin with a PROXY protocol header (v1 or v2).
        package var proxyProtocol = false
        /// In the clear: whether a client may begin with HTTP/2 by prior knowledge (RFC 9113, section 3.3). Always false
        /// for `https`, where `Listen.http2` decides.
        package var http2 = false
        package init(address: SocketAddressText, proxyProtocol: Bool = false, http2: Bool = false) {
            self.address = address
            self.proxyProtocol = proxyProtocol
            self.http2 = http2
        }
    }

    package struct Log: Sendable, Equatable {
        package enum Level: String, Sendable, CaseIterable { case trace, debug, info, notice, warning, error }
        package enum Format: String, Sendable, CaseIterable { case text, json }
        package var level = Level.info
        package var format = Format.text
        package init() {}
    }

    package struct AccessLog: Sendable, Equatable {
        package enum Destination: Sendable, Equatable {
            case off
            case standardOutput
            /// Absolute path; reopened on SIGHUP, so that logrotate works.
            case file(String)
        }
        package var destination = Destination.off
        package var bufferBytes = Limits.accessLogBufferBytesDefault
        package init() {}
    }

    /// How long a client may take. Milliseconds.
    package struct ClientTimeouts: Sendable, Equatable {
        /// From the first byte of a request, or from accepting the connection, to the end of the head.
        package var header = Limits.headerTimeoutMillisecondsDefault
        /// TLS handshake, PROXY protocol header included.
        package var handshake = Limits.handshakeTimeoutMillisecondsDefault
        /// Between two reads of a request body.
        package var body = Limits.bodyTimeoutMillisecondsDefault
        /// Without the client taking a byte of a response that waits for it.
        package var write = Limits.writeTimeoutMillisecondsDefault
        /// Between requests.
        package var idle = Limits.idleTimeoutMillisecondsDefault
        /// Without a byte in either direction of an upgraded connection.
        package var tunnel = Limits.tunnelIdleTimeoutMillisecondsDefault
        /// How long a stopping process lets exchanges finish.
        package var drain = Limits.drainTimeoutMillisecondsDefault
        package init() {}
    }

    package struct ClientLimits: Sendable, Equatable {
        package var requestLineBytes = Limits.requestLineBytesDefault
        package var headBytes = Limits.headBytesDefault
        package var fieldCount = Limits.fieldCountDefault
        /// Slowest request body, bytes per second averaged over the body timeout; 0 takes any.
        package var bodyRateBytesPerSecond = Limits.bodyRateBytesPerSecondDefault
        package var requestsPerConnection = Limits.requestsPerConnectionDefault
        /// Requests that an HTTP/2 client may have under way on one connection (RFC 9113, section 5.1.2).
        package var streamsPerConnection = Limits.http2StreamsPerConnectionDefault
        /// Over all listeners; accepting pauses above it.
        package var connections = Limits.connectionsDefault
        package init() {}
    }
}

/// One zone: the names it answers for, where its content comes from, and how it is served.
package struct Zone: Sendable, Equatable {
    /// A DNS name in lower case, or `*` for every host that no other zone takes.
    package var name: String
    /// Lower case; `*.example.test` covers every name below, at any depth. `*` alone covers every host.
    package var hostnames: [String]
    package var origins: [Origin]
    /// nil: a certificate from the local authority.
    package var tls: CertificateFiles?
    package var balance = Balance.roundRobin
    package var ejection = Ejection()
    /// Attempts at one request over all origins, the first included.
    package var attempts = Limits.attemptsDefault
    /// Answer requests in the clear with 301 (GET, HEAD) or 308 to https.
    package var redirectToHTTPS = false
    package var timeouts = OriginTimeouts()
    /// Largest request body in bytes; nil takes any. Beyond it: 413.
    package var bodyBytesMax: UInt64?
    package var pool = Pool()
    package var cache = CacheSettings()

    package init(name: String, hostnames: [String], origins: [Origin]) {
        self.name = name
        self.hostnames = hostnames
        self.origins = origins
    }

    package struct CertificateFiles: Sendable, Hashable {
        /// PEM, leaf first, then its issuers. Absolute path.
        package var certificate: String
        /// PEM private key. Absolute path.
        package var key: String
        package init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    package enum Balance: Sendable, Hashable {
        case roundRobin
        case leastOutstanding
        /// Consistent hash over a property of the request.
        case hash(HashKey)
        /// The origin named in a cookie of this name that Martlet sets; round robin for who has none.
        case sticky(cookie: String)
    }

    package enum HashKey: Sendable, Hashable {
        case clientAddress
        /// Path and query.
        case uri
        /// A request field, lower case.
        case header(String)
        case cookie(String)
    }

    /// Passive ejection: an origin that fails this often in a row is left alone for a while.
    package struct Ejection: Sendable, Hashable {
        /// 0 ejects nobody.
        package var consecutiveFailures = Limits.ejectionFailuresDefault
        package var forMilliseconds = Limits.ejectionMillisecondsDefault
        /// Time over which a returning origin grows from a tenth of its weight to all of it; 0: at once.
        package var slowStartMilliseconds = Limits.slowStartMillisecondsDefault
        package init() {}
    }

    /// Milliseconds.
    package struct OriginTimeouts: Sendable, Hashable {
        package var connect = Limits.connectTimeoutMillisecondsDefault
        /// From the end of the request to the first byte of the response.
        package var firstByte = Limits.firstByteTimeoutMillisecondsDefault
        /// Between two reads of a response body.
        package var idle = Limits.originIdleTimeoutMillisecondsDefault
        package init() {}
    }

    /// Connections to one origin, over all event loops.
    package struct Pool: Sendable, Hashable {
        package var connections = Limits.originConnectionsDefault
        package var idleConnections = Limits.originIdleConnectionsDefault
        /// How long an unused connection is kept, milliseconds.
        package var keepAlive = Limits.originKeepAliveMillisecondsDefault
        /// How long a request waits for a connection when all are busy, milliseconds. Beyond it: 503.
        package var wait = Limits.poolWaitTimeoutMillisecondsDefault
        package init() {}
    }
}

/// One origin server of a zone.
package struct Origin: Sendable, Hashable {
    package enum Scheme: String, Sendable { case http, https }

    /// Whether HTTP/2 is spoken to an origin.
    package enum HTTP2Use: String, Sendable, CaseIterable {
        /// With `https`, what ALPN settles on; with `http`, HTTP/1.1.
        case auto
        /// HTTP/2 or nothing: by ALPN with `https`, by prior knowledge with `http` (RFC 9113, section 3.3).
        case on
        /// HTTP/1.1 only.
        case off
    }

    package var scheme: Scheme
    /// DNS name in lower case, or an IP address without brackets.
    package var host: String
    package var port: Int
    package var weight = 1
    /// Used only while every origin that is not a backup is unhealthy.
    package var backup = false
    /// The Host sent to the origin; nil passes the client's on.
    package var hostHeader: String?
    package var health: Health?
    package var tls = OriginTLS()
    package var http2 = HTTP2Use.auto
    /// How often a DNS name is looked up anew, milliseconds.
    package var resolveEvery = Limits.resolveIntervalMillisecondsDefault

    package init(scheme: Scheme, host: String, port: Int) {
        self.scheme = scheme
        self.host = host
        self.port = port
    }

    /// An active health check: GET on the origin's own address.
    package struct Health: Sendable, Hashable {
        package var path = "/"
        /// Milliseconds.
        package var every = Limits.healthIntervalMillisecondsDefault
        package var timeout = Limits.healthTimeoutMillisecondsDefault
        package var healthyAfter = 2
        package var unhealthyAfter = 3
        package var expectStatus = 200...399
        package init() {}
    }

    package struct OriginTLS: Sendable, Hashable {
        /// Whether the origin's certificate must chain to a trusted root and carry its name.
        package var verify = true
        /// PEM file of the roots trusted instead of the system's. Absolute path.
        package var certificateAuthority: String?
        /// SNI and the name verified; nil: `hostHeader` or the host of the URL.
        package var serverName: String?
        package var clientCertificate: Zone.CertificateFiles?
        package init() {}
    }
}
