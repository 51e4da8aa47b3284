// The requirements that a judgement of one response can show: see RFC9111Tests.swift.

import Cache
import ConfigModel

private typealias R = Requirement

private let fresh = "Cache-Control: max-age=60"
private let eTag = "ETag: \"a\""

enum RFC9111Rows {
    static let storing: [Requirement] = [
        R("3", .may, "a GET with a lifetime is stored", [fresh], .stored),
        R("3", .mustNot, "other methods are not", [fresh], .refused(.method)).with { $0.method = "PUT" },
        R("3", .mustNot, "nor are methods that nobody knows", [fresh], .refused(.method)).with { $0.method = "FETCH" },
        R("3", .mustNot, "an answer to OPTIONS is not", [fresh], .refused(.method)).with { $0.method = "OPTIONS" },
        R("3", .mustNot, "without lifetime, public, private or a status that allows it", [eTag], .refused(.noLifetime))
            .status(403),
        R(
            "3", .mustNot, "a heuristically cacheable status alone gives none here: no heuristic unless configured",
            [eTag],
            .refused(.noLifetime)),
        R("3", .may, "Expires is a lifetime", ["Expires: \(date(60))"], .lifetime(60)),
        R("3", .may, "max-age is one", [fresh], .lifetime(60)),
        R("3", .may, "s-maxage is one", ["Cache-Control: s-maxage=60"], .lifetime(60)),
        R("3", .may, "an unknown status is stored with a lifetime", [fresh], .stored).status(299),
        R("3", .may, "an unknown client error too", [fresh], .stored).status(499),
        R("3", .may, "and an unknown server error", [fresh], .stored).status(599),
        R("3", .mustNot, "an unknown status without one is not", [eTag], .refused(.noLifetime)).status(299),
        R("3", .mustNot, "304 is no response of its own", [fresh], .refused(.status)).status(304),
        R("3", .mustNot, "no-store", ["Cache-Control: max-age=60, no-store"], .refused(.noStore)),
        R("3", .mustNot, "private", ["Cache-Control: max-age=60, private"], .refused(.isPrivate)),
        R(
            "3.1", .must, "all other fields are stored", [fresh, "X-Odd: kept", "Server: s"], .line("X-Odd: kept"),
            .line("Server: s")),
        R("3.1", .must, "unknown fields keep the case of their names", [fresh, "x-oDD: 1"], .line("x-oDD: 1")),
        R(
            "3.1", .mustNot, "Connection, and what it names", [fresh, "Connection: x-hop", "X-Hop: 1"],
            .noLine("X-Hop"), .noLine("Connection")),
        R("3.1", .mustNot, "Keep-Alive", [fresh, "Keep-Alive: timeout=5"], .noLine("Keep-Alive")),
        R("3.1", .mustNot, "Proxy-Authenticate", [fresh, "Proxy-Authenticate: Basic"], .noLine("Proxy-Authenticate")),
        R(
            "3.1", .mustNot, "Proxy-Authentication-Info", [fresh, "Proxy-Authentication-Info: a=b"],
            .noLine("Proxy-Authentication-Info")),
        R("3.1", .mustNot, "Proxy-Authorization", [fresh, "Proxy-Authorization: b"], .noLine("Proxy-Authorization")),
        R("3.1", .shouldNot, "other Proxy- fields", [fresh, "Proxy-Odd: 1"], .noLine("Proxy-Odd")),
        R(
            "3.1", .mustNot, "TE, Transfer-Encoding and Upgrade",
            [fresh, "Transfer-Encoding: chunked", "Upgrade: h2c"],
            .noLine("Transfer-Encoding"), .noLine("Upgrade")),
        R(
            "3.1", .mustNot, "a nomination cannot remove what is for all",
            [fresh, "Connection: cache-control, etag", eTag],
            .line(fresh), .line(eTag)),
        R(
            "3.3", .may, "a part of a representation is stored with its place",
            [fresh, "Content-Range: bytes 0-9/100", "Content-Length: 10", eTag], .stored, .noLine("Content-Range")
        )
        .status(206).asking("Range: bytes=0-9"),
        R("3.3", .mustNot, "a part without Content-Range", [fresh, "Content-Length: 10"], .refused(.partialInvalid))
            .status(206).asking("Range: bytes=0-9"),
        R(
            "3.3", .mustNot, "a part that nobody asked for", [fresh, "Content-Range: bytes 0-9/100"],
            .refused(.partialInvalid)
        ).status(206),
        R(
            "3.3", .mustNot, "several parts in one", [fresh, "Content-Type: multipart/byteranges; boundary=x"],
            .refused(.partialInvalid)
        ).status(206).asking("Range: bytes=0-1,4-5"),
        R(
            "3.3", .mustNot, "a part whose length contradicts its place",
            [fresh, "Content-Range: bytes 0-9/100", "Content-Length: 11"], .refused(.partialInvalid)
        )
        .status(206).asking("Range: bytes=0-9"),
        R("3.5", .mustNot, "an answer to a request with Authorization", [fresh], .refused(.authorization))
            .asking("Authorization: Basic eDp5"),
        R("3.5", .may, "unless must-revalidate", ["Cache-Control: max-age=60, must-revalidate"], .stored)
            .asking("Authorization: Basic eDp5"),
        R("3.5", .may, "unless public", ["Cache-Control: max-age=60, public"], .stored)
            .asking("Authorization: Basic eDp5"),
        R("3.5", .may, "unless s-maxage", ["Cache-Control: s-maxage=60"], .stored)
            .asking("Authorization: Basic eDp5"),
        R(
            "3.5", .mustNot, "proxy-revalidate is no leave", ["Cache-Control: max-age=60, proxy-revalidate"],
            .refused(.authorization)
        ).asking("Authorization: Basic eDp5"),
        R("4.1", .mustNot, "Vary: * fits no other request", [fresh, "Vary: *"], .refused(.varyStar)),
        R("4.1", .mustNot, "* anywhere in the list", [fresh, "Vary: Accept, *, Origin"], .refused(.varyStar)),
        R("4.1", .mustNot, "* on another line", [fresh, "Vary: Accept", "Vary: *"], .refused(.varyStar)),
        R("4.1", .may, "Vary with names", [fresh, "Vary: Accept, Origin"], .stored, .line("Vary: Accept, Origin")),
        R(
            "5.2.2.3", .must, "must-understand with a status that is unknown",
            ["Cache-Control: max-age=60, must-understand"],
            .refused(.statusNotUnderstood)
        ).status(599),
        R(
            "5.2.2.3", .mustNot, "also with no-store", ["Cache-Control: max-age=60, no-store, must-understand"],
            .refused(.statusNotUnderstood)
        ).status(599),
        R(
            "5.2.2.3", .should, "no-store beside it is ignored where the status is known",
            ["Cache-Control: max-age=60, no-store, must-understand"], .stored),
        R(
            "5.2.2.5", .mustNot, "no-store in a list with odd members", ["Cache-Control: a=\"b, c\", ,no-store"],
            .refused(.noStore)),
        R(
            "5.2.2.5", .mustNot, "no-store behind a quote that never closes",
            ["Cache-Control: max-age=60, a=\"b, no-store"],
            .refused(.noStore)),
        R("5.2.2.5", .mustNot, "no-store on a second line", [fresh, "Cache-Control: NO-STORE"], .refused(.noStore)),
        R("5.2.1.5", .mustNot, "no-store of the request", [fresh], .refused(.requestNoStore))
            .asking("Cache-Control: no-store"),
    ]

    static let freshness: [Requirement] = [
        R("4.2.1", .must, "s-maxage goes before max-age", ["Cache-Control: max-age=1, s-maxage=100"], .lifetime(100)),
        R(
            "4.2.1", .must, "also when it is shorter, on a line of its own",
            ["Cache-Control: s-maxage=1", "Cache-Control: max-age=100"], .lifetime(1)),
        R("4.2.1", .must, "max-age goes before Expires", [fresh, "Expires: \(date(3600))"], .lifetime(60)),
        R(
            "4.2.1", .must, "max-age=0 beside a later Expires",
            ["Cache-Control: max-age=0", "Expires: \(date(99))", eTag],
            .lifetime(0)),
        R(
            "4.2.1", .must, "Expires counts from Date, not from the clock here",
            ["Date: \(date(-1000))", "Expires: \(date(-940))", eTag], .lifetime(60)),
        R("4.2.1", .must, "Expires without Date counts from the arrival", ["Expires: \(date(60))"], .lifetime(60))
            .undated(),
        R(
            "4.2.1", .should, "two lifetimes that differ make it stale",
            ["Cache-Control: max-age=60, max-age=90", eTag],
            .lifetime(0)),
        R(
            "4.2.1", .should, "two that agree do not", ["Cache-Control: max-age=60", "Cache-Control: max-age=60"],
            .lifetime(60)),
        R(
            "4.2.1", .should, "two Expires that differ make it stale",
            ["Expires: \(date(60))", "Expires: \(date(90))", eTag], .lifetime(0)),
        R("4.2.1", .should, "an invalid lifetime is none", ["Cache-Control: max-age=soon", eTag], .lifetime(0)),
        R("4.2.1", .should, "a fraction of seconds is invalid", ["Cache-Control: max-age=1.5", eTag], .lifetime(0)),
        R("4.2.1", .should, "letters behind the number are", ["Cache-Control: max-age=60a", eTag], .lifetime(0)),
        R("4.2.1", .should, "a blank before = is", ["Cache-Control: max-age =60", eTag], .lifetime(0)),
        R("4.2.1", .should, "a blank behind = is", ["Cache-Control: max-age= 60", eTag], .lifetime(0)),
        R("4.2.1", .should, "no value at all is", ["Cache-Control: max-age", eTag], .lifetime(0)),
        R(
            "4.2.1", .should, "an invalid s-maxage is not replaced by max-age",
            ["Cache-Control: max-age=60, s-maxage=x", eTag],
            .lifetime(0)),
        R("1.2.2", .must, "a negative number is no number", ["Cache-Control: max-age=-3600", eTag], .lifetime(0)),
        R(
            "1.2.2", .must, "what is too large counts as 2³¹", ["Cache-Control: max-age=99999999999999999999"],
            .lifetime(2_147_483_648)),
        R(
            "4.2.2", .mustNot, "no heuristic with an explicit lifetime",
            [
                "Cache-Control: max-age=0", eTag,
                "Last-Modified: \(date(-86_400))",
            ], .lifetime(0)
        ).zone { $0.heuristicPercent = 10 },
        R(
            "4.2.2", .should, "a tenth of the time since Last-Modified, where configured",
            ["Last-Modified: \(date(-86_400))"], .lifetime(8640)
        ).zone { $0.heuristicPercent = 10 },
        R(
            "4.2.2", .mustNot, "not for a status that allows none", ["Last-Modified: \(date(-86_400))"],
            .refused(.noLifetime)
        ).zone { $0.heuristicPercent = 10 }.status(302),
        R(
            "4.2.2", .may, "unless public", ["Last-Modified: \(date(-86_400))", "Cache-Control: public"],
            .lifetime(8640)
        )
        .zone { $0.heuristicPercent = 10 }.status(302),
        R("4.2.3", .must, "Age is added", [fresh, "Age: 10"], .age(after: 5, is: 15)),
        R("4.2.3", .must, "so is the time the request took", [fresh, "Age: 10"], .age(after: 0, is: 13))
            .with { $0.delay = 3000 },
        R("4.2.3", .must, "a Date in the past makes it old", [fresh, "Date: \(date(-20))"], .age(after: 0, is: 20)),
        R(
            "4.2.3", .must, "the larger of both counts", [fresh, "Date: \(date(-20))", "Age: 30"],
            .age(after: 0, is: 30)),
        R(
            "4.2.3", .must, "a Date in the future makes nothing younger", [fresh, "Date: \(date(3600))", "Age: 30"],
            .age(after: 0, is: 30)),
        R("4.2.3", .must, "without Date it is as old as Age says", [fresh, "Age: 7"], .age(after: 0, is: 7)).undated(),
        R(
            "4.2.3", .must, "a Date that is none is no Date", [fresh, "Date: yesterday", "Age: 7"],
            .age(after: 0, is: 7)),
        R(
            "4.2.3", .must, "older than its lifetime at arrival", [fresh, "Age: 61", eTag],
            .use(after: 0, .mustValidate)),
        R("5.1", .should, "the first member of Age counts", [fresh, "Age: 7, 50"], .age(after: 0, is: 7)),
        R("5.1", .should, "the first line of several", [fresh, "Age: 7", "Age: 50"], .age(after: 0, is: 7)),
        R("5.1", .should, "a negative Age is ignored", [fresh, "Age: -7"], .age(after: 0, is: 0)),
        R("5.1", .should, "one with a fraction is", [fresh, "Age: 7.0"], .age(after: 0, is: 0)),
        R("5.1", .should, "one that is no number is", [fresh, "Age: abc"], .age(after: 0, is: 0)),
        R(
            "5.1", .must, "an enormous one is not forgotten", [fresh, eTag, "Age: 99999999999999999999"],
            .use(after: 0, .mustValidate)),
        R("5.3", .must, "an invalid Expires is in the past", ["Expires: 0", eTag], .lifetime(0)),
        R("5.3", .must, "so is one with another zone", ["Expires: \(date(60).dropLast(3))CET", eTag], .lifetime(0)),
        R("4.2", .should, "UTC is not GMT", ["Expires: \(date(60).dropLast(3))UTC", eTag], .lifetime(0)),
        R("4.2", .should, "dates of any case are read", ["Expires: \(date(60).uppercased())"], .lifetime(60)),
        R("4.2", .should, "also in lower case", ["Expires: \(date(60).lowercased())"], .lifetime(60)),
        R("4.2", .must, "obsolete formats are read", ["Expires: Sunday, 06-Nov-94 08:50:37 GMT"], .lifetime(60)),
        R("5.3", .must, "Expires that equals Date is no lifetime", ["Expires: \(date())", eTag], .lifetime(0)),
        R(
            "5.3", .must, "Expires far ahead is cut to 2³¹ seconds", ["Expires: Sat, 01 Jan 2286 00:00:00 GMT"],
            .lifetime(2_147_483_648)),
    ]

    static let use: [Requirement] = [
        R(
            "4.2", .must, "fresh until its age reaches the lifetime", [fresh, eTag], .use(after: 59, .fresh),
            .use(after: 60, .mustValidate)),
        R(
            "4", .mustNot, "no-cache is never used unvalidated", ["Cache-Control: no-cache, max-age=60", eTag],
            .use(after: 0, .mustValidate)),
        R(
            "5.2.2.4", .mustNot, "no-cache without a lifetime is stored to be validated",
            ["Cache-Control: no-cache", eTag],
            .use(after: 0, .mustValidate), .onError(after: 0, false)),
        R(
            "5.2.2.4", .mustNot, "fields that no-cache names are not used again",
            ["Cache-Control: max-age=60, no-cache=\"x-one, X-Two\"", "X-One: 1", "X-Two: 2", "X-Three: 3"],
            .use(after: 0, .fresh), .noLine("X-One"), .noLine("X-Two"), .line("X-Three: 3")),
        R(
            "5.2.2.4", .mustNot, "a name without which the rest means something else counts as all",
            ["Cache-Control: max-age=60, no-cache=content-encoding", eTag], .use(after: 0, .mustValidate)),
        R(
            "5.2.2.4", .mustNot, "no-cache with something that is no name counts as all",
            ["Cache-Control: max-age=60, no-cache=\"a b\"", eTag], .use(after: 0, .mustValidate)),
        R(
            "5.2.2.7", .mustNot, "fields that private names are not stored",
            ["Cache-Control: max-age=60, private=\"x-one\"", "X-One: 1"], .stored, .noLine("X-One")),
        R(
            "5.2.2.7", .mustNot, "private with an empty list counts as all",
            ["Cache-Control: max-age=60, private=\"\""],
            .refused(.isPrivate)),
        R(
            "5.2.2.2", .mustNot, "must-revalidate is not served stale",
            ["Cache-Control: max-age=60, must-revalidate, stale-while-revalidate=60, stale-if-error=60", eTag],
            .use(after: 61, .mustValidate), .onError(after: 61, false)
        ).laterAsking("Cache-Control: max-stale"),
        R(
            "5.2.2.8", .mustNot, "proxy-revalidate is not", ["Cache-Control: max-age=60, proxy-revalidate", eTag],
            .use(after: 61, .mustValidate), .onError(after: 61, false)
        ).laterAsking("Cache-Control: max-stale"),
        R(
            "5.2.2.10", .mustNot, "s-maxage is not", ["Cache-Control: s-maxage=60", eTag],
            .use(after: 61, .mustValidate), .onError(after: 61, false)
        ).laterAsking("Cache-Control: max-stale"),
        R(
            "4.2.4", .mustNot, "stale is not served without leave", [fresh, eTag], .use(after: 61, .mustValidate),
            .onError(after: 61, false)),
        R("4.2.4", .may, "max-stale is leave", [fresh, eTag], .use(after: 61, .staleByRequest))
            .laterAsking("Cache-Control: max-stale"),
        R(
            "5.2.1.2", .may, "within its bound", [fresh, eTag], .use(after: 70, .staleByRequest),
            .use(after: 71, .mustValidate)
        ).laterAsking("Cache-Control: max-stale=10"),
        R("5.2.1.2", .must, "a bound that is none is none", [fresh, eTag], .use(after: 61, .mustValidate))
            .laterAsking("Cache-Control: max-stale=x"),
        R(
            "5.2.1.1", .should, "max-age of the request", [fresh, eTag], .use(after: 10, .fresh),
            .use(after: 11, .mustValidate)
        ).laterAsking("Cache-Control: max-age=10"),
        R("5.2.1.1", .should, "max-age=0 of the request", [fresh, eTag], .use(after: 0, .mustValidate))
            .laterAsking("Cache-Control: max-age=0"),
        R(
            "5.2.1.3", .should, "min-fresh of the request", [fresh, eTag], .use(after: 50, .fresh),
            .use(after: 51, .mustValidate)
        ).laterAsking("Cache-Control: min-fresh=10"),
        R("5.2.1.4", .should, "no-cache of the request", [fresh, eTag], .use(after: 0, .mustValidate))
            .laterAsking("Cache-Control: no-cache"),
        R("5.4", .should, "Pragma: no-cache without Cache-Control", [fresh, eTag], .use(after: 0, .mustValidate))
            .laterAsking("Pragma: no-cache"),
        R("5.4", .must, "Pragma counts for nothing beside Cache-Control", [fresh, eTag], .use(after: 0, .fresh))
            .laterAsking("Pragma: no-cache", "Cache-Control: max-age=50"),
        R("5.4", .mustNot, "Pragma means nothing in responses", [fresh, "Pragma: no-cache"], .use(after: 0, .fresh)),
        R("5.2.1", .may, "a zone may ignore what requests say", [fresh, eTag], .use(after: 5, .fresh))
            .laterAsking("Cache-Control: no-cache, max-age=0").zone { $0.respectsClientDirectives = false },
    ]
}
