import JSON
import Testing

@testable import ConfigModel

@Suite("Zones as values")
struct ZoneDocumentTests {
    private func zones(_ text: String) throws -> [ZoneDocument] {
        try ZoneDocument.parse(text: text, path: "martlet.yaml", directory: "/etc/martlet").zones
    }

    @Test("what the operator wrote, without defaults; numbers and flags as such, the rest as text")
    func values() throws {
        let zones = try zones(
            """
            zones:
              Example.TEST.:
                origins:
                  - "http://127.0.0.1:8000"
                  - { url: "https://b.internal", weight: 3, backup: true, host: "123" }
                balance: { hash: "header:X-User" }
                ejection: off
                attempts: 2
                timeouts: { connect: 5s, idle: 120 }
                limits: { body: 100MiB }
              other.example:
                origins: "http://127.0.0.1:1"
            """)
        #expect(zones.map(\.name) == ["example.test", "other.example"])
        let expected: JSONObject = [
            "origins": [
                "http://127.0.0.1:8000",
                ["url": "https://b.internal", "weight": 3, "backup": true, "host": "123"],
            ], "balance": ["hash": "header:X-User"], "ejection": "off", "attempts": 2,
            "timeouts": ["connect": "5s", "idle": 120], "limits": ["body": "100MiB"],
        ]
        #expect(zones[0].site == expected)
        #expect(zones[1].site == ["origins": "http://127.0.0.1:1"])
    }

    @Test("paths of files are made absolute; paths of URLs are not, nor is what has the same key elsewhere")
    func paths() throws {
        let site = try zones(
            """
            listen: { https: "127.0.0.1:8443" }
            zones:
              example.test:
                tls: { certificate: ./cert.pem, key: /keys/key.pem }
                origins:
                  - url: "https://b.internal"
                    health: { path: /healthz }
                    tls: { ca: ../ca.pem, certificate: a/c.pem, key: "a/k.pem", server_name: ca }
            """)[0].site
        #expect(site["tls"] == ["certificate": "/etc/martlet/cert.pem", "key": "/keys/key.pem"])
        let origin = site["origins"]?.array?.first
        #expect(origin?["health"] == ["path": "/healthz"])
        #expect(
            origin?["tls"] == [
                "ca": "/etc/martlet/../ca.pem", "certificate": "/etc/martlet/a/c.pem",
                "key": "/etc/martlet/a/k.pem", "server_name": "ca",
            ])
    }

    @Test("anchors are resolved, and the same text in quotes stays text")
    func aliases() throws {
        let zones = try zones(
            """
            zones:
              a.example: { origins: "http://127.0.0.1:1", health: &check { path: /x, every: 10s }, attempts: 1 }
              b.example: { origins: "http://127.0.0.1:1", health: *check, balance: { sticky: "0012" } }
            """)
        #expect(zones[0].site["health"] == zones[1].site["health"])
        #expect(zones[1].site["balance"] == ["sticky": "0012"])
    }

    @Test("a file with nothing but zones is enough; what is wrong in it is told as ever")
    func checked() throws {
        #expect(throws: ConfigurationError.self) { try zones("zones: { a.example: { origin: x } }") }
        #expect(throws: ConfigurationError.self) { try zones("zones: {}") }
        #expect(throws: ConfigurationError.self) { try zones("zones: [") }
        #expect(throws: ConfigurationError.self) {
            try zones("listen: { htp: x }\nzones: { a.example: { origins: x } }")
        }
        let redirect = "zones: { a.example: { origins: \"http://127.0.0.1:1\", redirect_to_https: true } }"
        #expect(try zones(redirect)[0].site["redirect_to_https"] == true)
        // A file that serves by itself is held to its own listeners.
        #expect(throws: ConfigurationError.self) { try zones("listen: { http: \"127.0.0.1:1\" }\n" + redirect) }
    }

    @Test("what was rendered reads as the same zone again")
    func roundTrip() throws {
        let text = """
            listen: { https: "127.0.0.1:8443" }
            zones:
              example.test:
                hostnames: [example.test, "*.example.test"]
                origins: [{ url: "http://127.0.0.1:8000", weight: 3, resolve_every: 30s }]
                health: { path: /h, every: 10s, expect: 200 }
                cache: { default_ttl: 5m }
                attempts: 1
                pool: { connections: 10, idle: 5 }
            """
        let document = try zones(text)[0]
        let again = """
            {"listen":{"https":"127.0.0.1:8443"},"zones":{"\(document.name)":\(document.site.text)}}
            """
        let (before, after) = (
            try Configuration.parse(text: text, path: "a", directory: "/", checking: .none).configuration.zones,
            try Configuration.parse(text: again, path: "b", directory: "/", checking: .none).configuration.zones
        )
        #expect("\(before)" == "\(after)")
    }
}
