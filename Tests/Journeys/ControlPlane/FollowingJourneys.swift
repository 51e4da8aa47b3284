import Foundation
import Testing

/// `martlet up` with `api:`: what is asked of the API is what the edge of the same process serves.
@Suite("Following the control plane", .onStageThreads)
struct FollowingJourneys {
    /// An edge with a control plane, and the way to its API.
    struct House {
        let edge: Edge
        let base: String
        let token: String

        init(on stage: Stage, https: Bool = false, top: String = "", zones: String = "") throws {
            let port = try Ports.pick()
            var configuration = try EdgeConfiguration(
                zones: zones, top: "api: \"127.0.0.1:\(port)\"\n" + top, hasHTTPS: https)
            configuration.data = stage.path("data")
            try self.init(configuration, apiPort: port, on: stage)
        }

        init(_ configuration: EdgeConfiguration, apiPort: Int, on stage: Stage) throws {
            edge = try stage.edge(configuration)
            base = "http://127.0.0.1:\(apiPort)/client/v4"
            token = String(try String(contentsOfFile: configuration.data + "/admin-token", encoding: .utf8).dropLast())
        }

        /// One call, and what it answers.
        @discardableResult
        func call(_ method: String, _ path: String, _ body: String = "") throws -> [String: Any] {
            var command = ["curl", "-sS", "-X", method, base + path, "-H", "Authorization: Bearer \(token)"]
            if !body.isEmpty { command += ["-H", "Content-Type: application/json", "-d", body] }
            let process = try edge.stage.start(command)
            _ = process.waitForExit()
            let answer = try JSONSerialization.jsonObject(with: Data(process.output.utf8)) as? [String: Any]
            guard let answer, answer["success"] as? Bool == true else {
                throw Edge.NotReady(description: "\(method) \(path): \(process.output)\(process.errors)")
            }
            return answer
        }

        func made(_ method: String, _ path: String, _ body: String) throws -> String {
            let result = try call(method, path, body)["result"] as? [String: Any]
            return try #require(result?["id"] as? String)
        }

        func zone(_ name: String = "example.test", _ more: String = "") throws -> String {
            try made("POST", "/zones", "{\"name\":\"\(name)\"\(more)}")
        }

        func site(_ zone: String, _ origin: ScriptedOrigin, _ more: String = "") throws {
            try call("PUT", "/zones/\(zone)/martlet/site", "{\"origins\":[\"\(origin.url)\"]\(more)}")
        }

        /// Whether a GET comes to be answered so.
        func comesToAnswer(_ target: String, host: String = "example.test", _ test: (Message) -> Bool) throws -> Bool {
            try eventually { test(try edge.get(target, "Host: \(host)")) }
        }
    }

    @Test("a zone is served as soon as it is made, changes with its site, and is gone when it is deleted")
    func lifeOfAZone() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (first, second) = (try stage.origin { _ in ok("first") }, try stage.origin { _ in ok("second") })
        let house = try House(on: stage)
        #expect(try house.edge.get("/").status == 421)
        let zone = try house.zone()
        try house.site(zone, first)
        #expect(try house.comesToAnswer("/") { $0.text == "first" })
        #expect(try house.comesToAnswer("/", host: "deep.below.example.test") { $0.text == "first" })
        try house.site(zone, second)
        #expect(try house.comesToAnswer("/") { $0.text == "second" })
        try house.call("PATCH", "/zones/\(zone)", "{\"paused\":true}")
        #expect(try house.comesToAnswer("/") { $0.status == 421 })
        try house.call("PATCH", "/zones/\(zone)", "{\"paused\":false}")
        #expect(try house.comesToAnswer("/") { $0.text == "second" })
        try house.call("DELETE", "/zones/\(zone)")
        #expect(try house.comesToAnswer("/") { $0.status == 421 })
    }

    @Test("a site's names beyond its zone are found, and only while it has them")
    func foreignNames() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { _ in ok("here") }
        let house = try House(on: stage)
        let zone = try house.zone()
        try house.site(zone, origin, ",\"hostnames\":[\"example.test\",\"*.elsewhere.test\"]")
        #expect(try house.comesToAnswer("/", host: "www.elsewhere.test") { $0.text == "here" })
        #expect(try house.edge.get("/", "Host: elsewhere.test").status == 421)
        #expect(throws: Edge.NotReady.self) { try house.zone("elsewhere.test") }
        try house.site(zone, origin)
        #expect(try house.comesToAnswer("/", host: "www.elsewhere.test") { $0.status == 421 })
        let everything = try house.zone("*", ",\"type\":\"internal\"")
        try house.site(everything, origin)
        #expect(try house.comesToAnswer("/", host: "whatever.invalid") { $0.text == "here" })
    }

    @Test("purges by URL, tag, host, prefix and of everything reach the edge")
    func purges() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { request in
            ok("body", "Cache-Control: max-age=3600", "Cache-Tag: news, \(request.target.dropFirst())")
        }
        let house = try House(on: stage)
        let zone = try house.zone()
        try house.site(zone, origin)
        #expect(try house.comesToAnswer("/one") { $0.status == 200 })
        let purges = [
            "{\"files\":[\"http://example.test/one\"]}", "{\"tags\":[\"one\"]}", "{\"hosts\":[\"example.test\"]}",
            "{\"prefixes\":[\"example.test/o\"]}", "{\"purge_everything\":true}",
        ]
        for purge in purges {
            for target in ["/one", "/two"] {
                #expect(try house.comesToAnswer(target) { $0["cache-status"]?.contains("; hit") == true }, "\(purge)")
            }
            try house.call("POST", "/zones/\(zone)/purge_cache", purge)
            #expect(try house.comesToAnswer("/one") { $0["cache-status"]?.contains("; hit") != true }, "\(purge)")
            let isBroad = purge.contains("hosts") || purge.contains("everything")
            let other = try house.edge.get("/two")["cache-status"] ?? ""
            #expect(other.contains("; hit") != isBroad, "\(purge): \(other)")
        }
        // The control plane hears of it.
        let accounts = try house.call("GET", "/accounts")["result"] as? [[String: Any]]
        let account = try #require(accounts?.first?["id"] as? String)
        #expect(
            try eventually(within: Patience.process) {
                let node = try house.call("GET", "/accounts/\(account)/martlet/nodes/local")["result"] as? [String: Any]
                let health = node?["health"] as? [String: Any]
                return ["requests", "cache_hits", "bytes_sent"].allSatisfy { (health?[$0] as? Int ?? 0) > 0 }
            })
    }

    @Test("killed, it serves the same from its replica, also while the control plane cannot start")
    func killed() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { _ in ok("still here") }
        let house = try House(on: stage)
        try house.site(house.zone(), origin)
        #expect(try house.comesToAnswer("/") { $0.text == "still here" })
        house.edge.process.signal(SIGKILL)
        _ = house.edge.process.waitForExit()
        // A database that nobody answers for: the edge waits for it, and serves meanwhile.
        var configuration = house.edge.configuration
        configuration.top += "store: \"postgres://nobody@127.0.0.1:1/none\"\n"
        let again = try Edge(configuration, on: stage)
        #expect(eventually(within: Patience.process) { (try? again.get("/").text) == "still here" })
        #expect(again.comesToSay("the control plane stands still"))
        #expect(try again.admin("/readyz").status == 200)
        again.process.signal(SIGTERM)
        #expect(again.process.waitForExit() == 0)
    }

    @Test("a customer's certificate is given to those who name its host, others get the local authority's")
    func certificates() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let authority = try stage.authority("Customer's own")
        let identity = try stage.certificate("shop.example.test", by: authority, file: "shop")
        let origin = try stage.origin { _ in ok("secure") }
        let house = try House(on: stage, https: true)
        let zone = try house.zone()
        try house.site(zone, origin)
        let pem = try String(contentsOfFile: identity.certificate, encoding: .utf8)
        let key = try String(contentsOfFile: identity.key, encoding: .utf8)
        let body = try JSONSerialization.data(withJSONObject: ["certificate": pem, "private_key": key])
        let id = try house.made(
            "POST", "/zones/\(zone)/custom_certificates", String(decoding: body, as: UTF8.self))
        func get(_ host: String, trusting file: String) throws -> Bool {
            let run = try stage.run(
                "curl", "-sS", "--cacert", file, "--resolve", "\(host):\(house.edge.httpsPort):127.0.0.1",
                "https://\(host):\(house.edge.httpsPort)/")
            return run.output == "secure"
        }
        let local = house.edge.configuration.data + "/ca/ca.pem"
        #expect(try eventually { try get("shop.example.test", trusting: authority.certificate) })
        #expect(try get("www.example.test", trusting: local))
        #expect(try !get("shop.example.test", trusting: local))
        // The key is nowhere in the clear: not in the store, nor in the replica.
        let secret = key.split(separator: "\n").dropFirst().first.map(String.init) ?? "?"
        let grep = try stage.run("grep", "-rlaF", secret, house.edge.configuration.data)
        #expect(grep.output.isEmpty, "\(grep.output)")
        try house.call("DELETE", "/zones/\(zone)/custom_certificates/\(id)")
        #expect(try eventually { try get("shop.example.test", trusting: local) })
    }

    @Test("a load balancer gives requests to its pools in their order, and a changed pool is used at once")
    func loadBalancer() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (first, second) = (try stage.origin { _ in ok("first") }, try stage.origin { _ in ok("second") })
        let house = try House(on: stage)
        let zone = try house.zone()
        let accounts = try house.call("GET", "/accounts")["result"] as? [[String: Any]]
        let account = try #require(accounts?.first?["id"] as? String)
        func pool(_ name: String, _ origin: ScriptedOrigin) -> String {
            "{\"name\":\"\(name)\",\"origins\":[{\"name\":\"o\",\"address\":\"127.0.0.1\",\"port\":\(origin.port)}]}"
        }
        let pools = "/accounts/\(account)/load_balancers/pools"
        let one = try house.made("POST", pools, pool("one", first))
        let two = try house.made("POST", pools, pool("two", second))
        try house.call(
            "POST", "/zones/\(zone)/load_balancers",
            "{\"name\":\"lb.example.test\",\"proxied\":true,\"default_pools\":[\"\(one)\"],\"fallback_pool\":\"\(two)\"}"
        )
        #expect(try house.comesToAnswer("/", host: "lb.example.test") { $0.text == "first" })
        try house.call("PUT", "\(pools)/\(one)", pool("one", second))
        #expect(try house.comesToAnswer("/", host: "lb.example.test") { $0.text == "second" })
        // Not even by name is an origin this process's own door.
        for own in ["127.0.0.1", "localhost", "0.0.0.0"] {
            let door = "{\"name\":\"d\",\"address\":\"\(own)\",\"port\":\(house.edge.configuration.adminPort)}"
            for (name, id) in [("one", one), ("two", two)] {
                try house.call("PUT", "\(pools)/\(id)", "{\"name\":\"\(name)\",\"origins\":[\(door)]}")
            }
            #expect(try house.comesToAnswer("/metrics", host: "lb.example.test") { $0.status == 502 }, "\(own)")
            #expect(try !house.edge.get("/metrics", "Host: lb.example.test").text.contains("martlet_"), "\(own)")
        }
        try house.call("PUT", "\(pools)/\(two)", pool("two", first))
        try house.call("PATCH", "\(pools)/\(one)", "{\"enabled\":false}")
        #expect(try house.comesToAnswer("/", host: "lb.example.test") { $0.text == "first" })
    }

    @Test("a zone that is made again by a name has nothing of the one before it")
    func madeAgain() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (first, second) = (
            try stage.origin { _ in ok("first", "Cache-Control: max-age=600") },
            try stage.origin { _ in ok("second", "Cache-Control: max-age=600") }
        )
        let house = try House(on: stage)
        let zone = try house.zone()
        try house.site(zone, first)
        #expect(try house.comesToAnswer("/") { $0["cache-status"]?.contains("; hit") == true && $0.text == "first" })
        try house.call("DELETE", "/zones/\(zone)")
        try house.site(house.zone(), second)
        #expect(try house.comesToAnswer("/") { $0.status == 200 })
        #expect(try house.edge.get("/").text == "second")
    }

    @Test("a store restored from a backup begins a new epoch; an empty one takes nothing away")
    func restored() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origins = try ["kept", "lost", "new"].map { text in try stage.origin { _ in ok(text) } }
        var house = try House(on: stage)
        let data = house.edge.configuration.data
        let apiPort = try #require(Int(house.base.split(separator: ":").last?.prefix { $0 != "/" } ?? ""))
        func stop() {
            house.edge.process.signal(SIGTERM)
            _ = house.edge.process.waitForExit()
        }
        let zone = try house.zone()
        try house.site(zone, origins[0])
        #expect(try house.comesToAnswer("/") { $0.text == "kept" })
        stop()
        try stage.run("sh", "-c", "cd '\(data)' && mkdir backup && cp control.db* backup")
        house = try House(house.edge.configuration, apiPort: apiPort, on: stage)
        try house.site(zone, origins[1])
        #expect(try house.comesToAnswer("/") { $0.text == "lost" })
        stop()
        try stage.run("sh", "-c", "cd '\(data)' && rm -f control.db* && cp backup/* .")
        house = try House(house.edge.configuration, apiPort: apiPort, on: stage)
        #expect(house.edge.comesToSay("a new epoch begins"))
        #expect(try house.comesToAnswer("/") { $0.text == "kept" })
        try house.site(zone, origins[2])
        #expect(try house.comesToAnswer("/") { $0.text == "new" })
        stop()
        try stage.run("sh", "-c", "cd '\(data)' && rm -f control.db*")
        let alone = try Edge(house.edge.configuration, on: stage)
        #expect(alone.comesToSay("the store is empty"))
        #expect(eventually(within: Patience.process) { (try? alone.get("/").text) == "new" })
        #expect(try String(contentsOfFile: data + "/admin-token", encoding: .utf8).dropLast() == house.token)
    }
}
