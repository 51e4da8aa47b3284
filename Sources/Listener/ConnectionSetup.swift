import ConfigModel
import Exchange
import NIOCore
import Telemetry

/// How the connections of one listening address begin.
struct ConnectionSetup: Sendable, Equatable {
    var isSecure: Bool
    var expectsProxyHeader: Bool

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
        if isSecure || expectsProxyHeader {
            try pipeline.addHandler(ConnectionPrelude(listener: listener, setup: self, peer: peer))
        } else {
            let acceptedAt = MonotonicClock.nanoseconds()
            try pipeline.addHandler(
                HTTP1Connection(desk: listener.desk, peer: peer, tls: nil, isSecure: false, acceptedAt: acceptedAt))
        }
        // The handler, or its successor, takes the count back when it leaves the pipeline.
        listener.connectionOpened()
    }
}
