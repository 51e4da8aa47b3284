import Foundation
import Testing

/// HEAD from a stored GET and what it says about it; answers to POST that may be stored (RFC 9110, section 9.3;
/// RFC 9111, sections 3 and 4.3.5).
@Suite("Cache: HEAD and POST", .onStageThreads)
struct MethodJourneys {
    @Test("HEAD is answered from what GET stored: the same fields, no body, and the connection goes on")
    func headFromGet() throws {
        let page = try Resource("Cache-Control: max-age=600", "ETag: \"one\"", "Content-Type: text/x-odd", "X-Kept: 1")
        let whole = try page.get()
        #expect(whole.text == "v1")
        let client = try page.stage.edge.client()
        try client.send(page.request(method: "HEAD") + page.request())
        let head = try client.readAnswer(to: "HEAD")
        head.expectHit()
        #expect(head.status == 200 && head["Content-Length"] == "2", "\(head.head)")
        for name in ["ETag", "Content-Type", "X-Kept", "Cache-Control", "Date"] {
            #expect(head[name] != nil && head[name] == whole[name], "\(head.head)")
        }
        try client.readAnswer().expectHit("v1")
        #expect(page.requestCount == 1)
    }

    @Test("A HEAD alone stores no page: the GET behind it gets a body")
    func headFirst() throws {
        let page = try Resource { _, _ in ok("whole", "Cache-Control: max-age=600", "ETag: \"one\"") }
        let head = try page.ask("HEAD")
        #expect(head.status == 200 && head["Content-Length"] == "5", "\(head.head)")
        #expect(try page.get().text == "whole")
        try page.get().expectHit("whole")
    }

    @Test("A HEAD that reaches the origin and agrees with what is stored renews it (§4.3.5)")
    func headFreshens() throws {
        let page = try Resource { request, number in
            ok("body", "Cache-Control: max-age=600", "ETag: \"one\"", "X-Number: \(number)")
        }
        _ = try page.get()
        #expect(try page.ask("HEAD", "Cache-Control: no-cache")["X-Number"] == "2")
        let later = try page.get()
        later.expectHit("body")
        #expect(later["X-Number"] == "2", "\(later.head)")
    }

    @Test("A HEAD that disagrees makes what is stored unusable (§4.3.5)", arguments: ["ETag", "Content-Length"])
    func headInvalidates(what: String) throws {
        let page = try Resource { request, number in
            let tag = what == "ETag" && number > 1 ? "two" : "one"
            return ok(
                what == "Content-Length" && number > 1 ? "longer body" : "body",
                "Cache-Control: max-age=600", "ETag: \"\(tag)\"", "X-Number: \(number)")
        }
        _ = try page.get()
        _ = try page.ask("HEAD", "Cache-Control: no-cache")
        let later = try page.get()
        #expect(!later.cache.isHit && page.requestCount == 3, "\(later.head)")
    }

    @Test("An answer to POST with a lifetime and its own URL as Content-Location answers GET (RFC 9110 §9.3.3)")
    func postStored() throws {
        let page = try Resource { request, number in
            let location = "Content-Location: \(request.target)"
            return ok("\(request.method) \(number)", "Cache-Control: max-age=600", location)
        }
        let posted = try page.ask("POST", body: "a=b")
        posted.expectForwarded("method", body: "POST 1", stored: true)
        try page.get().expectHit("POST 1")
        // But every POST goes to the origin.
        #expect(try page.ask("POST", body: "a=b").text == "POST 2")
        try page.get().expectHit("POST 2")
    }

    @Test("Content-Location may be the absolute form of the same URL")
    func postStoredAbsolute() throws {
        let page = try Resource { request, _ in
            let location = "http://\(request["Host"] ?? "")\(request.target)"
            return ok("posted", "Cache-Control: max-age=600", "Content-Location: \(location)")
        }
        _ = try page.ask("POST", body: "")
        try page.get().expectHit("posted")
    }

    @Test(
        "Any other answer to POST is stored nowhere",
        arguments: [
            ["Cache-Control: max-age=600"], ["Cache-Control: max-age=600", "Content-Location: /elsewhere"],
            ["Content-Location: SELF"], ["Cache-Control: no-store", "Content-Location: SELF"],
            ["Cache-Control: private, max-age=600", "Content-Location: SELF"],
            ["Cache-Control: max-age=600", "Content-Location: http://other.test/SELF"],
            ["Cache-Control: max-age=600", "Content-Location: SELF", "Set-Cookie: id=1"],
        ])
    func postNotStored(fields: [String]) throws {
        let page = try Resource { request, number in
            let own = fields.map { $0.replacing("SELF", with: request.target) }
            return response("200 OK", fields: request.method == "POST" ? own : [], body: "\(request.method) \(number)")
        }
        _ = try page.ask("POST", body: "a=b")
        let got = try page.get()
        #expect(got.text == "GET 2" && !got.cache.isHit, "\(got)")
    }

    @Test(
        "An answer to PUT, DELETE or an unknown method is never stored", arguments: ["PUT", "DELETE", "PATCH", "FROB"])
    func otherMethods(method: String) throws {
        let page = try Resource { request, _ in
            let location = "Content-Location: \(request.target)"
            return ok(request.method, "Cache-Control: max-age=600, public", location)
        }
        _ = try page.ask(method, body: "a=b")
        #expect(try page.get().text == "GET")
    }
}

/// What a write makes of what is stored (RFC 9111, section 4.4).
@Suite("Cache: invalidation", .onStageThreads)
struct InvalidationJourneys {
    /// Fresh for GET; writes are answered with this status and these fields.
    private func page(
        _ status: String = "204 No Content", in zone: CacheZone = .plain,
        _ fields: @escaping @Sendable () -> [String] = { [] }
    ) throws -> Resource {
        try Resource(in: zone) { request, number in
            if request.method == "GET" { return ok("v\(number)", "Cache-Control: max-age=600", "Vary: X-Lang") }
            if status.hasPrefix("204") {
                return (["HTTP/1.1 \(status)"] + fields()).joined(separator: "\r\n") + "\r\n\r\n"
            }
            return response(status, fields: fields())
        }
    }

    @Test("A write that succeeded invalidates its URL", arguments: ["PUT", "POST", "DELETE", "PATCH", "FROB"])
    func write(method: String) throws {
        let page = try page()
        _ = try page.get()
        try page.get().expectHit("v1")
        #expect(try page.ask(method, body: "x").status == 204)
        let after = try page.get()
        #expect(after.text == "v3" && !after.cache.isHit, "\(after.head)")
        try page.get().expectHit("v3")
    }

    @Test("Of all variants", arguments: ["PUT"])
    func allVariants(method: String) throws {
        let page = try page()
        #expect(try page.get("X-Lang: de").text == "v1")
        #expect(try page.get("X-Lang: en").text == "v2")
        _ = try page.ask(method, "X-Lang: fr", body: "x")
        #expect(try page.get("X-Lang: de").text == "v4")
        #expect(try page.get("X-Lang: en").text == "v5")
    }

    @Test("Success is 2xx and 3xx", arguments: ["200 OK", "201 Created", "303 See Other", "302 Found"])
    func success(status: String) throws {
        let page = try page(status)
        _ = try page.get()
        _ = try page.ask("POST", body: "x")
        #expect(try page.get().text == "v3")
    }

    @Test(
        "A write that failed invalidates nothing",
        arguments: ["400 Bad", "403 Forbidden", "404 Not Found", "500 Error"])
    func failure(status: String) throws {
        let page = try page(status)
        _ = try page.get()
        _ = try page.ask("POST", body: "x")
        try page.get().expectHit("v1")
    }

    @Test("Safe methods invalidate nothing", arguments: ["OPTIONS", "HEAD"])
    func safe(method: String) throws {
        let page = try page("200 OK")
        _ = try page.get()
        _ = try page.ask(method)
        try page.get().expectHit("v1")
    }

    @Test(
        "Location and Content-Location on the same origin are invalidated too",
        arguments: ["Location", "Content-Location"])
    func locations(name: String) throws {
        for isAbsolute in [false, true] {
            let other = try page()
            let target = isAbsolute ? other.url : other.path
            let page = try page("201 Created") { ["\(name): \(target)"] }
            _ = try other.get()
            try other.get().expectHit("v1")
            _ = try page.ask("POST", body: "x")
            #expect(try other.get().text == "v2", "\(name): \(target)")
        }
    }

    @Test("A relative reference counts from the URL written to")
    func relative() throws {
        let other = try Resource("Cache-Control: max-age=600", suffix: "/deep/page?a=b")
        let leaf = try Resource(suffix: "/x") { _, _ in
            response("201 Created", fields: ["Location: ../\(other.mark)/deep/page?a=b"])
        }
        _ = try other.get()
        _ = try leaf.ask("POST", body: "x")
        #expect(try other.get().text == "v2")
    }

    @Test(
        "On another origin they are not: nobody empties a neighbour's cache",
        arguments: ["Location", "Content-Location"])
    func otherOrigins(name: String) throws {
        let neighbour = try page(in: .everything)
        let page = try page("201 Created") { ["\(name): \(neighbour.url)"] }
        _ = try neighbour.get()
        _ = try page.ask("POST", body: "x")
        try neighbour.get().expectHit("v1")
    }

    @Test("Neither on another port nor another scheme of the same host")
    func otherPorts() throws {
        let other = try page()
        let port = other.stage.edge.httpPort
        for target in ["https://\(other.host):\(port)\(other.path)", "http://\(other.host):1\(other.path)"] {
            let page = try page("201 Created") { ["Location: \(target)"] }
            _ = try other.get()
            _ = try page.ask("POST", body: "x")
            try other.get().expectHit("v1")
        }
    }

    @Test("A fetch under way when the write happens is not stored as if it had come after it")
    func underWay() throws {
        let (arrived, release) = (Gate(), Gate())
        let page = try Resource { request, number in
            guard request.method == "GET" else { return response("200 OK") }
            if number == 1 {
                arrived.open()
                release.pass()
            }
            return ok("v\(number)", "Cache-Control: max-age=600")
        }
        let early = try page.stage.edge.client()
        try early.send(page.request())
        #expect(arrived.pass())
        #expect(try page.ask("PUT", body: "x").status == 200)
        release.open()
        #expect(try early.readAnswer().text == "v1")
        let after = try page.get()
        #expect(after.text == "v3", "what was read before the write: \(after)")
    }
}
