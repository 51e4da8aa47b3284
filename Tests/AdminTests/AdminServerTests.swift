// The operator's door, over a real socket: one request, one answer, and then the connection ends.

import Admin
import Glibc
import Limits
import Logging
import NIOCore
import NIOPosix
import Testing

/// Sends pieces one after the other, and gathers what comes until the connection ends. All of it on the event loop: a
/// test that has to wait for its turn must not keep the server waiting beyond its timeout.
private final class Client: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var pieces: ArraySlice<String>
    private var text = ""
    private let done: EventLoopPromise<String>

    init(_ pieces: [String], done: EventLoopPromise<String>) {
        self.pieces = pieces[...]
        self.done = done
    }

    func channelActive(context: ChannelHandlerContext) { sendNext(context) }

    private func sendNext(_ context: ChannelHandlerContext) {
        guard let piece = pieces.popFirst() else { return }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: piece))).whenSuccess {
            let (client, context) = bound.value
            client.sendNext(context)
        }
    }

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
        let server = try await AdminServer.serve(descriptor: listening, on: group, log: Logger(label: "test")) {
            request in
            switch request.path {
            case "/healthz": .init(status: 200, text: "ok")
            case "/echo": .init(status: 200, text: "\(request)")
            default: .init(status: 404, text: "no \(request.path)")
            }
        }
        let loop = group.next()
        let done = loop.makePromise(of: String.self)
        _ = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Client(pieces, done: done))
                }
            }
            .connect(to: try #require(server.localAddress)).get()
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

    @Test("other methods are refused", arguments: ["PUT", "DELETE", "OPTIONS", "BREW"])
    func methods(method: String) async throws {
        let text = try await answer(get("/healthz", method: method))
        #expect(text.hasPrefix("HTTP/1.1 405 "))
        // RFC 9110, section 15.5.6.
        #expect(text.contains("\r\nAllow: GET, HEAD, POST\r\n"))
    }

    /// What a POST looks like to whoever answers.
    private func posted(_ fields: String, body: [String]) async throws -> String {
        try await answer(["POST /echo?a=b HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n"] + body)
    }

    @Test("a body of known length arrives whole, however it is cut, with what was said about it")
    func body() async throws {
        let text = try await posted(
            "Content-Type: application/json\r\nContent-Length: 6\r\n", body: ["{", "}abcdEXTRA"])
        #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(text.contains("contentType: \"application/json\""))
        #expect(text.contains("query: \"a=b\""))
        #expect(text.contains("hasOrigin: false"))
        #expect(text.contains("body: \(Array("{}abcd".utf8))"))
        #expect(text.contains("verb: Admin.AdminServer.Verb.post"))
        #expect(try await posted("", body: []).contains("body: []"))
    }

    @Test("a request of a browser's page is known by its Origin")
    func origin() async throws {
        let text = try await posted("Origin: https://evil.test\r\nContent-Length: 0\r\n", body: [])
        #expect(text.contains("hasOrigin: true"))
    }

    @Test("whoever waits for 100 gets it")
    func expectation() async throws {
        let text = try await posted("Content-Length: 2\r\nExpect: 100-continue\r\n", body: ["ab"])
        #expect(text.hasPrefix("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"))
    }

    @Test("a body of unknown length, and one beyond the bound, are refused, and the refusal arrives")
    func refusedBodies() async throws {
        let chunked = try await posted("Transfer-Encoding: chunked\r\n", body: ["2\r\nab\r\n0\r\n\r\n"])
        #expect(chunked.hasPrefix("HTTP/1.1 411 "))
        let length = Limits.adminBodyBytesMax + 1
        // All of it is sent: unread bytes must not reset the connection before the answer is read.
        let large = try await posted("Content-Length: \(length)\r\n", body: [String(repeating: "a", count: length)])
        #expect(large.hasPrefix("HTTP/1.1 413 "))
        let most = try await posted(
            "Content-Length: \(length - 1)\r\n", body: [String(repeating: "a", count: length - 1)])
        #expect(most.hasPrefix("HTTP/1.1 200 "))
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
