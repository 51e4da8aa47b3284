import Foundation
import Glibc
import Testing

/// Stopping, and being replaced, without a client noticing.
@Suite("Drain and restart", .onStageThreads)
struct DrainJourneys {
    /// An origin that holds `/held` until the gate opens.
    private func holding(_ stage: Stage, _ arrived: Gate, _ release: Gate) throws -> ScriptedOrigin {
        try stage.origin { connection in
            while true {
                let request = try connection.readRequest()
                if request.target.hasPrefix("/held") {
                    // The first half goes at once, so that the client sees the exchange under way.
                    try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
                    arrived.open()
                    release.pass()
                    try connection.send("-last")
                } else {
                    try connection.send(ok("answer to \(request.target)"))
                }
            }
        }
    }

    @Test("SIGTERM: what is under way ends, what is new is refused, readiness says so, and the process leaves with 0")
    func drain() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (arrived, release) = (Gate(), Gate())
        let origin = try holding(stage, arrived, release)
        let edge = try stage.edge([origin.url], top: "timeouts: { drain: 2m }")
        #expect(try edge.admin("/readyz").status == 200)
        #expect(try edge.admin("/healthz").status == 200)
        let idle = try edge.client()
        try idle.send(request("GET /idle"))
        #expect(try idle.readAnswer().status == 200)
        let held = try edge.client()
        try held.send(request("GET /held"))
        #expect(arrived.pass())
        edge.process.signal(SIGTERM)
        #expect(try eventually { try edge.admin("/readyz").status == 503 })
        #expect(try edge.admin("/healthz").status == 200)
        #expect(try idle.endsWithoutAnotherByte(), "an idle connection outlived the drain's begin")
        let isRefused = eventually {
            guard let client = try? edge.client() else { return true }
            try? client.send(request("GET /new"))
            guard let answer = try? client.readAnswer() else { return true }
            return answer.status == 503
        }
        #expect(isRefused)
        #expect(edge.process.exitStatus == nil)
        release.open()
        #expect(try held.readAnswer().text == "first-last")
        #expect(try held.endsWithoutAnotherByte())
        #expect(edge.process.waitForExit() == 0)
    }

    @Test("SIGTERM with nothing under way ends at once")
    func drainIdle() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], top: "timeouts: { drain: 1h }")
        #expect(try edge.get("/").status == 200)
        edge.process.signal(SIGTERM)
        #expect(edge.process.waitForExit() == 0)
    }

    @Test("SIGINT drains as SIGTERM does")
    func interrupt() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        edge.process.signal(SIGINT)
        #expect(edge.process.waitForExit() == 0)
    }

    @Test("The drain has an end, whatever is still under way")
    func drainIsBounded() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (arrived, release) = (Gate(), Gate())
        defer { release.open() }
        let origin = try holding(stage, arrived, release)
        let edge = try stage.edge([origin.url], top: "timeouts: { drain: 500ms }")
        let held = try edge.client()
        try held.send(request("GET /held"))
        #expect(arrived.pass())
        edge.process.signal(SIGTERM)
        #expect(edge.process.waitForExit() == 0)
        #expect(try held.readAnswer().ending == .cut)
    }

    @Test("During the drain a kept-alive connection gets its answer and is told to close")
    func drainTellsClients() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (arrived, release) = (Gate(), Gate())
        let origin = try stage.origin { request in
            arrived.open()
            release.pass()
            return ok("answer")
        }
        let edge = try stage.edge([origin.url], top: "timeouts: { drain: 2m }")
        let client = try edge.client()
        try client.send(request("GET /"))
        #expect(arrived.pass())
        edge.process.signal(SIGTERM)
        #expect(try eventually { try edge.admin("/readyz").status == 503 })
        // Readiness changes first, the event loops hear of it a moment later.
        pause(milliseconds: 1000)
        release.open()
        let answer = try client.readAnswer()
        #expect(answer.text == "answer")
        #expect(answer.announcesClose, "\(answer.head)")
        #expect(try client.endsWithoutAnotherByte())
        #expect(edge.process.waitForExit() == 0)
    }

    @Test("SIGUSR2: a new process takes over, no connection is refused, old ones end in peace")
    func restart() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (arrived, release) = (Gate(), Gate())
        let origin = try holding(stage, arrived, release)
        let edge = try stage.edge([origin.url], top: "timeouts: { drain: 2m }", https: true)
        let held = try edge.client()
        try held.send(request("GET /held"))
        #expect(arrived.pass())
        let isOver = Shared(false)
        defer { isOver.withLock { $0 = true } }
        let failures = Shared<[String]>([])
        let served = Shared(0)
        let callers = (0..<3).map { _ in
            let done = Gate()
            Thread {
                while !isOver.current {
                    do {
                        let answer = try edge.get("/loop")
                        if answer.status != 200 { failures.withLock { $0.append(answer.head) } }
                        served.withLock { $0 += 1 }
                    } catch {
                        failures.withLock { $0.append("\(error)") }
                    }
                }
                done.open()
            }.start()
            return done
        }
        #expect(eventually { served.current >= 50 })
        edge.process.signal(SIGUSR2)
        // The old process holds on to its exchange, the new one serves: seen by its own start.
        #expect(eventually { successor(of: edge) != nil }, "no second process: \(edge.process.errors)")
        let mark = served.current
        #expect(eventually { served.current >= mark + 200 })
        #expect(edge.process.exitStatus == nil, "the old process left an exchange behind")
        release.open()
        #expect(try held.readAnswer().text == "first-last")
        #expect(edge.process.waitForExit() == 0, "\(edge.process.errors)")
        let end = served.current
        #expect(eventually { served.current >= end + 100 })
        isOver.withLock { $0 = true }
        callers.forEach { $0.pass() }
        #expect(
            failures.current.isEmpty, "\(failures.current.count) of \(served.current): \(failures.current.prefix(3))")
        #expect(try edge.admin("/readyz").status == 200)
        let fetched = try stage.run(
            "curl", "-sS", "-k", "--resolve", "example.test:\(edge.httpsPort):127.0.0.1",
            "https://example.test:\(edge.httpsPort)/tls")
        #expect(fetched.output == "answer to /tls", "\(fetched.errors)")
    }

    /// Another process that runs this edge's configuration.
    private func successor(of edge: Edge, beside other: pid_t = 0) -> pid_t? {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { pid_t($0) }.first { pid in
            guard pid != edge.process.pid, pid != other, !isGone(pid),
                let command = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline")
            else { return false }
            return String(decoding: command, as: UTF8.self).contains(edge.stage.directory.lastPathComponent)
        }
    }

    @Test("A process that took over can be replaced in its turn, and stopped")
    func restartAgain() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        edge.process.signal(SIGUSR2)
        #expect(edge.process.waitForExit() == 0, "\(edge.process.errors)")
        let second = try #require(successor(of: edge))
        #expect(try edge.get("/second").status == 200)
        kill(second, SIGUSR2)
        #expect(eventually { successor(of: edge, beside: second) != nil && isGone(second) })
        let third = try #require(successor(of: edge, beside: second))
        #expect(try edge.get("/third").status == 200)
        #expect(try edge.admin("/readyz").status == 200)
        kill(third, SIGTERM)
        #expect(eventually { successor(of: edge) == nil })
        #expect(throws: WireFailure.self) { try edge.get("/nobody") }
    }

    /// Whether a process has ended, collected by its parent or not.
    private func isGone(_ pid: pid_t) -> Bool {
        guard let stat = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return true }
        return String(decoding: stat, as: UTF8.self).contains(") Z ")
    }

    @Test("SIGUSR2 with a configuration that no longer loads keeps the old process serving")
    func failedRestart() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        let configuration = edge.configuration
        try edge.rewrite { $0.zones += "    nonsense: 1\n" }
        #expect(edge.comesToSay("nonsense"))
        edge.process.signal(SIGUSR2)
        pause(milliseconds: 500)
        for _ in 0..<20 {
            #expect(try edge.get("/").status == 200)
            pause(milliseconds: 25)
        }
        #expect(edge.process.exitStatus == nil)
        #expect(try edge.admin("/readyz").status == 200)
        try edge.rewrite { $0 = configuration }
    }
}
