package import ConfigModel
import Exchange
import Limits
package import Logging
package import NIOCore
package import NIOPosix
import Pipeline

/// All listening addresses of the process: opened, compared with a new configuration, handed over, closed.
///
/// Used by one caller at a time: the process's start, its reloads and its end.
package final class EdgeListeners: @unchecked Sendable {
    // Unchecked: the loops' state is reached only through their event loops; `open` only by the one caller above.
    private let loops: [NIOLoopBound<ListenerLoop>]
    private let log: Logger
    private var open: [SocketHandover.Key: Door] = [:]

    /// One address: the sockets kept for a successor, and the channels that accept on their twins.
    private struct Door {
        var setup: ConnectionSetup
        var kept: [ListeningSocket]
        var channels: [any Channel]
    }

    package init(loops: [NIOLoopBound<ListenerLoop>], log: Logger) {
        self.loops = loops
        self.log = log
    }

    /// Sockets bound for a configuration, not yet accepting.
    package struct Prepared {
        fileprivate var wanted: [SocketHandover.Key: ConnectionSetup]
        fileprivate var bound: [SocketHandover.Key: [ListeningSocket]]
    }

    /// Binds what the configuration names and is not open.
    ///
    /// - Parameter inherited: sockets of a predecessor; those used are taken out.
    /// - Throws: `ListeningSocket.Failure`; then nothing has changed.
    package func prepare(
        _ listen: Configuration.Listen, inherited: inout SocketHandover
    ) throws -> Prepared {
        let wanted = Self.wanted(listen)
        var bound: [SocketHandover.Key: [ListeningSocket]] = [:]
        do {
            for (key, setup) in wanted {
                if let door = open[key] {
                    // The same address under another rule: new channels on the same sockets, so nobody is refused.
                    guard door.setup != setup else { continue }
                    bound[key] = try door.kept.map { try $0.duplicated() }
                } else {
                    bound[key] = inherited.take(key) ?? []
                    // A predecessor may have had fewer loops.
                    while bound[key, default: []].count < loops.count {
                        bound[key, default: []].append(try ListeningSocket(key.address))
                    }
                }
            }
        } catch {
            for socket in bound.values.joined() { socket.close() }
            throw error
        }
        return Prepared(wanted: wanted, bound: bound)
    }

    /// Accepts on what was prepared, then closes what the configuration does not name: in this order nobody is refused.
    ///
    /// - Throws: when a socket cannot be registered; then the addresses open before stay open.
    package func commit(_ prepared: Prepared) async throws {
        var begun: [SocketHandover.Key: Door] = [:]
        do {
            for (key, sockets) in prepared.bound {
                guard let setup = prepared.wanted[key] else { continue }
                begun[key] = try await begin(setup, sockets)
            }
        } catch {
            for door in begun.values { await close(door) }
            throw error
        }
        for (key, door) in open where prepared.wanted[key] != door.setup {
            open[key] = nil
            await close(door)
        }
        open.merge(begun) { _, new in new }
    }

    private static func wanted(_ listen: Configuration.Listen) -> [SocketHandover.Key: ConnectionSetup] {
        var wanted: [SocketHandover.Key: ConnectionSetup] = [:]
        for address in listen.http {
            wanted[.init(role: .http, address: address.address)] = ConnectionSetup(
                isSecure: false, expectsProxyHeader: address.proxyProtocol, acceptsHTTP2: address.http2)
        }
        for address in listen.https {
            wanted[.init(role: .https, address: address.address)] = ConnectionSetup(
                isSecure: true, expectsProxyHeader: address.proxyProtocol, acceptsHTTP2: false)
        }
        return wanted
    }

    /// Accepts on every socket; a predecessor may have had more or fewer loops than there are now.
    private func begin(_ setup: ConnectionSetup, _ sockets: [ListeningSocket]) async throws -> Door {
        var door = Door(setup: setup, kept: sockets, channels: [])
        var index = 0
        for socket in sockets {
            let bound = loops[index % loops.count]
            index += 1
            let twin = try socket.duplicated()
            let eventLoop = bound.eventLoop
            let channel = try await Self.bootstrap(eventLoop, bound, setup).withBoundSocket(twin.descriptor).get()
            try await eventLoop.submit { bound.value.add(server: channel) }.get()
            door.channels.append(channel)
            // NIO has said `listen` with a backlog of its own, 128, before any option could reach it.
            try socket.listenAgain()
        }
        return door
    }

    private static func bootstrap(
        _ eventLoop: any EventLoop, _ bound: NIOLoopBound<ListenerLoop>, _ setup: ConnectionSetup
    ) -> ServerBootstrap {
        ServerBootstrap(group: eventLoop)
            // Accepts many at a time: under a storm of new connections that saves a wake-up each.
            .serverChannelOption(.maxMessagesPerRead, value: Limits.acceptsPerTurnMax)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: !setup.isSecure)
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: Limits.writeBufferBytesLow, high: Limits.writeBufferBytesHigh)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let listener = bound.value
                    try channel.syncOptions?.setOption(
                        .recvAllocator,
                        value: SharedReadAllocator(
                            buffers: listener.loop.readBuffers,
                            firstReadBytes: setup.isSecure ? Limits.firstSecureReadBytes : Limits.firstReadBytes))
                    try setup.begin(channel, listener)
                }
            }
    }

    private func close(_ door: Door) async {
        for socket in door.kept { socket.close() }
        for channel in door.channels {
            for bound in loops where bound.eventLoop === channel.eventLoop {
                try? await bound.eventLoop.submit { bound.value.remove(server: channel) }.get()
            }
            try? await channel.close().get()
        }
    }

    /// Accepts nothing more. Connections that are open stay.
    package func closeAll() async {
        for door in open.values { await close(door) }
        open = [:]
    }

    /// The sockets for a successor. They stay ours.
    package var handover: SocketHandover {
        var handover = SocketHandover()
        for (key, door) in open { handover.sockets[key] = door.kept }
        return handover
    }

    /// Every address in use, `http://127.0.0.1:8080` and so on, sorted.
    package var addresses: [String] {
        open.keys.map { "\($0.role.rawValue)://\($0.address)" }.sorted()
    }
}

extension SocketHandover {
    /// Takes an address's sockets out, or nil when none were handed over.
    package mutating func take(_ key: Key) -> [ListeningSocket]? {
        sockets.removeValue(forKey: key)
    }

    /// Closes what nobody took.
    package mutating func closeRest() {
        for socket in sockets.values.joined() { socket.close() }
        sockets = [:]
    }
}
