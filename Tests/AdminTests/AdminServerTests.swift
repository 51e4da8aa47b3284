// The operator's door, over a real socket: one request, one answer, and then the connection ends.

import Admin
import Glibc
import Limits
import Logging
import NIOCore
import NIOPosix
import Testing

/// Gathers what comes until the connection ends.
private final class Gatherer: ChannelInboundHandler, @unchecked Sendable {
    // Unchecked: used on the channel's event loop; the promise carries the text away.
    typealias InboundIn = ByteBuffer

    private var text = ""
    private let done: EventLoopPromise<String>

    init(done: EventLoopPromise<String>) { self.done = done }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { text += String(buffer: unwrapInboundIn(data)) }
    func channelInactive(context: ChannelHandlerContext) { done.succeed(text) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

@Suite("AdminServer")
struct AdminServerTests {
    /// What the server answers to `pieces`, sent one after the other.
    private func answer(_ pieces: [String]) async throws -> String {
        let group = MultiThreadedEventLoopGroup.singleton
        let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listening, $0, size) }
        }
        #expect(bound == 0 && listen(listening, 8) == 0)
        let server = try await AdminServer.serve(descriptor: listening, on: group, log: Logger(label: "test")) { path in
            path == "/healthz" ? .init(status: 200, text: "ok") : .init(status: 404, text: "no \(path)")
        }
        let loop = group.next()
        let done = loop.makePromise(of: String.self)
        let gatherer = Gatherer(done: done)
        let client = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(gatherer) }
            }
            .connect(to: try #require(server.localAddress)).get()
        for piece in pieces { try? await client.writeAndFlush(ByteBuffer(string: piece)).get() }
        let text = try await done.futureResult.get()
        try await server.close().get()
        return text
    }

    private func get(_ path: String, method: String = "GET") -> [String] {
        ["\(method) \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n"]
    }

    @Test("a path is answered, with its length, and the connection ends")
    func path() async throws {
        let text = try await answer(get("/healthz"))
        #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(text.contains("\r\nContent-Length: 3\r\n"))
        #expect(text.contains("\r\nConnection: close\r\n"))
        #expect(text.contains("\r\nCache-Control: no-store\r\n"))
        #expect(text.hasSuffix("\r\n\r\nok\n"))
    }

    @Test("the path is asked for without its query")
    func query() async throws {
        #expect(try await answer(get("/healthz?x=1")).hasPrefix("HTTP/1.1 200 "))
        #expect(try await answer(get("/x?y")).hasSuffix("\r\n\r\nno /x\n"))
    }

    @Test("HEAD has the fields and not the body")
    func head() async throws {
        let text = try await answer(get("/healthz", method: "HEAD"))
        #expect(text.contains("\r\nContent-Length: 3\r\n"))
        #expect(text.hasSuffix("\r\n\r\n"))
    }

    @Test("other methods are refused", arguments: ["POST", "PUT", "DELETE", "BREW"])
    func methods(method: String) async throws {
        #expect(try await answer(get("/healthz", method: method)).hasPrefix("HTTP/1.1 405 "))
    }

    @Test("a request may come in pieces, and what comes behind it is not answered")
    func pieces() async throws {
        let text = try await answer(["GET /hea", "lthz HTTP/1.1\r\nHo", "st: localhost\r\n", "\r\nGET / HTTP/1.1\r\n"])
        #expect(text.hasPrefix("HTTP/1.1 200 "))
        #expect(text.components("HTTP/1.1 ") == 1)
    }

    @Test("what is no request is refused")
    func refused() async throws {
        #expect(try await answer(["GET / HTTP/1.1\nHost: x\r\n\r\n"]).hasPrefix("HTTP/1.1 400 "))
        #expect(try await answer(["GET / HTTP/1.1\r\n\r\n"]).hasPrefix("HTTP/1.1 400 "))
    }

    @Test("a request larger than the bound is refused")
    func tooLarge() async throws {
        let long = String(repeating: "a", count: Limits.adminRequestBytesMax)
        #expect(try await answer(["GET /\(long) HTTP/1.1\r\nHost: x\r\n\r\n"]).hasPrefix("HTTP/1.1 414 "))
        #expect(try await answer(["GET / HTTP/1.1\r\nHost: x\r\nX: \(long)\r\n\r\n"]).hasPrefix("HTTP/1.1 431 "))
    }
}

extension String {
    /// How often `wanted` occurs.
    fileprivate func components(_ wanted: String) -> Int {
        var count = 0
        var rest = self[...]
        while !rest.isEmpty {
            if rest.hasPrefix(wanted) { count += 1 }
            rest = rest.dropFirst()
        }
        return count
    }
}
