import Foundation
import Glibc
import Testing

/// The commands as an operator types them.
@Suite("Commands", .onStageThreads)
struct CommandJourneys {
    /// What the command said, whichever stream it chose.
    private func martlet(_ stage: Stage, _ arguments: String...) throws -> (status: Int32?, text: String) {
        let process = try stage.start([try Edge.binary()] + arguments)
        let status = process.waitForExit()
        return (status, process.output + process.errors)
    }

    private static let good = """
        listen: { http: "127.0.0.1:18080" }
        zones:
          example.test:
            origins: ["http://127.0.0.1:8000"]

        """

    @Test("A second martlet on the same data directory is refused, and says why")
    func secondProcess() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origins = "  \"example.test\": { origins: [\"http://127.0.0.1:9\"] }\n"
        let first = try stage.edge(EdgeConfiguration(zones: origins))
        let second = try Edge(EdgeConfiguration(zones: origins), on: stage)
        #expect(second.process.waitForExit() == 1)
        #expect(second.process.errors.contains("another martlet runs with the data directory"))
        #expect(try first.admin("/readyz").status == 200)
        // A process that was killed leaves no lock behind.
        first.process.signal(SIGKILL)
        _ = first.process.waitForExit()
        _ = try stage.edge(EdgeConfiguration(zones: origins))
    }

    @Test("check accepts the example that everyone starts with")
    func checkAccepts() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let authority = try stage.authority("own")
        _ = try stage.certificate("example.test", by: authority, file: "cert")
        let file = try stage.write(
            """
            listen:
              http:  ["127.0.0.1:8080"]
              https: ["127.0.0.1:8443"]
            admin: "127.0.0.1:9090"        # /metrics, /healthz, /readyz
            data:  "./var"                 # everything Martlet writes
            zones:
              example.test:                # the zone's name; "*" takes every other host
                hostnames: ["example.test", "*.example.test"]
                origins: ["http://127.0.0.1:8000"]
                tls: { certificate: cert.pem, key: cert.key }

            """, to: "martlet.yaml")
        let (status, text) = try martlet(stage, "check", "-c", file.path)
        #expect(status == 0, "\(text)")
    }

    @Test("check accepts every key there is")
    func checkAcceptsEverything() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let authority = try stage.authority("own")
        _ = try stage.certificate("client", by: authority, file: "client")
        let file = try stage.write(
            """
            listen:
              http: [{address: "127.0.0.1:8080", proxy_protocol: true}, "[::1]:8081", "*:8082"]
              https: "127.0.0.1:8443"
            admin: "off"
            data: ./var
            threads: auto
            log: { level: debug, format: json }
            access_log: { path: ./access.log, buffer: 1MiB }
            trusted_proxies: ["10.0.0.0/8", "::1"]
            client_address_header: X-Real-IP
            timeouts: { header: 10s, handshake: 10s, body: 30s, write: 60s, idle: 400s, tunnel: 15m, drain: 250ms }
            limits:
              request_line: 16KiB
              header_bytes: 64kB
              header_count: 128
              body_rate: 0
              requests_per_connection: 1000
              connections: 1000
            zones:
              example.test:
                hostnames: ["example.test", "*.example.test"]
                origins:
                  - "http://127.0.0.1:8000"
                  - url: "https://origin.internal:8443"
                    weight: 3
                    backup: true
                    host: "internal.example"
                    resolve_every: 30s
                    health: { path: /healthz, every: 10s, timeout: 3s, healthy_after: 2, expect: 200 }
                    tls: { verify: true, ca: own-ca.pem, server_name: x.test, certificate: client.pem, key: client.key }
                balance: {hash: "header:X-User"}
                health: "/healthz"
                ejection: { failures: 5, for: 30s, slow_start: 10s }
                attempts: 2
                redirect_to_https: true
                timeouts: { connect: 5s, first_byte: 2m, idle: 120 }
                limits: { body: 100MiB }
                pool: { connections: 1024, idle: 512, keep_alive: 60s, wait: 5s }
              "*":
                origins: ["http://127.0.0.1:8000"]
                balance: {sticky: home}
                ejection: off
                limits: { body: unlimited }

            """, to: "martlet.yaml")
        let (status, text) = try martlet(stage, "check", "-c", file.path)
        #expect(status == 0, "\(text)")
    }

    /// A file with one fault, where it stands, and words that the error must have.
    struct Fault: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let text: String
        let line: Int
        let words: [String]
    }

    private static func zone(_ lines: String) -> String {
        "listen: { http: \"127.0.0.1:18080\" }\nzones:\n  example.test:\n"
            + "    origins: [\"http://127.0.0.1:8000\"]\n\(lines)\n"
    }

    @Test(
        "check says where and what is wrong",
        arguments: [
            Fault(testDescription: "unknown key", text: "listn: {}\n" + good, line: 1, words: ["listn", "listen"]),
            Fault(
                testDescription: "unknown key of a zone", text: zone("    atempts: 2"), line: 5,
                words: ["atempts", "attempts"]),
            Fault(testDescription: "wrong type", text: zone("    attempts: many"), line: 5, words: ["many"]),
            Fault(testDescription: "out of range", text: zone("    attempts: 6"), line: 5, words: ["5"]),
            Fault(
                testDescription: "bad duration", text: zone("    timeouts: { connect: 5 parsecs }"), line: 5,
                words: ["5 parsecs"]),
            Fault(testDescription: "bad size", text: zone("    limits: { body: 5XB }"), line: 5, words: ["5XB"]),
            Fault(
                testDescription: "bad balance", text: zone("    balance: fairest"), line: 5,
                words: ["fairest", "round_robin"]),
            Fault(testDescription: "bad origin", text: zone("    hostnames: [\"a b\"]"), line: 5, words: ["a b"]),
            Fault(
                testDescription: "missing certificate", text: zone("    tls: { certificate: none.pem, key: none.key }"),
                line: 5, words: ["none.pem"]),
            Fault(
                testDescription: "key without certificate", text: zone("    tls: { key: none.key }"), line: 5,
                words: ["certificate"]),
            Fault(
                testDescription: "origin with a path",
                text:
                    "listen: { http: \"127.0.0.1:1\" }\nzones:\n  a.test:\n    origins:\n"
                    + "      - \"http://127.0.0.1:8000/path\"\n",
                line: 5, words: ["path"]),
            Fault(
                testDescription: "host twice",
                text: zone("  www.test:\n    hostnames: [\"example.test\"]\n    origins: [\"http://127.0.0.1:1\"]"),
                line: 6, words: ["example.test"]),
            Fault(
                testDescription: "duplicate key", text: zone("    attempts: 2\n    attempts: 3"), line: 6,
                words: ["attempts"]),
            Fault(testDescription: "not YAML", text: "listen: [\n\"127.0.0.1:80\"\nzones: }\n", line: 3, words: []),
            Fault(
                testDescription: "bad address",
                text: "listen: { http: \"127.0.0.1\" }\n" + "zones:\n  a.test: { origins: [\"http://127.0.0.1:1\"] }\n",
                line: 1, words: ["127.0.0.1"]),
        ])
    func checkRefuses(fault: Fault) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let file = try stage.write(fault.text, to: "martlet.yaml")
        let (status, text) = try martlet(stage, "check", "-c", file.path)
        #expect(
            status != 0 && status != nil && (status ?? -1) > 0, "exit \(status.map(String.init) ?? "none"): \(text)")
        let shape = try Regex("martlet\\.yaml:\(fault.line):[0-9]+")
        #expect(text.contains(shape), "\(text)")
        for word in fault.words { #expect(text.contains(word), "\(word) in \(text)") }
        // The same file does not start either.
        let up = try martlet(stage, "up", "-c", file.path)
        #expect((up.status ?? 0) > 0)
        #expect(up.text.contains("martlet.yaml:\(fault.line):"), "\(up.text)")
    }

    @Test("check reports a file that is not there, or has no zones", arguments: ["none", "empty", "zoneless"])
    func checkRefusesFiles(kind: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let file = stage.path("martlet.yaml")
        if kind == "empty" { try stage.write("", to: "martlet.yaml") }
        if kind == "zoneless" {
            try stage.write("listen: { http: \"127.0.0.1:18080\" }\nzones: {}\n", to: "martlet.yaml")
        }
        let (status, text) = try martlet(stage, "check", "-c", file)
        #expect((status ?? 0) > 0)
        #expect(text.contains("martlet.yaml"), "\(text)")
    }

    @Test("version says a version")
    func version() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (status, text) = try martlet(stage, "version")
        #expect(status == 0)
        #expect(text.lowercased().contains("martlet"))
        #expect(text.contains(/[0-9]+\.[0-9]+/), "\(text)")
    }

    @Test("--help names the commands and what they do", arguments: [[], ["up"], ["check"]])
    func help(command: [String]) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let process = try stage.start([try Edge.binary()] + command + ["--help"])
        #expect(process.waitForExit() == 0)
        let words = command.isEmpty ? ["up", "check", "version"] : ["-c", "USAGE"]
        for word in words { #expect(process.output.contains(word), "\(process.output)") }
    }

    @Test("An address that is taken is named, and the process does not stay")
    func addressTaken() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let other = try stage.origin()
        let file = try stage.write(
            "listen: { http: \"127.0.0.1:\(other.port)\" }\nadmin: \"off\"\n"
                + "zones:\n  \"*\": { origins: [\"http://127.0.0.1:1\"] }\n",
            to: "martlet.yaml")
        let (status, text) = try martlet(stage, "up", "-c", file.path)
        #expect((status ?? 0) > 0, "exit \(status.map(String.init) ?? "none")")
        #expect(text.contains("127.0.0.1:\(other.port)"), "\(text)")
    }

    @Test("An unknown command is refused with usage")
    func unknownCommand() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let (status, text) = try martlet(stage, "fly")
        #expect((status ?? 0) > 0)
        #expect(text.lowercased().contains("usage"), "\(text)")
    }
}
