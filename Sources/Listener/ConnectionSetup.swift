import ConfigModel
import Exchange
import NIOCore
import Telemetry

/// How the connections of one listening address begin.
struct ConnectionSetup: Sendable, Equatable {
    var isSecure: Bool
    var expectsProxyHeader: Bool
    /// In the clear: a client may begin with HTTP/2 by prior knowledge (RFC 9113, section 3.3).
    var acceptsHTTP2: Bool

    /// Puts into the pipeline what the connection begins with. On its event loop.
    func begin(_ channel: any Channel, _ listener: ListenerLoop) throws {
        let loop = listener.loop
        guard !listener.isFull else {
            loop.metrics.add(.clientConnectionsRefused)
            return channel.close(promise: nil)
        }
        loop.metrics.add(isSecure ? .clientConnectionsAcceptedHTTPS : .clientConnectionsAcceptedHTTP)
        let peer = IPAddress(channel.remoteAddress)
        let pipeline = channel.pipeline.syncOperations
        if isSecure || expectsProxyHeader || acceptsHTTP2 {
            try pipeline.addHandler(ConnectionPrelude(listener: listener, setup: self, peer: peer))
        } else {
            try pipeline.addHandler(HTTP1Connection(desk: listener.desk, peer: peer, tls: nil, isSecure: false))
        }
        // The handler, or its successor, takes the count back when it leaves the pipeline.
        listener.connectionOpened()
    }
}
