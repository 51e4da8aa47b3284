import Foundation
import Limits
import Testing

@testable import ConfigModel

@Suite struct ConfigurationDocumentTests {
    static let refused: [(text: String, place: String, message: String, help: String)] = [
        ("", "0:0", "expected a configuration, found an empty file", "the least is a listener"),
        ("# nothing\n", "0:0", "expected a configuration, found an empty file", "the least is a listener"),
        ("listen: {}\n---\nzones: {}\n", "2:1", "expected one document, found a second", "remove the line ---"),
        (
            "a: 1\nlisten: {}\nb: 1\n# c\nlisten: {}\n", "5:1",
            "expected every key once, found \"listen\" twice in one mapping; it was first given in line 2",
            "merge the two"
        ),
        (
            "zones:\n a:\n  x: 1\n  \"x\": 2\n", "4:3",
            "expected every key once, found \"x\" twice in one mapping; it was first given in line 3", "merge the two"
        ),
        (
            "zones: { a: 1, a: 2 }\n", "1:10", "expected every key once, found \"a\" twice in one mapping",
            "merge the two"
        ),
        (
            "listen:\n\thttp: x\n", "2:1",
            "expected YAML, but while scanning for the next token found character that cannot start any token",
            "indent with spaces"
        ),
        (
            "listen: { http: *:80 }\n", "1:18",
            "expected YAML, but while scanning an alias did not find expected alphabetic or numeric character",
            "text that begins with * stands in quotes"
        ),
        (
            "zones:\n *: {}\n", "2:3",
            "expected YAML, but while scanning an alias did not find expected alphabetic or numeric character",
            "text that begins with * stands in quotes"
        ),
        ("data: *nowhere\n", "1:7", "expected YAML, but found undefined alias", "text that begins with *"),
        (
            "data: \"x\n", "2:1",
            "expected YAML, but while scanning a quoted scalar found unexpected end of stream (begun in line 1)",
            "a quotation mark is missing"
        ),
        (
            "listen: [a, b\nzones: 1\n", "2:6",
            "expected YAML, but while parsing a flow sequence did not find expected ',' or ']' (begun in line 1)",
            "a ] or a comma"
        ),
        (
            "listen: {}\n zones: {}\n", "2:2",
            "expected YAML, but while parsing a block mapping did not find expected key (begun in line 1)",
            "keys of one mapping begin in the same column"
        ),
        (
            "a: b: c\n", "1:5", "expected YAML, but mapping values are not allowed in this context",
            "look at the indentation"
        ),
        (
            "access_log: -\n", "1:13", "expected YAML, but block sequence entries are not allowed in this context",
            "a hyphen"
        ),
        ("data: \u{1}\n", "1:7", "expected text, found the control character with code 1", "remove it"),
        ("data: a\nlog: ü\u{7F}\n", "2:7", "expected text, found the control character with code 127", "remove it"),
        (
            "a: &a [1]\n*a : 1\n", "2:1", "expected a word as key, found an alias, a list or a mapping",
            "aliases may stand for values"
        ),
    ]

    @Test(arguments: refused.indices) func isRefused(index: Int) throws {
        let (text, place, message, help) = Self.refused[index]
        let found = problems(text)
        try #require(found.count == 1, "\(found)")
        #expect("\(found[0].line):\(found[0].column)" == place)
        #expect(found[0].message == message)
        #expect(found[0].help?.hasPrefix(help) == true, "\(found[0].help ?? "")")
    }

    /// Nine levels of nine: 387 million values from half a kilobyte, once as value and once as key, where Yams
    /// would hash them all.
    @Test(arguments: ["value: *i\n", "? *i\n: 1\n", "? [*i]\n: 1\n", "{ *i : 1 }\n"])
    func aliasesDoNotMultiply(end: String) throws {
        var text = "a: &a [x,x,x,x,x,x,x,x,x]\n"
        for (name, last) in zip("bcdefghi", "abcdefgh") {
            text += "\(name): &\(name) [\(Array(repeating: "*\(last)", count: 9).joined(separator: ","))]\n"
        }
        let found = problems(text + end)
        try #require(found.count == 1)
        #expect(found[0].message.hasPrefix("expected "))
        #expect(found[0].message.contains("alias") || found[0].message.contains("expected YAML"), "\(found[0])")
    }

    @Test func manyHarmlessAliasesAreFine() throws {
        let zones = (0..<2000).map { " z\($0).test: { origins: *o, health: *h }" }.joined(separator: "\n")
        let text = """
            listen: { http: "*:80" }
            zones:
             first.test: { origins: &o [http://a, http://b], health: &h { path: /up } }
            \(zones)
            """
        #expect(try parse(text).configuration.zones.count == 2001)
    }

    @Test func deepNestingIsNoTrap() {
        for text in [
            String(repeating: "[", count: 100_000), String(repeating: "{a: ", count: 100_000),
            String(repeating: "- ", count: 100_000), String(repeating: "? ", count: 100_000),
            String(repeating: "[", count: 900) + String(repeating: "]", count: 900),
            String(repeating: "? ", count: 900) + "a",
        ] {
            #expect(!problems(text).isEmpty)
        }
    }

    @Test func largeTextsAreRefused() {
        let text = String(repeating: "#", count: Limits.configurationFileBytesMax + 1)
        #expect(problems(text).map(\.message) == ["expected a file of at most 64MiB, found a larger one"])
    }

    /// Whatever a text is, the answer is a configuration or problems with places inside it.
    @Test(arguments: 0..<8) func mangledTextsAreNoTrap(seed: UInt64) throws {
        var generator = SeededGenerator(state: seed)
        let original = Array(ConfigurationReadTests.everything.utf8)
        let inserts = [
            "*", "&a ", "*a", "\"", "'", "{", "}", "[", "]", ": ", "- ", "\n", "\t", "#", "!x ", "? ", "|\n", "ü",
            "\u{2028}", "\u{85}", "99999999999999999999", "-", "~", "%", "@", "---\n", "...\n", "\\", "null", "<<: ",
        ]
        for _ in 0..<150 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let at = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0...3, using: &generator) {
                case 0: bytes.remove(at: at)
                case 1: bytes.insert(contentsOf: Array((inserts.randomElement(using: &generator) ?? "x").utf8), at: at)
                case 2: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 1...40, using: &generator)))
                default: bytes[at] = UInt8.random(in: 9...126, using: &generator)
                }
            }
            let text = String(decoding: bytes, as: UTF8.self)
            let lineCount = text.unicodeScalars.count { "\n\r\u{85}\u{2028}\u{2029}".unicodeScalars.contains($0) } + 1
            for problem in problems(text) {
                #expect((0...lineCount + 1).contains(problem.line), "\(problem)")
                #expect(!problem.message.isEmpty)
            }
        }
    }
}

@Suite struct ConfigurationFileTests {
    let directory: String

    init() throws {
        var template = Array((FileManager.default.temporaryDirectory.path + "/martlet-config-XXXXXX").utf8CString)
        directory = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    @discardableResult
    func write(_ name: String, _ content: String, mode: mode_t = 0o600) throws -> String {
        let path = "\(directory)/\(name)"
        try Data(content.utf8).write(to: URL(fileURLWithPath: path))
        #expect(chmod(path, mode) == 0)
        return path
    }

    static func pem(_ label: String) -> String { "-----BEGIN \(label)-----\nc2VjcmV0\n-----END \(label)-----\n" }

    func configuration(certificate: String = "cert.pem", key: String = "key.pem") throws -> String {
        try write(
            "martlet.yaml",
            """
            listen: { https: "*:443" }
            zones:
              a.test:
                origins: http://b
                tls:
                  certificate: \(certificate)
                  key: \(key)
            """)
    }

    func problems(_ path: String) -> [String] {
        do {
            return try Configuration.load(path: path).warnings.map(\.description)
        } catch {
            return error.problems.map(\.description)
        }
    }

    @Test func loadsAndFindsFilesBesideIt() throws {
        try write("cert.pem", Self.pem("CERTIFICATE"))
        try write("key.pem", "text before\n" + Self.pem("EC PRIVATE KEY"))
        let loaded = try Configuration.load(path: configuration())
        #expect(loaded.warnings.isEmpty)
        #expect(loaded.configuration.data == "\(directory)/var")
        #expect(loaded.configuration.accessLog.destination == .file("\(directory)/var/access.log"))
        #expect(loaded.configuration.zones.first?.tls?.key == "\(directory)/key.pem")
    }

    @Test func whatIsWrongWithCertificatesIsSaid() throws {
        let path = try configuration()
        #expect(problems(path).count == 2)
        #expect(problems(path).allSatisfy { $0.contains("found: No such file or directory") })
        #expect(problems(path).first?.contains("martlet.yaml:6:20: error:") == true)
        #expect(problems(path).last?.contains("martlet.yaml:7:12: error:") == true)

        try write("cert.pem", Self.pem("PRIVATE KEY"))
        try write("key.pem", Self.pem("CERTIFICATE"))
        #expect(problems(path).filter { $0.contains("swapped?") }.count == 2)

        try write("cert.pem", Self.pem("CERTIFICATE"))
        try write("key.pem", Self.pem("ENCRYPTED PRIVATE KEY"))
        #expect(problems(path).count == 1)
        #expect(problems(path).first?.contains("found: an encrypted one") == true)

        try write("key.pem", "\u{30}\u{82}c2VjcmV0")
        #expect(problems(path).first?.contains("expected a PEM private key") == true)

        try write("key.pem", String(repeating: "x", count: Limits.certificateFileBytesMax + 1))
        #expect(problems(path).first?.contains("a file that is too large") == true)

        try write("key.pem", Self.pem("PRIVATE KEY"), mode: 0o644)
        #expect(problems(path).count == 1)
        #expect(problems(path).first?.contains("warning: every user of this machine can read the private key") == true)

        #expect(problems(try configuration(certificate: ".")).first?.contains("found: Is a directory") == true)
        #expect(!problems(path).joined().contains("c2VjcmV0"))
    }

    @Test func aSharedKeyIsWarnedAboutOnce() throws {
        try write("cert.pem", Self.pem("CERTIFICATE"))
        try write("key.pem", Self.pem("PRIVATE KEY"), mode: 0o604)
        let zones = (0..<5).map { " z\($0).test: { origins: http://b, tls: { certificate: cert.pem, key: key.pem } }" }
        let path = try write("many.yaml", "listen: { https: \"*:443\" }\nzones:\n\(zones.joined(separator: "\n"))\n")
        #expect(problems(path).count == 1)
    }

    @Test func unreadableFilesAreErrors() throws {
        #expect(
            problems("\(directory)/none.yaml").first?.contains("none.yaml: error: expected a readable file") == true)
        #expect(problems(directory).first?.contains("Is a directory") == true)
        #expect(problems("a\u{0}b").first?.contains("error: expected a readable file") == true)

        let path = "\(directory)/latin1.yaml"
        try Data(Array("listen: {}\ndata: caf".utf8) + [0xE9, 0x0A]).write(to: URL(fileURLWithPath: path))
        #expect(problems(path).count == 1)
        #expect(problems(path).first?.contains("latin1.yaml:2:10: error: expected UTF-8") == true)

        let large = "\(directory)/large.yaml"
        #expect(FileManager.default.createFile(atPath: large, contents: nil))
        #expect(truncate(large, Limits.configurationFileBytesMax + 1) == 0)
        #expect(
            problems(large) == [
                "\(large): error: expected a file of at most 64MiB, found a larger one\n"
                    + "      help: is this the right file?"
            ])
    }
}
