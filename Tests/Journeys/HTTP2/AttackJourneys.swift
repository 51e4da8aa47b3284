import Foundation
import Testing

/// Attacks by their names, sent over real connections: the edge answers ENHANCE_YOUR_CALM, counts them, and goes on
/// serving others.
@Suite("HTTP/2: attacks", .onStageThreads)
struct AttackJourneys {
    struct Attack: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let scenario: String
        var words: [String: String] = [:]
        var numbers: [String: Int] = [:]
        /// The `kind` of `martlet_http2_abuse_total`: one of these.
        let kinds: [String]

        init(
            _ name: String, _ scenario: String, _ words: [String: String] = [:], _ numbers: [String: Int] = [:],
            is kinds: String...
        ) {
            testDescription = name
            self.scenario = scenario
            self.words = words
            self.numbers = numbers
            self.kinds = kinds
        }
    }

    /// An edge that is attacked by all of them at once.
    private final class Ground: Sendable {
        static let shared = Result { try Ground() }
        private static let directory = Shared<URL?>(nil)

        let cast: HTTP2Stage
        /// What the bystander asks for, and what the attacker does: both of the cache, so that the edge does the work.
        let quiet: Page
        let large: Page

        init() throws {
            let stage = try Stage()
            Self.directory.withLock { $0 = stage.directory }
            atexit {
                if let directory = Ground.directory.current { try? FileManager.default.removeItem(at: directory) }
            }
            cast = try HTTP2Stage(on: stage)
            quiet = try Page("Cache-Control: max-age=3600", on: cast)
            large = try Page(
                "Cache-Control: max-age=3600", body: String(repeating: "0123456789abcdef", count: 16_384), on: cast)
            _ = try cast.edge.get(quiet.path)
            _ = try cast.edge.get(large.path)
        }
    }

    static let attacks: [Attack] = [
        Attack("rapid reset (CVE-2023-44487)", "rapid_reset", is: "rapid_reset"),
        Attack("rapid reset, once the requests have begun", "rapid_reset_later", is: "rapid_reset"),
        Attack("MadeYouReset: a window of 0", "made_you_reset", ["way": "window of 0"], is: "server_reset"),
        Attack("MadeYouReset: a window too large", "made_you_reset", ["way": "window too large"], is: "server_reset"),
        Attack("MadeYouReset: PRIORITY too short", "made_you_reset", ["way": "PRIORITY too short"], is: "server_reset"),
        Attack("MadeYouReset: a body too long", "made_you_reset", ["way": "content-length broken"], is: "server_reset"),
        Attack(
            "MadeYouReset: trailers that end nothing", "made_you_reset", ["way": "trailers that end nothing"],
            is: "server_reset"),
        Attack("faulty requests", "faulty_requests", is: "server_reset"),
        Attack("empty CONTINUATION for ever", "continuations", [:], ["size": 0], is: "continuation_flood"),
        Attack(
            "CONTINUATION of 16 KiB for ever (CVE-2024-27316)", "continuations", [:], ["size": 16_384],
            is: "continuation_flood", "hpack_bomb"),
        Attack("SETTINGS (CVE-2019-9515)", "settings_flood", [:], ["values": 1], is: "settings_flood"),
        Attack("SETTINGS with many values", "settings_flood", [:], ["values": 500], is: "settings_flood"),
        Attack("PING (CVE-2019-9512)", "ping_flood", is: "ping_flood"),
        Attack("DATA without bytes (CVE-2019-9518)", "empty_data", [:], ["padding": 0], is: "empty_frames"),
        Attack("DATA of padding alone", "empty_data", [:], ["padding": 20], is: "empty_frames"),
        Attack(
            "the connection's window, byte by byte", "window_updates", [:], ["on_stream": 0], is: "window_update_flood"),
        Attack("a stream's window, byte by byte", "window_updates", [:], ["on_stream": 1], is: "window_update_flood"),
        Attack("stream dependencies (CVE-2019-9513)", "dependency_games", is: "priority_flood"),
        Attack("PRIORITY_UPDATE of one stream", "priority_updates", [:], ["idle": 0], is: "priority_flood"),
        Attack("PRIORITY_UPDATE of streams to come", "priority_updates", [:], ["idle": 1], is: "priority_flood"),
        Attack("an HPACK bomb", "hpack_bomb", is: "hpack_bomb"),
        Attack("windows of one byte (CVE-2019-9511)", "tiny_windows", is: "tiny_window"),
        Attack("streams without end", "stream_flood", is: "stream_flood", "rapid_reset"),
        Attack("frames of no known type", "unknown_frames", is: "unknown_frames"),
    ]

    @Test("Calmed, counted, and of no consequence to another client", arguments: attacks)
    func attack(attack: Attack) throws {
        let ground = try Ground.shared.get()
        let edge = ground.cast.edge
        // Half of them over TLS: which ones does not matter to the session behind it.
        let transport: Transport = attack.testDescription.utf8.count % 2 == 0 ? .tls : .clear
        func counted() throws -> Double {
            try attack.kinds.reduce(0) { try $0 + edge.metric("martlet_http2_abuse_total", "kind=\"\($1)\"") }
        }
        let before = try counted()
        var arguments: [String: Any] = ["quiet": ground.quiet.path, "path": ground.large.path]
        arguments.merge(attack.words) { $1 }
        arguments.merge(attack.numbers) { $1 }
        let found = try edge.play("attacks", attack.scenario, over: transport, arguments)
        #expect(HTTP2Code(rawValue: found.int("goaway")) == .enhanceYourCalm, "\(found)")
        #expect(found.flag("closed"), "\(found)")
        #expect(found.int("served") > 0 && found.int("failed") == 0, "the other client: \(found)")
        #expect(try eventually { try counted() > before }, "\(found)")
        #expect(try edge.metric("martlet_client_connections_closed_total", "reason=\"abuse\"") > 0)
    }

    @Test("Whoever reads nothing is ended by the write timeout, and holds little meanwhile")
    func deaf() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage, top: "timeouts: { write: 2s }")
        let quiet = try Page("Cache-Control: max-age=3600", on: cast)
        let large = try Page(body: String(repeating: "0123456789abcdef", count: 65_536), on: cast)
        _ = try cast.edge.get(quiet.path)
        let base = cast.edge.process.memoryKiB("VmRSS")
        let client = try cast.start("attacks", "deaf", ["quiet": quiet.path, "path": large.path])
        _ = try client.said("asked")
        #expect(try eventually { try cast.edge.metric("martlet_http2_connections_active") == 1 }, "the bystander alone")
        #expect(cast.edge.process.memoryKiB("VmHWM") - base < 96 * 1024)
        client.tell()
        #expect(try client.findings().int("failed") == 0)
    }

    @Test(
        "A beginning without an end is over when its time is",
        arguments: ["preface", "settings", "silent", "block"], Transport.allCases)
    func halfBegun(kind: String, transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage, top: "timeouts: { header: 500ms, idle: 500ms, handshake: 5s }")
        let found = try cast.play("faults", "half_begun", over: transport, ["kind": kind])
        #expect(found.flag("closed"), "\(found)")
        let code = HTTP2Code(rawValue: found.int("goaway"))
        #expect(code == nil || code == .noError || code == .protocolError || code == .enhanceYourCalm, "\(found)")
        #expect(cast.edge.process.exitStatus == nil)
    }

    @Test("A window that never opens ends the stream, not the connection", arguments: Transport.allCases)
    func shutWindow(transport: Transport) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage, top: "timeouts: { write: 1s }")
        let page = try Page(body: String(repeating: "x", count: 100_000), on: cast)
        let found = try cast.play("exchanges", "shut_window", over: transport, ["path": page.path])
        #expect(HTTP2Code(rawValue: found.int("reset")) != nil || found.flag("closed"), "\(found)")
        #expect(try eventually { try cast.edge.metric("martlet_http2_streams_active") == 0 })
    }

    @Test("More than a window allows is an error", arguments: [true, false])
    func beyondWindows(isOfStream: Bool) throws {
        let stage = try Stage()
        defer { stage.strike() }
        // An origin that never takes the connection: no credit comes back.
        let full = try FullListener()
        defer { full.close() }
        let origin = "http://127.0.0.1:\(full.port)"
        let edge = try stage.edge(HTTP2Stage.configuration(zones: zone("example.test", origins: [origin])))
        let found = try edge.play("faults", "beyond_windows", ["path": "/", "per_stream": isOfStream])
        let codes = (found.ints("resets") + [found.int("goaway")]).compactMap(HTTP2Code.init)
        #expect(codes.contains(.flowControlError), "\(found)")
    }
}
