import Foundation
import Testing

/// What an attacker sends so that others get it, or so that a private page becomes public.
@Suite("Cache: poisoning and deception", .onStageThreads)
struct PoisoningJourneys {
    /// Answers with the whole head it was sent, fresh for long.
    private func echo(in zone: CacheZone = .plain, suffix: String = "") throws -> Resource {
        try Resource(in: zone, suffix: suffix) { request, number in
            ok("v\(number) \(request.head)\(request.text)", "Cache-Control: max-age=600")
        }
    }

    @Test(
        "Fields that an origin may believe about itself do not carry a stranger's word into what others get",
        arguments: [
            "X-Forwarded-Host: evil.test", "X-Forwarded-Proto: evil.test", "X-Forwarded-For: evil.test",
            "X-Forwarded-Port: 6666\r\nX-E: evil.test", "Forwarded: host=evil.test;proto=https;for=evil.test",
        ])
    func forwardingFields(field: String) throws {
        let page = try echo()
        _ = try page.get(field.components(separatedBy: "\r\n").first ?? "")
        let other = try page.get()
        #expect(!other.text.contains("evil.test"), "\(other.text)")
    }

    @Test(
        "Fields that rewrite the request itself: what they bring is not stored for the plain one",
        arguments: [
            "X-HTTP-Method-Override: POST", "X-HTTP-Method: DELETE", "X-Method-Override: PUT", "X-Original-URL: /evil",
            "X-Rewrite-URL: /evil",
        ])
    func rewriting(field: String) throws {
        let name = String(field.prefix { $0 != ":" })
        let page = try Resource { request, number in
            ok(request.has(name) ? "evil" : "good \(number)", "Cache-Control: max-age=600")
        }
        _ = try page.get(field)
        #expect(try page.get().text.hasPrefix("good"), "\(field)")
    }

    @Test("A GET with a body neither fills nor reads the cache, and its body is not the next request")
    func fatGET() throws {
        let page = try echo()
        let fat = try page.ask("GET", body: "param=evil")
        #expect(!fat.cache.isHit)
        let clean = try page.get()
        #expect(!clean.text.contains("evil") && !clean.cache.isHit, "\(clean.text)")
        // And on a stored page, with another request inside the body.
        let smuggled = page.request(query: "?smuggled")
        let client = try page.stage.edge.client()
        try client.send(page.request(body: smuggled) + page.request(query: "?next"))
        #expect(try client.readAnswer().status == 200)
        #expect(try client.readAnswer().text.contains("?next "))
        #expect(page.requests.allSatisfy { !$0.target.contains("smuggled") })
        try page.get().expectHit(clean.text)
        let chunked = try page.stage.edge.client()
        try chunked.send(page.request(["Transfer-Encoding: chunked"]) + "4\r\nevil\r\n0\r\n\r\n" + page.request())
        #expect(try chunked.readAnswer().status == 200)
        try chunked.readAnswer().expectHit(clean.text)
    }

    // MARK: Host, port, scheme

    @Test("The host's case makes no second object, and no odd case reaches the origin")
    func hostCase() throws {
        let page = try echo()
        let port = page.stage.edge.httpPort
        _ = try page.get("Host: eXaMpLe.TeSt:\(port)")
        #expect(page.requests.first?["Host"] == "example.test:\(port)", "\(page.requests.first?.head ?? "")")
        let plain = try page.get()
        plain.expectHit()
        #expect(!plain.text.contains("eXaMpLe"), "\(plain.text)")
    }

    @Test("Ports and names are part of the key: a redirect made for one is not another's")
    func hostAndPort() throws {
        let page = try Resource { request, _ in
            response(
                "301 Moved", fields: ["Cache-Control: max-age=600", "Location: http://\(request["Host"] ?? "")/there"])
        }
        for host in ["example.test:1337", "www.example.test", "example.test", "evil.example.test:99"] {
            for _ in 1...2 { #expect(try page.get("Host: \(host)")["Location"] == "http://\(host)/there") }
        }
        #expect(page.requestCount == 4)
    }

    @Test("The absolute form is the same object as its path and host; one that disagrees with Host is refused")
    func absoluteForm() throws {
        let page = try echo()
        let first = try page.get()
        let port = page.stage.edge.httpPort
        func ask(_ target: String, _ host: String) throws -> Message {
            try page.stage.edge.exchange("GET \(target) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
        }
        let same = try ask("http://example.test:\(port)\(page.path)", "example.test:\(port)")
        same.expectHit(first.text)
        let other = try ask("http://other.test:\(port)\(page.path)", "example.test:\(port)")
        #expect((400..<500).contains(other.status), "\(other.head)")
        let user = try ask("http://evil@example.test:\(port)\(page.path)", "example.test:\(port)")
        #expect((400..<500).contains(user.status) || user.text == first.text, "\(user.head)")
    }

    @Test("Another scheme in the absolute form does not fill the other scheme's object")
    func schemeConfusion() throws {
        let page = try echo()
        let (edge, host) = (page.stage.edge, "example.test:\(page.stage.edge.httpPort)")
        let odd = try edge.exchange(
            "GET https://\(host)\(page.path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
        let process = try page.stage.stage.start([
            "curl", "-sS", "-k", "--resolve", "example.test:\(edge.httpsPort):127.0.0.1", "-H", "Host: \(host)",
            "https://example.test:\(edge.httpsPort)\(page.path)",
        ])
        #expect(process.waitForExit() == 0, "\(process.errors)")
        #expect(process.output.contains("X-Forwarded-Proto: https"), "\(process.output)")
        let plain = try page.get()
        #expect(plain.text.contains("X-Forwarded-Proto: http\r\n"), "\(odd)\n\(plain)")
    }

    // MARK: Paths and queries

    @Test("Paths that only look alike are different pages")
    func paths() throws {
        let page = try Resource { request, _ in ok(request.target, "Cache-Control: max-age=600") }
        for suffix in [
            "", "/", "//", "/.", "/..", "/a/..", "/%2e%2e", "/%2E%2E", ";", ";a=b", "%2F", "%2f", "/A", "/a", "%00",
            "%0a", "%23",
            "%3f", "/a%20b", "/a+b", "/.css", "/..%2fx.css", "\\", "/%c0%af",
        ] {
            for _ in 1...2 {
                let answer = try page.stage.edge.get(page.path + suffix)
                #expect(answer.status == 400 || answer.text == page.path + suffix, "\(suffix): \(answer)")
            }
        }
    }

    @Test(
        "A name that ends like a picture makes a private page no public one (web cache deception)",
        arguments: ["/style.css", "/x.jpg", "/.js", ";x.png", "%2Fx.css", "/x.css?y.js"])
    func deception(suffix: String) throws {
        for fields in [
            ["Content-Type: text/html"], ["Cache-Control: private, max-age=60"], ["Cache-Control: no-store"],
            ["Cache-Control: max-age=60", "Set-Cookie: id=1"], ["Last-Modified: \(HTTPDate.at(-100_000))"],
        ] {
            let page = try Resource(suffix: suffix) { _, number in
                response("200 OK", fields: fields, body: "account of client \(number)")
            }
            _ = try page.get("Cookie: session=1")
            #expect(try page.get().text == "account of client 2", "\(suffix) \(fields)")
        }
    }

    @Test("Queries that parsers disagree about stay apart")
    func queries() throws {
        for zone in [CacheZone.plain, .exceptQuery] {
            let page = try Resource(in: zone) { request, _ in ok(request.target, "Cache-Control: max-age=600") }
            for query in [
                "?id=1", "?id=1;utm_source=x", "?id=1&id=2", "?id=2&id=1", "?id=1%26utm_source=x", "?id=1?utm_source=x",
                "?id[]=1", "?id%5b%5d=1", "?%69d=1", "?id=1&UTM_SOURCE=x", "?id=1&=x",
            ] {
                #expect(try page.get(query: query).text == page.path + query, "\(zone.rawValue) \(query)")
            }
        }
    }

    @Test("Key parts cannot be talked into one another")
    func keyParts() throws {
        let page = try Resource(in: .parts) { request, number in ok("v\(number)", "Cache-Control: max-age=600") }
        var bodies: Set<String> = []
        for fields in [
            "X-Tier: a", "Cookie: shop=a", "X-Tier: a\r\nCookie: shop=", "X-Tier: a,b", "X-Tier: \"a\"",
            "X-Tier: a%0Ab", "Cookie: shop=a%0Ab",
        ] {
            bodies.insert(try page.get(fields).text)
        }
        #expect(bodies.count == 7, "\(bodies)")
    }

    // MARK: Errors on request

    @Test(
        "An error that the request's own shape caused is nobody else's, whatever lifetime it has",
        arguments: [
            "408 Timeout", "411 Length", "412 Failed", "413 Large", "415 Type", "416 Range", "417 Expectation",
            "421 Misdirected",
            "425 Early", "426 Upgrade", "428 Required", "429 Many", "431 Fields",
        ])
    func causedErrors(status: String) throws {
        let page = try Resource { _, number in
            number == 1
                ? response(status, fields: ["Cache-Control: public, max-age=600"])
                : ok("fine", "Cache-Control: max-age=600")
        }
        _ = try page.get("X-Big: \(String(repeating: "x", count: 100))")
        #expect(try page.get().text == "fine")
    }

    @Test(
        "Nor is any error to a request with an outsized head (header oversize)",
        arguments: ["400 Bad", "404 Not Found", "500 Error"])
    func oversized(status: String) throws {
        let page = try Resource { request, number in
            request.head.utf8.count > 8192
                ? response(status, fields: ["Cache-Control: max-age=600"]) : ok("fine", "Cache-Control: max-age=600")
        }
        let big = (0..<10).map { "X-Big-\($0): \(String(repeating: "x", count: 1000))" }.joined(separator: "\r\n")
        #expect(try page.get(big).startLine.contains(status.prefix(3)))
        #expect(try page.get().text == "fine")
    }

    @Test(
        "Odd bytes in fields are refused before they can make an origin stumble (header meta characters)",
        arguments: ["X-Odd: a\u{1}b", "X-Odd: a\u{7}", "X-Odd\u{b}: a", "X-Odd: a\u{0}b"])
    func metaCharacters(field: String) throws {
        let page = try Resource("Cache-Control: max-age=600")
        #expect(try page.get(field).status == 400)
        #expect(page.requestCount == 0)
    }

    @Test("An error that the edge made is not stored: the origin comes back, its page too")
    func ownErrors() throws {
        let page = try Resource(
            playing: { connection, _, number in
                if number <= 12 { throw WireFailure.closed }
                try connection.send(ok("fine", "Cache-Control: max-age=600"))
            }, in: .everything)
        #expect(try page.get().status >= 500)
        #expect(try eventually { try page.get().text == "fine" })
    }

    // MARK: Ranges, validators, varying

    @Test(
        "A Range leaves no part behind that others get as the whole",
        arguments: ["bytes=0-0", "bytes=-1", "bytes=0-0,2-3"])
    func ranges(range: String) throws {
        let page = try Resource { request, _ in
            request.has("Range")
                ? response(
                    "206 Partial Content", fields: ["Cache-Control: max-age=600", "Content-Range: bytes 0-0/5"],
                    body: "w")
                : ok("whole", "Cache-Control: max-age=600")
        }
        _ = try page.get("Range: \(range)")
        for _ in 1...2 {
            let answer = try page.get()
            #expect(answer.status == 200 && answer.text == "whole", "\(answer)")
        }
    }

    @Test("A response that varies by what the edge itself writes is shared with nobody")
    func varyByOwnFields() throws {
        for name in ["X-Forwarded-For", "Forwarded", "Martlet-Ray"] {
            let page = try Resource("Cache-Control: max-age=600", "Vary: \(name)")
            _ = try page.get()
            #expect(try !page.get().cache.isHit, "\(name)")
        }
    }

    @Test("A page that varies by Cookie is told apart by it")
    func varyByCookie() throws {
        let page = try Resource { request, _ in
            ok("for \(request["Cookie"] ?? "nobody")", "Cache-Control: max-age=600", "Vary: Cookie")
        }
        for _ in 1...2 {
            for cookie in ["a=1", "a=2", "a=1; b=2"] {
                #expect(try page.get("Cookie: \(cookie)").text == "for \(cookie)")
            }
            #expect(try page.get().text == "for nobody")
        }
    }

    @Test(
        "What Authorization or private brought never shows up elsewhere, on any way",
        arguments: [
            "private", "private, stale-while-revalidate=600, stale-if-error=600", "no-store", "private, s-maxage=600",
        ])
    func privacy(directives: String) throws {
        let page = try Resource(in: .staleByDefault) { request, number in
            number > 3
                ? response("500 Error", body: "error")
                : ok("secret of \(request["Cookie"] ?? "nobody")", "Cache-Control: \(directives)", "ETag: \"s\"")
        }
        for name in ["a", "b", "c"] {
            let answer = try page.get("Cookie: \(name)")
            #expect(answer.text == "secret of \(name)")
        }
        for fields in [
            "X-A: 1", "Cache-Control: max-stale", "Cache-Control: only-if-cached", "Range: bytes=0-3",
            "If-None-Match: \"s\"",
        ] {
            let answer = try page.get(fields)
            #expect(!answer.text.contains("secret") && answer.status >= 500, "\(fields)\n\(answer)")
        }
    }

    @Test("A field's name is all of it: look-alikes of what forbids and of what allows change nothing")
    func lookAlikes() throws {
        let page = try Resource("X-Cache-Control: no-store", "Cache-Control-X: private", "Cache-Control: max-age=600")
        _ = try page.get()
        try page.get().expectHit("v1")
        let other = try Resource(
            "X-Cache-Control: max-age=600", "Surrogate-Control: max-age=600", "X-Accel-Expires: 600")
        _ = try other.get()
        #expect(try other.get().text == "v2")
    }

    @Test("Zones do not see one another's objects, even at one origin")
    func zones() throws {
        let page = try Resource { request, _ in ok(request["Host"] ?? "", "Cache-Control: max-age=600") }
        for host in ["example.test", "everything.test", "heuristic.test"] {
            for _ in 1...2 { #expect(try page.get("Host: \(host)").text == host) }
        }
        #expect(page.requestCount == 3)
    }
}
