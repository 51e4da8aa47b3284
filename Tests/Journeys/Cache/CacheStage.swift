import Foundation
import Testing

/// An edge with its cache on, an origin behind it, and the resources that journeys put there.
///
/// Most journeys share one: each asks for URLs that nobody else knows, in a zone whose settings it needs. What changes
/// the whole edge (restarts, purges of everything, small bounds) takes one of its own.
final class CacheStage: Sendable {
    private static let started = Result { try CacheStage() }
    static var shared: CacheStage { get throws { try started.get() } }
    private static let directory = Shared<URL?>(nil)

    let stage: Stage
    let edge: Edge
    let origin: ScriptedOrigin
    private let resources: Shared<[String: Resource]>

    /// The shared one: a zone for every group of settings (``CacheZone``).
    private convenience init() throws {
        let stage = try Stage()
        // The edge's process group ends with this process; what is left is the directory.
        Self.directory.withLock { $0 = stage.directory }
        atexit {
            if let directory = CacheStage.directory.current { try? FileManager.default.removeItem(at: directory) }
        }
        try self.init(on: stage, zones: CacheZone.allCases.map { ($0.rawValue, $0.settings) }, https: true)
    }

    /// An edge and an origin of one's own.
    ///
    /// - Parameters:
    ///   - cache: what the zone `example.test` says behind `cache:`; nothing for the defaults.
    ///   - store: what the whole process says behind `cache:`.
    convenience init(
        on stage: Stage, cache: String = "", store: String = "", top: String = "", https: Bool = false
    ) throws {
        try self.init(
            on: stage, zones: [("example.test", cache.isEmpty ? [] : ["cache: \(cache)"])],
            top: (store.isEmpty ? "" : "cache: \(store)\n") + top, https: https)
    }

    /// - Parameters:
    ///   - zones: each with its further keys, one line each.
    ///   - data: the data directory, which no other edge on this stage may use.
    init(
        on stage: Stage, zones: [(name: String, settings: [String])], top: String = "", data: String = "./var",
        https: Bool = false
    ) throws {
        let resources = Shared<[String: Resource]>([:])
        let origin = try stage.origin(isRecording: false) { connection in
            while true {
                var request = try connection.readRequestHead()
                try connection.wire.readBody(of: &request)
                guard let resource = resources.current[Resource.mark(in: request.target)] else {
                    try connection.send(response("404 Not Found", body: "no such resource"))
                    continue
                }
                try resource.play(connection, request)
                if request.announcesClose { return }
            }
        }
        let text = zones.map { zone($0.name, origins: [origin.url], $0.settings) }.joined()
        self.stage = stage
        self.origin = origin
        self.resources = resources
        var configuration = try EdgeConfiguration(zones: text, top: top, hasHTTPS: https)
        configuration.data = data
        edge = try stage.edge(configuration)
    }

    func add(_ resource: Resource) { resources.withLock { $0[resource.mark] = resource } }

    /// A new process with the same configuration and data directory, for an edge that has ended.
    func another() throws -> Edge { try stage.edge(edge.configuration) }
}

/// The zones of the shared stage.
enum CacheZone: String, CaseIterable {
    case plain = "example.test"
    case everything = "everything.test"
    case lifetimes = "lifetimes.test"
    case heuristic = "heuristic.test"
    case cookies = "cookies.test"
    case ignoreQuery = "ignore-query.test"
    case onlyQuery = "only-query.test"
    case exceptQuery = "except-query.test"
    case sortQuery = "sort-query.test"
    case parts = "parts.test"
    case obstinate = "obstinate.test"
    case staleByDefault = "stale.test"
    case asEncoded = "as-encoded.test"
    case off = "off.test"

    var settings: [String] {
        switch self {
        case .plain: []
        case .everything: ["cache: { everything: true, default_ttl: 1h }"]
        case .lifetimes: ["cache: { ttl: { \"200-299\": 1h, 404: 1m, 5xx: 0s } }"]
        case .heuristic: ["cache: { heuristic: \"10%\" }"]
        case .cookies: ["cache: { bypass_cookies: [session, \"wp_*\"] }"]
        case .ignoreQuery: ["cache: { ignore_query: true }"]
        case .onlyQuery: ["cache: { query: { only: [page, lang] } }"]
        case .exceptQuery: ["cache: { query: { except: [utm_source, fbclid] } }"]
        case .sortQuery: ["cache: { sort_query: true }"]
        case .parts: ["cache: { key: { headers: [X-Tier], cookies: [shop], device: true, language: true } }"]
        case .obstinate: ["cache: { client_directives: ignore }"]
        case .staleByDefault: ["cache: { stale_while_revalidate: 1h, stale_if_error: 1h }"]
        case .asEncoded: ["cache: { normalize_accept_encoding: false }"]
        case .off: ["cache: off"]
        }
    }
}

extension Edge {
    /// A request with a JSON body on the admin address.
    func admin(post path: String, _ json: String, _ fields: String...) throws -> Message {
        let client = try Wire.connect(port: configuration.adminPort)
        let given = fields.isEmpty ? ["Content-Type: application/json"] : fields
        let lines = ["POST \(path) HTTP/1.1", "Host: localhost"] + given
        let head = (lines + ["Content-Length: \(json.utf8.count)", "Connection: close"]).joined(separator: "\r\n")
        try client.send(head + "\r\n\r\n" + json)
        return try client.readAnswer(to: "POST")
    }

    /// Runs `martlet` with this edge's configuration file.
    func martlet(_ arguments: String...) throws -> (status: Int32?, output: String, errors: String) {
        let process = try stage.start([try Edge.binary()] + arguments + ["-c", stage.path(fileName)])
        let status = process.waitForExit()
        return (status, process.output, process.errors)
    }

    /// What `martlet cache inspect` says of a URL, as JSON.
    func inspect(_ url: String) throws -> [String: Any] {
        let said = try martlet("cache", "inspect", url, "--json")
        let object = try JSONSerialization.jsonObject(with: Data(said.output.utf8))
        guard let object = object as? [String: Any] else {
            throw NotReady(description: "\(said.output)\(said.errors)")
        }
        return object
    }
}
