import Foundation
import Testing

/// A control plane, a relay and edges as processes of their own: who is let in, what reaches them, and what happens when
/// one of them is gone.
@Suite("A fleet", .onStageThreads)
struct FleetJourneys {
    @Test("who has a good token is let in, once")
    func joining() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let fleet = try Fleet(on: stage)
        /// How an edge with this token fares that must not be let in.
        func refusal(_ name: String, _ token: String) throws -> String {
            var configuration = try EdgeConfiguration(zones: "")
            configuration.data = stage.path(name)
            let edge = try Edge(
                configuration, command: ["edge", "--join", fleet.root, "--token", token], on: stage)
            let status = edge.process.waitForExit()
            #expect(status.map { $0 > 0 } == true, "\(name): \(status.map(String.init) ?? "runs")")
            #expect(!edge.process.errors.contains(token))
            return edge.process.errors
        }
        let token = try fleet.joinToken("edge", "edge-1")
        _ = try fleet.edge("edge-1", joining: fleet.root, token: token)
        #expect(try refusal("thief", token).contains("was used by edge-1"))
        // Another secret, the same authority.
        let pieces = token.split(separator: ".")
        let guessed = [pieces[0], Substring(String(repeating: "A", count: pieces[1].count)), pieces[2]]
        #expect(try refusal("guesser", guessed.joined(separator: ".")).contains("not known here"))
        // The same secret, another authority: it is not given to a server that the token does not name.
        let other = try fleet.joinToken("edge", "edge-2").split(separator: ".")
        let elsewhere = [other[0], other[1], Substring(String(repeating: "A", count: other[2].count))]
        #expect(try !refusal("elsewhere", elsewhere.joined(separator: ".")).isEmpty)
        #expect(try refusal("edge-3", fleet.joinToken("relay", "edge-3")).contains("role relay"))

        let expired = try fleet.joinToken("edge", "late")
        fleet.control.signal(SIGTERM)
        #expect(fleet.control.waitForExit() == 0)
        try stage.run(
            "sqlite3", fleet.data + "/control.db", "UPDATE join_tokens SET expires_on = 1 WHERE name = 'late'")
        try fleet.startControl()
        #expect(try refusal("late", expired).contains("the token ended"))
        let names = try fleet.call("GET", "\(fleet.account)/nodes")["result"] as? [[String: Any]] ?? []
        #expect(names.compactMap { $0["name"] as? String } == ["edge-1"])
        for name in ["thief", "guesser", "elsewhere", "edge-3", "late"] {
            #expect(!FileManager.default.fileExists(atPath: stage.path(name) + "/identity/node.pem"), "\(name)")
        }
    }

    @Test("a zone is live on every edge, purges reach them all, and all are listed")
    func spreading() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { request in ok("page", "Cache-Control: max-age=3600", "Cache-Tag: news") }
        let fleet = try Fleet(on: stage)
        let relay = try fleet.relay()
        let edges = [
            try fleet.edge("edge-1", joining: relay.address), try fleet.edge("edge-2", joining: fleet.root),
        ]
        let zone = try fleet.zone()
        try fleet.site(zone, origin)
        for edge in edges { #expect(edge.comesToAnswer("/one") { $0.text == "page" }) }
        let purges = [
            "{\"files\":[\"http://example.test/one\"]}", "{\"tags\":[\"news\"]}", "{\"purge_everything\":true}",
        ]
        for purge in purges {
            for edge in edges {
                #expect(edge.comesToAnswer("/one") { $0["cache-status"]?.contains("; hit") == true }, "\(purge)")
            }
            try fleet.call("POST", "/zones/\(zone)/purge_cache", purge)
            for edge in edges {
                #expect(edge.comesToAnswer("/one") { $0["cache-status"]?.contains("; hit") == false }, "\(purge)")
            }
        }
        var list = ""
        let names = ["relay-1", "edge-1", "edge-2"]
        #expect(
            try eventually {
                let run = try stage.run(
                    Edge.binary(), "edge", "list", "--json", "--api", "http://127.0.0.1:\(fleet.apiPort)", "--data",
                    fleet.data)
                list = run.output + run.errors
                let nodes = try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [[String: Any]] ?? []
                return nodes.count == 3
                    && nodes.allSatisfy {
                        names.contains($0["name"] as? String ?? "") && $0["connected"] as? Bool == true
                            && $0["behind"] as? Int == 0
                    } && nodes.first { $0["name"] as? String == "edge-1" }?["parent"] as? String == "relay-1"
            }, "\(list)")
        let table = try stage.run(
            Edge.binary(), "edge", "list", "--api", "http://127.0.0.1:\(fleet.apiPort)", "--data", fleet.data)
        #expect(table.status == 0 && names.allSatisfy { table.output.contains($0) }, "\(table)")
    }

    @Test("a customer's certificate is served by an edge, and its key lies nowhere in the clear")
    func certificates() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let authority = try stage.authority("Customer's own")
        let identity = try stage.certificate("shop.example.test", by: authority, file: "shop")
        let origin = try stage.origin { _ in ok("secure") }
        let fleet = try Fleet(on: stage)
        let relay = try fleet.relay()
        var edge = try fleet.edge("edge-1", joining: relay.address, https: true)
        let zone = try fleet.zone()
        try fleet.site(zone, origin)
        let pem = try String(contentsOfFile: identity.certificate, encoding: .utf8)
        let key = try String(contentsOfFile: identity.key, encoding: .utf8)
        let body = try JSONSerialization.data(withJSONObject: ["certificate": pem, "private_key": key])
        try fleet.call("POST", "/zones/\(zone)/custom_certificates", String(decoding: body, as: UTF8.self))
        func isServed() throws -> Bool {
            let host = "shop.example.test"
            let run = try stage.run(
                "curl", "-sS", "--cacert", authority.certificate, "--resolve", "\(host):\(edge.httpsPort):127.0.0.1",
                "https://\(host):\(edge.httpsPort)/")
            return run.output == "secure"
        }
        #expect(try eventually { try isServed() })

        let text = key.split(separator: "\n").dropFirst().dropLast().joined()
        let der = try #require(Data(base64Encoded: text))
        // PKCS #8 of P-256 (RFC 5208, RFC 5915): the secret number stands behind 36 bytes of frame.
        let secrets = [
            "PEM": Data(text.prefix(60).utf8), "number": Data(der.dropFirst(36).prefix(32)),
            "the edges' key": try edgeKey(fleet),
        ]
        for name in ["control", "relay-1", "edge-1"] {
            for (what, secret) in secrets {
                #expect(try holders(of: secret, in: stage.path(name)) == [], "\(what)")
            }
        }
        // What opens the customers' keys came sealed for the edge; the relay passed it on, and was given none.
        #expect(try !holders(of: Data("node-key/edge-1".utf8), in: relay.data).isEmpty)
        #expect(try holders(of: Data("node-key/relay-1".utf8), in: relay.data) == [])

        fleet.kill(fleet.control)
        fleet.kill(relay.process)
        edge = try fleet.restart(edge, joining: relay.address)
        #expect(try eventually { try isServed() })
    }

    /// The files below a directory that have these bytes in them.
    private func holders(of bytes: Data, in directory: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: directory).filter { name in
            let found = try? Data(contentsOf: URL(filePath: "\(directory)/\(name)"), options: .alwaysMapped)
            return found?.range(of: bytes) != nil
        }
    }

    /// As it is derived from the store's key (HKDF, RFC 5869).
    private func edgeKey(_ fleet: Fleet) throws -> Data {
        let file = try String(contentsOfFile: fleet.data + "/store-key", encoding: .utf8)
        let digits = try #require(file.split(whereSeparator: \.isWhitespace).last { $0.count == 64 })
        let run = try fleet.stage.run(
            "openssl", "kdf", "-keylen", "32", "-kdfopt", "digest:SHA256", "-kdfopt", "hexkey:\(String(digits))",
            "-kdfopt",
            "info:martlet edge", "HKDF")
        let bytes = run.output.split { $0 == ":" || $0 == "\n" }.compactMap { UInt8($0, radix: 16) }
        try #require(bytes.count == 32, "\(run)")
        return Data(bytes)
    }

    @Test("edges go on when the relay is killed, and when the control plane is")
    func killed() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (first, second) = (try stage.origin { _ in ok("first") }, try stage.origin { _ in ok("second") })
        let fleet = try Fleet(on: stage)
        let relay = try fleet.relay()
        var edges = try ["edge-1", "edge-2"].map { try fleet.edge($0, joining: relay.address, fleet.root) }
        let zone = try fleet.zone()
        try fleet.site(zone, first)
        for edge in edges { #expect(edge.comesToAnswer("/") { $0.text == "first" }) }

        fleet.kill(relay.process)
        try fleet.site(zone, second)
        for edge in edges { #expect(edge.comesToAnswer("/") { $0.text == "second" }) }

        fleet.kill(fleet.control)
        for edge in edges { #expect(try edge.get("/").text == "second") }
        edges = try edges.map { try fleet.restart($0, joining: relay.address, fleet.root) }
        for edge in edges { #expect(edge.comesToAnswer("/") { $0.text == "second" }) }

        // The relay has no state that others lack: it comes back before the control plane and passes on what it has.
        let again = try fleet.relay(again: relay)
        for edge in edges { #expect(try edge.get("/").text == "second") }
        try fleet.startControl()
        try fleet.site(zone, first)
        for edge in edges { #expect(edge.comesToAnswer("/") { $0.text == "first" }) }
        again.process.signal(SIGTERM)
        #expect(again.process.waitForExit() == 0)
        edges[0].process.signal(SIGTERM)
        #expect(edges[0].process.waitForExit() == 0)
    }

    @Test("an edge that was away while 200 changes happened catches up")
    func away() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { _ in ok("here") }
        let fleet = try Fleet(on: stage)
        let present = try fleet.edge("edge-1", joining: fleet.root)
        let leaving = try fleet.edge("edge-2", joining: fleet.root)
        let zones = try (0..<4).map { try fleet.zone("zone-\($0).test") }
        try fleet.site(zones[0], origin)
        for edge in [present, leaving] {
            #expect(edge.comesToAnswer("/", host: "zone-0.test") { $0.status == 200 })
        }
        fleet.kill(leaving)
        var changes: [(method: String, path: String, body: String)] = []
        for round in 0..<50 {
            for (index, zone) in zones.enumerated() {
                let names = "[\"zone-\(index).test\",\"r\(round).elsewhere-\(index).test\"]"
                changes.append(
                    (
                        "PUT", "/zones/\(zone)/martlet/site",
                        "{\"origins\":[\"\(origin.url)\"],\"hostnames\":\(names)}"
                    ))
            }
        }
        try fleet.calls(changes)
        let back = try fleet.restart(leaving, joining: fleet.root)
        for edge in [present, back] {
            for index in zones.indices {
                #expect(edge.comesToAnswer("/", host: "r49.elsewhere-\(index).test") { $0.text == "here" })
                #expect(try edge.get("/", "Host: r48.elsewhere-\(index).test").status == 421)
            }
        }
        #expect(try eventually { try fleet.node("edge-2")["behind"] as? Int == 0 })
    }

    @Test("a revoked edge is cut and stays out, behind the control plane and behind a relay")
    func revoked() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (first, second) = (try stage.origin { _ in ok("first") }, try stage.origin { _ in ok("second") })
        let fleet = try Fleet(on: stage)
        let relay = try fleet.relay()
        let parents = ["edge-1": fleet.root, "edge-2": relay.address]
        let witness = try fleet.edge("edge-3", joining: relay.address)
        var edges: [String: Edge] = [:]
        for (name, parent) in parents { edges[name] = try fleet.edge(name, joining: parent) }
        let zone = try fleet.zone()
        try fleet.site(zone, first)
        for edge in edges.values { #expect(edge.comesToAnswer("/") { $0.text == "first" }) }
        for name in parents.keys {
            #expect(try eventually { try fleet.node(name)["connected"] as? Bool == true })
            try fleet.call("DELETE", "\(fleet.account)/nodes/\(name)")
        }
        for name in parents.keys {
            #expect(try eventually { try fleet.node(name)["connected"] as? Bool == false }, "\(name)")
            #expect(try fleet.node(name)["state"] as? String == "revoked")
        }
        try fleet.site(zone, second)
        #expect(witness.comesToAnswer("/") { $0.text == "second" })
        for (name, parent) in parents {
            let edge = try #require(edges[name])
            #expect(try edge.get("/").text == "first", "\(name)")
            let again = try fleet.restart(edge, joining: parent)
            #expect(again.comesToSay("admitted") || again.comesToSay("revoked"), "\(name): \(again.process.errors)")
            #expect(try again.get("/").text == "first", "\(name)")
        }
    }

    @Test("switches hold on every edge at once, limits go from edge to edge by their roll-out")
    func globals() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { _ in ok("page", "Cache-Control: max-age=3600") }
        let fleet = try Fleet(on: stage)
        let canary = try fleet.edge("edge-1", joining: fleet.root)
        let other = try fleet.edge("edge-2", joining: fleet.root)
        try fleet.call("PATCH", "\(fleet.account)/nodes/edge-1", "{\"canary\":true}")
        try fleet.site(fleet.zone(), origin)
        func isCaching(_ edge: Edge, _ isOn: Bool) -> Bool {
            edge.comesToAnswer("/") { ($0["cache-status"]?.contains("; hit") == true) == isOn && $0.text == "page" }
        }
        for edge in [canary, other] { #expect(isCaching(edge, true)) }
        try fleet.call("PUT", "\(fleet.account)/switches/cache", "{\"enabled\":false}")
        for edge in [canary, other] { #expect(isCaching(edge, false)) }
        try fleet.call("PUT", "\(fleet.account)/switches/cache", "{\"enabled\":true}")
        for edge in [canary, other] { #expect(isCaching(edge, true)) }

        func comesTo(_ edge: Edge, _ status: Int) -> Bool {
            let field = "X-Long: " + String(repeating: "x", count: 6000)
            return eventually { (try? edge.get("/", field).status) == status }
        }
        #expect(comesTo(canary, 200))
        // Soaks longer than this test lasts: each stage is passed by hand.
        let put = try fleet.object(
            "PUT", "\(fleet.account)/globals/limits/client?soak_seconds=3600",
            "{\"limits\":{\"header_bytes\":\"4KiB\"}}")
        let rollout = try #require(put["rollout"] as? String)
        #expect(comesTo(canary, 431))
        #expect(comesTo(other, 200))
        let path = "\(fleet.account)/rollouts/\(rollout)"
        for _ in 0..<6 where try fleet.object("GET", path)["state"] as? String == "running" {
            try fleet.call("POST", path + "/promote")
        }
        #expect(try fleet.object("GET", path)["state"] as? String == "done")
        for edge in [canary, other] { #expect(comesTo(edge, 431)) }
    }
}
