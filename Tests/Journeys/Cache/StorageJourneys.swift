import Foundation
import Testing

/// What may be stored by a cache that many share (RFC 9111, sections 3, 3.5 and 5.2.2; RFC 9213).
@Suite("Cache: what is stored", .onStageThreads)
struct StorageJourneys {
    /// An answer's fields (and perhaps the request's), and whether the next client may get it.
    struct Storage: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let isShared: Bool
        let fields: [String]
        var asked: [String] = []

        static func shared(_ name: String, _ fields: String..., asked: [String] = []) -> Self {
            Self(testDescription: name, isShared: true, fields: fields, asked: asked)
        }
        static func apart(_ name: String, _ fields: String..., asked: [String] = []) -> Self {
            Self(testDescription: name, isShared: false, fields: fields, asked: asked)
        }

        func check(_ status: String = "200 OK", at location: SourceLocation) throws {
            let fields = fields
            let page = try Resource { _, number in response(status, fields: fields, body: "v\(number)") }
            let lines = asked.joined(separator: "\r\n")
            let first = try lines.isEmpty ? page.get() : page.get(lines)
            #expect(first.text == "v1", "\(first.head)", sourceLocation: location)
            let second = try page.get()
            if isShared {
                second.expectHit("v1", sourceLocation: location)
            } else {
                #expect(second.text == "v2" && !second.cache.isHit, "\(second.head)", sourceLocation: location)
            }
        }
    }

    @Test(
        "Directives of the response (§5.2.2)",
        arguments: [
            Storage.apart("no-store", "Cache-Control: no-store, max-age=60"),
            .apart("no-store with public", "Cache-Control: public, no-store, max-age=60"),
            .apart("private", "Cache-Control: private, max-age=60"),
            .apart("private with s-maxage", "Cache-Control: private, s-maxage=60"),
            .apart("private and public", "Cache-Control: public, private, max-age=60"),
            .apart("no-cache", "Cache-Control: no-cache, max-age=60"),
            .apart("no-cache without a validator", "Cache-Control: no-cache"),
            .shared("must-revalidate while fresh", "Cache-Control: max-age=60, must-revalidate"),
            .shared("proxy-revalidate while fresh", "Cache-Control: max-age=60, proxy-revalidate"),
            .shared("no-transform", "Cache-Control: max-age=60, no-transform"),
            .shared("Pragma is a request's", "Cache-Control: max-age=60", "Pragma: no-cache"),
            .shared("must-understand, understood", "Cache-Control: must-understand, no-store, max-age=60"),
            .apart("no-store alone beside an unknown word", "Cache-Control: must-misunderstand, no-store, max-age=60"),
        ])
    func responseDirectives(_ storage: Storage) throws { try storage.check(at: #_sourceLocation) }

    @Test("must-understand with a status that nobody knows is not stored, whatever its lifetime (§5.2.2.3)")
    func mustUnderstand() throws {
        try Storage.apart("", "Cache-Control: must-understand, no-store, max-age=60")
            .check("299 Odd", at: #_sourceLocation)
        try Storage.apart("", "Cache-Control: must-understand, max-age=60").check("299 Odd", at: #_sourceLocation)
    }

    @Test(
        "An answer to a request with Authorization is shared only when it says so (§3.5)",
        arguments: [
            Storage.apart("max-age alone", "Cache-Control: max-age=60", asked: ["Authorization: Basic eDp5"]),
            .apart("Expires", "Expires: \(HTTPDate.at(6000))", asked: ["Authorization: Basic eDp5"]),
            .shared("public", "Cache-Control: public, max-age=60", asked: ["Authorization: Basic eDp5"]),
            .shared("s-maxage", "Cache-Control: s-maxage=60", asked: ["Authorization: Basic eDp5"]),
            .shared(
                "must-revalidate", "Cache-Control: max-age=60, must-revalidate", asked: ["Authorization: Basic eDp5"]),
            .apart(
                "proxy-revalidate does not", "Cache-Control: max-age=60, proxy-revalidate",
                asked: ["Authorization: Basic eDp5"]),
            .apart("an empty one is one", "Cache-Control: max-age=60", asked: ["Authorization:"]),
            .apart("another scheme", "Cache-Control: max-age=60", asked: ["authorization: Bearer abc"]),
        ])
    func authorization(_ storage: Storage) throws { try storage.check(at: #_sourceLocation) }

    @Test(
        "A cookie that is set is set for one client",
        arguments: [
            Storage.apart("max-age", "Cache-Control: max-age=60", "Set-Cookie: id=1"),
            .apart("public, max-age", "Cache-Control: public, max-age=60", "Set-Cookie: id=1"),
            .apart("s-maxage", "Cache-Control: s-maxage=60", "Set-Cookie: id=1"),
            .apart("two", "Cache-Control: max-age=60", "Set-Cookie: id=1", "Set-Cookie: b=2"),
            .apart("in another case", "Cache-Control: max-age=60", "SET-COOKIE: id=1"),
            .shared("taken out by no-cache", "Cache-Control: max-age=60, no-cache=\"set-cookie\"", "Set-Cookie: id=1"),
            .shared("taken out by private", "Cache-Control: max-age=60, private=\"Set-Cookie\"", "Set-Cookie: id=1"),
        ])
    func setCookie(_ storage: Storage) throws { try storage.check(at: #_sourceLocation) }

    @Test("Where the cookie is taken out, only the first client gets it", arguments: ["no-cache", "private"])
    func setCookieTakenOut(directive: String) throws {
        let page = try Resource("Cache-Control: max-age=60, \(directive)=\"set-cookie\"", "Set-Cookie: id=secret")
        #expect(try page.get()["Set-Cookie"] == "id=secret")
        let second = try page.get()
        #expect(!second.has("Set-Cookie") && second.text == "v1", "\(second.head)")
    }

    @Test("Fields named by private or no-cache reach the first client alone (§5.2.2.4, §5.2.2.7)")
    func namedFields() throws {
        for directive in ["private", "no-cache"] {
            let page = try Resource(
                "Cache-Control: max-age=60, \(directive)=\"X-Mine, x-also\"", "X-Mine: 1", "X-Also: 2", "X-All: 3")
            let first = try page.get()
            #expect(first["X-Mine"] == "1" && first["X-Also"] == "2" && first["X-All"] == "3", "\(first.head)")
            let second = try page.get()
            #expect(second["X-All"] == "3", "\(second.head)")
            // A cache may also ask again; what it must not do is to hand the fields on.
            if second.cache.isHit { #expect(!second.has("X-Mine") && !second.has("X-Also"), "\(second.head)") }
            second.expectHit("v1")
        }
    }

    @Test("An unquoted field name counts as well (§5.2: both forms are taken)")
    func unquotedFieldName() throws {
        let page = try Resource("Cache-Control: max-age=60, private=x-mine", "X-Mine: 1")
        #expect(try page.get()["X-Mine"] == "1")
        #expect(try !page.get().has("X-Mine") || page.requestCount == 2)
    }

    @Test(
        "Targeted fields come first: Martlet-CDN-Cache-Control, then CDN-Cache-Control (RFC 9213 §2.2)",
        arguments: [
            Storage.shared("CDN over no-store", "Cache-Control: no-store", "CDN-Cache-Control: max-age=60"),
            .apart("CDN no-store over max-age", "Cache-Control: max-age=60", "CDN-Cache-Control: no-store"),
            .apart("CDN private", "Cache-Control: max-age=60", "CDN-Cache-Control: private"),
            .shared("Martlet over CDN", "CDN-Cache-Control: no-store", "Martlet-CDN-Cache-Control: max-age=60"),
            .apart("Martlet no-store", "CDN-Cache-Control: max-age=60", "Martlet-CDN-Cache-Control: no-store"),
            .apart(
                "Expires is ignored with it", "Expires: \(HTTPDate.at(6000))", "CDN-Cache-Control: must-revalidate"),
            .apart("max-age is ignored with it", "Cache-Control: max-age=60", "CDN-Cache-Control: max-age=0"),
            .apart("empty is as if absent", "Cache-Control: no-store", "CDN-Cache-Control:"),
            .apart("unparsable is as if absent", "Cache-Control: no-store", "CDN-Cache-Control: max-age=60, &&"),
            .shared(
                "unparsable no-store is as if absent", "Cache-Control: max-age=60", "CDN-Cache-Control: no-store &"),
            .apart("names are lower case", "Cache-Control: no-store", "CDN-Cache-Control: MAX-AGE=60"),
            .shared(
                "two lines are one", "Cache-Control: no-store", "CDN-Cache-Control: public",
                "CDN-Cache-Control: max-age=60"),
            .shared("unknown members", "Cache-Control: no-store", "CDN-Cache-Control: foo=(1 2);x, max-age=60"),
            .shared("parameters are ignored", "Cache-Control: no-store", "CDN-Cache-Control: max-age=60;y=1"),
            .apart("the last of two counts", "CDN-Cache-Control: max-age=60, max-age=0"),
            .shared(
                "an unparsable Martlet falls to CDN", "Cache-Control: no-store", "CDN-Cache-Control: max-age=60",
                "Martlet-CDN-Cache-Control: =1"),
            .apart("a false no-store… is no permission", "Cache-Control: max-age=60", "CDN-Cache-Control: no-store=?0"),
        ])
    func targeted(_ storage: Storage) throws { try storage.check(at: #_sourceLocation) }

    @Test("Our own targeted field is ours, the general ones pass on")
    func targetedIsConsumed() throws {
        let page = try Resource(
            "Cache-Control: no-store, x=1", "CDN-Cache-Control: max-age=500", "Martlet-CDN-Cache-Control: max-age=600")
        for _ in 1...2 {
            let answer = try page.get()
            #expect(!answer.has("Martlet-CDN-Cache-Control"), "\(answer.head)")
            #expect(answer["CDN-Cache-Control"] == "max-age=500")
            #expect(answer["Cache-Control"] == "no-store, x=1")
        }
        #expect(page.requestCount == 1)
    }

    @Test("Fields of the connection are not stored, those it names neither (§3.1)")
    func connectionFields() throws {
        let page = try Resource(
            "Cache-Control: max-age=60", "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5",
            "Proxy-Authenticate: Basic", "Proxy-Authentication-Info: a", "X-End: 2")
        _ = try page.get()
        let second = try page.get()
        second.expectHit("v1")
        for name in ["X-Hop", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info"] {
            #expect(!second.has(name), "\(second.head)")
        }
        #expect(second["X-End"] == "2")
    }

    @Test("Fields that come in several lines stay several, in their order")
    func repeatedFields() throws {
        let page = try Resource(
            "Cache-Control: max-age=60", "Link: </a>", "X-Between: 1", "Link: </b>", "link: </c>", "X-Empty:")
        _ = try page.get()
        let second = try page.get()
        second.expectHit("v1")
        #expect(second.all("Link") == ["</a>", "</b>", "</c>"], "\(second.head)")
        #expect(second["X-Empty"] == "")
    }

    @Test(
        "An answer that was cut off is never stored, however it was framed (§3.3)", arguments: ["counted", "chunked"])
    func incomplete(framing: String) throws {
        let page = try Resource(playing: { connection, _, number in
            if number > 1 { return try connection.send(ok("whole", "Cache-Control: max-age=60")) }
            let head = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
            try connection.send(
                framing == "counted"
                    ? head + "Content-Length: 5\r\n\r\nwho" : head + "Transfer-Encoding: chunked\r\n\r\n3\r\nwho\r\n")
            throw WireFailure.closed
        })
        // What a client gets that was there then is a cut answer or an error, never "who" as a whole.
        let first = try page.get()
        #expect(first.ending == .cut || first.text != "who", "\(first)")
        let second = try page.get()
        #expect(second.text == "whole", "\(second)")
        try page.get().expectHit("whole")
    }

    @Test("An answer that ends with its connection is whole when that ends in order")
    func closeDelimited() throws {
        let page = try Resource(playing: { connection, _, number in
            try connection.send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\nv\(number)")
            throw WireFailure.closed
        })
        #expect(try page.get().text == "v1")
        let second = try page.get()
        second.expectHit("v1")
        #expect(second["Content-Length"] == "2")
    }

    @Test("GET stores what GET brought: 304, 206 and 1xx out of the blue are no one's page")
    func unasked() throws {
        let page = try Resource { _, number in
            number == 1
                ? "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\nETag: \"x\"\r\n\r\n"
                : ok("v\(number)", "Cache-Control: max-age=60")
        }
        _ = try page.get()
        let second = try page.get()
        #expect(second.status == 200 && second.text == "v2", "\(second.head)")
    }
}
