import JSON
import Synchronization

@testable import Operator

/// A control plane that keeps zones, their sites and counts of records in memory.
final class FakeControl: Sendable {
    struct Zone {
        var id: String
        var name: String
        var site: JSONValue = .null
        var records = 0
    }
    struct State {
        var zones: [Zone] = []
        var nextID = 1
        var changes: [String] = []
        /// Zones whose site is refused, and whose site the API dies at.
        var refusing: Set<String> = []
        var dyingAt: String?
        var readsUnderWay = 0
    }
    let state = Mutex(State())

    init(_ zones: [Zone] = []) { state.withLock { $0.zones = zones } }

    var changes: [String] { state.withLock { $0.changes } }
    func zone(_ name: String) -> Zone? { state.withLock { state in state.zones.first { $0.name == name } } }
    func set(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }

    var client: APIClient {
        APIClient(name: "the fake") { method, path, query, body in
            let reply = try self.answer(method, path, query, body)
            return (reply.status, try JSONValue(parsing: reply.body))
        }
    }

    private func answer(
        _ method: String, _ path: String, _ query: [(name: String, value: String)], _ body: JSONValue
    ) throws -> APIReply {
        let parts = path.split(separator: "/").map(String.init)
        return try state.withLock { state throws -> APIReply in
            if method != "GET" { state.changes.append("\(method) \(path)") }
            guard parts.count > 1 else {
                guard method == "POST" else {
                    let page = Int(query.first { $0.name == "page" }?.value ?? "1") ?? 1
                    let all = state.zones.map { JSONValue.object(["id": .string($0.id), "name": .string($0.name)]) }
                    return .page(Array(all.dropFirst((page - 1) * 50).prefix(50)), page, of: (all.count + 49) / 50)
                }
                let name = body.text("name")
                guard !state.zones.contains(where: { $0.name == name }) else { return .failure(400, 1061) }
                let zone = Zone(id: "z\(state.nextID)", name: name)
                state.nextID += 1
                state.zones.append(zone)
                return .result(["id": .string(zone.id), "name": .string(name)])
            }
            guard let index = state.zones.firstIndex(where: { $0.id == parts[1] }) else { return .failure(404, 7003) }
            switch (method, parts.dropFirst(2).joined(separator: "/")) {
            case ("DELETE", ""):
                state.zones.remove(at: index)
                return .result(["id": .string(parts[1])])
            case ("GET", "martlet/site"): return .result(state.zones[index].site)
            case ("GET", "dns_records"):
                return .result(.array(Array(repeating: [:], count: state.zones[index].records)))
            case ("PUT", "martlet/site"):
                if state.refusing.contains(state.zones[index].name) { return .failure(400, 1004, "a bad site") }
                if state.dyingAt == state.zones[index].name { throw OperatorProblem(.unreachable, "gone") }
                state.zones[index].site = body
                return .result(body)
            default: return .failure(404, 7003, "Could not route", chain: [(7000, "No route")])
            }
        }
    }
}
