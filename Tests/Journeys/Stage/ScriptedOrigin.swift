import Foundation
import Glibc

/// An origin that does what the journey's script says, byte for byte.
///
/// Every accepted connection gets a thread that runs the script and is closed when the script returns or throws.
/// What arrived is kept, so that a journey can say what an origin never saw.
final class ScriptedOrigin: @unchecked Sendable {
    typealias Script = @Sendable (OriginConnection) throws -> Void

    let port: Int
    private let listener: Int32
    private let script: Script
    private let isRecording: Bool
    private let log = Shared(Log())

    private struct Log {
        var connections: [Wire] = []
        var requests: [Message] = []
        var bytes: [[UInt8]] = []
        var isStopped = false
    }

    /// - Parameters:
    ///   - port: a port that a script before this one had, to come back to life there.
    ///   - isRecording: false for journeys that send more than memory should hold.
    init(port: Int? = nil, isRecording: Bool = true, _ script: @escaping Script) throws {
        let chosen = try port ?? Ports.pick()
        guard let listener = Listening.open(port: chosen) else { throw WireFailure.system("listen", errno) }
        self.port = chosen
        self.listener = listener
        self.script = script
        self.isRecording = isRecording
        let thread = Thread { [self] in acceptAll() }
        thread.stackSize = 1 << 19
        thread.start()
    }

    /// An origin that answers every request on kept-alive connections.
    convenience init(
        port: Int? = nil, answering answer: @escaping @Sendable (Message) throws -> String
    ) throws {
        try self.init(port: port) { connection in
            while true {
                let request = try connection.readRequest()
                try connection.send(answer(request))
                if request.announcesClose { return }
            }
        }
    }

    private func acceptAll() {
        while let wire = Listening.accept(from: listener) {
            let index = log.withLock { log -> Int? in
                if log.isStopped { return nil }
                log.connections.append(wire)
                log.bytes.append([])
                return log.connections.count - 1
            }
            guard let index else { break }
            if isRecording {
                wire.onReceive = { [log] bytes in log.withLock { $0.bytes[index] += bytes } }
            }
            let connection = OriginConnection(wire: wire, index: index) { [log] request in
                log.withLock { $0.requests.append(request) }
            }
            let thread = Thread { [script] in
                try? script(connection)
                wire.abandon()
            }
            thread.stackSize = 1 << 19
            thread.start()
        }
        Glibc.close(listener)
    }

    /// Refuses from now on and ends every connection.
    func stop() {
        let open = log.withLock { log -> [Wire]? in
            // Once: the descriptor's number belongs to someone else afterwards.
            if log.isStopped { return nil }
            log.isStopped = true
            shutdown(listener, Int32(SHUT_RDWR))
            return log.connections
        }
        guard let open else { return }
        open.forEach { $0.abandon() }
        _ = eventually(within: .seconds(5)) { Listening.isFree(port: port) }
    }

    /// The URL to write into a configuration.
    var url: String { "http://127.0.0.1:\(port)" }
    /// Requests in the order in which their heads (and, for `readRequest`, bodies) were complete.
    var requests: [Message] { log.current.requests }
    var connectionCount: Int { log.withLock { $0.connections.count } }
    /// Requests whose target has this text in it.
    func requests(to part: String) -> [Message] {
        requests.filter { Array($0.target.utf8).firstIndex(of: Array(part.utf8)) != nil }
    }
    /// Everything received, by connection.
    var received: [[UInt8]] { log.withLock { $0.bytes } }
    /// Whether these bytes ever arrived here.
    func saw(_ text: String) -> Bool { received.contains { $0.firstIndex(of: Array(text.utf8)) != nil } }
}

/// One connection to a ``ScriptedOrigin``, as its script sees it.
// Unchecked: one thread at a time plays its script.
struct OriginConnection: @unchecked Sendable {
    let wire: Wire
    /// Which of the origin's connections this is, from 0.
    let index: Int
    fileprivate let note: @Sendable (Message) -> Void

    func send(_ text: String) throws { try wire.send(text) }

    /// The next request with its body; noted in ``ScriptedOrigin/requests``.
    func readRequest() throws -> Message {
        let request = try wire.readRequest()
        note(request)
        return request
    }

    /// The next request's head alone; noted in ``ScriptedOrigin/requests``.
    func readRequestHead() throws -> Message {
        let request = try wire.readRequestHead()
        note(request)
        return request
    }

    /// Reads until the edge ends the connection.
    func waitForEnd() { _ = try? wire.readToEnd() }
}

/// A plain 200 with a body.
func ok(_ body: String = "ok", _ fields: String...) -> String {
    response("200 OK", fields: fields, body: body)
}

/// An answer with Content-Length.
func response(_ status: String, fields: [String] = [], body: String = "") -> String {
    let lines = ["HTTP/1.1 \(status)"] + fields + ["Content-Length: \(body.utf8.count)"]
    return lines.joined(separator: "\r\n") + "\r\n\r\n" + body
}

/// A request for `example.test` unless its fields name a host of their own.
func request(_ line: String, _ fields: String..., body: String? = nil) -> String {
    var lines = ["\(line) HTTP/1.1"]
    if !fields.contains(where: { $0.lowercased().hasPrefix("host:") }) { lines.append("Host: example.test") }
    lines += fields
    if let body { lines.append("Content-Length: \(body.utf8.count)") }
    return lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
}
