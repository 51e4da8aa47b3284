// Conditional requests against what is stored (RFC 9110, section 13; RFC 9111, section 4.3.2).

import Cache
import HTTPWire
import Testing

/// Sun, 06 Nov 1994 08:49:37 GMT, in milliseconds.
private let moment: Int64 = 784_111_777_000
private let now: Int64 = moment + 86_400_000

@Suite("Preconditions")
struct SelectionConditionTests {
    private func verdict(
        _ fields: String, method: String = "GET", eTag: String = "", change: (inout StoredFacts) -> Void = { _ in }
    ) throws -> ConditionVerdict {
        let request = try SelectionRequest("\(method) /a HTTP/1.1\nHost: www.example.test\n\(fields)")
        var facts = StoredFacts()
        facts.date = moment
        change(&facts)
        return Preconditions.evaluate(
            request.head, request.bytes.span, selectionStored(eTag: eTag, facts: facts), nowMilliseconds: now)
    }

    @Test(
        "If-None-Match compares weakly",
        arguments: [
            (#""a""#, #""a""#), (#""a""#, #"W/"a""#), (#"W/"a""#, #""a""#), (#"W/"a""#, #"W/"a""#),
            (#""a""#, "*"), (#""a""#, #""b", "a""#), (#""a""#, #""b","a","c""#), (#""a""#, #", ,W/"b" ,  "a""#),
            (#""a,b""#, #""a", "a,b""#), (#""a\""#, #""a\""#), (#""a\""#, #""\","a\", "c""#), (#""""#, #""""#),
            // Origins that forget the quotes get their own words back.
            ("abc", "abc"), ("abc", #""x", abc"#), (#""a""#, "\"b\"\nIf-None-Match: \"a\""),
        ])
    func tagMatches(_ stored: String, _ sent: String) throws {
        #expect(try verdict("If-None-Match: \(sent)", eTag: stored) == .notModified)
        #expect(try verdict("If-None-Match: \(sent)", method: "HEAD", eTag: stored) == .notModified)
    }

    @Test(
        "tags that do not match",
        arguments: [
            (#""a""#, #""b""#), (#""a""#, #""A""#), (#""a""#, "a"), ("a", #""a""#), ("", #""a""#), ("", #""""#),
            (#""a""#, #""a"#), (#""a""#, #"w/"a""#), (#""a,b""#, #""a", "b""#), (#""a""#, #"*, "b""#), (#""a""#, ""),
            (#""b""#, #""a,"b","#),
        ])
    func tagDiffers(_ stored: String, _ sent: String) throws {
        #expect(try verdict("If-None-Match: \(sent)", eTag: stored) == .proceed)
    }

    @Test("a star matches whatever is stored, with a tag or without")
    func star() throws {
        #expect(try verdict("If-None-Match: *") == .notModified)
    }

    @Test("If-None-Match decides alone; If-Modified-Since counts only without it")
    func precedence() throws {
        let fields = "If-None-Match: \"b\"\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"
        #expect(try verdict(fields, eTag: #""a""#) { $0.lastModified = moment } == .proceed)
        #expect(try verdict(fields, eTag: #""b""#) { $0.lastModified = moment + 1000 } == .notModified)
    }

    @Test(
        "If-Modified-Since",
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", ConditionVerdict.notModified),
            ("Sun, 06 Nov 1994 08:49:38 GMT", .notModified), ("Sun, 06 Nov 1994 08:49:36 GMT", .proceed),
            ("Sunday, 06-Nov-94 08:49:37 GMT", .notModified), ("Sun Nov  6 08:49:37 1994", .notModified),
            // No date, and two: no condition.
            ("yesterday", .proceed), ("", .proceed),
            ("Sun, 06 Nov 1994 08:49:37 GMT\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT", .proceed),
        ])
    func modifiedSince(_ sent: String, _ expected: ConditionVerdict) throws {
        #expect(try verdict("If-Modified-Since: \(sent)") { $0.lastModified = moment } == expected)
        #expect(try verdict("If-Modified-Since: \(sent)") { $0.date = moment + 999 } == expected)
        // Last-Modified goes before Date.
        let other = try verdict("If-Modified-Since: \(sent)") { facts in
            facts.lastModified = moment
            facts.date = moment + 86_400_000
        }
        #expect(other == expected)
    }

    @Test("conditions on a success only, and with GET and HEAD only")
    func scope() throws {
        for status: UInt16 in [200, 203, 204, 206] {
            #expect(try verdict("If-None-Match: *") { $0.status = status } == .notModified)
        }
        for status: UInt16 in [301, 404, 410, 500] {
            #expect(try verdict("If-None-Match: *") { $0.status = status } == .proceed)
        }
        #expect(try verdict("If-None-Match: *", method: "DELETE") == .proceed)
        #expect(try verdict("Accept: a") == .proceed)
    }

    @Test("what only the origin can tell goes there", arguments: ["If-Match: *", "If-Unmodified-Since: x"])
    func forwarded(_ fields: String) throws {
        #expect(try verdict(fields) == .mustForward)
        #expect(try verdict("If-None-Match: *\n\(fields)") == .mustForward)
    }

    @Test(
        "tags, weakly and strongly (RFC 9110, section 8.8.3.2)",
        arguments: [
            (#"W/"1""#, #"W/"1""#, true, false), (#"W/"1""#, #"W/"2""#, false, false),
            (#"W/"1""#, #""1""#, true, false),
            (#""1""#, #""1""#, true, true), ("", "", false, false), (#""1""#, #""1"#, false, false),
        ])
    func tags(_ one: String, _ other: String, _ isWeakMatch: Bool, _ isStrongMatch: Bool) {
        let (first, second) = (Array(one.utf8), Array(other.utf8))
        let weak = EntityTag.weakMatch(first.span, 0..<first.count, second.span, 0..<second.count)
        let strong = EntityTag.strongMatch(first.span, 0..<first.count, second.span, 0..<second.count)
        #expect(weak == isWeakMatch)
        #expect(strong == isStrongMatch)
        // Not within the bytes: equal to nothing.
        let outside = EntityTag.weakMatch(first.span, 0..<first.count + 1, second.span, 0..<second.count + 1)
        #expect(!outside)
    }

    // MARK: If-Range

    private func applies(_ value: String?, eTag: String = "", change: (inout StoredFacts) -> Void) throws -> Bool {
        let request = try SelectionRequest(fields: "Range: bytes=0-1\n" + (value.map { "If-Range: \($0)" } ?? ""))
        var facts = StoredFacts()
        change(&facts)
        return Preconditions.rangeApplies(
            request.head, request.bytes.span, selectionStored(eTag: eTag, facts: facts), nowMilliseconds: now)
    }

    @Test(
        "If-Range compares tags strongly",
        arguments: [
            (#""a""#, #""a""#, true), (#""a""#, #""b""#, false), (#"W/"a""#, #"W/"a""#, false),
            (#""a""#, #"W/"a""#, false),
            (#""a""#, #""a", "b""#, false), (#""a""#, "*", false), (#""a""#, "a", false), (#""a""#, "", false),
            (#""a""#, "\"a\"\nIf-Range: \"a\"", false),
        ])
    func ifRangeTag(_ stored: String, _ sent: String, _ expected: Bool) throws {
        let isStrong = !stored.hasPrefix("W/")
        #expect(try applies(sent, eTag: stored) { if isStrong { $0.flags = .hasStrongETag } } == expected)
        #expect(try !applies(sent, eTag: stored) { _ in })
    }

    @Test(
        "If-Range compares dates exactly",
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", true), ("Sun, 06 Nov 1994 08:49:38 GMT", false),
            ("Sun, 06 Nov 1994 08:49:36 GMT", false), ("Sunday, 06-Nov-94 08:49:37 GMT", true),
        ])
    func ifRangeDate(_ sent: String, _ expected: Bool) throws {
        let strong: (inout StoredFacts) -> Void = { facts in
            facts.lastModified = moment
            facts.flags = .hasStrongLastModified
        }
        #expect(try applies(sent, change: strong) == expected)
        #expect(try !applies(sent) { $0.lastModified = moment })
        #expect(try !applies(sent) { $0.flags = .hasStrongLastModified })
    }

    @Test("without If-Range a range always applies")
    func noIfRange() throws {
        #expect(try applies(nil) { _ in })
    }
}
