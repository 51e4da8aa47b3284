import Limits
import Testing

@testable import ConfigModel

/// Parses without looking at files.
func parse(_ text: String, directory: String = "/etc/martlet") throws -> Configuration.Loaded {
    try Configuration.parse(text: text, path: "martlet.yaml", directory: directory, checking: .none)
}

/// What parsing this text complains about, warnings included.
func problems(_ text: String) -> [ConfigurationProblem] {
    do {
        return try parse(text).warnings
    } catch {
        return (error as? ConfigurationError)?.problems ?? []
    }
}

@Suite struct ConfigurationReadTests {
    static let least = """
        listen: { http: "127.0.0.1:8080" }
        zones: { example.test: { origins: "http://127.0.0.1:8000" } }
        """

    @Test func theLeastGetsEveryDefault() throws {
        let loaded = try parse(Self.least)
        var expected = Configuration()
        expected.listen.http = [.init(address: .init(host: "127.0.0.1", port: 8080))]
        expected.admin = .init(host: "127.0.0.1", port: 9090)
        expected.data = "/etc/martlet/var"
        expected.accessLog.destination = .file("/etc/martlet/var/access.log")
        expected.cacheStore?.path = "/etc/martlet/var/cache"
        let origin = Origin(scheme: .http, host: "127.0.0.1", port: 8000)
        expected.zones = [
            Zone(name: "example.test", hostnames: ["example.test", "*.example.test"], origins: [origin])
        ]
        #expect(loaded.configuration == expected)
        #expect(loaded.warnings.isEmpty)
    }

    static let everything = """
        listen:
          http: ["127.0.0.1:8080", { address: "[::1]:81", proxy_protocol: true, http2: true }]
          http2: false
          https:
            - "*:8443"
        admin: off
        data: /srv/./martlet//data
        threads: 3
        log: { level: debug, format: json }
        access_log: { path: ../logs/access.log, buffer: 1MiB }
        trusted_proxies: ["10.0.0.0/8", "::1", 192.0.2.7]
        client_address_header: CF-Connecting-IP
        timeouts: { header: 1s, handshake: 2s, body: 3s, write: 4s, idle: 5m, tunnel: 1h, drain: 250ms }
        limits:
          request_line: 8KiB
          header_bytes: 32KiB
          header_count: 64
          body_rate: 0
          requests_per_connection: 10
          streams_per_connection: 7
          connections: 1000
        zones:
          Example.TEST.:
            hostnames: [example.test, "*.EXAMPLE.test."]
            origins:
              - http://10.1.2.3
              - url: https://Origin_1.internal:8443
                weight: 3
                backup: true
                host: internal.example:99
                http2: "on"
                resolve_every: 1m
                health: /alive?full=1
                tls:
                  verify: true
                  ca: ca.pem
                  server_name: x.example
                  certificate: /c/client.pem
                  key: /c/client.key
              - { url: "http://[2001:DB8::1]:81", health: off, http2: off }
            tls: { certificate: cert.pem, key: key.pem }
            balance: { hash: "header:X-User" }
            health: { path: /up, every: 20s, timeout: 4s, healthy_after: 1, unhealthy_after: 9, expect: 200-204 }
            ejection: { failures: 2, for: 1m, slow_start: 0 }
            attempts: 3
            redirect_to_https: true
            timeouts: { connect: 1s, first_byte: 2s, idle: 3s }
            limits: { body: 100MiB }
            pool: { connections: 100, idle: 50, keep_alive: 30s, wait: 1s }
          "*":
            origins: [http://localhost:3000]
            balance: least_outstanding
            ejection: off
            limits: { body: unlimited }
            pool: { connections: 8 }
        """

    @Test func everyKeyArrives() throws {
        let loaded = try parse(Self.everything)
        #expect(loaded.warnings.isEmpty, "\(loaded.warnings)")
        let configuration = loaded.configuration
        #expect(
            configuration.listen.http == [
                .init(address: .init(host: "127.0.0.1", port: 8080)),
                .init(address: .init(host: "::1", port: 81), proxyProtocol: true, http2: true),
            ])
        #expect(configuration.listen.https == [.init(address: .init(host: "::", port: 8443))])
        #expect(!configuration.listen.http2)
        #expect(configuration.admin == nil)
        #expect(configuration.data == "/srv/martlet/data")
        #expect(configuration.threads == 3)
        #expect(configuration.log.level == .debug)
        #expect(configuration.log.format == .json)
        #expect(configuration.accessLog.destination == .file("/etc/martlet/../logs/access.log"))
        #expect(configuration.accessLog.bufferBytes == 1 << 20)
        #expect(configuration.trustedProxies.map(\.prefixBits) == [104, 128, 128])
        #expect(configuration.clientAddressHeader == "cf-connecting-ip")
        let timeouts = configuration.timeouts
        #expect([timeouts.header, timeouts.handshake, timeouts.body, timeouts.write] == [1000, 2000, 3000, 4000])
        #expect([timeouts.idle, timeouts.tunnel, timeouts.drain] == [300_000, 3_600_000, 250])
        let limits = configuration.limits
        #expect([limits.requestLineBytes, limits.headBytes, limits.fieldCount] == [8192, 32768, 64])
        #expect([limits.bodyRateBytesPerSecond, limits.requestsPerConnection, limits.connections] == [0, 10, 1000])
        #expect(limits.streamsPerConnection == 7)
        #expect(configuration.zones.map(\.name) == ["example.test", "*"])
    }

    @Test func everyKeyOfAZoneArrives() throws {
        let zones = try parse(Self.everything).configuration.zones
        let zone = try #require(zones.first)
        #expect(zone.hostnames == ["example.test", "*.example.test"])
        #expect(zone.tls == .init(certificate: "/etc/martlet/cert.pem", key: "/etc/martlet/key.pem"))
        #expect(zone.balance == .hash(.header("x-user")))
        #expect(zone.ejection.consecutiveFailures == 2)
        #expect(zone.ejection.forMilliseconds == 60_000)
        #expect(zone.ejection.slowStartMilliseconds == 0)
        #expect(zone.attempts == 3)
        #expect(zone.redirectToHTTPS)
        #expect([zone.timeouts.connect, zone.timeouts.firstByte, zone.timeouts.idle] == [1000, 2000, 3000])
        #expect(zone.bodyBytesMax == 100 << 20)
        #expect([zone.pool.connections, zone.pool.idleConnections] == [100, 50])
        #expect([zone.pool.keepAlive, zone.pool.wait] == [30_000, 1000])

        let other = try #require(zones.last)
        #expect(other.hostnames == ["*"])
        #expect(other.balance == .leastOutstanding)
        #expect(other.ejection.consecutiveFailures == 0)
        #expect(other.bodyBytesMax == nil)
        #expect([other.pool.connections, other.pool.idleConnections] == [8, 8])
    }

    @Test func everyKeyOfAnOriginArrives() throws {
        let zones = try parse(Self.everything).configuration.zones
        let origins = try #require(zones.first).origins
        try #require(origins.count == 3)
        var health = Origin.Health()
        health.path = "/up"
        health.every = 20_000
        health.timeout = 4000
        health.healthyAfter = 1
        health.unhealthyAfter = 9
        health.expectStatus = 200...204
        var first = Origin(scheme: .http, host: "10.1.2.3", port: 80)
        first.health = health
        #expect(origins[0] == first)

        var second = Origin(scheme: .https, host: "origin_1.internal", port: 8443)
        second.weight = 3
        second.backup = true
        second.hostHeader = "internal.example:99"
        second.http2 = .on
        second.resolveEvery = 60_000
        second.health = Origin.Health()
        second.health?.path = "/alive?full=1"
        second.tls.certificateAuthority = "/etc/martlet/ca.pem"
        second.tls.serverName = "x.example"
        second.tls.clientCertificate = .init(certificate: "/c/client.pem", key: "/c/client.key")
        #expect(origins[1] == second)
        var third = Origin(scheme: .http, host: "2001:db8::1", port: 81)
        third.http2 = .off
        #expect(origins[2] == third)
    }

    @Test(arguments: [
        ("round_robin", Zone.Balance.roundRobin), ("least_outstanding", .leastOutstanding),
        ("{ hash: client_address }", .hash(.clientAddress)), ("{ hash: uri }", .hash(.uri)),
        ("{ hash: \"cookie:Uid\" }", .hash(.cookie("Uid"))), ("{ sticky: Origin }", .sticky(cookie: "Origin")),
    ]) func balances(written: String, expected: Zone.Balance) throws {
        let loaded = try parse(Self.least.replacing(" } }", with: ", balance: \(written) } }"))
        #expect(loaded.configuration.zones.first?.balance == expected)
    }

    @Test(arguments: [
        ("off", Configuration.AccessLog.Destination.off), ("\"-\"", .standardOutput),
        ("a.log", .file("/etc/martlet/a.log")), ("/a.log", .file("/a.log")), ("{ path: off }", .off),
        ("{ buffer: 1MiB }", .file("/etc/martlet/var/access.log")),
    ]) func accessLogs(written: String, expected: Configuration.AccessLog.Destination) throws {
        let loaded = try parse(Self.least + "\naccess_log: \(written)\n")
        #expect(loaded.configuration.accessLog.destination == expected)
    }

    @Test(arguments: Origin.HTTP2Use.allCases) func usesOfHTTP2(use: Origin.HTTP2Use) throws {
        for url in ["http://a", "https://a"] {
            let origin = "{ url: \"\(url)\", http2: \(use.rawValue) }"
            let loaded = try parse(Self.least.replacing("\"http://127.0.0.1:8000\"", with: origin))
            #expect(loaded.configuration.zones.first?.origins.first?.http2 == use)
            #expect(loaded.warnings.isEmpty)
        }
    }

    @Test func theWordsForDefaultsMeanThem() throws {
        let loaded = try parse(
            Self.least + "\nthreads: auto\nadmin: 127.0.0.1:9090\ndata: ./var\ntrusted_proxies: []\n")
        #expect(loaded.configuration == (try parse(Self.least).configuration))
    }

    @Test func aliasesStandForValues() throws {
        let text = """
            listen: { http: "127.0.0.1:8080" }
            zones:
              a.test: { origins: &origins ["http://127.0.0.1:1"], health: &health { path: /up } }
              # a *comment* & nothing else
              b.test: { origins: *origins, health: *health }
            """
        let zones = try parse(text).configuration.zones
        #expect(zones.map(\.origins).first == zones.map(\.origins).last)
        #expect(zones.last?.origins.first?.health?.path == "/up")
    }

    @Test func anAddressAsAZoneHasNothingBelowIt() throws {
        let loaded = try parse(Self.least.replacing("example.test", with: "127.0.0.1"))
        #expect(loaded.configuration.zones.first?.hostnames == ["127.0.0.1"])
    }

    @Test func aShortIntervalShortensTheDefaultTimeout() throws {
        let loaded = try parse(Self.least.replacing(" } }", with: ", health: { every: 1s } } }"))
        #expect(loaded.warnings.isEmpty)
        #expect(loaded.configuration.zones.first?.origins.first?.health?.timeout == 1000)
    }

    @Test func portZeroMayStandTwice() throws {
        let loaded = try parse(Self.least.replacing("\"127.0.0.1:8080\"", with: "[\"127.0.0.1:0\", \"127.0.0.1:0\"]"))
        #expect(loaded.configuration.listen.http.count == 2)
    }

    @Test func crlfAndByteOrderMarkAreFine() throws {
        let loaded = try parse("\u{FEFF}" + Self.least.replacing("\n", with: "\r\n"))
        #expect(loaded.configuration == (try parse(Self.least).configuration))
    }
}
