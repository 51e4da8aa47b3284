import Foundation
import Testing

/// Which origin of a zone gets a request.
@Suite("Balancing", .onStageThreads)
struct BalancingJourneys {
    /// Origins that answer with their letter, a to d.
    private func origins(_ stage: Stage, _ count: Int) throws -> [ScriptedOrigin] {
        try ["a", "b", "c", "d"].prefix(count).map { name in try stage.origin { _ in ok(name) } }
    }

    /// How often each letter answered.
    private func spread(_ edge: Edge, _ count: Int, _ fields: @escaping (Int) -> String = { _ in "X-None: 1" }) throws
        -> [String: Int]
    {
        var answers: [String: Int] = [:]
        for index in 0..<count { answers[try edge.get("/\(index)", fields(index)).text, default: 0] += 1 }
        return answers
    }

    @Test("Round robin gives each its turn")
    func roundRobin() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origins = try origins(stage, 3)
        let edge = try stage.edge(origins.map(\.url))
        let answers = try spread(edge, 60)
        for name in ["a", "b", "c"] { #expect((15...25).contains(answers[name] ?? 0), "\(answers)") }
    }

    @Test("Weights weigh")
    func weights() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origins = try origins(stage, 2)
        let edge = try stage.edge([
            "{url: \"\(origins[0].url)\", weight: 3}", "{url: \"\(origins[1].url)\", weight: 1}",
        ])
        let answers = try spread(edge, 80)
        #expect((50...70).contains(answers["a"] ?? 0), "\(answers)")
        #expect((10...30).contains(answers["b"] ?? 0), "\(answers)")
    }

    @Test("Least outstanding goes around the busy one")
    func leastOutstanding() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (release, arrived) = (Gate(), Gate())
        let names = ["a", "b"]
        let origins = try names.map { name in
            try stage.origin { request in
                if request.target == "/held" {
                    arrived.open()
                    release.pass()
                }
                return ok(name)
            }
        }
        let edge = try stage.edge(origins.map(\.url), "balance: least_outstanding")
        let held = try edge.client()
        try held.send(request("GET /held"))
        #expect(arrived.pass())
        let answers = try spread(edge, 12)
        release.open()
        let busy = try held.readAnswer().text
        // A request may come before the one before it is counted as done, and then both origins have one; taking turns
        // would give the busy one six.
        #expect((answers[busy] ?? 0) <= 3, "\(busy) was busy: \(answers)")
    }

    @Test(
        "A hash keeps a key with its origin",
        arguments: ["\"header:X-User\"", "\"cookie:uid\"", "uri", "client_address"])
    func hash(key: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origins = try origins(stage, 3)
        let edge = try stage.edge(
            origins.map(\.url), "balance: {hash: \(key)}", top: "trusted_proxies: [\"127.0.0.0/8\"]")
        var homes: [Int: Set<String>] = [:]
        for _ in 0..<3 {
            for user in 0..<24 {
                let answer = try edge.get(
                    key == "uri" ? "/path/\(user)?q" : "/", "X-User: user-\(user)", "Cookie: a=b; uid=user-\(user)",
                    "X-Forwarded-For: 203.0.113.\(user)")
                homes[user, default: []].insert(answer.text)
            }
        }
        #expect(homes.values.allSatisfy { $0.count == 1 }, "\(homes)")
        #expect(Set(homes.values.flatMap { $0 }).count == 3, "24 keys on one or two of three origins: \(homes)")
    }

    @Test("A hash moves few keys when an origin joins")
    func hashIsConsistent() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origins = try origins(stage, 4)
        let settings = ["balance: {hash: \"header:X-User\"}"]
        let edge = try stage.edge(
            EdgeConfiguration(zones: zone("example.test", origins: origins.prefix(3).map(\.url), settings)))
        func homes() throws -> [String] { try (0..<90).map { try edge.get("/", "X-User: user-\($0)").text } }
        let before = try homes()
        try edge.rewrite { $0.zones = zone("example.test", origins: origins.map(\.url), settings) }
        edge.reload()
        #expect(try eventually { try (0..<40).contains { try edge.get("/", "X-User: other-\($0)").text == "d" } })
        let after = try homes()
        let moved = zip(before, after).filter { $0 != $1 }
        // A quarter is ideal; modulo would move three quarters. Who moves, moves to the new one.
        #expect(moved.count < 45, "\(moved.count) of 90 moved")
        #expect(moved.allSatisfy { $0.1 == "d" })
    }

    @Test("A cookie keeps a client with its origin, and a forged one does no harm")
    func sticky() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origins = try origins(stage, 3)
        let edge = try stage.edge(origins.map(\.url), "balance: {sticky: home}")
        var seen: Set<String> = []
        for _ in 0..<9 {
            let first = try edge.get("/")
            let set = try #require(first.all("Set-Cookie").first { $0.hasPrefix("home=") }, "\(first.head)")
            let cookie = String(set.split(separator: ";")[0])
            seen.insert(first.text)
            for _ in 0..<5 { #expect(try edge.get("/", "Cookie: x=y; \(cookie)").text == first.text) }
        }
        #expect(seen.count == 3)
        for value in ["", "../../etc", "99999999999999999999", String(repeating: "f", count: 500)] {
            #expect(try edge.get("/", "Cookie: home=\(value)").status == 200)
        }
    }

    @Test("A cookie of an origin that is down leads to another")
    func stickyFailsOver() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origins = try origins(stage, 2)
        let edge = try stage.edge(origins.map(\.url), "balance: {sticky: home}")
        let first = try edge.get("/")
        let cookie = try #require(first.all("Set-Cookie").first?.split(separator: ";").first)
        origins[first.text == "a" ? 0 : 1].stop()
        let second = try edge.get("/", "Cookie: \(cookie)")
        #expect(second.status == 200)
        #expect(second.text != first.text)
    }
}
