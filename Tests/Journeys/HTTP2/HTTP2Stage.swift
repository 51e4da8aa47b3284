import Foundation
import Testing

/// How a client reaches the edge.
enum Transport: String, CaseIterable, Sendable, CustomTestStringConvertible {
    /// Prior knowledge, on the port that takes HTTP/1.1 as well.
    case clear
    /// Chosen by ALPN.
    case tls

    var testDescription: String { rawValue }
}

/// An edge that speaks HTTP/2 on both its ports, an HTTP/1.1 origin behind it, and the pages that journeys put there.
///
/// Most journeys share one and ask for pages that nobody else knows; who changes the whole edge takes one of its own.
final class HTTP2Stage: Sendable {
    private static let started = Result { try HTTP2Stage(onExit: Stage()) }
    static var shared: HTTP2Stage { get throws { try started.get() } }
    private static let directory = Shared<URL?>(nil)

    let stage: Stage
    let edge: Edge
    let origin: ScriptedOrigin
    private let pages: Shared<[String: Page]>

    /// The shared one. The edge's process group ends with this process; what is left is the directory.
    private convenience init(onExit stage: Stage) throws {
        Self.directory.withLock { $0 = stage.directory }
        atexit {
            if let directory = HTTP2Stage.directory.current { try? FileManager.default.removeItem(at: directory) }
        }
        try self.init(on: stage)
    }

    /// - Parameters:
    ///   - settings: further keys of the zone `example.test`, one line each.
    ///   - top: top-level keys.
    ///   - zones: more zones, written whole.
    init(on stage: Stage, _ settings: [String] = [], top: String = "", zones more: String = "") throws {
        let pages = Shared<[String: Page]>([:])
        let origin = try stage.origin(isRecording: false) { connection in
            while true {
                var request = try connection.readRequestHead()
                guard let page = pages.current[Resource.mark(in: request.target)] else {
                    try connection.wire.readBody(of: &request)
                    try connection.send(response("404 Not Found", body: "no such page"))
                    continue
                }
                if page.readsBodies { try connection.wire.readBody(of: &request) }
                try page.play(connection, request)
                if request.announcesClose { return }
            }
        }
        var text = ""
        for name in ["example.test", "other.test"] { text += zone(name, origins: [origin.url], settings) }
        self.stage = stage
        self.origin = origin
        self.pages = pages
        edge = try stage.edge(Self.configuration(zones: text + more, top: top))
    }

    /// Both listeners, HTTP/2 on both.
    static func configuration(zones: String, top: String = "") throws -> EdgeConfiguration {
        var configuration = try EdgeConfiguration(zones: zones, top: top, hasHTTPS: true)
        configuration.httpListener = "{ address: \"127.0.0.1:\(configuration.httpPort)\", http2: true }"
        return configuration
    }

    fileprivate func add(_ page: Page) { pages.withLock { $0[page.mark] = page } }

    // MARK: Playing against it

    /// Starts a scenario of a client.
    func start(
        _ program: String, _ scenario: String, over transport: Transport = .clear, _ arguments: [String: Any] = [:]
    ) throws -> Peer {
        try edge.start(program, scenario, over: transport, arguments)
    }

    /// Plays a scenario to its end.
    func play(
        _ program: String, _ scenario: String, over transport: Transport = .clear, _ arguments: [String: Any] = [:]
    ) throws -> Findings {
        try start(program, scenario, over: transport, arguments).findings()
    }

    /// One request on a connection of its own.
    func ask(
        _ path: String, _ fields: [[String]] = [], method: String = "GET", over transport: Transport = .clear,
        body: String = ""
    ) throws -> Reply {
        try play(
            "exchanges", "ask", over: transport, ["path": path, "fields": fields, "method": method, "body": body]
        ).reply("reply")
    }
}

extension Edge {
    func port(of transport: Transport) -> Int { transport == .tls ? httpsPort : httpPort }

    func start(
        _ program: String, _ scenario: String, over transport: Transport = .clear, _ arguments: [String: Any] = [:]
    ) throws -> Peer {
        let all = arguments.merging(["port": port(of: transport), "tls": transport == .tls]) { given, _ in given }
        return try Peer(program, scenario, all, on: stage)
    }

    func play(
        _ program: String, _ scenario: String, over transport: Transport = .clear, _ arguments: [String: Any] = [:]
    ) throws -> Findings {
        try start(program, scenario, over: transport, arguments).findings()
    }
}

/// A URL that one journey alone knows, and what the HTTP/1.1 origin answers there.
final class Page: Sendable {
    /// Writes an answer; `number` counts the requests that reached the origin, from 1.
    typealias Script = @Sendable (OriginConnection, Message, _ number: Int) throws -> Void

    let mark: String
    let path: String
    /// False where the script reads the body itself.
    let readsBodies: Bool
    private let script: Script
    private let seen = Shared<[Message]>([])

    init(on stage: HTTP2Stage? = nil, readsBodies: Bool = true, playing script: @escaping Script) throws {
        mark = "mark" + UUID().uuidString.prefix(13).filter { $0 != "-" }.lowercased()
        path = "/\(mark)"
        self.readsBodies = readsBodies
        self.script = script
        try (stage ?? HTTP2Stage.shared).add(self)
    }

    /// 200 with these fields and this body, `reached PATH` where none is given.
    convenience init(_ fields: String..., body: String? = nil, on stage: HTTP2Stage? = nil) throws {
        try self.init(on: stage) { connection, request, _ in
            let text = response("200 OK", fields: fields, body: body ?? "reached \(request.target)")
            guard request.method == "HEAD", let end = text.range(of: "\r\n\r\n") else {
                return try connection.send(text)
            }
            try connection.send(String(text[..<end.upperBound]))
        }
    }

    fileprivate func play(_ connection: OriginConnection, _ request: Message) throws {
        let number = seen.withLock { seen in
            seen.append(request)
            return seen.count
        }
        try script(connection, request, number)
    }

    /// Requests for it that the origin got.
    var requests: [Message] { seen.current }
}
