import Testing

@testable import ConfigModel

/// What the tables of texts and messages abbreviate.
private func expanded(_ text: String) -> String {
    let words = [
        "{zone}": " in zone \"a.test\"", "{of}": " of zone \"a.test\"",
        "{origin}": " in an origin of zone \"a.test\"", "{a}": "zones: { a.test: { {b} } }",
        "{url}": "expected a URL such as http://127.0.0.1:8000 or https://origin.example.test for",
        "{balance}": "expected round_robin, least_outstanding, { hash: … } or { sticky: … } for",
        "{http}": "listen: { http: \"*:80\" }\n", "{zones}": "listen: { http: \"*:80\" }\nzones:\n",
    ]
    let once = words.reduce(text) { $0.replacing($1.key, with: $1.value) }
    return once.replacing("{b}", with: "origins: http://b")
}

@Suite struct ConfigurationProblemTests {
    @Test func rendersLikeACompiler() throws {
        let text = """
            listen: { http: ["127.0.0.1:8080"] }
            zones:
              example.test:
                hostname: [www.example.test]
                origins: ["http://127.0.0.1:8000"]
                attempts: 9
                tls: { certificate: a.pem, key: b.pem }
            """
        let error = #expect(throws: ConfigurationError.self) { try parse(text) }
        #expect(
            error?.description == """
                martlet.yaml:4:5: error: unknown key "hostname" in zone "example.test"; did you mean "hostnames"?
                    4 |     hostname: [www.example.test]
                      |     ^~~~~~~~
                      help: keys of a zone: hostnames, origins, tls, balance, health, ejection, attempts, \
                redirect_to_https, timeouts, limits, pool, cache
                martlet.yaml:6:15: error: expected a number from 1 to 5 for "attempts" in zone "example.test", found "9"
                    6 |     attempts: 9
                      |               ^
                martlet.yaml:7:5: warning: this certificate is never shown: listen has no https address
                    7 |     tls: { certificate: a.pem, key: b.pem }
                      |     ^~~
                      help: add https: ["*:443"] to listen
                2 errors, 1 warning
                """)
    }

    /// A line of the file and what is said about it; the zone's origins and a listener are there already.
    static let lines: [(line: String, column: Int, message: String)] = [
        ("thread: 2", 1, "unknown key \"thread\"; did you mean \"threads\"?"),
        ("threads: 0", 10, "expected a number from 1 to 512 for \"threads\", found \"0\""),
        ("threads: \"2\"", 10, "expected a number from 1 to 512 for \"threads\", found \"2\""),
        ("threads: -1", 10, "expected a number from 1 to 512 for \"threads\", found \"-1\""),
        ("threads: 0x10", 10, "expected a number from 1 to 512 for \"threads\", found \"0x10\""),
        ("threads:", 9, "expected a number from 1 to 512 for \"threads\", found nothing"),
        ("threads: [1]", 10, "expected a number from 1 to 512 for \"threads\", found a list"),
        ("data: ~", 7, "expected a path for \"data\", found nothing"),
        ("data: ~/var", 7, "expected a path for \"data\", found \"~/var\""),
        ("data: \"\"", 7, "expected a path for \"data\", found \"\""),
        ("log: info", 6, "expected a mapping for \"log\", found \"info\""),
        (
            "log: { level: warn }", 15,
            "expected one of trace, debug, info, notice, warning, error for \"level\" in log, found \"warn\""
        ),
        ("log: { format: xml }", 16, "expected text or json for \"format\" in log, found \"xml\""),
        (
            "access_log: { buffer: 1kB }", 23,
            "expected a size from 64KiB to 1GiB for \"buffer\" in access_log, found \"1kB\""
        ),
        (
            "access_log: { buffer: 1k }", 23,
            "expected a size such as 512, 16KiB, 100MiB or 10GB for \"buffer\" in access_log, found \"1k\""
        ),
        ("timeouts: { idle: 2d }", 19, "expected a duration from 10ms to 1d for \"idle\" in timeouts, found \"2d\""),
        (
            "timeouts: { idle: 1w }", 19,
            "expected a duration such as 250ms, 10s, 5m, 1h or 1d for \"idle\" in timeouts, found \"1w\""
        ),
        ("limits: { body: 1MiB }", 11, "unknown key \"body\" in limits; did you mean \"body_rate\"?"),
        (
            "limits: { header_count: 15 }", 25,
            "expected a number from 16 to 1024 for \"header_count\" in limits, found \"15\""
        ),
        (
            "limits: { streams_per_connection: 0 }", 35,
            "expected a number from 1 to 1024 for \"streams_per_connection\" in limits, found \"0\""
        ),
        (
            "admin: localhost:9090", 8,
            "expected an address such as 127.0.0.1:8080, [::1]:8080 or *:8080 for \"admin\", found \"localhost:9090\""
        ),
        (
            "admin: 127.0.0.1:8080", 8,
            "expected an address of its own for \"admin\", found \"127.0.0.1:8080\", which is also in listen"
        ),
        (
            "trusted_proxies: [10.0.0.1/8]", 19,
            "expected a block without bits beyond its prefix for \"trusted_proxies\", found \"10.0.0.1/8\""
        ),
        (
            "client_address_header: \"X:\"", 24,
            "expected a field name such as X-Forwarded-For for \"client_address_header\", found \"X:\""
        ),
        ("threads: !!int 2", 10, "expected a value without a tag, found the tag \"tag:yaml.org,2002:int\""),
        ("<<: {}", 1, "expected a key, found the merge key \"<<\""),
        ("[a]: 1", 1, "expected a word as key, found a list"),
    ]

    @Test(arguments: lines.indices) func aWrongLineIsAnError(index: Int) throws {
        let (line, column, message) = Self.lines[index]
        let text = "listen: { http: \"127.0.0.1:8080\" }\n\(line)\nzones: { a.test: { {b} } }\n"
        let errors = problems(expanded(text)).filter { $0.severity == .error }
        try #require(errors.count == 1, "\(errors)")
        #expect(errors[0].message == expanded(message))
        #expect([errors[0].line, errors[0].column] == [2, column])
        #expect(errors[0].excerpt?.text == line)
        #expect(errors[0].excerpt?.caretOffset == column - 1)
    }

    static let zoneLines: [(line: String, column: Int, message: String)] = [
        ("origin: x", 3, "unknown key \"origin\"{zone}; did you mean \"origins\"?"),
        (
            "hostnames: [a:80]", 15,
            "expected a host name such as www.example.test for \"hostnames\"{zone}, found \"a:80\""
        ),
        (
            "hostnames: []", 14,
            "expected at least one host name for \"hostnames\"{zone}, found an empty list"
        ),
        ("hostnames: { a: 1 }", 14, "expected a host name for \"hostnames\"{zone}, found a mapping"),
        ("attempts: 6", 13, "expected a number from 1 to 5 for \"attempts\"{zone}, found \"6\""),
        (
            "redirect_to_https: yes", 22,
            "expected true or false for \"redirect_to_https\"{zone}, found \"yes\""
        ),
        ("redirect_to_https: true", 3, "expected an https address in listen for \"redirect_to_https\", found none"),
        ("tls: { certificate: c.pem }", 8, "expected \"key\" in tls{of}, found none"),
        ("tls: { key: c.pem }", 8, "expected \"certificate\" in tls{of}, found none"),
        ("tls: {}", 8, "expected \"certificate\" and \"key\" in tls{of}, found neither"),
        (
            "balance: random", 12,
            "expected round_robin or least_outstanding for \"balance\"{zone}, found \"random\""
        ),
        (
            "balance: ip_hash", 12,
            "{balance} \"balance\"{zone}, found \"ip_hash\""
        ),
        ("balance: {}", 12, "expected \"hash\" or \"sticky\" for \"balance\"{zone}, found neither"),
        (
            "balance: { hash: uri, sticky: x }", 12,
            "expected \"hash\" or \"sticky\" for \"balance\"{zone}, found both"
        ),
        (
            "balance: { hash: url }", 20,
            "expected client_address, uri, header:NAME or cookie:NAME for \"hash\" in balance{of}, found \"url\""
        ),
        (
            "balance: { hash: \"header:a b\" }", 20,
            "expected client_address, uri, header:NAME or cookie:NAME for \"hash\" in balance{of}, found \"header:a b\""
        ),
        (
            "balance: { sticky: \"a;b\" }", 22,
            "expected a cookie name such as origin for \"sticky\" in balance{of}, found \"a;b\""
        ),
        (
            "health: healthz", 11,
            "expected the path of a URL, such as /healthz for \"health\"{zone}, found \"healthz\""
        ),
        ("health: false", 11, "expected a path, a mapping or off for \"health\"{zone}, found \"false\""),
        (
            "health: { path: \"/a b\" }", 19,
            "expected the path of a URL, such as /healthz for \"path\" in health{of}, found \"/a b\""
        ),
        (
            "health: { expect: 100-200 }", 21,
            "expected a status such as 200 or a range such as 200-399 for \"expect\" in health{of}, found \"100-200\""
        ),
        (
            "health: { expect: 300-200 }", 21,
            "expected a status such as 200 or a range such as 200-399 for \"expect\" in health{of}, found \"300-200\""
        ),
        (
            "health: { healthy_after: 0 }", 28,
            "expected a number from 1 to 100 for \"healthy_after\" in health{of}, found \"0\""
        ),
        ("ejection: none", 13, "expected a mapping or off for \"ejection\"{zone}, found \"none\""),
        (
            "ejection: { slow_start: 1ms }", 27,
            "expected a duration from 10ms to 1d, or 0, for \"slow_start\" in ejection{of}, found \"1ms\""
        ),
        (
            "ejection: { for: 0 }", 20,
            "expected a duration from 10ms to 1d for \"for\" in ejection{of}, found \"0\""
        ),
        (
            "timeouts: { first-byte: 1s }", 15,
            "unknown key \"first-byte\" in timeouts{of}; did you mean \"first_byte\"?"
        ),
        (
            "limits: { body: 0 }", 19,
            "expected a size such as 100MiB, or unlimited, for \"body\" in limits{of}, found \"0\""
        ),
        (
            "pool: { connections: 10, idle: 11 }", 34,
            "expected at most \"connections\" (10) for \"idle\" in pool{of}, found \"11\""
        ),
        (
            "pool: { idle: 0 }", 17,
            "expected a number from 1 to 65536 for \"idle\" in pool{of}, found \"0\""
        ),
    ]

    @Test(arguments: zoneLines.indices) func aWrongLineOfAZoneIsAnError(index: Int) throws {
        let (line, column, message) = Self.zoneLines[index]
        let text = "{zones} a.test:\n  \(line)\n  {b}\n"
        let errors = problems(expanded(text)).filter { $0.severity == .error }
        try #require(errors.count == 1, "\(errors)")
        #expect(errors[0].message == expanded(message))
        #expect([errors[0].line, errors[0].column] == [4, column])
    }

    static let originLines: [(line: String, column: Int, message: String)] = [
        (
            "127.0.0.1:8000", 5,
            "{url} \"origins\"{zone}, found \"127.0.0.1:8000\""
        ),
        (
            "http://u:secret@a", 5,
            "{url} \"origins\"{zone}, found \"http://********@a\""
        ),
        ("{ weight: 1 }", 5, "expected \"url\"{origin}, found none"),
        (
            "{ url: http://a, weight: 1001 }", 30,
            "expected a number from 1 to 1000 for \"weight\"{origin}, found \"1001\""
        ),
        (
            "{ url: http://a, backup: 1 }", 30,
            "expected true or false for \"backup\"{origin}, found \"1\""
        ),
        (
            "{ url: http://a, host: \"a/b\" }", 28,
            "expected a host name such as www.example.test for \"host\"{origin}, found \"a/b\""
        ),
        (
            "{ url: http://a, http2: true }", 29,
            "expected one of auto, on, off for \"http2\"{origin}, found \"true\""
        ),
        (
            "{ url: http://a, http2: none }", 29,
            "expected one of auto, on, off for \"http2\"{origin}, found \"none\""
        ),
        (
            "{ url: http://a, http2: [on] }", 29,
            "expected one of auto, on, off for \"http2\"{origin}, found a list"
        ),
        (
            "{ url: http://a, resolve_every: 1ms }", 37,
            "expected a duration from 10ms to 1d for \"resolve_every\"{origin}, found \"1ms\""
        ),
        (
            "{ url: http://a, tls: { verify: true } }", 22,
            "expected \"tls\" only with an https:// URL, found it with http://"
        ),
        (
            "{ url: https://a, tls: { verify: on } }", 38,
            "expected true or false for \"verify\" in tls of an origin{of}, found \"on\""
        ),
        (
            "{ url: https://a, tls: { certificate: c } }", 28,
            "expected \"key\" in tls of an origin{of}, found none"
        ),
        (
            "{ url: https://a, tls: { server_name: \"*.a\" } }", 43,
            "expected a host name such as www.example.test for \"server_name\" in tls of an origin{of}, found \"*.a\""
        ),
        (
            "[http://a]", 5,
            "expected a URL such as http://127.0.0.1:8000 for \"origins\"{zone}, found a list"
        ),
    ]

    @Test(arguments: originLines.indices) func aWrongOriginIsAnError(index: Int) throws {
        let (line, column, message) = Self.originLines[index]
        let text = "{zones} a.test:\n  origins:\n  - \(line)\n  - http://b\n"
        let errors = problems(expanded(text)).filter { $0.severity == .error }
        try #require(errors.count == 1, "\(errors)")
        #expect(errors[0].message == expanded(message))
        #expect([errors[0].line, errors[0].column] == [5, column])
    }

    static let wholes: [(text: String, messages: [String])] = [
        (
            "threads: 1",
            [
                "1:1 expected \"listen\", found a file without it", "1:1 expected \"zones\", found a file without it",
            ]
        ),
        (
            "listen: {}\nzones: {}",
            [
                "1:9 expected \"http\" or \"https\" in listen, found neither",
                "2:8 expected a mapping of at least one zone for \"zones\", found an empty mapping",
            ]
        ),
        (
            "listen: { http: [] }\n{a}",
            [
                "1:9 expected at least one address in listen, found none"
            ]
        ),
        (
            "listen: { http: [\"*:80\", \"[::]:80\"] }\n{a}",
            [
                "1:26 expected every address once, found \"[::]:80\" again; it was first given in line 1"
            ]
        ),
        (
            "listen: { http: \"*:80\", https: \"*:80\" }\n{a}",
            [
                "1:32 expected every address once, found \"[::]:80\" again; it was first given in line 1"
            ]
        ),
        (
            "listen: { https: { address: \"*:80\", http2: true } }\n{a}",
            [
                "1:37 expected \"http2\" only with an address of http, found it in https"
            ]
        ),
        (
            "listen: { http: \"*:80\", http2: on }\n{a}",
            [
                "1:32 expected true or false for \"http2\" in listen, found \"on\""
            ]
        ),
        (
            "listen: { http: \"*:9090\" }\nadmin: \"*:9090\"\n{a}",
            [
                "2:8 expected an address of its own for \"admin\", found \"[::]:9090\", which is also in listen"
            ]
        ),
        (
            "{zones} a.test: { {b} }\n A.test.: { {b} }",
            [
                "4:2 expected every zone once, found \"a.test\" again; it was first given in line 3"
            ]
        ),
        (
            "{zones} a.test: { {b} }\n b.test: { {b}, hostnames: \"*.a.test\" }",
            [
                "4:42 expected every hostname in one zone, found \"*.a.test\" in two; the other is in line 3"
            ]
        ),
        (
            "{zones} \"*.a.test\": { {b} }\n b.test: { }",
            [
                "3:2 expected a DNS name or \"*\" as a zone's name, found \"*.a.test\"",
                "4:10 expected \"origins\" in zone \"b.test\", found none",
            ]
        ),
        (
            "{zones} a.test:\n b.test: { origins: [] }",
            [
                "3:9 expected a mapping for zone \"a.test\", found nothing",
                "4:21 expected at least one origin for \"origins\" in zone \"b.test\", found an empty list",
            ]
        ),
        ("- a", ["1:1 expected a mapping for the file, found a list"]),
    ]

    @Test(arguments: wholes.indices) func aWrongWholeIsAnError(index: Int) {
        let (text, messages) = Self.wholes[index]
        let found = problems(expanded(text)).filter { $0.severity == .error }.map {
            "\($0.line):\($0.column) \($0.message)"
        }
        #expect(found == messages.map(expanded))
    }

    static let warnings: [(text: String, messages: [String])] = [
        (
            "listen: { https: \"*:443\" }\nzones: { \"*\": { {b}, redirect_to_https: true } }",
            [
                "2:36 every host is sent to https, where no certificate of your own covers it"
            ]
        ),
        (
            "listen: { http: [\"*:80\", \"10.0.0.1:80\"] }\n{a}",
            [
                "1:9 \"10.0.0.1:80\" is also covered by \"*:80\""
            ]
        ),
        (
            "listen: { http: { address: \"*:80\", proxy_protocol: true } }\n{a}",
            [
                "1:1 no proxy is trusted, so nobody may send a PROXY protocol header"
            ]
        ),
        (
            "{http}admin: \"*:90\"\ntrusted_proxies: [\"::/0\"]\n{a}",
            [
                "2:8 \"admin\" can be reached from other machines and asks nobody for a password",
                "3:19 \"::/0\" trusts every client",
            ]
        ),
        (
            "listen: { http: \"*:80\", http2: true }\n{a}",
            [
                "1:25 this has no effect: listen has no https address"
            ]
        ),
        (
            "{http}client_address_header: X-Real-IP\n{a}",
            [
                "2:1 no proxy is trusted, so this field is never read"
            ]
        ),
        (
            "{http}limits: { request_line: 8KiB, header_bytes: 4KiB }\n{a}",
            [
                "2:11 \"request_line\" is larger than \"header_bytes\", which holds the whole head"
            ]
        ),
        (
            "{zones} a.test: { {b}, hostnames: [\"*.a.test\", x.a.test, a.test, a.test] }",
            [
                "3:55 \"x.a.test\" is already covered by \"*.a.test\" of the same zone",
                "3:73 \"a.test\" is given twice in one zone",
            ]
        ),
        (
            "{zones} a.test: { origins: [http://b, http://b], health: { every: 1s, timeout: 2s } }",
            [
                "3:32 this origin is given twice",
                "3:64 a health check may take longer than the time between two",
            ]
        ),
        (
            "{zones} a.test: { origins: { url: http://b, backup: true } }",
            [
                "3:21 every origin is a backup"
            ]
        ),
        (
            "{zones} a.test: { origins: { url: https://b, tls: { verify: false, ca: x } } }",
            [
                "3:46 the origin's certificate is not verified", "3:61 \"ca\" has no effect while \"verify\" is false",
            ]
        ),
        // A longer wildcard of another zone stands between: the name is needed.
        (
            "{zones} a.test: { {b}, hostnames: [\"*.a.test\", x.b.a.test] }\n b.a.test: { {b} }",
            []
        ),
        (
            "{zones} a.test: { {b} }\n www.a.test: { {b} }\n \"*\": { {b} }",
            []
        ),
    ]

    @Test(arguments: warnings.indices) func theOddIsAWarning(index: Int) {
        let (text, messages) = Self.warnings[index]
        let found = problems(expanded(text)).map { "\($0.line):\($0.column) \($0.message)" }
        #expect(found == messages.map(expanded))
        #expect(throws: Never.self) { try parse(expanded(text)) }
    }

    @Test func problemsAreBounded() throws {
        let zones = (0..<500).map { " z\($0).test: { origins: nowhere }" }.joined(separator: "\n")
        let error = #expect(throws: ConfigurationError.self) {
            try parse(expanded("{zones}\(zones)"))
        }
        #expect(error?.problems.count == ConfigurationError.problemsMax)
        #expect(error?.omittedCount == 400)
        #expect(error?.description.hasSuffix("\n500 errors (400 not shown)") == true)
    }

    @Test func passwordsAreMaskedEverywhere() {
        let text = """
            listen: { http: "*:80" }
            zones:
              a.test: { origins: ["http://admin:s3cret@b/", "https://t0ken@c", "http://u:s3/cr3t@d"], x: 1 }
            """
        let said = problems(text).map(\.description).joined()
        #expect(said.contains("@b"))
        for secret in ["s3cret", "t0ken", "cr3t", "admin"] { #expect(!said.contains(secret), "\(secret)") }
    }

    @Test func keyMaterialIsNeverShown() {
        for text in [
            "zones:\n a:\n  tls: |\n    -----BEGIN PRIVATE KEY-----\n    c2VjcmV0\n    -----END PRIVATE KEY-----\n",
            "zones:\n a.test:\n  tls:\n   key: |\n    -----BEGIN PRIVATE KEY-----\n   c2VjcmV0\n    c2VjcmV0\n",
            "zones:\n a.test:\n  threads: \"-----BEGIN PRIVATE KEY----- c2VjcmV0\"\n",
            "threads: |\n  -----BEGIN PRIVATE KEY-----\n  c2VjcmV0\n",
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\nc2VjcmV0: : :\n",
        ] {
            let said = problems(text).map(\.description).joined()
            #expect(!said.isEmpty)
            #expect(!said.contains("c2VjcmV0"), "\(said)")
        }
    }

    @Test func terminalsAreNotAddressed() {
        let said = problems("\"a\\e[31m\\u202E\": 1\nlisten: \"\\x07\"").map(\.description).joined()
        #expect(!said.isEmpty)
        for scalar in ["\u{1B}", "\u{202E}", "\u{7}"] { #expect(!said.contains(scalar)) }
    }

    @Test func longLinesAreCut() throws {
        let problem = try #require(
            problems(
                expanded("{http}{a}\n")
                    + "log: {\(String(repeating: " ", count: 5000)) lever: info }"
            ).first)
        #expect(problem.column == 5008)
        let excerpt = try #require(problem.excerpt)
        #expect(excerpt.text.unicodeScalars.count <= SourceText.lineScalarsMax)
        #expect(excerpt.text.dropFirst(excerpt.caretOffset).hasPrefix("lever"))
    }
}
