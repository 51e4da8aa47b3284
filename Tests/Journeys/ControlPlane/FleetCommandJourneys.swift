import Foundation
import Testing

/// The commands about edges and what holds for all of them, with a real edge that joined by them.
@Suite("The operator's commands for edges", .onStageThreads)
struct FleetCommandJourneys {
    /// An edge without zones that joins by a token on its standard input.
    private func join(_ operating: Operating, port: Int, token: String) throws -> ChildProcess {
        let file = try operating.stage.write(
            "listen: { http: \"127.0.0.1:\(try Ports.pick())\" }\nadmin: \"off\"\ndata: ./edge\n", to: "edge.yaml")
        let edge = try operating.stage.start(
            [try Edge.binary(), "edge", "--join", "127.0.0.1:\(port)", "--token", "-", "-c", file.path], hasInput: true)
        edge.write(token)
        return edge
    }

    @Test("an edge joins by its token, is listed, becomes a canary, and is shut out")
    func edges() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let port = try Ports.pick()
        let operating = try Operating(on: stage, distribution: port)
        try operating.login()
        let empty = try operating.martlet("edge", "list")
        #expect(empty.status == 0 && empty.output.isEmpty && empty.errors.contains("No edge has joined"), "\(empty)")
        // The token stands alone where a script takes it.
        let made = try operating.martlet("edge", "token", "--name", "fra1", "--expires", "10m")
        #expect(made.status == 0 && made.output.hasPrefix("mj1.") && !made.errors.contains("mj1."), "\(made)")
        let edge = try join(operating, port: port, token: made.output)
        let isThere = try eventually(within: Patience.process) {
            try operating.list("edge", "list").contains {
                $0["name"] as? String == "fra1" && $0["connected"] as? Bool == true
            }
        }
        #expect(isThere, "\(edge.errors)")
        #expect(try operating.martlet("edge", "show", "fra1").output.contains("connected"))
        let watched = try operating.martlet("edge", "watch", "--count", "1")
        #expect(watched.status == 0 && watched.output.contains("fra1"), "\(watched)")
        #expect(try operating.martlet("edge", "canary", "fra1", "on").output == "fra1 is a canary\n")
        #expect(try operating.list("edge", "list").first?["canary"] as? Bool == true)
        #expect(try operating.list("edge", "token", "list").first?["state"] as? String == "used")
        let asked = try operating.martlet("edge", "revoke", "fra1")
        #expect(asked.status == 1 && asked.errors.contains("--yes"), "\(asked)")
        #expect(try operating.martlet("edge", "revoke", "fra1", "--yes").output == "revoked fra1\n")
        #expect(try operating.list("edge", "list").first?["state"] as? String == "revoked")
        let nobody = try operating.martlet("edge", "show", "nobody")
        #expect(nobody.status == 1 && nobody.errors.contains("nobody"), "\(nobody)")
    }

    @Test("limits are rolled out and taken back, switches are set at once")
    func everywhere() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let port = try Ports.pick()
        let operating = try Operating(on: stage, distribution: port)
        try operating.login()
        // Without an edge to watch, a roll-out would be over at once.
        let token = try operating.martlet("edge", "token", "--name", "fra1").output
        let edge = try join(operating, port: port, token: token)
        let isThere = try eventually(within: Patience.process) {
            try operating.list("edge", "list").contains { $0["connected"] as? Bool == true }
        }
        #expect(isThere, "\(edge.errors)")
        let dry = try operating.martlet("config", "limits", "set", "timeouts.idle=60s", "--dry-run")
        #expect(dry.output == "timeouts: added {\"idle\":\"60s\"}\n", "\(dry)")
        #expect(try operating.list("config", "limits").isEmpty)
        let bad = try operating.martlet("config", "limits", "set", "timeouts.idel=60s")
        #expect(bad.status == 1 && bad.errors.contains("did you mean \"idle\""), "\(bad)")
        let set = try operating.martlet("config", "limits", "set", "timeouts.idle=60s", "limits.connections=1000")
        #expect(set.status == 0 && set.output.contains("rolls out"), "\(set)")
        let id = try #require(try operating.list("config", "rollouts").first?["id"] as? String)
        #expect(try operating.martlet("config", "rollouts", "pause", id).output.contains("paused"))
        #expect(try operating.martlet("config", "rollouts", "abort", id).status == 1)
        #expect(try operating.martlet("config", "rollouts", "abort", id, "--yes").output.contains("aborted"))

        let off = try operating.martlet("config", "switch", "http2", "off")
        #expect(off.status == 1 && off.errors.contains("--yes"), "\(off)")
        #expect(try operating.martlet("config", "switch", "http2", "off", "--yes").output == "http2 is off\n")
        #expect(
            try operating.list("config", "switch").contains {
                $0["name"] as? String == "http2" && $0["enabled"] as? Bool == false
            })
    }
}
