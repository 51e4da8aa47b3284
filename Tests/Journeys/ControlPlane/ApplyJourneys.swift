import Foundation
import Glibc
import Testing

/// `martlet apply` as an operator types it.
@Suite("apply", .onStageThreads)
struct ApplyJourneys {
    private static let file = """
        zones:
          a.test:
            origins: ["http://127.0.0.1:8000"]
          b.test:
            origins: [{ url: "http://127.0.0.1:8001", weight: 3 }]
            tls: { certificate: cert.pem, key: key.pem }

        """

    @Test("a second run finds nothing to do; a change changes one zone; prune takes away what apply made")
    func twice() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let operating = try Operating(on: stage)
        try operating.login()
        let file = try stage.write(Self.file, to: "martlet.yaml").path
        let dry = try operating.martlet("apply", "-f", file, "--dry-run")
        #expect(dry.status == 0 && dry.output.hasSuffix("2 to create\n"), "\(dry)")
        let asked = try operating.martlet("apply", "-f", file)
        #expect(asked.status == 1 && asked.errors.contains("--yes"), "\(asked)")
        #expect(try operating.list("zone", "list").isEmpty)

        let first = try operating.martlet("apply", "-f", file, "--yes")
        #expect(first.status == 0 && first.output.hasSuffix("2 changes done\n"), "\(first)")
        let second = try operating.martlet("apply", "-f", file)
        #expect(second.status == 0 && second.output == "nothing to do: 2 unchanged\n", "\(second)")

        try operating.martlet("zone", "create", "hand.test")
        try stage.write(
            "zones: { a.test: { origins: [\"http://127.0.0.1:8000\"], attempts: 1 } }\n", to: "martlet.yaml")
        let third = try operating.martlet("apply", "-f", file, "--prune", "--yes")
        #expect(third.output.contains("~ update a.test\n    attempts: added 1\n- delete b.test"), "\(third)")
        #expect(try operating.list("zone", "list").compactMap { $0["name"] as? String } == ["a.test", "hand.test"])

        try stage.write("zones: { a.test: { origns: x } }\n", to: "martlet.yaml")
        let bad = try operating.martlet("apply", "-f", file, "--yes")
        #expect(bad.status == 78 && bad.errors.contains("did you mean \"origins\""), "\(bad)")
    }

    /// A control plane that has no zones and takes any, and holds the first site back until the gate is open.
    private static func answer(_ request: Message, _ gate: Gate, _ arrived: Shared<Int>) -> String {
        var result = "null"
        switch (request.method, request.target.split(separator: "?")[0].split(separator: "/").last) {
        case ("GET", "zones"): result = "[]"
        case ("POST", "zones"): result = "{\"id\":\"z\",\"name\":\"x\"}"
        case ("PUT", "site"):
            arrived.withLock { $0 += 1 }
            gate.pass()
            result = "{}"
        default: break
        }
        let body = "{\"success\":true,\"errors\":[],\"messages\":[],\"result\":\(result)}"
        return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test("Ctrl-C finishes the step under way, says where it stopped, and does nothing more")
    func interrupted() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (gate, arrived) = (Gate(), Shared(0))
        defer { gate.open() }
        let control = try stage.origin { Self.answer($0, gate, arrived) }
        let file = try stage.write(Self.file, to: "martlet.yaml").path
        let apply = try stage.start(
            Operating.environment(
                stage, ["MARTLET_API=http://127.0.0.1:\(control.port)", "MARTLET_TOKEN=secret"])
                + [try Edge.binary(), "apply", "-f", file, "--yes"])
        #expect(eventually { arrived.current == 1 }, "\(apply.errors)")
        apply.signal(SIGINT)
        #expect(eventually { apply.errors.contains("stops behind the step under way") }, "\(apply.errors)")
        #expect(apply.exitStatus == nil)
        gate.open()
        #expect(apply.waitForExit() == 130)
        #expect(
            apply.errors.contains("stopped: 1 of 2 done") && apply.errors.contains("run it again"), "\(apply.errors)")
        #expect(arrived.current == 1)
    }

    @Test("a second Ctrl-C ends it at once")
    func interruptedTwice() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (gate, arrived) = (Gate(), Shared(0))
        defer { gate.open() }
        let control = try stage.origin { Self.answer($0, gate, arrived) }
        let file = try stage.write(Self.file, to: "martlet.yaml").path
        let apply = try stage.start(
            Operating.environment(
                stage, ["MARTLET_API=http://127.0.0.1:\(control.port)", "MARTLET_TOKEN=secret"])
                + [try Edge.binary(), "apply", "-f", file, "--yes"])
        #expect(eventually { arrived.current == 1 }, "\(apply.errors)")
        apply.signal(SIGINT)
        #expect(eventually { apply.errors.contains("stops behind the step under way") }, "\(apply.errors)")
        apply.signal(SIGINT)
        #expect(apply.waitForExit() == 130)
    }

    @Test("an older control plane is named as such, and nothing is left behind")
    func older() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let deleted = Shared(0)
        let control = try stage.origin { request in
            var (status, body) = ("200 OK", "{\"success\":true,\"errors\":[],\"messages\":[],\"result\":[]}")
            if request.method == "POST" {
                body = "{\"success\":true,\"errors\":[],\"messages\":[],\"result\":{\"id\":\"z\",\"name\":\"x\"}}"
            } else if request.method == "DELETE" {
                deleted.withLock { $0 += 1 }
            } else if request.target.hasSuffix("/site") {
                status = "404 Not Found"
                body = """
                    {"success":false,"errors":[{"code":7003,"message":"Could not route","error_chain":\
                    [{"code":7000,"message":"No route for that URI"}]}],"messages":[],"result":null}
                    """
            }
            return "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }
        let file = try stage.write(Self.file, to: "martlet.yaml").path
        let run = try stage.start(
            Operating.environment(
                stage, ["MARTLET_API=http://127.0.0.1:\(control.port)", "MARTLET_TOKEN=secret"])
                + [try Edge.binary(), "apply", "-f", file, "--yes"])
        #expect(run.waitForExit() == 1)
        #expect(run.errors.contains("does not know PUT /zones/z/martlet/site yet"), "\(run.errors)")
        #expect(deleted.current == 1)
    }
}
