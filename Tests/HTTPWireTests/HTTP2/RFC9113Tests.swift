// What RFC 9113 requires of either end, one row a requirement: its section, how strongly it is put, what it says in our
// words, and frames that show it. Every row is played with its bytes in one piece, one by one, and in random pieces.
// The rows are in RFC9113Rows*.swift. docs/rfc9113.md lists all of them.

import HTTPWire
import Testing

/// BCP 14's words.
enum RFCLevel: String, Sendable {
    case must = "MUST"
    case mustNot = "MUST NOT"
    case should = "SHOULD"
    case may = "MAY"
}

/// What a row expects.
enum HTTP2Expectation: Sendable, Equatable {
    /// The connection fails with this code, GOAWAY says so, and every further step too.
    case connectionError(HTTP2ErrorCode)
    /// RST_STREAM for this stream with this code, and the connection goes on.
    case streamError(UInt32, HTTP2ErrorCode)
    /// The steps.
    case said([String])
    /// The frames written.
    case sent([String])
    /// Nothing is said, nothing written.
    case ignored

    static func says(_ lines: String...) -> HTTP2Expectation { .said(lines) }
    static func sends(_ lines: String...) -> HTTP2Expectation { .sent(lines) }
}

/// One requirement.
struct HTTP2Row: Sendable, CustomTestStringConvertible {
    var section: String
    var level: RFCLevel
    var words: String
    var role = HTTP2Session.Role.server
    var bounds: HTTP2Bounds?
    /// The peer's.
    var settings: [(UInt16, UInt32)] = []
    /// Whether the connection's beginning is over when the row begins.
    var isBegun = true
    var expected: [HTTP2Expectation]
    var play: @Sendable (HTTP2Peer) -> Void

    init(
        _ section: String, _ level: RFCLevel, _ words: String, _ expected: HTTP2Expectation...,
        play: @escaping @Sendable (HTTP2Peer) -> Void
    ) {
        self.section = section
        self.level = level
        self.words = words
        self.expected = expected
        self.play = play
    }

    var testDescription: String { "§\(section) \(level.rawValue): \(words)" }

    /// The same with something else changed.
    func with(_ change: (inout HTTP2Row) -> Void) -> HTTP2Row {
        var copy = self
        change(&copy)
        return copy
    }

    var asClient: HTTP2Row { with { $0.role = .client } }
    var fromStart: HTTP2Row { with { $0.isBegun = false } }
    func settings(_ entries: (UInt16, UInt32)...) -> HTTP2Row { with { $0.settings = entries } }
    func bounds(_ change: (inout HTTP2Bounds) -> Void) -> HTTP2Row {
        with {
            var bounds = $0.role == .server ? HTTP2Bounds() : HTTP2Bounds.origin
            change(&bounds)
            $0.bounds = bounds
        }
    }

    /// Plays the row and says what is not as expected.
    func violations(_ splits: HTTP2Peer.Splits) -> [String] {
        let peer = HTTP2Peer(role, bounds, begun: isBegun, settings: settings, splits: splits)
        play(peer)
        var found = peer.violations
        let story = "said \(peer.said), sent \(peer.sent), fault \(peer.fault.map { "\($0)" } ?? "none"), \(splits)"
        for expectation in expected where !Self.holds(expectation, peer) { found.append("\(expectation): \(story)") }
        let mayFail = expected.contains { if case .connectionError = $0 { true } else { false } }
        if !mayFail, peer.fault != nil { found.append("failed: \(story)") }
        return found
    }

    private static func holds(_ expectation: HTTP2Expectation, _ peer: HTTP2Peer) -> Bool {
        switch expectation {
        case .connectionError(let code):
            guard peer.fault?.code == code, peer.session.hasFailed, let last = peer.sent.last else { return false }
            peer.receive(Frames.ping())
            return last.hasPrefix("GOAWAY ") && last.hasSuffix(" \(code.label)") && peer.sent.last == last
        case .streamError(let id, let code):
            return peer.sent.filter { $0 == "RST_STREAM \(id) \(code.label)" }.count == 1 && peer.fault == nil
                && peer.answersPing
        case .said(let lines): return peer.said == lines
        case .sent(let lines): return peer.sent == lines
        case .ignored: return peer.said.isEmpty && peer.sent.isEmpty
        }
    }
}

extension HTTP2Peer {
    /// The connection is alive.
    var answersPing: Bool {
        let count = sent.count
        receive(Frames.ping(9))
        return sent.count == count + 1 && sent.last == "PING ACK 9"
    }
}

@Suite("RFC 9113")
struct RFC9113Tests {
    @Test("frames and the connection", arguments: RFC9113Rows.framing)
    func framing(_ row: HTTP2Row) { check(row) }

    @Test("frame types", arguments: RFC9113Rows.types)
    func types(_ row: HTTP2Row) { check(row) }

    @Test("streams", arguments: RFC9113Rows.streams)
    func streams(_ row: HTTP2Row) { check(row) }

    @Test("flow control", arguments: RFC9113Rows.windows)
    func windows(_ row: HTTP2Row) { check(row) }

    @Test("messages", arguments: RFC9113Rows.messages)
    func messages(_ row: HTTP2Row) { check(row) }

    @Test("fields", arguments: RFC9113Rows.fields)
    func fields(_ row: HTTP2Row) { check(row) }

    @Test("neighbours", arguments: RFC9113Rows.neighbours)
    func neighbours(_ row: HTTP2Row) { check(row) }

    private func check(_ row: HTTP2Row) {
        var ways: [HTTP2Peer.Splits] = [.whole, .singles]
        for seed in 0..<4 { ways.append(.random(Random(seed: UInt64(seed)))) }
        for splits in ways {
            for violation in row.violations(splits) { Issue.record("\(row.testDescription): \(violation)") }
        }
    }
}

/// All rows.
enum RFC9113Rows {
    static var all: [HTTP2Row] { framing + types + streams + windows + messages + fields + neighbours }
}
