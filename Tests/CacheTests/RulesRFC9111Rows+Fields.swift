// More requirements that a judgement of one response can show: see RFC9111Tests.swift.

import Cache
import ConfigModel

private typealias R = Requirement

private let fresh = "Cache-Control: max-age=60"
private let eTag = "ETag: \"a\""

extension RFC9111Rows {
    static let fields: [Requirement] = [
        R("5.2", .must, "names of directives in any case", ["Cache-Control: MaX-aGe=60"], .lifetime(60)),
        R("5.2", .should, "quoted values too", ["Cache-Control: max-age=\"60\""], .lifetime(60)),
        R(
            "5.2", .must, "what stands in quotes is no directive", ["Cache-Control: ext=\"max-age=3600\", max-age=60"],
            .lifetime(60)),
        R(
            "5.2", .must, "the same the other way round", ["Cache-Control: max-age=60, ext=\"max-age=3600\""],
            .lifetime(60)),
        R("5.2.3", .must, "unknown directives are ignored", ["Cache-Control: foobar, x=y, max-age=60"], .lifetime(60)),
        R("5.1", .must, "Age is not stored", [fresh, "Age: 1"], .noLine("Age")),
        R("5.3", .must, "Expires is passed on as it came", [fresh, "Expires: 0"], .line("Expires: 0")),
        R("5.2", .must, "Cache-Control is passed on", [fresh], .line(fresh)),
        R("8.1", .must, "Date is written where there was none", [fresh], .line("Date: \(date())")).undated(),
        R("7.3", .mustNot, "Set-Cookie is not shared", [fresh, "Set-Cookie: a=b"], .refused(.setCookie)),
        R("7.3", .mustNot, "not even where everything is cached", ["Set-Cookie: a=b"], .refused(.setCookie))
            .zone { $0.everything = true },
        R(
            "7.3", .may, "a response is stored without it if private says so",
            ["Cache-Control: max-age=60, private=\"set-cookie\"", "Set-Cookie: a=b"], .stored, .noLine("Set-Cookie")),
        R(
            "7.3", .may, "or no-cache", ["Cache-Control: max-age=60, no-cache=Set-Cookie", "Set-Cookie: a=b"],
            .use(after: 0, .fresh), .noLine("Set-Cookie")),
    ]

    static let neighbours: [Requirement] = [
        R(
            "RFC 5861 3", .may, "stale-while-revalidate",
            ["Cache-Control: max-age=60, stale-while-revalidate=30", eTag],
            .use(after: 59, .fresh), .use(after: 89, .staleWhileRevalidate), .use(after: 90, .mustValidate)),
        R(
            "RFC 5861 3", .may, "beside s-maxage", ["Cache-Control: s-maxage=60, stale-while-revalidate=30", eTag],
            .use(after: 89, .staleWhileRevalidate), .use(after: 90, .mustValidate), .onError(after: 95, false)
        )
        .laterAsking("Cache-Control: max-stale").zone { $0.alwaysOnline = true },
        R(
            "RFC 5861 3", .may, "the zone's window where the origin names none", [fresh, eTag],
            .use(after: 61, .staleWhileRevalidate), .use(after: 70, .mustValidate)
        )
        .zone { $0.staleWhileRevalidate = 10_000 },
        R(
            "RFC 5861 3", .must, "0 of the origin is not replaced by it",
            ["Cache-Control: max-age=60, stale-while-revalidate=0", eTag], .use(after: 61, .mustValidate)
        )
        .zone { $0.staleWhileRevalidate = 10_000 },
        R(
            "RFC 5861 4", .may, "stale-if-error", ["Cache-Control: max-age=60, stale-if-error=30", eTag],
            .use(after: 61, .mustValidate), .onError(after: 90, true), .onError(after: 91, false)),
        R("RFC 5861 4", .may, "of the request", [fresh, eTag], .onError(after: 90, true), .onError(after: 91, false))
            .laterAsking("Cache-Control: stale-if-error=30"),
        R("RFC 5861 4", .may, "of the zone", [fresh, eTag], .onError(after: 90, true), .onError(after: 91, false))
            .zone { $0.staleIfError = 30_000 },
        R("RFC 5861 4", .may, "always online", [fresh, eTag], .onError(after: 1_000_000, true))
            .zone { $0.alwaysOnline = true },
        R(
            "RFC 8246 2", .should, "immutable withstands a reload", ["Cache-Control: max-age=60, immutable", eTag],
            .use(after: 10, .fresh), .use(after: 60, .mustValidate)
        ).laterAsking("Cache-Control: max-age=0"),
        R(
            "RFC 8246 2", .mustNot, "but not no-cache", ["Cache-Control: max-age=60, immutable", eTag],
            .use(after: 10, .mustValidate)
        ).laterAsking("Cache-Control: no-cache"),
        R(
            "RFC 9110 9.3.3", .may, "POST with a lifetime and its own Content-Location",
            [fresh, "Content-Location: /page?q=1"], .stored
        ).post(),
        R(
            "RFC 9110 9.3.3", .may, "also as an absolute URI",
            [fresh, "Content-Location: https://WWW.example.test:443/page?q=1"],
            .stored
        ).post(),
        R("RFC 9110 9.3.3", .mustNot, "POST without Content-Location", [fresh], .refused(.postContentLocation)).post(),
        R(
            "RFC 9110 9.3.3", .mustNot, "POST with another", [fresh, "Content-Location: /page"],
            .refused(.postContentLocation)
        ).post(),
        R(
            "RFC 9110 9.3.3", .mustNot, "POST with one elsewhere",
            [fresh, "Content-Location: http://www.example.test/page?q=1"],
            .refused(.postContentLocation)
        ).post(),
        R(
            "RFC 9110 9.3.3", .mustNot, "POST with the zone's lifetime", ["Content-Location: /page?q=1"],
            .refused(.noLifetime)
        ).post().zone { $0.everything = true },
        R("RFC 9110 8.6", .mustNot, "204 has no Content-Length", [fresh], .noLine("Content-Length")).status(204),
        R("RFC 6585", .mustNot, "428, 429, 431 and 511 are never stored", [fresh], .refused(.status)).status(429)
            .zone { $0.ttlByStatus = [.init(statuses: 429...429, ttl: 60_000)] },
        R(
            "RFC 9213 2.2", .must, "CDN-Cache-Control goes before Cache-Control",
            ["CDN-Cache-Control: max-age=60", "Cache-Control: no-store", "Expires: 0"], .lifetime(60)),
        R("RFC 9213 2.2", .must, "also when it forbids", ["CDN-Cache-Control: no-store", fresh], .refused(.noStore)),
        R("RFC 9213 2.2", .must, "private of it", ["CDN-Cache-Control: private", fresh], .refused(.isPrivate)),
        R(
            "RFC 9213 2.2", .must, "Expires is ignored beside it", ["CDN-Cache-Control: none", "Expires: \(date(60))"],
            .refused(.noLifetime)),
        R(
            "RFC 9213 2.2", .must, "the field for us alone goes first",
            ["Martlet-CDN-Cache-Control: max-age=5", "CDN-Cache-Control: max-age=60"], .lifetime(5),
            .noLine("Martlet-CDN-Cache-Control"), .line("CDN-Cache-Control: max-age=60")),
        R(
            "RFC 9213 2.1", .must, "one that is no dictionary is ignored",
            ["CDN-Cache-Control: max-age=10000, &&&&&", "Cache-Control: max-age=60"], .lifetime(60)),
        R("RFC 9213 2.1", .must, "so is an empty one", ["CDN-Cache-Control:", fresh], .lifetime(60)),
        R("RFC 9213 2.1", .must, "upper case makes no key", ["CDN-Cache-Control: MAX-AGE=9", fresh], .lifetime(60)),
        R(
            "RFC 9213 2.1", .should, "a value of another type is not used",
            ["CDN-Cache-Control: max-age=\"10000\"", "Cache-Control: max-age=60", eTag], .lifetime(0)),
        R("RFC 9213 2.1", .must, "parameters are ignored", ["CDN-Cache-Control: max-age=60;x=1"], .lifetime(60)),
        R(
            "RFC 9213 2.1", .must, "two lines are one dictionary",
            ["CDN-Cache-Control: max-age=60", "CDN-Cache-Control: no-store"], .refused(.noStore)),
        R(
            "RFC 9211 2", .must, "upstream members stay in their order",
            [fresh, "Cache-Status: a; hit", "Cache-Status: b; fwd=miss"], .line("Cache-Status: a; hit, b; fwd=miss")),
        R("ours", .mustNot, "Cache-Tag is for us alone", [fresh, "Cache-Tag: a,b"], .noLine("Cache-Tag")),
        R(
            "ours", .may, "a zone's lifetime for a status replaces the origin's", ["Cache-Control: s-maxage=5"],
            .lifetime(100), .use(after: 99, .fresh)
        ).zone { $0.ttlByStatus = [.init(statuses: 200...299, ttl: 100_000)] },
        R("ours", .mustNot, "but not its no-store", ["Cache-Control: no-store"], .refused(.noStore))
            .zone { $0.ttlByStatus = [.init(statuses: 200...299, ttl: 100_000)] },
        R("ours", .mustNot, "a lifetime of 0 means not at all", [fresh], .refused(.ttlZero))
            .zone { $0.ttlByStatus = [.init(statuses: 200...299, ttl: 0)] },
        R("ours", .may, "negative answers are cached", [], .lifetime(60)).status(404)
            .zone { $0.ttlByStatus = [.init(statuses: 404...404, ttl: 60_000)] },
        R("ours", .may, "everything: a default lifetime", [], .lifetime(7200)).zone { $0.everything = true },
        R("ours", .may, "everything: what is not there, for a short while", [], .lifetime(180)).status(404)
            .zone { $0.everything = true },
        R("ours", .mustNot, "everything: no failures", [], .refused(.noLifetime)).status(500)
            .zone { $0.everything = true },
        R("ours", .mustNot, "everything: not against a directive", ["Cache-Control: private"], .refused(.isPrivate))
            .zone { $0.everything = true },
        R(
            "ours", .mustNot, "stale from the first, and nothing to validate it by", ["Cache-Control: max-age=0"],
            .refused(.noValidator)),
        R("ours", .mustNot, "too large", [fresh, "Content-Length: 1000001"], .refused(.tooLarge)),
        R("ours", .mustNot, "a zone that is not cached", [fresh], .refused(.off)).zone { $0.isEnabled = false },
        R("poisoning", .mustNot, "a GET with a body", [fresh], .refused(.requestBody)).asking("Content-Length: 4"),
        R("poisoning", .mustNot, "a GET disguised as another method", [fresh], .refused(.methodOverride))
            .asking("X-HTTP-Method-Override: DELETE"),
        R("poisoning", .mustNot, "an error about the request's size", [fresh], .refused(.requestShape)).status(413),
        R("poisoning", .mustNot, "a TTL for all errors does not mean those", [], .refused(.requestShape)).status(413)
            .zone { $0.ttlByStatus = [.init(statuses: 400...499, ttl: 1000)] },
        R("poisoning", .may, "one for that status alone does", [], .lifetime(1)).status(413)
            .zone { $0.ttlByStatus = [.init(statuses: 413...413, ttl: 1000)] },
        R("poisoning", .mustNot, "an error for a request with an outsized head", [fresh], .refused(.requestShape))
            .status(400).asking("X-Large: " + String(repeating: "x", count: 9000)),
        R("poisoning", .may, "a success for the same", [fresh], .stored)
            .asking("X-Large: " + String(repeating: "x", count: 9000)),
        R("poisoning", .mustNot, "an error for a request with a precondition", [fresh], .refused(.requestShape))
            .status(404).asking("If-Match: \"a\""),
    ]
}
