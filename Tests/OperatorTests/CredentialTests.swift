import Foundation
import Glibc
import Testing

@testable import Operator

@Suite("Addresses and credentials")
struct CredentialTests {
    @Test(
        "addresses are completed",
        arguments: [
            ("http://127.0.0.1:7070", "http://127.0.0.1:7070/client/v4"),
            ("127.0.0.1:7070", "http://127.0.0.1:7070/client/v4"), ("localhost", "http://localhost/client/v4"),
            ("control.example", "https://control.example/client/v4"),
            ("https://Control.Example:8443/", "https://control.example:8443/client/v4"),
            ("https://x.example/api/v4//", "https://x.example/api/v4"), ("[::1]:70", "http://[::1]:70/client/v4"),
        ])
    func addresses(text: String, expected: String) throws {
        #expect(try APIAddress(parsing: text).description == expected)
        #expect(try APIAddress(parsing: expected).description == expected)
    }

    @Test(
        "what is no address is refused without repeating a password",
        arguments: [
            "", "ftp://x.example", "http://", "http://user:hunter2@x.example", "http://x.example?a=hunter2",
            "http://x.example:0", "http://x.example:65536", "http://x y", "http://a:b:c", "http://[::1", "http://x\\y",
            "https://x.example/#hunter2", "http://[zz]",
        ])
    func badAddresses(text: String) throws {
        let ended = #expect(throws: OperatorProblem.self) { try APIAddress(parsing: text) }
        #expect(ended?.kind == .input && ended?.description.contains("hunter2") == false)
    }

    @Test("who sends a token in the clear is told")
    func clear() throws {
        #expect(try APIAddress(parsing: "http://control.example").isClear)
        #expect(try APIAddress(parsing: "http://127.0.0.1.evil.example").isClear)
        #expect(try !APIAddress(parsing: "http://127.0.0.1:7070").isClear)
        #expect(try !APIAddress(parsing: "https://control.example").isClear)
    }

    @Test("a secret shows itself to nobody")
    func secrets() throws {
        let secret = try Secret(" abc123\n", from: "x")
        #expect(secret.text == "abc123")
        let credentials = Credentials(address: .standard, token: secret)
        #expect(!"\(credentials) \(secret) \(String(reflecting: credentials)) \([secret])".contains("abc123"))
        var dumped = ""
        dump(credentials, to: &dumped)
        #expect(!dumped.contains("abc123"))
        let ended = #expect(throws: OperatorProblem.self) { try Secret("abc 123", from: "x") }
        #expect(ended?.description.contains("abc") == false)
    }

    // MARK: The file

    private func inFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "operator-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private func mode(_ path: String) -> Int {
        ((try? FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]) as? NSNumber)?.intValue ?? 0
    }

    @Test("what is saved is loaded, and is its owner's alone")
    func file() throws {
        try inFolder { folder in
            let file = try CredentialsFile(environment: ["XDG_CONFIG_HOME": folder + "/c"])
            #expect(file.path == folder + "/c/martlet/credentials")
            #expect(try file.load() == nil)
            let credentials = Credentials(
                address: .standard, token: try Secret("abc", from: "x"), authorities: "/a/ca.pem")
            try file.save(credentials)
            #expect(mode(file.path) == 0o600 && mode(folder + "/c/martlet") == 0o700)
            #expect(try file.load() == credentials)
            try file.save(Credentials(address: .standard, token: try Secret("def", from: "x")))
            #expect(try file.load()?.token.text == "def")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/c/martlet") == ["credentials"])
            #expect(try file.remove() && !file.remove())
        }
    }

    @Test("a file that others can read, that is no file or no credentials, is not used")
    func unsafe() throws {
        try inFolder { folder in
            let file = CredentialsFile(path: folder + "/credentials")
            try file.save(Credentials(address: .standard, token: try Secret("abc", from: "x")))
            for wrong in [0o640, 0o604, 0o620] {
                chmod(file.path, mode_t(wrong))
                let ended = #expect(throws: OperatorProblem.self) { try file.load() }
                #expect(ended?.help?.contains("chmod 600") == true && ended?.description.contains("abc") == false)
            }
            chmod(file.path, 0o600)
            #expect(try file.load() != nil)
            symlink(file.path, folder + "/link")
            #expect(throws: OperatorProblem.self) { try CredentialsFile(path: folder + "/link").load() }
            mkfifo(folder + "/pipe", 0o600)
            #expect(throws: OperatorProblem.self) { try CredentialsFile(path: folder + "/pipe").load() }
            try "{\"api\":\"http://x.example\"}".write(toFile: file.path, atomically: false, encoding: .utf8)
            let ended = #expect(throws: OperatorProblem.self) { try file.load() }
            #expect(ended?.help?.contains("martlet login") == true)
        }
    }

    // MARK: Which are used

    @Test("a token goes only to the address it was given for")
    func search() throws {
        try inFolder { folder in
            var environment = ["XDG_CONFIG_HOME": folder]
            func find(_ api: String? = nil, tokenFile: String? = nil, data: String? = nil) throws -> (String, String) {
                let found = try CredentialSearch(
                    api: api, tokenFile: tokenFile, data: data, environment: environment
                ).find().credentials
                return (found.address.authority, found.token.text)
            }
            #expect(throws: OperatorProblem.self) { try find() }
            let kept = try APIAddress(parsing: "https://kept.example")
            try CredentialsFile(environment: environment).save(
                Credentials(address: kept, token: try Secret("kept", from: "x")))
            #expect(try find() == ("kept.example", "kept"))
            #expect(try find("https://kept.example/") == ("kept.example", "kept"))
            let elsewhere = #expect(throws: OperatorProblem.self) { try find("https://other.example") }
            #expect(elsewhere?.kind == .credentials && elsewhere?.description.contains("kept.example") == true)

            environment["CLOUDFLARE_API_TOKEN"] = "cloud"
            #expect(try find() == ("kept.example", "kept"))
            environment["CLOUDFLARE_BASE_URL"] = "https://cloud.example/client/v4"
            #expect(try find() == ("cloud.example", "cloud"))
            #expect(throws: OperatorProblem.self) { try find("https://other.example") }

            environment["MARTLET_TOKEN"] = "named"
            #expect(try find() == ("kept.example", "named"))
            environment["MARTLET_API"] = "https://named.example"
            #expect(try find() == ("named.example", "named"))
            #expect(try find("https://other.example") == ("other.example", "named"))

            try "filed\n".write(toFile: folder + "/token", atomically: false, encoding: .utf8)
            #expect(try find(tokenFile: folder + "/token") == ("named.example", "filed"))
            try "first\n".write(toFile: folder + "/admin-token", atomically: false, encoding: .utf8)
            environment["MARTLET_API"] = ""
            #expect(try find(data: folder) == ("127.0.0.1:7070", "first"))
            #expect(throws: OperatorProblem.self) { try find(data: folder + "/nowhere") }
        }
    }
}
