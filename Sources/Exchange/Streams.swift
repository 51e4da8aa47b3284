/// The three parties of an exchange and what each may be told.
///
/// A client's stream (a connection of HTTP/1.1, later a stream of HTTP/2), the exchange in the middle, and a link to
/// an origin. They are protocols of classes: two words and a witness call, no allocation, and each party stays in its
/// room.
///
/// Every method is called on the event loop of the object it is called on. `OriginLink` and `OriginReceiver` may live
/// on different loops; then what stands between them is a pair of proxies (Origin/RemoteLink.swift). A party that is
/// already gone does nothing.
package import HTTPWire
package import NIOCore
package import Telemetry

/// The client's end of one exchange: takes the response, gives the request's body.
package protocol ClientStream: AnyObject {
    /// A 1xx response other than 101 (RFC 9110, section 15.2).
    func respondInterim(_ head: ResponseHead, bytes: ByteBuffer)

    /// The final response's head. `bytes` begins at the head's first byte; `head` holds ranges into it.
    func respond(_ head: ResponseHead, bytes: ByteBuffer)

    /// A response made here: complete, with its body. `fields` are whole field lines, each ended by CRLF.
    func respond(status: Int, fields: ByteBuffer, body: ByteBuffer)

    /// A response whose head was rendered before: status line, `fields`, then `stored`, both whole field lines.
    ///
    /// - Parameters:
    ///   - stored: where `isHeadEnded`, Content-Length, the empty line and perhaps the body or its beginning too.
    ///   - framing: of the body that follows by `respondBody`, and where the head is not ended, of the lines that say so.
    func respond(status: Int, fields: ByteBuffer, stored: ByteBuffer, isHeadEnded: Bool, framing: BodyFraming)

    func respondBody(_ bytes: ByteBuffer)

    /// Whether `respondFile` may be used: the bytes of the body reach the socket as they are.
    var takesFiles: Bool { get }

    /// The next bytes of the body, out of a file, without a copy.
    ///
    /// - Parameter owner: is kept until they have been sent.
    func respondFile(_ region: FileRegion, owner: any AnyObject & Sendable)

    /// The response is complete. `trailers`: whole field lines, checked, each ended by CRLF; nil for none.
    func respondEnd(trailers: ByteBuffer?)

    /// What was said since the last flush goes out now.
    func flush()

    /// The response cannot be completed: the client must see that it was cut.
    func abort()

    /// The origin takes no more of the request's body for now, or takes it again.
    func pauseRequestBody()
    func resumeRequestBody()

    /// The origin switched protocols: the head goes out, and from here on bytes pass as they are.
    func beginTunnel(_ head: ResponseHead, bytes: ByteBuffer)
}

/// The end of an exchange that an origin's connection answers to.
package protocol OriginReceiver: AnyObject {
    /// Where the link puts the heads it reads.
    var answer: OriginAnswer { get }

    /// The link asked for is there, and belongs to this receiver until it says end or failure.
    func originReady(_ link: any OriginLink)
    func originUnavailable(_ failure: Failure)

    func originInterim(bytes: ByteBuffer)
    /// The head is in `response`; `bytes` begins at its first byte.
    func originHead(bytes: ByteBuffer)
    func originBody(_ bytes: ByteBuffer)
    func originEnd(trailers: ByteBuffer?)
    /// 101: head in `response`. Bytes follow by `originBody` until `originEnd`.
    func originSwitched(bytes: ByteBuffer)
    /// Everything read at once has been told.
    func originFlush()
    func originFailed(_ failure: Failure)
    /// The link takes request body again after `sendBody` said it was full.
    func originWritable()
}

/// The head of a response as an origin's link reads it. Reused from exchange to exchange, so that its field table is
/// allocated once.
package final class OriginAnswer {
    package var head = ResponseHead()

    package init() {}
}

/// How much of the request is on its way to the origin when the link is given the head.
package struct RequestShape: Sendable {
    package var method: Method
    package var framing: BodyFraming
    /// The client offered a protocol to switch to, so a 101 may come.
    package var mayUpgrade: Bool

    package init(method: Method, framing: BodyFraming, mayUpgrade: Bool) {
        self.method = method
        self.framing = framing
        self.mayUpgrade = mayUpgrade
    }
}

/// A way to one origin server, held by one exchange at a time.
package protocol OriginLink: AnyObject {
    /// Whether the link has carried an exchange before: then the origin may have closed it meanwhile.
    var isReused: Bool { get }

    /// The origin may hand the request back unread (RFC 9113, section 8.7): until it answers, the body is worth keeping.
    var mayBeRefused: Bool { get }

    /// Who the link answers to from now on. Before `send`.
    func attach(_ receiver: any OriginReceiver)

    /// Sends the head, rendered for HTTP/1.1, and perhaps body behind it, framed. For bodies that go on, `sendBody`
    /// and `sendEnd` follow.
    func send(_ head: ByteBuffer, shape: RequestShape, isComplete: Bool)

    /// False: the link is full, and `originWritable` will say when it is not.
    func sendBody(_ bytes: ByteBuffer) -> Bool
    func sendEnd(trailers: ByteBuffer?)

    func pauseResponse()
    func resumeResponse()

    /// The exchange has no more interest; the connection closes unless it happens to be done.
    func cancel()

    /// Half of a tunnel ended: no more bytes follow from the client.
    func closeTunnelOutput()
}
