import Foundation
import Testing

/// Every failure says what it was, whose it was, and under which ray it is logged.
@Suite("Error pages", .onStageThreads)
struct ErrorPageJourneys {
    @Test(
        "The page is JSON or HTML as Accept has it",
        arguments: [
            ("application/json", true), ("application/json, text/html;q=0.5", true), ("text/html", false),
            ("text/html, application/json;q=0.5", false), ("*/*", false), ("", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
        ])
    func negotiation(accept: String, isJSON: Bool) throws {
        let stage = try RuleStage.shared
        let answer = try stage.edge.exchange(
            request("GET /", "Host: nobody.invalid", accept.isEmpty ? "X-None: 1" : "Accept: \(accept)"))
        #expect(answer.status == 421)
        let type = try #require(answer["Content-Type"])
        #expect(answer.has("Content-Length"))
        if isJSON {
            #expect(type.hasPrefix("application/"), "\(type)")
            let page = try #require(
                try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any], "\(answer.text)")
            #expect(page["status"] as? Int == 421)
            #expect(page["error"] as? String == "no_zone")
            #expect(page["side"] as? String == "client")
            #expect(page["ray"] as? String == answer.ray)
            #expect((page["message"] as? String)?.isEmpty == false)
        } else {
            #expect(type.hasPrefix("text/html"), "\(type)")
            #expect(answer.text.contains("421"))
            #expect(answer.text.contains(answer.ray))
            #expect(!answer.ray.isEmpty)
        }
    }

    @Test("A page is never stored, never sniffed, and echoes nothing of the request")
    func pageIsInert() throws {
        let stage = try RuleStage.shared
        let answer = try stage.edge.exchange(
            "GET /<script>alert(1)</script> HTTP/1.1\r\nHost: nobody.invalid\r\nX-A: <b>\r\n\r\n")
        #expect(!answer.text.contains("<script>alert"))
        #expect(answer.all("Cache-Control").joined().contains("no-store"), "\(answer.head)")
    }

    @Test("HEAD gets the head of the page alone")
    func headOfPage() throws {
        let stage = try RuleStage.shared
        let mark = RuleStage.mark()
        let client = try stage.edge.client()
        try client.send(request("HEAD /", "Host: nobody.invalid"))
        let answer = try client.readAnswer(to: "HEAD")
        #expect(answer.status == 421)
        if answer.announcesClose {
            #expect(try client.readToEnd().bytes.isEmpty)
        } else {
            try client.send(request("GET /\(mark)"))
            #expect(try client.readAnswer().text == "reached /\(mark)")
        }
    }

    @Test("The reasons of 502, 503 and 504 differ in page, log and metrics")
    func reasonsDiffer() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let closing = try stage.origin { connection in _ = try connection.readRequest() }
        let broken = try stage.origin { _ in "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n" }
        let silent = try stage.origin { connection in
            _ = try connection.readRequest()
            connection.waitForEnd()
        }
        let settings = ["attempts: 1", "timeouts: { first_byte: 300ms }"]
        let origins = [
            ("refused", "http://127.0.0.1:\(try Ports.pick())", 502, "origin_connect_refused"),
            ("closed", closing.url, 502, "origin_closed_early"),
            ("broken", broken.url, 502, "origin_bad_response"),
            ("silent", silent.url, 504, "origin_first_byte_timeout"),
            ("nowhere", "http://nowhere.invalid", 502, "origin_unresolved"),
        ]
        let zones = origins.map { zone("\($0.0).test", origins: [$0.1], settings) }.joined()
        let edge = try stage.edge(EdgeConfiguration(zones: zones))
        for (name, _, status, kind) in origins {
            let answer = try edge.get("/", "Host: \(name).test", "Accept: application/json")
            #expect(answer.status == status, "\(name)")
            let page = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any]
            #expect(page?["error"] as? String == kind, "\(name): \(answer.text)")
            #expect(page?["side"] as? String == "origin")
            let entry = try edge.logged(ray: answer.ray)
            #expect(entry["error"] as? String == kind)
            #expect(entry["status"] as? Int == status)
            #expect(try edge.metric("martlet_errors_total", "kind=\"\(kind)\"") == 1, "\(name)")
        }
    }

    @Test("A malformed request is logged with its ray, too")
    func malformedIsLogged() throws {
        let stage = try RuleStage.shared
        let answer = try stage.edge.exchange("GET / HTTP/1.1\r\nBad Field: x\r\n\r\n")
        #expect(answer.status == 400)
        let entry = try stage.edge.logged(ray: answer.ray)
        #expect(entry["status"] as? Int == 400)
        #expect((entry["error"] as? String)?.isEmpty == false, "\(entry)")
    }
}
