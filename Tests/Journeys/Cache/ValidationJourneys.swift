import Foundation
import Testing

/// Asking the origin whether what is stored still holds (RFC 9111, section 4.3).
@Suite("Cache: validation", .onStageThreads)
struct ValidationJourneys {
    @Test("With an entity tag: the origin is asked with If-None-Match, and a 304 lets the stored body be used (§4.3.1)")
    func entityTag() throws {
        let page = try Resource(validating: "\"one\"", "Cache-Control: no-cache")
        #expect(try page.get().text == "v1")
        for number in 2...3 {
            let answer = try page.get()
            #expect(answer.status == 200 && answer.text == "v1", "\(answer.head)")
            #expect(answer["ETag"] == "\"one\"" && answer["X-Answer"] == "\(number)", "\(answer.head)")
            #expect(page.requests.last?.all("If-None-Match") == ["\"one\""])
        }
    }

    @Test("A weak tag validates as well")
    func weakTag() throws {
        let page = try Resource(validating: "W/\"one\"", "Cache-Control: no-cache")
        #expect(try page.get().text == "v1")
        #expect(try page.get().text == "v1")
        #expect(page.requests.last?["If-None-Match"] == "W/\"one\"")
    }

    @Test("With Last-Modified: If-Modified-Since is the stored value, letter by letter (§4.3.1)")
    func lastModified() throws {
        let date = HTTPDate.at(-1000)
        let page = try Resource { request, number in
            request["If-Modified-Since"] == date
                ? "HTTP/1.1 304 Not Modified\r\nCache-Control: no-cache\r\n\r\n"
                : ok("v\(number)", "Cache-Control: no-cache", "Last-Modified: \(date)")
        }
        #expect(try page.get().text == "v1")
        let second = try page.get()
        #expect(second.status == 200 && second.text == "v1" && second["Last-Modified"] == date, "\(second.head)")
        #expect(page.requests.last?.all("If-Modified-Since") == [date])
        #expect(page.requests.last?.has("If-None-Match") == false)
    }

    @Test("With both, both are sent (RFC 9110 §13.1.3)")
    func both() throws {
        let date = HTTPDate.at(-1000)
        let page = try Resource(validating: "\"one\"", "Cache-Control: no-cache", "Last-Modified: \(date)")
        _ = try page.get()
        #expect(try page.get().text == "v1")
        #expect(page.requests.last?["If-None-Match"] == "\"one\"")
        #expect(page.requests.last?["If-Modified-Since"] == date)
    }

    @Test("Without a validator there is nothing to ask: the answer takes the old one's place")
    func withoutValidator() throws {
        let page = try Resource("Cache-Control: max-age=1")
        #expect(try page.get().text == "v1")
        #expect(try eventually { try page.get().text == "v2" })
        #expect(page.requests.allSatisfy { !$0.has("If-None-Match") && !$0.has("If-Modified-Since") })
    }

    @Test("A 304 makes the response fresh again and renews its fields (§3.2, §4.3.4)")
    func updates() throws {
        let page = try Resource { request, number in
            if number == 1 {
                return ok(
                    "body", "Cache-Control: no-cache", "ETag: \"a\"", "X-Old: kept", "X-Changed: 1", "X-Twice: a",
                    "X-Twice: b", "Content-Type: text/x-odd")
            }
            return "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=600\r\nETag: \"a\"\r\nX-Changed: 2\r\n"
                + "X-New: 3\r\nX-Twice: c\r\nContent-Length: 9999\r\n\r\n"
        }
        _ = try page.get()
        for number in 1...2 {
            let answer = try page.get()
            #expect(answer.status == 200 && answer.text == "body" && answer.ending == .complete, "\(answer.head)")
            #expect(answer["X-Old"] == "kept" && answer["X-Changed"] == "2" && answer["X-New"] == "3", "\(answer.head)")
            #expect(answer.all("X-Twice") == ["c"], "\(answer.head)")
            #expect(answer["Content-Length"] == "4" && answer["Content-Type"] == "text/x-odd", "\(answer.head)")
            #expect(answer["Cache-Control"] == "max-age=600")
            if number == 2 { answer.expectHit("body") }
        }
        #expect(page.requestCount == 2)
    }

    @Test("A 304 sets nobody else's cookie, and Age counts from it")
    func updateWithCookie() throws {
        let page = try Resource { _, number in
            number == 1
                ? ok("body", "Cache-Control: max-age=600", "Age: 700", "ETag: \"a\"")
                : "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=600\r\nETag: \"a\"\r\nSet-Cookie: id=1\r\n\r\n"
        }
        for _ in 1...2 { #expect(try page.get().text == "body") }
        for _ in 1...2 {
            let later = try page.get()
            #expect(!later.has("Set-Cookie") || !later.cache.isHit, "\(later.head)")
            if later.cache.isHit { #expect((later.age ?? 700) < 100, "\(later.head)") }
            #expect(later.text == "body")
        }
    }

    @Test("A 200 in answer to the question takes the stored one's place")
    func changed() throws {
        let page = try Resource { _, number in
            ok("v\(number)", "Cache-Control: \(number == 1 ? "no-cache" : "max-age=600")", "ETag: \"\(number)\"")
        }
        #expect(try page.get().text == "v1")
        let second = try page.get()
        #expect(second.text == "v2" && second["ETag"] == "\"2\"")
        #expect(page.requests.last?["If-None-Match"] == "\"1\"")
        try page.get().expectHit("v2")
    }

    @Test("A 304 with another tag is about something that is not stored: the origin is asked again, without (§4.3.3)")
    func mismatch() throws {
        let page = try Resource { request, number in
            request.has("If-None-Match")
                ? "HTTP/1.1 304 Not Modified\r\nETag: \"other\"\r\nCache-Control: max-age=600\r\n\r\n"
                : ok("v\(number)", "Cache-Control: no-cache", "ETag: \"\(number)\"")
        }
        #expect(try page.get().text == "v1")
        let second = try page.get()
        #expect(second.status == 200 && second.text == "v3", "\(second)")
    }

    @Test("An error in answer to the question is the client's answer, unless staleness is allowed (§4.3.3)")
    func errors() throws {
        let page = try Resource { _, number in
            number == 1
                ? ok("v1", "Cache-Control: no-cache", "ETag: \"1\"") : response("503 Busy", body: "busy")
        }
        _ = try page.get()
        let second = try page.get()
        #expect(second.status == 503 && second.text == "busy", "\(second.head)")
        #expect(try page.get().status == 503)
    }

    @Test("A page that is gone is gone from the cache too")
    func gone() throws {
        let page = try Resource { _, number in
            switch number {
            case 1: ok("v1", "Cache-Control: no-cache", "ETag: \"1\"")
            case 2: response("404 Not Found", body: "gone")
            default: response("503 Busy", body: "busy")
            }
        }
        #expect(try page.get().text == "v1")
        #expect(try page.get().status == 404)
        #expect(try page.get().text == "busy")
    }

    @Test("The client's own condition is judged by what validation brought (§4.3.2)")
    func clientCondition() throws {
        let page = try Resource(validating: "\"one\"", "Cache-Control: no-cache")
        _ = try page.get()
        let same = try page.get("If-None-Match: \"one\"")
        #expect(same.status == 304 && same.body.isEmpty && same["ETag"] == "\"one\"", "\(same.head)")
        let other = try page.get("If-None-Match: \"mine\"")
        #expect(other.status == 200 && other.text == "v1", "\(other.head)")
    }

    @Test("Many clients at the same moment: one question is enough")
    func storm() throws {
        let (asked, release) = (Gate(), Gate())
        let page = try Resource { request, number in
            if number == 1 { return ok("v1", "Cache-Control: max-age=600", "Age: 1000", "ETag: \"a\"") }
            asked.open()
            release.pass()
            return "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=600\r\nETag: \"a\"\r\n\r\n"
        }
        _ = try page.get()
        let clients = try (0..<40).map { _ in try page.stage.edge.client() }
        for client in clients { try client.send(page.request()) }
        #expect(asked.pass())
        pause(milliseconds: 200)
        release.open()
        for client in clients {
            let answer = try client.readAnswer()
            #expect(answer.status == 200 && answer.text == "v1", "\(answer)")
        }
        // All were sent before the first was answered; a few may have been read after it.
        #expect(page.requestCount == 2, "\(page.requestCount) requests")
    }

    @Test("Behind a real nginx: a file is validated, its change seen")
    func nginx() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.nginx(server: "location / { add_header Cache-Control no-cache; }")
        let file = origin.root.appending(path: "page.txt")
        try "first".write(to: file, atomically: true, encoding: .utf8)
        let edge = try stage.edge([origin.url])
        let first = try edge.get("/page.txt")
        #expect(first.status == 200 && first.text == "first" && first.has("ETag"), "\(first)")
        let second = try edge.get("/page.txt")
        #expect(second.text == "first" && second.cache.forwardedStatus == 304, "\(second)")
        try "second, longer".write(to: file, atomically: true, encoding: .utf8)
        let third = try edge.get("/page.txt")
        #expect(third.text == "second, longer" && third.cache.forwardedStatus == 200, "\(third)")
        #expect(try edge.get("/page.txt", "If-None-Match: \(third["ETag"] ?? "")").status == 304)
        #expect(try edge.get("/page.txt", "Range: bytes=0-5").text == "second")
    }
}

extension NginxOrigin {
    var url: String { "http://127.0.0.1:\(port)" }
}
