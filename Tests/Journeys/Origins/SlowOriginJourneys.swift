import Foundation
import Testing

/// Origins that are late, silent or absent.
@Suite("Slow and absent origins", .onStageThreads)
struct SlowOriginJourneys {
    @Test("No first byte in time is a 504")
    func firstByteTimeout() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let ended = Gate()
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            connection.waitForEnd()
            ended.open()
        }
        let edge = try stage.edge([origin.url], "timeouts: { first_byte: 500ms }", "attempts: 1")
        let answer = try edge.get("/", "Accept: application/json")
        #expect(answer.status == 504)
        #expect(try edge.logged(ray: answer.ray)["error"] as? String == "origin_first_byte_timeout")
        #expect(ended.pass(), "the edge kept the connection it had given up")
    }

    @Test("A head that drips slower than the first-byte timeout allows is a 504, not a wait without end")
    func drippedHead() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            while true {
                try connection.send("H")
                pause(milliseconds: 200)
            }
        }
        let edge = try stage.edge([origin.url], "timeouts: { first_byte: 1s, idle: 1s }", "attempts: 1")
        // "HH" is no status line: refused at its second byte or timed out, but answered.
        let answer = try edge.get("/")
        #expect([502, 504].contains(answer.status))
    }

    @Test("Valid fields dripped for ever are given up")
    func drippedFields() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            try connection.send("HTTP/1.1 200 OK\r\n")
            while true {
                try connection.send("X-A: b\r\n")
                pause(milliseconds: 100)
            }
        }
        let edge = try stage.edge([origin.url], "timeouts: { first_byte: 1s, idle: 1s }", "attempts: 1")
        #expect([502, 504].contains(try edge.get("/").status))
    }

    @Test("A slow drip of a body arrives as it comes")
    func drippedBody() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let taken = Gate()
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
            // The rest comes only when the client has the beginning: nothing may wait for a whole body.
            taken.pass()
            for byte in "-last".utf8 {
                try connection.wire.send([byte])
                pause(milliseconds: 20)
            }
            connection.waitForEnd()
        }
        let edge = try stage.edge([origin.url])
        let client = try edge.client()
        try client.send(request("GET /"))
        _ = try client.read(through: "\r\n\r\n")
        #expect(try client.read(exactly: 5).text == "first")
        taken.open()
        #expect(try client.read(exactly: 5).text == "-last")
    }

    @Test("A body that stops in its middle is cut when the idle timeout has passed")
    func stalledBody() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin { connection in
            _ = try connection.readRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
            connection.waitForEnd()
        }
        let edge = try stage.edge([origin.url], "timeouts: { idle: 500ms }", "attempts: 1")
        let client = try edge.client()
        try client.send(request("GET /"))
        let answer = try client.readAnswer()
        #expect(answer.status == 200)
        #expect(answer.ending == .cut)
        #expect(answer.text == "hello")
        #expect(try edge.logged(ray: answer.ray)["error"] as? String == "origin_idle_timeout")
    }

    @Test("A refused connection is a 502")
    func refused() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let edge = try stage.edge(["http://127.0.0.1:\(try Ports.pick())"])
        let answer = try edge.get("/")
        #expect(answer.status == 502)
        #expect(try edge.logged(ray: answer.ray)["error"] as? String == "origin_connect_refused")
    }

    @Test("A connection that is never accepted is given up in time")
    func connectTimeout() throws {
        let stage = try Stage()
        defer { stage.strike() }
        // A listener whose queue is full drops further attempts silently.
        let full = try FullListener()
        defer { full.close() }
        let edge = try stage.edge(["http://127.0.0.1:\(full.port)"], "timeouts: { connect: 500ms }", "attempts: 1")
        let answer = try edge.get("/")
        #expect([502, 504].contains(answer.status))
        #expect(try edge.logged(ray: answer.ray)["error"] as? String == "origin_connect_timeout")
    }

    @Test("A name that does not resolve is a 502 of its own kind")
    func unresolved() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let edge = try stage.edge(["http://origin.invalid:8000"])
        let answer = try edge.get("/")
        #expect(answer.status == 502)
        #expect(try edge.logged(ray: answer.ray)["error"] as? String == "origin_unresolved")
    }

    @Test("A pool that stays full is a 503 of the edge's own")
    func poolExhausted() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let release = Gate()
        let arrived = Gate()
        let origin = try stage.origin { connection in
            while true {
                let request = try connection.readRequest()
                arrived.open()
                if request.target == "/held" { release.pass() }
                try connection.send(ok("answer to \(request.target)"))
            }
        }
        let edge = try stage.edge([origin.url], "pool: { connections: 1, idle: 1, wait: 300ms }")
        let held = try edge.client()
        try held.send(request("GET /held"))
        #expect(arrived.pass())
        let answer = try edge.get("/other", "Accept: application/json")
        #expect(answer.status == 503)
        #expect(try edge.logged(ray: answer.ray)["error"] as? String == "pool_exhausted")
        #expect(answer.text.contains("\"edge\""))
        release.open()
        #expect(try held.readAnswer().text == "answer to /held")
        #expect(try edge.get("/after").text == "answer to /after")
        #expect(origin.connectionCount == 1)
    }

    @Test("One that waits for a full pool is served when its turn comes")
    func poolWaits() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let release = Gate()
        let arrived = Gate()
        let origin = try stage.origin { connection in
            while true {
                let request = try connection.readRequest()
                arrived.open()
                if request.target == "/held" { release.pass() }
                try connection.send(ok("answer to \(request.target)"))
            }
        }
        let edge = try stage.edge([origin.url], "pool: { connections: 1, idle: 1, wait: 60s }")
        let held = try edge.client()
        try held.send(request("GET /held"))
        #expect(arrived.pass())
        let waiting = try (1...5).map { index in
            let client = try edge.client()
            try client.send(request("GET /\(index)"))
            return client
        }
        pause(milliseconds: 100)
        release.open()
        for (index, client) in waiting.enumerated() {
            #expect(try client.readAnswer().text == "answer to /\(index + 1)")
        }
        #expect(origin.connectionCount == 1)
    }
}
