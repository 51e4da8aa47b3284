/// The three parties of an exchange and what each may be told.
///
/// A client's stream (a connection of HTTP/1.1, later a stream of HTTP/2), the exchange in the middle, and a link to
/// an origin. Each is a base class rather than a protocol: one word and a vtable call on the hot path. Methods of
/// the base do nothing, which is the right answer of a party that is already gone.
///
/// Every method is called on the event loop of the object it is called on. `OriginLink` and `OriginReceiver` may live
/// on different loops; then what stands between them is a pair of proxies (Origin/RemoteLink.swift).
package import HTTPWire
package import NIOCore

/// The client's end of one exchange: takes the response, gives the request's body.
package class ClientStream: Deadlined {
    /// A 1xx response other than 101 (RFC 9110, section 15.2).
    package func respondInterim(_ head: ResponseHead, bytes: ByteBuffer) {}

    /// The final response's head. `bytes` begins at the head's first byte; `head` holds ranges into it.
    package func respond(_ head: ResponseHead, bytes: ByteBuffer) {}

    /// A response made here: complete, with its body. `fields` are whole field lines, each ended by CRLF.
    package func respond(status: Int, fields: ByteBuffer, body: ByteBuffer) {}

    package func respondBody(_ bytes: ByteBuffer) {}

    /// The response is complete. `trailers`: whole field lines, checked, each ended by CRLF; nil for none.
    package func respondEnd(trailers: ByteBuffer?) {}

    /// What was said since the last flush goes out now.
    package func flush() {}

    /// The response cannot be completed: the client must see that it was cut.
    package func abort() {}

    /// The origin takes no more of the request's body for now, or takes it again.
    package func pauseRequestBody() {}
    package func resumeRequestBody() {}

    /// The origin switched protocols: the head goes out, and from here on bytes pass as they are.
    package func beginTunnel(_ head: ResponseHead, bytes: ByteBuffer) {}
}

/// The end of an exchange that an origin's connection answers to.
package class OriginReceiver: Deadlined {
    /// Reused from exchange to exchange, so that its field table is allocated once.
    package final var response = ResponseHead()

    /// The link asked for is there, and belongs to this receiver until it says end or failure.
    package func originReady(_ link: OriginLink) {}
    package func originUnavailable(_ failure: Failure) {}

    package func originInterim(bytes: ByteBuffer) {}
    /// The head is in `response`; `bytes` begins at its first byte.
    package func originHead(bytes: ByteBuffer) {}
    package func originBody(_ bytes: ByteBuffer) {}
    package func originEnd(trailers: ByteBuffer?) {}
    /// 101: head in `response`. Bytes follow by `originBody` until `originEnd`.
    package func originSwitched(bytes: ByteBuffer) {}
    /// Everything read at once has been told.
    package func originFlush() {}
    package func originFailed(_ failure: Failure) {}
    /// The link takes request body again after `sendBody` said it was full.
    package func originWritable() {}
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
package class OriginLink: Deadlined {
    /// Whether the link has carried an exchange before: then the origin may have closed it meanwhile.
    package var isReused: Bool { false }

    /// Who the link answers to from now on. Before `send`.
    package func attach(_ receiver: OriginReceiver) {}

    /// Sends the head, rendered for HTTP/1.1, and perhaps body behind it, framed. For bodies that go on, `sendBody`
    /// and `sendEnd` follow.
    package func send(_ head: ByteBuffer, shape: RequestShape, isComplete: Bool) {}

    /// False: the link is full, and `originWritable` will say when it is not.
    package func sendBody(_ bytes: ByteBuffer) -> Bool { true }
    package func sendEnd(trailers: ByteBuffer?) {}

    package func pauseResponse() {}
    package func resumeResponse() {}

    /// The exchange has no more interest; the connection closes unless it happens to be done.
    package func cancel() {}

    /// Half of a tunnel ended: no more bytes follow from the client.
    package func closeTunnelOutput() {}
}
