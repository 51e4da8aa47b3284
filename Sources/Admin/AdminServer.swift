import Limits
package import Logging
package import NIOCore
import NIOPosix
import Synchronization

/// The operator's door: metrics, health and the cache, on an address of its own.
///
/// One request per connection is all it takes; requests are parsed by the same codec as everybody's.
package enum AdminServer {
    /// What may be asked: to tell something (GET and HEAD), or to do something (POST).
    package enum Verb: Sendable { case get, post }

    /// A whole request.
    package struct Request: Sendable {
        package var verb: Verb
        package var path: String
        /// What follows the `?`; empty without one.
        package var query = ""
        /// The value of Content-Type; empty without one.
        package var contentType = ""
        /// Whether it has an Origin field, as what a browser sends for a page does.
        package var hasOrigin = false
        /// At most `Limits.adminBodyBytesMax`.
        package var body: [UInt8] = []

        package init(_ verb: Verb, path: String) {
            self.verb = verb
            self.path = path
        }
    }

    /// An answer: status, content type, body.
    package struct Answer: Sendable {
        package var status: Int
        package var contentType: String
        package var body: [UInt8]
        /// The value of Allow (RFC 9110, section 10.2.1); nil for none.
        package var allow: String?

        package init(status: Int, contentType: String = "text/plain; charset=utf-8", body: [UInt8]) {
            self.status = status
            self.contentType = contentType
            self.body = body
        }

        package init(status: Int, text: String) {
            self.init(status: status, body: Array((text + "\n").utf8))
        }

        /// 405 for a path that takes another verb, or a method that none takes.
        package static func wrongMethod(allowed: Verb) -> Answer {
            var answer = Answer(status: 405, text: allowed == .get ? "expected GET or HEAD" : "expected POST")
            answer.allow = allowed == .get ? "GET, HEAD" : "POST"
            return answer
        }
    }

    /// Answers a request. Called off the event loops; may take its time.
    package typealias Responder = @Sendable (_ request: Request) async -> Answer

    /// Serves on a socket that listens already.
    ///
    /// - Parameter descriptor: becomes the channel's.
    package static func serve(
        descriptor: CInt, on group: any EventLoopGroup, log: Logger, _ responder: @escaping Responder
    ) async throws -> any Channel {
        let connections = ConnectionCount()
        return try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard connections.enter() else { return channel.close(promise: nil) }
                    channel.closeFuture.whenComplete { _ in connections.leave() }
                    try channel.pipeline.syncOperations.addHandler(AdminConnection(responder: responder))
                }
            }
            .withBoundSocket(descriptor)
            .get()
    }
}

/// Connections open, held to their bound: who would exhaust the admin door must not exhaust the process.
private final class ConnectionCount: Sendable {
    private let count = Atomic<Int>(0)

    func enter() -> Bool {
        let isWithin = count.wrappingAdd(1, ordering: .relaxed).newValue <= Limits.adminConnectionsMax
        if !isWithin { leave() }
        return isWithin
    }

    func leave() { count.wrappingSubtract(1, ordering: .relaxed) }
}
