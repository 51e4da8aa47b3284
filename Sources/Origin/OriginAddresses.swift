import ConfigModel
import Exchange
import Glibc
import Limits
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Synchronization
import Telemetry

/// The socket addresses of an origin's name, looked up anew at an interval.
///
/// A literal address is its own answer. A name is resolved by the system's resolver on a thread of its own, never on
/// an event loop; while a later look-up fails, the addresses found last stay in use.
package final class OriginAddresses: Sendable {
    /// Threads of their own: a name server that does not answer must not keep handshakes and reloads waiting.
    private static let resolverThreads: NIOThreadPool = {
        let pool = NIOThreadPool(numberOfThreads: Limits.resolverThreadCount)
        pool.start()
        return pool
    }()

    private let host: String
    private let port: Int
    private let log: Logger
    private let isLiteral: Bool
    private let state: NIOLockedValueBox<State>
    private let turn = Atomic<Int>(0)

    private struct State {
        var addresses: [SocketAddress] = []
        /// Those who came before the first look-up had an answer.
        var waiting: [EventLoopPromise<[SocketAddress]>] = []
        var isLookingUp = false
    }

    private let metrics: SharedMetrics?

    /// Ports of this process's own doors.
    private static let ownDoors = NIOLockedValueBox<Set<Int>>([])

    /// Keeps origins away from this process's own doors, on which it asks nobody on this machine who they are, by whatever
    /// name: where zones come from others than the operator of the machine. For addresses that are looked up from now on.
    package static func keepAway(fromOwnPorts ports: Set<Int>) { ownDoors.withLockedValue { $0 = ports } }

    /// Whether an address leads to one of them: 127.0.0.0/8, 0.0.0.0, ::1, ::, also IPv4-mapped (RFC 4291, section 2.5.5.2).
    private static func isOwnDoor(_ address: SocketAddress) -> Bool {
        guard let port = address.port, ownDoors.withLockedValue({ $0.contains(port) }) else { return false }
        func isOwn(_ bits: UInt32) -> Bool { bits >> 24 == 127 || bits == 0 }
        // Behind family and port, and in IPv6 the flow label, as in what the resolver gives below.
        switch address {
        case .v4(let address):
            return withUnsafeBytes(of: address.address) { bytes in
                isOwn(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
            }
        case .v6(let address):
            return withUnsafeBytes(of: address.address) { bytes in
                let high = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                let low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
                guard high == 0 else { return false }
                return low <= 1 || low >> 32 == 0xFFFF && isOwn(UInt32(truncatingIfNeeded: low))
            }
        case .unixDomainSocket: return false
        }
    }

    /// - Parameter metrics: counts the look-ups, which happen on no event loop.
    init(host: String, port: Int, log: Logger, metrics: SharedMetrics? = nil) {
        self.metrics = metrics
        self.host = host
        self.port = port
        self.log = log
        if let literal = try? SocketAddress(ipAddress: host, port: port) {
            isLiteral = true
            state = NIOLockedValueBox(State(addresses: Self.isOwnDoor(literal) ? [] : [literal]))
        } else {
            isLiteral = false
            state = NIOLockedValueBox(State())
        }
    }

    /// The addresses to try, in order; each call begins one further, so that all of them are used.
    func candidates(on eventLoop: any EventLoop) -> EventLoopFuture<[SocketAddress]> {
        let known = state.withLockedValue { $0.addresses }
        if !known.isEmpty {
            let start = known.count == 1 ? 0 : abs(turn.wrappingAdd(1, ordering: .relaxed).newValue) % known.count
            return eventLoop.makeSucceededFuture(Array(known[start...] + known[..<start]))
        }
        guard !isLiteral else { return eventLoop.makeFailedFuture(Failure.originName) }
        let promise = eventLoop.makePromise(of: [SocketAddress].self)
        state.withLockedValue { $0.waiting.append(promise) }
        // The system's resolver keeps its own time; who waits for it does not. A promise kept twice keeps the first.
        let giveUp = eventLoop.scheduleTask(in: .milliseconds(Int64(Limits.resolveTimeoutMilliseconds))) {
            promise.fail(Failure.originName)
        }
        promise.futureResult.whenComplete { _ in giveUp.cancel() }
        refresh()
        return promise.futureResult
    }

    /// Looks the name up again, unless that is already under way.
    package func refresh() {
        guard !isLiteral else { return }
        let mayStart = state.withLockedValue { state in
            if state.isLookingUp { return false }
            state.isLookingUp = true
            return true
        }
        guard mayStart else { return }
        Self.resolverThreads.submit { _ in
            self.finish(Self.resolve(host: self.host, port: self.port))
        }
    }

    private func finish(_ found: Result<[SocketAddress], ResolveError>) {
        let (waiting, addresses) = state.withLockedValue { state in
            state.isLookingUp = false
            if case .success(let addresses) = found { state.addresses = addresses }
            defer { state.waiting = [] }
            return (state.waiting, state.addresses)
        }
        if case .failure(let error) = found {
            metrics?.add(.originLookupsFailed)
            log.warning(
                "origin name lookup failed",
                metadata: ["name": "\(host)", "reason": "\(error.reason)", "kept": "\(addresses.count)"])
        }
        if case .success = found { metrics?.add(.originLookupsOK) }
        for promise in waiting {
            if addresses.isEmpty { promise.fail(Failure.originName) } else { promise.succeed(addresses) }
        }
    }

    private struct ResolveError: Error { var reason: String }

    private static func resolve(host: String, port: Int) -> Result<[SocketAddress], ResolveError> {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard code == 0 else { return .failure(ResolveError(reason: String(cString: gai_strerror(code)))) }
        var addresses: [SocketAddress] = []
        var entry = list
        while let current = entry, addresses.count < Limits.addressesPerNameMax {
            if let address = socketAddress(current.pointee, port: port), !addresses.contains(address),
                !isOwnDoor(address)
            {
                addresses.append(address)
            }
            entry = current.pointee.ai_next
        }
        return addresses.isEmpty ? .failure(ResolveError(reason: "no address")) : .success(addresses)
    }

    private static func socketAddress(_ info: addrinfo, port: Int) -> SocketAddress? {
        guard let raw = UnsafeRawPointer(info.ai_addr) else { return nil }
        switch info.ai_family {
        case AF_INET where Int(info.ai_addrlen) >= MemoryLayout<sockaddr_in>.size:
            return packed(raw.loadUnaligned(fromByteOffset: 4, as: UInt32.self), port)
        case AF_INET6 where Int(info.ai_addrlen) >= MemoryLayout<sockaddr_in6>.size:
            return packed(raw.loadUnaligned(fromByteOffset: 8, as: SIMD16<UInt8>.self), port)
        default:
            return nil
        }
    }

    /// The bytes of an address, in network order, with the origin's port.
    private static func packed(_ bytes: some Any, _ port: Int) -> SocketAddress? {
        withUnsafeBytes(of: bytes) { try? SocketAddress(packedIPAddress: ByteBuffer(bytes: $0), port: port) }
    }
}
