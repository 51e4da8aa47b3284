// Responses made here: error pages, redirects, and where forwarding ends.

import ConfigModel
import Exchange
import Foundation
import HTTPWire
import NIOCore
import Telemetry
import Testing

@testable import Pipeline

@Suite("Pages")
struct PageTests {
    /// The page of a failure for a request with these fields.
    private func page(_ failure: Failure, fields: String = "") throws -> Page {
        let stage = try Stage()
        defer { stage.finish() }
        try stage.read("GET / HTTP/1.1\r\nHost: h.test\r\n\(fields)\r\n")
        stage.journey.ray = 0xabc
        return Page.failure(failure, stage.journey)
    }

    @Test("every failure's JSON is well-formed and says what the failure says", arguments: Failure.allCases)
    func json(_ failure: Failure) throws {
        let page = try page(failure, fields: "Accept: application/json\r\n")
        let parsed = try JSONSerialization.jsonObject(with: Data(page.body.readableBytesView))
        let object = try #require(parsed as? [String: Any])
        #expect(Set(object.keys) == ["status", "error", "message", "side", "ray"])
        #expect(object["status"] as? Int == failure.status)
        #expect(object["error"] as? String == "\(failure.label)")
        #expect(object["message"] as? String == "\(failure.explanation)")
        #expect(object["side"] as? String == "\(failure.side.label)")
        #expect(object["ray"] as? String == "0000000000000abc")
        #expect(page.status == failure.status)
        #expect(String(buffer: page.fields).contains("Content-Type: application/json\r\n"))
    }

    @Test("every failure's HTML names status, side, reason and ray, and marks one side", arguments: Failure.allCases)
    func html(_ failure: Failure) throws {
        let page = try page(failure)
        let text = String(buffer: page.body)
        #expect(text.hasPrefix("<!doctype html>"))
        for part in ["\(failure.status)", "\(failure.label)", "Side: \(failure.side.label)", "0000000000000abc"] {
            #expect(text.contains(part), "\(part)")
        }
        #expect(text.components(separatedBy: "class=\"at\"").count == 2)
        #expect(String(buffer: page.fields).contains("Content-Type: text/html; charset=utf-8\r\n"))
    }

    @Test("the fields of every page are whole lines, and nobody may keep it", arguments: Failure.allCases)
    func fields(_ failure: Failure) throws {
        let text = String(buffer: try page(failure).fields)
        #expect(text.hasSuffix("\r\n") && !text.contains("\r\n\r\n"))
        for line in text.dropLast().split(separator: "\r\n") { #expect(line.contains(": "), "\(line)") }
        #expect(text.contains("Cache-Control: no-store\r\n"))
        #expect(text.contains("Martlet-Ray: 0000000000000abc\r\n"))
        #expect(text.contains("Date: "))
        #expect(text.contains("Retry-After: ") == (failure.status == 503))
        // RFC 9110, section 15.5.6.
        #expect(text.contains("Allow: ") == (failure.status == 405))
    }

    @Test(
        "JSON is for who prefers it",
        arguments: [
            ("application/json", true), ("APPLICATION/JSON", true), ("application/json, text/html;q=0.9", true),
            ("text/html", false), ("*/*", false), ("", false), ("text/html, application/json;q=0.9", false),
            ("application/json;q=0.5, text/html;q=0.4", true), ("application/json;q=0", false),
            ("application/json, */*", true), ("application/json;q=0.5, */*;q=0.8", false),
            ("application/*", true), ("application/*, text/*", false), ("text/html, application/json", false),
            ("application/json; charset=utf-8", true), ("text/html;q=0, */*", true), ("image/png", false),
            ("application/json;q=nan", false), ("application/json;q=-1", false), ("application/json;q=1e999", false),
            ("application/json;q=0.001", true), ("application/json ; q=0.3 , text/html ; q=0.2", true),
            (";;;,,,;q=", false),
        ])
    func accept(value: String, isJSON: Bool) throws {
        let fields = value.isEmpty ? "" : "Accept: \(value)\r\n"
        let page = try page(.unknownHost, fields: fields)
        #expect(String(buffer: page.fields).contains("application/json") == isJSON)
    }
}

@Suite("Redirects")
struct RedirectTests {
    private func answer(_ head: String, secure: Bool = false, port: Int = 443) throws -> NotingClient {
        let stage = try Stage(
            Scene { scene in
                scene.zone.redirectToHTTPS = true
                scene.configuration.listen.https = [.init(address: SocketAddressText(host: "::", port: port))]
            })
        defer { stage.finish() }
        stage.journey.isSecure = secure
        try stage.begin(head)
        return stage.client
    }

    @Test(
        "301 for methods that stay what they are, 308 so that the others do",
        arguments: [("GET", 301), ("HEAD", 301), ("POST", 308), ("PUT", 308), ("DELETE", 308), ("PATCH", 308)])
    func status(method: String, expected: Int) throws {
        let client = try answer("\(method) /a?b HTTP/1.1\r\nHost: h.test\r\n\r\n")
        #expect(client.events == [.page(expected)])
        #expect(client.field("Location") == "https://h.test/a?b")
        #expect(client.pageBody.isEmpty)
    }

    @Test(
        "the same URI under https",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: h.test\r\n", 443, "https://h.test/"),
            ("GET / HTTP/1.1\r\nHost: h.test:8080\r\n", 443, "https://h.test/"),
            ("GET / HTTP/1.1\r\nHost: h.test:8080\r\n", 8443, "https://h.test:8443/"),
            ("GET /a%20b?c=%0d%0a HTTP/1.1\r\nHost: h.test\r\n", 443, "https://h.test/a%20b?c=%0d%0a"),
            ("GET //evil.test/ HTTP/1.1\r\nHost: h.test\r\n", 443, "https://h.test//evil.test/"),
            ("GET http://h.test/a?b HTTP/1.1\r\nHost: h.test\r\n", 443, "https://h.test/a?b"),
            ("GET http://h.test HTTP/1.1\r\nHost: h.test\r\n", 443, "https://h.test/"),
            ("GET http://h.test?b HTTP/1.1\r\nHost: h.test\r\n", 443, "https://h.test/?b"),
            ("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n", 8443, "https://[2001:db8::1]:8443/"),
        ])
    func location(head: String, port: Int, expected: String) throws {
        #expect(try answer(head + "\r\n", port: port).field("Location") == expected)
    }

    @Test("an asterisk never becomes part of a host name", arguments: [443, 8443])
    func asterisk(port: Int) throws {
        let location = try answer("OPTIONS * HTTP/1.1\r\nHost: h.test\r\n\r\n", port: port).field("Location")
        #expect(location.map { !$0.contains("*") } ?? true)
    }

    @Test("there is no redirect to nowhere")
    func noHost() throws {
        let location = try answer("GET /a HTTP/1.0\r\n\r\n").field("Location")
        #expect(location.map { !$0.hasPrefix("https:///") } ?? true)
    }

    @Test("who is secure already is served")
    func secure() throws {
        #expect(try answer("GET / HTTP/1.1\r\nHost: h.test\r\n\r\n", secure: true).events.isEmpty)
    }
}

@Suite("Where forwarding ends")
struct ForwardingEndTests {
    private func answer(_ head: String) throws -> NotingClient {
        let stage = try Stage()
        defer { stage.finish() }
        try stage.begin(head)
        return stage.client
    }

    @Test(
        "Max-Forwards: 0 is answered here, without an echo",
        arguments: [("TRACE", "0", 405), ("OPTIONS", "0", 204), ("OPTIONS", "000", 204), ("TRACE", "00", 405)])
    func zero(method: String, value: String, status: Int) throws {
        let client = try answer(
            "\(method) / HTTP/1.1\r\nHost: h.test\r\nCookie: secret\r\nMax-Forwards: \(value)\r\n\r\n")
        #expect(client.events == [.page(status)])
        #expect(client.field("Allow") != nil)
        #expect(client.pageBody.isEmpty)
    }

    @Test("other methods and other numbers go on")
    func goesOn() throws {
        #expect(try answer("GET / HTTP/1.1\r\nHost: h.test\r\nMax-Forwards: 0\r\n\r\n").events.isEmpty)
        #expect(try answer("OPTIONS / HTTP/1.1\r\nHost: h.test\r\nMax-Forwards: 1\r\n\r\n").events.isEmpty)
    }

    @Test("CONNECT is refused")
    func connect() throws {
        let client = try answer("CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n")
        #expect(client.events == [.page(405)])
    }
}

@Suite("Failures")
struct FailureTests {
    @Test("every failure has a label and an explanation of its own")
    func distinct() {
        #expect(Set(Failure.allCases.map { "\($0.label)" }).count == Failure.allCases.count)
        #expect(Set(Failure.allCases.map { "\($0.explanation)" }).count == Failure.allCases.count)
    }

    @Test(
        "labels are one word in lower case, explanations one sentence that needs no escape", arguments: Failure.allCases
    )
    func wording(_ failure: Failure) {
        #expect("\(failure.label)".allSatisfy { $0 == "_" || ("a"..."z").contains($0) })
        let text = "\(failure.explanation)"
        #expect(text.hasSuffix("."))
        #expect(!text.contains { "\"\\<>&\n".contains($0) })
    }

    @Test("the status tells the side: 4xx the client's, 5xx the others'", arguments: Failure.allCases)
    func side(_ failure: Failure) {
        switch failure.side {
        case .client:
            // RFC 9110, sections 15.6.2 and 15.6.6: what the client asks for and we lack is said with a 5xx.
            let isOurLack =
                failure == .notImplemented || failure == .versionNotSupported || failure == .onlyIfCached
            #expect((isOurLack ? 500...599 : 400...499).contains(failure.status))
        case .edge: #expect([500, 502, 503].contains(failure.status))
        case .origin: #expect([502, 503, 504].contains(failure.status))
        }
    }

    @Test("no client's failure happened before sending to an origin", arguments: Failure.allCases)
    func beforeSending(_ failure: Failure) {
        if failure.happenedBeforeSending { #expect(failure.side != .client) }
    }

    @Test("every status has a reason phrase", arguments: Failure.allCases)
    func reason(_ failure: Failure) {
        if failure.status != 499 { #expect("\(StatusText.reason(failure.status))".count > 2) }
    }

    @Test("methods are the same in the codec and in the metrics")
    func methods() {
        #expect(HTTPWire.Method.allCases.count == MethodLabel.allCases.count)
        for (method, label) in zip(HTTPWire.Method.allCases, MethodLabel.allCases) {
            #expect(Int(method.rawValue) == label.rawValue)
            if method != .other { #expect("\(method.name)" == "\(label.label)") }
        }
    }
}
