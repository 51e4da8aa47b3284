package import HTTPWire
package import NIOCore
package import Telemetry

/// One request and what becomes of it: the noun that travels from room to room.
///
/// Open, and so public, only because `Journey` inherits from another module; nothing of it can be overridden.
///
/// Exchanges are reused: a loop keeps those that are done, with the room their tables have grown to. So each field is
/// either reset by `reset()` or set before the first stage reads it. The stages themselves are `Journey`'s, in
/// Pipeline; this class holds what more than one room reads.
open class Exchange {
    package final let loop: EdgeLoop

    // MARK: The client

    /// nil once the client is gone or has its answer.
    package final var client: (any ClientStream)?
    /// The other end of the connection, or who its PROXY protocol header names.
    package final var peer = IPAddress.unspecified
    package final var isSecure = false
    package final var version = HTTPVersion.http11
    /// The client hello's summary; nil on plain connections.
    package final var tls: TLSFacts?

    // MARK: The request

    package final var request = RequestHead()
    /// The request's head, ranges of `request` point into it.
    package final var requestBytes: ByteBuffer
    /// Unique to this exchange; on the error page, in the log and in `Martlet-Ray`.
    package final var ray: UInt64 = 0
    /// Body bytes received from the client, unframed.
    package final var requestBodyBytes: UInt64 = 0
    package final var isRequestComplete = false

    // MARK: The response

    package final let answer = OriginAnswer()
    /// The status of the response that was begun; 0 while none was.
    package final var status = 0
    /// Body bytes given to the client, unframed.
    package final var responseBodyBytes: UInt64 = 0
    /// Why the exchange went wrong; the first reason stays.
    package final var failure: Failure?

    // MARK: Times, on the monotonic clock in nanoseconds; 0: did not happen

    package final var startedAt: UInt64 = 0
    package final var sentAt: UInt64 = 0
    package final var firstByteAt: UInt64 = 0

    package init(loop: EdgeLoop) {
        self.loop = loop
        self.requestBytes = ByteBufferAllocator().buffer(capacity: 1024)
    }

    package final func reset() {
        client = nil
        peer = .unspecified
        isSecure = false
        version = .http11
        tls = nil
        request.reset()
        answer.head.reset()
        requestBytes.clear()
        ray = 0
        requestBodyBytes = 0
        isRequestComplete = false
        status = 0
        responseBodyBytes = 0
        failure = nil
        startedAt = 0
        sentAt = 0
        firstByteAt = 0
    }

    /// Adds a field to the request that the client did not send.
    package final func addRequestField(_ name: StaticString, _ value: [UInt8]) {
        let start = requestBytes.readableBytes
        requestBytes.writeStaticString(name)
        let valueStart = requestBytes.readableBytes
        requestBytes.writeBytes(value)
        request.fields.append(
            Field(
                name: ByteRange(start: UInt32(clamping: start), count: UInt32(clamping: valueStart - start)),
                value: ByteRange(start: UInt32(clamping: valueStart), count: UInt32(clamping: value.count)),
                known: .other, isDropped: false))
    }

    /// Notes why the exchange failed, unless a reason stands already.
    package final func note(_ reason: Failure) {
        if failure == nil { failure = reason }
    }
}

/// The version of HTTP that the client speaks.
package enum HTTPVersion: UInt8, Sendable {
    case http10, http11, http2

    /// As the access log has it.
    package var label: StaticString {
        switch self {
        case .http10: "HTTP/1.0"
        case .http11: "HTTP/1.1"
        case .http2: "HTTP/2"
        }
    }

    /// As Via has it (RFC 9110, section 7.6.3).
    package var received: StaticString {
        switch self {
        case .http10: "1.0"
        case .http11: "1.1"
        case .http2: "2"
        }
    }
}

/// What is known of a client's TLS connection, once per connection.
package final class TLSFacts: Sendable {
    /// The zone that SNI named; nil where it named none, and the fallback certificate was given.
    package let zoneName: String?
    /// JA4 fingerprint of the ClientHello, as ASCII; empty where nobody logs it.
    package let ja4: [UInt8]
    /// JA3 fingerprint (MD5 in hex), as ASCII; empty where nobody logs it.
    package let ja3: [UInt8]

    package init(zoneName: String?, ja4: [UInt8], ja3: [UInt8]) {
        self.zoneName = zoneName
        self.ja4 = ja4
        self.ja3 = ja3
    }
}
