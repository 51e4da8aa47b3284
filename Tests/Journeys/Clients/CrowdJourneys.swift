import Foundation
import Testing

/// Many clients at once, and the limits of the process.
@Suite("Crowds", .onStageThreads)
struct CrowdJourneys {
    /// Runs a body on several threads and waits for all of them; what they threw or reported.
    private func together(_ count: Int, _ body: @escaping @Sendable (Int) throws -> String?) -> [String] {
        let faults = Shared<[String]>([])
        let gates = (0..<count).map { index in
            let done = Gate()
            let thread = Thread {
                do {
                    if let fault = try body(index) { faults.withLock { $0.append(fault) } }
                } catch {
                    faults.withLock { $0.append("\(index): \(error)") }
                }
                done.open()
            }
            thread.stackSize = 1 << 19
            thread.start()
            return done
        }
        gates.forEach { $0.pass() }
        return faults.current
    }

    @Test("64 clients at once each get their own answers, over fewer origin connections")
    func manyClients() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { request in ok("answer to \(request.target) \(request.text)") }
        let edge = try stage.edge([origin.url])
        let faults = together(64) { index in
            let client = try edge.client()
            for round in 0..<20 {
                let body = String(repeating: "\(index).", count: round * 50)
                try client.send(request("POST /\(index)/\(round)", body: body))
                let answer = try client.readAnswer()
                if answer.text != "answer to /\(index)/\(round) \(body)" { return "\(index)/\(round): \(answer)" }
            }
            return nil
        }
        #expect(faults.isEmpty, "\(faults.prefix(3))")
        #expect(origin.connectionCount <= 64)
    }

    @Test("One after the other, clients on any event loop share one origin connection")
    func poolIsShared() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        for _ in 0..<40 { #expect(try edge.get("/").status == 200) }
        #expect(origin.connectionCount <= 2, "\(origin.connectionCount) connections for 40 requests in a row")
    }

    @Test("Reloads under load lose nothing")
    func reloadsUnderLoad() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url])
        let isOver = Shared(false)
        let reloads = Gate()
        Thread {
            for round in 1...10 {
                try? edge.rewrite {
                    $0.zones = zone("example.test", origins: [origin.url], ["attempts: \(round % 5 + 1)"])
                }
                edge.reload()
                pause(milliseconds: 100)
            }
            isOver.withLock { $0 = true }
            reloads.open()
        }.start()
        let faults = together(8) { index in
            let client = try edge.client()
            while !isOver.current {
                try client.send(request("GET /\(index)"))
                let answer = try client.readAnswer()
                if answer.status != 200 { return "\(answer)" }
                let fresh = try edge.get("/fresh")
                if fresh.status != 200 { return "\(fresh)" }
            }
            return nil
        }
        #expect(reloads.pass())
        #expect(faults.isEmpty, "\(faults.prefix(3))")
    }

    @Test("300 clients that never finish their heads keep nobody else waiting, and are sent away")
    func slowloris() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], top: "timeouts: { header: 3s }")
        let slow = try (0..<300).map { _ in
            let client = try edge.client()
            try client.send("GET / HTTP/1.1\r\nHost: example.test\r\nX-")
            return client
        }
        for _ in 0..<20 { #expect(try edge.get("/").status == 200) }
        for client in slow { #expect(try client.readAnswer().status == 408) }
        #expect(origin.requests.count == 20)
    }

    @Test("Out of file descriptors, the edge waits for better times and serves again")
    func descriptorsRunOut() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let configuration = try EdgeConfiguration(zones: zone("example.test", origins: [origin.url]))
        let edge = try Edge(configuration, launcher: ["sh", "-c", "ulimit -n 96; exec \"$0\" \"$@\""], on: stage)
        try edge.waitUntilReady()
        #expect(try edge.get("/").status == 200)
        let crowd = try (0..<200).map { _ in
            let client = try edge.client()
            try? client.send(request("GET /crowd"))
            return client
        }
        // Some are served, some wait in the queue or are turned away; the process lives.
        pause(milliseconds: 500)
        #expect(edge.process.exitStatus == nil, "\(edge.process.errors)")
        crowd.forEach { $0.abandon() }
        #expect(eventually { (try? edge.get("/after").status) == 200 })
        #expect(edge.process.exitStatus == nil)
        // The shortage is the edge's own: no origin is to blame for it.
        #expect(try edge.metric("martlet_origin_ejections_total") == 0)
    }

    @Test("Connections that come and go leave no descriptors behind")
    func nothingLeaks() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin()
        let edge = try stage.edge([origin.url], "pool: { keep_alive: 500ms }")
        for _ in 0..<20 { _ = try edge.get("/") }
        func descriptors() -> Int {
            (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(edge.process.pid)/fd").count) ?? 0
        }
        let before = descriptors()
        for index in 0..<300 {
            let client = try edge.client()
            switch index % 4 {
            case 0: client.reset()
            case 1: try client.send("GET / HTTP/1.1\r\nHost: exa")
            case 2: try client.send("nonsense\r\n\r\n")
            default: try client.send(request("GET /"))
            }
        }
        #expect(eventually { descriptors() <= before + 4 }, "from \(before) to \(descriptors())")
    }
}
