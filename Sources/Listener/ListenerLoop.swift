package import Certificates
import ConfigModel
package import Exchange
import Limits
import Logging
package import NIOCore
package import Pipeline

/// What the listeners of one event loop share: where requests go, which certificates are given, how many may come.
package final class ListenerLoop {
    package let desk: JourneyDesk
    package var certificates: CertificateStore?
    let http2 = HTTP2Loop()
    /// Connections open on this loop, those in their handshake included.
    private var connectionCount = 0
    private var connectionsMax: Int
    private var servers: [any Channel] = []
    private var isAcceptingPaused = false
    /// A successor is taking the listening sockets over.
    private var isHandingOver = false

    package init(desk: JourneyDesk, certificates: CertificateStore?, connectionsMax: Int) {
        self.desk = desk
        self.certificates = certificates
        self.connectionsMax = connectionsMax
        desk.connectionEnded = { [unowned self] in connectionClosed() }
    }

    package var loop: EdgeLoop { desk.loop }

    /// A new configuration for what begins from now on.
    package func serve(_ serving: Serving, certificates: CertificateStore?, connectionsMax: Int) {
        desk.serving = serving
        self.certificates = certificates
        self.connectionsMax = connectionsMax
        updateAccepting()
    }

    /// The process is stopping.
    package func drain() {
        loop.isDraining = true
        loop.deadlines.drainAll()
    }

    /// Connections open, those in their handshake included.
    package var openConnections: Int { connectionCount }

    func add(server: any Channel) {
        servers.append(server)
        updateAccepting()
    }

    func remove(server: any Channel) {
        servers.removeAll { $0 === server }
    }

    /// Stops accepting, or goes on, while the sockets stay open: the kernel queues who comes. Two processes must not
    /// accept from one socket at a time, for each would be woken for connections that the other takes.
    package func handOver(_ isHandingOver: Bool) {
        self.isHandingOver = isHandingOver
        updateAccepting()
    }

    /// Accepting comes in small batches, so some may be accepted that are too many.
    var isFull: Bool { connectionCount >= connectionsMax }

    func connectionOpened() {
        connectionCount += 1
        updateAccepting()
    }

    func connectionClosed() {
        connectionCount -= 1
        updateAccepting()
    }

    /// At the bound, accepting pauses: who comes waits in the kernel's queue, which costs nothing here. It goes on when
    /// one in fifty has left, so that it does not flap.
    private func updateAccepting() {
        let resumeBelow = connectionsMax - connectionsMax / 50
        let isCrowded =
            connectionCount >= connectionsMax || (isAcceptingPaused && connectionCount >= max(resumeBelow, 1))
        let pause = isHandingOver || isCrowded
        guard pause != isAcceptingPaused else { return }
        isAcceptingPaused = pause
        for server in servers { try? server.syncOptions?.setOption(.autoRead, value: !pause) }
        if pause, !isHandingOver {
            desk.log.warning(
                "connection limit reached: accepting pauses",
                metadata: ["connections": "\(connectionCount)", "loop": "\(loop.index)"])
        }
    }
}
