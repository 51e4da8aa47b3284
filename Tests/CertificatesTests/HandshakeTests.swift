import ConfigModel
import ConnectionWire
import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Testing

@testable import Certificates

/// Reads the ClientHello, picks the zone by its server name, and puts TLS with that zone's certificate in its place.
private final class HelloHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    private let store: CertificateStore
    private let zones: [String]
    private var parser = ClientHelloParser()
    private var received = ByteBuffer()

    init(store: CertificateStore, zones: [String]) {
        self.store = store
        self.zones = zones
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received.writeImmutableBuffer(unwrapInboundIn(data))
        let bytes = Array(received.readableBytesView)
        do {
            guard case .complete(let hello) = try parser.parse(bytes.span) else { return }
            let name = hello.serverName(in: bytes.span)
            let zone = zones.firstIndex { $0 == name } ?? store.fallbackZone ?? 0
            let pipeline = context.pipeline.syncOperations
            try pipeline.addHandler(NIOSSLServerHandler(context: try store.context(forZone: zone)))
            try pipeline.addHandler(EchoHandler())
            context.fireChannelRead(NIOAny(received))
            context.fireChannelReadComplete()
            pipeline.removeHandler(self, promise: nil)
        } catch {
            context.close(promise: nil)
        }
    }
}

/// Answers the first bytes and closes.
private final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.writeAndFlush(NIOAny(ByteBuffer(string: "pong\n")), promise: nil)
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Real handshakes with openssl's client.
@Suite(.serialized) struct HandshakeTests {
    private let workshop: Workshop

    init() throws { workshop = try Workshop() }

    /// Serves `store` while `body` runs, which gets the arguments that lead openssl there.
    private func serving(
        _ store: CertificateStore, _ zones: [String], _ body: ([String]) throws -> Void
    ) async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(HelloHandler(store: store, zones: zones))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        do {
            try body(
                ["openssl", "s_client", "-ign_eof", "-connect", "127.0.0.1:\(port)", "-CAfile", "var/ca/ca.pem"]
            )
        } catch {
            try await server.close()
            throw error
        }
        try await server.close()
    }

    private let strict = ["-verify_return_error"]

    private func store(_ names: [String]) throws -> CertificateStore {
        try CertificateStore(configuration: workshop.configuration(names.map { zone($0) }))
    }

    @Test func theServerNamePicksTheCertificate() async throws {
        let names = ["a.test", "b.test", "*"]
        try await serving(try store(names), names) { client in
            for name in ["a.test", "b.test"] {
                let text = try workshop.run(
                    client + strict + ["-servername", name, "-verify_hostname", name, "-alpn", "h2,http/1.1"],
                    input: "ping\n"
                )
                #expect(text.contains("Verify return code: 0 (ok)"))
                #expect(text.contains("subject=CN = \(name)"))
                #expect(text.contains("ALPN protocol: h2"))
                #expect(text.contains("pong"))
            }
            // No name, or one of nobody: the zone of every host.
            for other in [["-noservername"], ["-servername", "c.test"]] {
                let text = try workshop.run(client + strict + other, input: "ping\n")
                #expect(text.contains("subject=CN = localhost"))
            }
        }
    }

    @Test func theConfigurationDecidesWhatIsOffered() async throws {
        var configuration = workshop.configuration([zone("a.test")])
        let first = try CertificateStore(configuration: configuration)
        configuration.listen.http2 = false
        let second = try first.reloaded(with: configuration)
        #expect(try second.context(forZone: 0) !== (try first.context(forZone: 0)))
        for (store, offers, agreed) in [
            (first, "http/1.1,h2", "ALPN protocol: h2"), (first, "http/1.1", "ALPN protocol: http/1.1"),
            (second, "h2,http/1.1", "ALPN protocol: http/1.1"), (second, "h2", "No ALPN negotiated"),
        ] {
            try await serving(store, ["a.test"]) { client in
                let text = try workshop.run(client + ["-servername", "a.test", "-alpn", offers], input: "ping\n")
                #expect(text.contains(agreed), "\(offers): \(text)")
            }
        }
    }

    @Test func curlTrustsTheAuthority() async throws {
        let names = ["a.test"]
        try await serving(try store(names), names) { client in
            let port = try #require(client[4].split(separator: ":").last)
            let text = try workshop.run(
                [
                    "curl", "-sS", "--no-alpn", "--http0.9", "--cacert", "var/ca/ca.pem", "--connect-to",
                    "a.test:443:127.0.0.1:\(port)",
                ]
                    + ["https://a.test/"]
            )
            #expect(text.contains("pong"))
        }
    }

    @Test(arguments: ["-tls1_3", "-tls1_2"])
    func sessionsResumeAndSurviveAReload(version: String) async throws {
        let names = ["a.test"]
        let first = try store(names)
        let session = ["-servername", "a.test", version]
        try await serving(first, names) { client in
            let full = try workshop.run(client + strict + session + ["-sess_out", "session"], input: "ping\n")
            #expect(full.contains("New, TLSv1"))
            let resumed = try workshop.run(client + strict + session + ["-sess_in", "session"], input: "ping\n")
            #expect(resumed.contains("Reused, TLSv1"))
        }
        let reloaded = try first.reloaded(with: workshop.configuration([zone("b.test"), zone("a.test")]))
        try await serving(reloaded, ["b.test", "a.test"]) { client in
            let resumed = try workshop.run(client + strict + session + ["-sess_in", "session"], input: "ping\n")
            #expect(resumed.contains("Reused, TLSv1"))
        }
        // Another process has other ticket keys: a full handshake, and no failure.
        try await serving(try store(names), names) { client in
            let full = try workshop.run(client + strict + session + ["-sess_in", "session"], input: "ping\n")
            #expect(full.contains("New, TLSv1"))
        }
    }

    @Test func oldVersionsAndWeakSuitesAreRefused() async throws {
        let names = ["a.test"]
        try await serving(try store(names), names) { client in
            let weak = ["-cipher", "ALL:@SECLEVEL=0"]
            for version in ["-tls1", "-tls1_1"] {
                let text = try workshop.run(client + weak + [version], input: "ping\n", failing: true)
                #expect(text.contains("alert"))
            }
            for suites in ["AES128-SHA:AES128-GCM-SHA256:@SECLEVEL=0", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"] {
                let text = try workshop.run(client + ["-tls1_2", "-cipher", suites], input: "ping\n", failing: true)
                #expect(text.contains("alert handshake failure"))
            }
            let good = try workshop.run(client + ["-tls1_2", "-servername", "a.test"], input: "ping\n")
            #expect(good.contains("Cipher is ECDHE-ECDSA-AES256-GCM-SHA384"), "the client's order decides")
        }
    }

    @Test(arguments: [
        ["-newkey", "rsa:2048"], ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"], ["-newkey", "ed25519"],
    ])
    func otherKeysServe(key: [String]) async throws {
        let files = try workshop.certificate("a", key: key, names: "DNS:a.test")
        let store = try CertificateStore(configuration: workshop.configuration([zone("a.test", ["a.test"], files)]))
        for version in ["-tls1_3", "-tls1_2"] {
            try await serving(store, ["a.test"]) { client in
                let trust = ["-CAfile", "a.pem", "-servername", "a.test", version]
                let text = try workshop.run(client + strict + trust, input: "ping\n")
                #expect(text.contains("pong"))
            }
        }
    }

    /// RFC 9113, section 9.2.2: what a client of HTTP/2 over TLS 1.2 may count on.
    @Test func theMandatorySuiteIsSpoken() async throws {
        let files = try workshop.certificate("a", key: ["-newkey", "rsa:2048"], names: "DNS:a.test")
        let store = try CertificateStore(configuration: workshop.configuration([zone("a.test", ["a.test"], files)]))
        try await serving(store, ["a.test"]) { client in
            let ask = [
                "-CAfile", "a.pem", "-servername", "a.test", "-tls1_2", "-groups", "P-256", "-cipher",
                "ECDHE-RSA-AES128-GCM-SHA256",
            ]
            let text = try workshop.run(client + ask, input: "ping\n")
            #expect(text.contains("Cipher is ECDHE-RSA-AES128-GCM-SHA256"))
        }
    }
}
