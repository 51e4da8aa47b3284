import Foundation
import Testing

/// Nothing is left behind by clients that come and go as they like.
@Suite("HTTP/2: churn", .onStageThreads)
struct ChurnJourneys {
    @Test("Streams that end in every way leave nothing behind", arguments: [1])
    func churn(seed: Int) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try HTTP2Stage(on: stage, top: "timeouts: { write: 5s, body: 5s }")
        let large = String(repeating: "0123456789abcdef", count: 20_000)
        let pages = [
            try Page("Cache-Control: max-age=600", on: cast),
            try Page("Cache-Control: max-age=600", body: large, on: cast),
            try Page(body: large, on: cast),
            try Page("Cache-Control: no-store", on: cast),
            try Page(on: cast) { connection, _, _ in
                try connection.send(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Last: a\r\n\r\n")
            },
            try Page(on: cast) { connection, _, _ in
                try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ncut")
                throw WireFailure.closed
            },
        ]
        let clients = try Transport.allCases.map { transport in
            try cast.start(
                "churn", "churn", over: transport,
                ["paths": pages.map(\.path), "rounds": 40, "seed": seed * 1000 + (transport == .tls ? 1 : 0)])
        }
        for client in clients {
            let found = try client.findings()
            #expect(found.int("whole") > 10 && found.int("resets") > 100, "\(found)")
            // Resets beyond measure are calmed; nothing else is an error.
            let faults = (found.values["faults"] as? [[Any]] ?? []).compactMap { $0.last as? String }
            #expect(faults.allSatisfy { $0 == "rapid_reset" }, "\(faults)")
        }
        for gauge in [
            "martlet_http2_connections_active", "martlet_http2_streams_active", "martlet_requests_active",
            "martlet_origin_connections_active",
        ] {
            let isZero = try eventually { try cast.edge.metric(gauge) == 0 }
            let left = try cast.edge.metric(gauge)
            #expect(isZero, "\(gauge): \(left)")
        }
        for page in pages.prefix(4) {
            for transport in Transport.allCases { #expect(try cast.ask(page.path, over: transport).status == 200) }
        }
        #expect(cast.edge.process.exitStatus == nil)
        #expect(!cast.edge.process.errors.lowercased().contains("fatal"), "\(cast.edge.process.errors.suffix(2000))")
    }
}
