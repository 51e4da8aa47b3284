// What RFC 9111 requires of a shared cache, one row a requirement: its section, how strongly it is put, what it says in
// our words, and two messages that show it. The rows are in RulesRFC9111Rows.swift; what they cannot show, since it
// takes more than one decision, is in the other Rules tests and in Journeys. docs/rfc9111.md lists all of it.

import Cache
import ConfigModel
import HTTPWire
import Testing

/// BCP 14's words.
enum Level: String, Sendable {
    case must = "MUST"
    case mustNot = "MUST NOT"
    case should = "SHOULD"
    case shouldNot = "SHOULD NOT"
    case may = "MAY"
}

/// What a row expects of the response. Times are seconds behind its arrival, or behind the time it was sent where a row
/// says so.
enum Expectation: Sendable, Equatable {
    case stored
    case refused(StorageRefusal)
    /// Stored with this lifetime in seconds.
    case lifetime(Int64)
    /// Has this age, in seconds, so long after its arrival.
    case age(after: Int64, is: Int64)
    /// What may be done with it so long after its arrival.
    case use(after: Int64, Use)
    /// May be served so long after its arrival if the origin fails, or may not.
    case onError(after: Int64, Bool)
    /// A line of the stored head.
    case line(String)
    /// No line of this field in the stored head.
    case noLine(String)
}

/// One requirement.
struct Requirement: Sendable, CustomTestStringConvertible {
    var section: String
    var level: Level
    var words: String
    var method = "GET"
    var target = "/page?q=1"
    /// Of the request that was answered.
    var request: [String] = []
    var status = 200
    var response: [String]
    var isDated = true
    /// Milliseconds between sending the request and the response's head.
    var delay: Int64 = 0
    /// Of the later request that the stored response is to be used for.
    var later: [String] = []
    var settings = CacheSettings()
    var expected: [Expectation]

    init(_ section: String, _ level: Level, _ words: String, _ response: [String], _ expected: Expectation...) {
        self.section = section
        self.level = level
        self.words = words
        self.response = response
        self.expected = expected
    }

    var testDescription: String { "§\(section) \(level.rawValue): \(words)" }

    /// The same with something else changed.
    func with(_ change: (inout Requirement) -> Void) -> Requirement {
        var copy = self
        change(&copy)
        return copy
    }

    func asking(_ lines: String...) -> Requirement { with { $0.request = lines } }
    func laterAsking(_ lines: String...) -> Requirement { with { $0.later = lines } }
    func status(_ status: Int) -> Requirement { with { $0.status = status } }
    func undated() -> Requirement { with { $0.isDated = false } }
    func zone(_ change: (inout CacheSettings) -> Void) -> Requirement { with { change(&$0.settings) } }
    func post(_ target: String = "/page?q=1") -> Requirement {
        with {
            $0.method = "POST"
            $0.target = target
        }
    }
}

@Suite("RFC 9111")
struct RFC9111Tests {
    @Test("storing", arguments: RFC9111Rows.storing)
    func storing(_ row: Requirement) { check(row) }

    @Test("freshness and age", arguments: RFC9111Rows.freshness)
    func freshness(_ row: Requirement) { check(row) }

    @Test("use and staleness", arguments: RFC9111Rows.use)
    func use(_ row: Requirement) { check(row) }

    @Test("fields and directives", arguments: RFC9111Rows.fields)
    func fields(_ row: Requirement) { check(row) }

    @Test("neighbours: RFC 5861, 8246, 9110, 9213 and the house's own rules", arguments: RFC9111Rows.neighbours)
    func neighbours(_ row: Requirement) { check(row) }

    private func check(_ row: Requirement) {
        let request = TestRequest(row.method, row.target, row.request)
        let response = TestResponse(row.status, row.response, dated: row.isDated)
        let context = StorageContext(row.settings, sentAt: arrival - row.delay)
        let verdict = judge(request, response, context)
        for expectation in row.expected {
            #expect(holds(expectation, verdict, row, response), "\(row.testDescription): \(expectation); \(verdict)")
        }
    }

    private func holds(
        _ expectation: Expectation, _ verdict: StorageVerdict, _ row: Requirement, _ response: TestResponse
    ) -> Bool {
        if case .refused(let refusal) = expectation { return verdict.refusal == refusal }
        guard let storable = verdict.storable else { return false }
        let facts = storable.facts
        let directives = TestRequest("GET", row.target, row.later).directives
        func used(_ seconds: Int64) -> UseVerdict {
            facts.use(
                at: arrival + seconds * 1000, request: directives, settings: row.settings, isSoftPurged: false)
        }
        let head = StoredHead.render(
            response.head, response.bytes.span, facts: facts, strip: storable.strip, contentLength: 7)
        switch expectation {
        case .stored: return true
        case .refused: return false
        case .lifetime(let seconds): return facts.freshnessLifetime == seconds * 1000
        case .age(let after, let seconds): return facts.ageSeconds(at: arrival + after * 1000) == UInt64(seconds)
        case .use(let after, let use): return used(after).use == use
        case .onError(let after, let may): return used(after).mayServeOnError == may
        case .line(let line): return head.lines.contains(line)
        case .noLine(let name): return !head.lines.contains { $0.lowercased().hasPrefix(name.lowercased() + ":") }
        }
    }
}
