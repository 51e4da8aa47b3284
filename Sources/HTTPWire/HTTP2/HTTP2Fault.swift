// Why a connection ends (RFC 9113, section 5.4.1): a rule that was broken, or a budget that was overrun.

/// What a peer can do too much of, each within the letter of the protocol (RFC 9113, section 10.5).
package enum HTTP2Abuse: UInt8, CaseIterable, Sendable {
    /// Streams opened and cancelled at once (CVE-2023-44487).
    case rapidReset
    /// Frames that make us reset streams whose requests are under way (CVE-2025-8671).
    case serverReset
    /// A field block that does not end: frames, bytes, or empty frames of it (CVE-2024-27316 and others).
    case continuationFlood
    /// SETTINGS, each of which has to be acknowledged (CVE-2019-9515).
    case settingsFlood
    /// PING, each of which has to be answered (CVE-2019-9512).
    case pingFlood
    /// WINDOW_UPDATE for bytes that were never sent.
    case windowUpdateFlood
    /// DATA and HEADERS without content and without an end (CVE-2019-9518).
    case emptyFrames
    /// PRIORITY and PRIORITY_UPDATE (CVE-2019-9513).
    case priorityFlood
    /// Small blocks that stand for large lists (CVE-2016-6581).
    case hpackBomb
    /// Windows so small that each byte costs a frame (CVE-2019-9511, CVE-2019-9517).
    case tinyWindow
    /// Streams beyond what was allowed.
    case streamFlood
    /// Frames of unknown types.
    case unknownFrames
    /// Answers to all of these that are never taken from us.
    case controlBacklog

    /// The name in metrics and logs.
    package var label: StaticString {
        switch self {
        case .rapidReset: "rapid_reset"
        case .serverReset: "server_reset"
        case .continuationFlood: "continuation_flood"
        case .settingsFlood: "settings_flood"
        case .pingFlood: "ping_flood"
        case .windowUpdateFlood: "window_update_flood"
        case .emptyFrames: "empty_frames"
        case .priorityFlood: "priority_flood"
        case .hpackBomb: "hpack_bomb"
        case .tinyWindow: "tiny_window"
        case .streamFlood: "stream_flood"
        case .unknownFrames: "unknown_frames"
        case .controlBacklog: "control_backlog"
        }
    }
}

/// An error of the connection: GOAWAY with `code` is waiting to be written, and nothing that comes matters any more.
package struct HTTP2Fault: Error, Equatable, Sendable {
    package let code: HTTP2ErrorCode
    /// What the peer did too much of, where that is why.
    package let abuse: HTTP2Abuse?
    package let rule: HTTP2Rule
    /// What was expected and what was found instead, for a log line and for the debug data of GOAWAY.
    package let text: StaticString

    init(_ rule: HTTP2Rule) {
        code = rule.code
        abuse = nil
        self.rule = rule
        text = rule.text
    }

    init(_ abuse: HTTP2Abuse) {
        code = .enhanceYourCalm
        self.abuse = abuse
        rule = .calm
        text = abuse.label
    }

    init(_ error: HPACKError) {
        let isBomb = error.kind == .listTooLarge
        code = isBomb ? .enhanceYourCalm : .compressionError
        abuse = isBomb ? .hpackBomb : nil
        rule = isBomb ? .calm : .compression
        text = error.text
    }

    package static func == (one: HTTP2Fault, other: HTTP2Fault) -> Bool {
        one.code == other.code && one.abuse == other.abuse && one.rule == other.rule
    }
}

extension HTTP2Fault: CustomStringConvertible {
    package var description: String { "\(code.label): \(text) (\(rule.section))" }
}
