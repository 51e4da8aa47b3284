// The key file, tokens, and where a store lies: what must not be seen is not seen.

import Foundation
import Testing

@testable import ControlPlane

@Suite("Keys, tokens and locations of the store")
struct StoreKeyTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-key-\(UUID().uuidString)")
            .path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder + "/key")
    }

    private func failure<T>(_ body: () throws -> T) -> StoreError? {
        do {
            _ = try body()
            return nil
        } catch {
            return error as? StoreError
        }
    }

    @Test("the key is made once, for its owner alone")
    func made() throws {
        try withFolder { path in
            let first = try SecretKey.load(path: path)
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
            let second = try SecretKey.load(path: path)
            let sealed = try first.seal([1, 2, 3], for: "")
            #expect(try second.open(sealed, for: "") == [1, 2, 3])
            #expect(first.check == second.check)
            let names = try FileManager.default.contentsOfDirectory(
                atPath: (path as NSString).deletingLastPathComponent)
            #expect(names == ["key"])
        }
    }

    @Test("threads that start together get the same key")
    func together() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-key-\(UUID().uuidString)")
            .path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let checks = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<16 { group.addTask { try SecretKey.load(path: folder + "/key").check } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(checks.count == 1)
    }

    @Test("a key that others may read is refused", arguments: [0o640, 0o604, 0o620, 0o666])
    func readable(_ mode: Int) throws {
        try withFolder { path in
            _ = try SecretKey.load(path: path)
            chmod(path, mode_t(mode))
            guard case .other(let why) = failure({ try SecretKey.load(path: path) }) else {
                Issue.record("expected a refusal")
                return
            }
            #expect(why.contains("0600") && why.contains(path))
        }
    }

    @Test(
        "a file that is no key is never replaced",
        arguments: ["", "x", "martlet-key-1 00", "martlet-key-1 " + String(repeating: "g", count: 64)])
    func damaged(_ content: String) throws {
        try withFolder { path in
            try content.write(toFile: path, atomically: false, encoding: .utf8)
            chmod(path, 0o600)
            guard case .corrupt = failure({ try SecretKey.load(path: path) }) else {
                Issue.record("expected a refusal")
                return
            }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == content)
        }
    }

    @Test("tokens are 40 characters, all different, and kept as SHA-256")
    func tokens() throws {
        let tokens = (0..<1000).map { _ in APIToken.make() }
        #expect(Set(tokens).count == 1000)
        let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        #expect(tokens.allSatisfy { $0.count == 40 && allowed.isSuperset(of: $0) })
        #expect(Set(tokens.joined()) == allowed)
        // FIPS 180-2, appendix B.1.
        let digest = APIToken.hash("abc").map { String(format: "%02x", $0) }.joined()
        #expect(digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test("identifiers are 32 hex digits, and the ordered ones sort by time")
    func identifiers() {
        let ids = (0..<1000).map { _ in StoreID.make() }
        #expect(Set(ids).count == 1000)
        #expect(ids.allSatisfy { $0.utf8.count == 32 && $0.allSatisfy { "0123456789abcdef".contains($0) } })
        let ordered = (0..<1000).map { StoreID.ordered(at: 1_700_000_000_000_000 + Int64($0) * 1000) }
        #expect(ordered == ordered.sorted() && Set(ordered).count == 1000)
        #expect(ordered.allSatisfy { $0.utf8.count == 32 })
    }

    @Test("a location is a URL, a path, or refused")
    func locations() throws {
        #expect(try StoreLocation(parsing: "/var/lib/martlet/store.db") == .sqlite(path: "/var/lib/martlet/store.db"))
        #expect(try StoreLocation(parsing: "sqlite:store.db") == .sqlite(path: "store.db"))
        for url in ["postgres://u@h/d", "postgresql://u:p@[::1]:5433/d?sslmode=verify-full"] {
            #expect(try StoreLocation(parsing: url) == .postgres(url: url))
        }
        for text in [
            "", "sqlite:", "mysql://u:geheim@h/d", "postgres://u:geheim@h:port/d",
            "postgres://u:geheim@h/d?nonsense=geheim",
        ] {
            let refusal = failure { try StoreLocation(parsing: text) }
            #expect(refusal?.description.contains("geheim") == false)
        }
    }

    @Test("a password is in no description and no error")
    func passwords() throws {
        let url = "postgres://user:geheim%21@127.0.0.1:1/base?sslpassword=geheim2"
        let location = try StoreLocation(parsing: url)
        #expect("\(location)" == "postgres://user@127.0.0.1:1/base")
        guard case .unavailable(let why) = failure({ try PostgresConnection(PostgresURL(url)) }) else {
            Issue.record("expected that nobody answers")
            return
        }
        #expect(!why.contains("geheim") && why.contains("127.0.0.1"))
        #expect(try PostgresURL(url).withoutSecrets("no geheim! nor\ngeheim2") == "no *** nor; ***")
    }

    @Test(
        "a connection that could be read on its way is known",
        arguments: [
            ("postgres://u@db.example.com/d", true), ("postgres://u@db.example.com/d?sslmode=require", false),
            ("postgres://u@db.example.com/d?sslmode=verify-full", false), ("postgres://u@localhost/d", false),
            ("postgres://u@/d?host=/run/postgresql", false), ("postgres://u@192.0.2.1/d?sslmode=disable", true),
        ])
    func exposed(_ url: String, _ isExposed: Bool) throws {
        #expect(try PostgresURL(url).isExposed == isExposed)
    }

    @Test(
        "placeholders are numbered where they are placeholders",
        arguments: [
            ("SELECT ?, ? + ?", "SELECT $1, $2 + $3"), ("SELECT '?', \"?\", ?", "SELECT '?', \"?\", $1"),
            ("SELECT 'it''s ?', ?", "SELECT 'it''s ?', $1"), ("SELECT ? -- ?\n, ?", "SELECT $1 -- ?\n, $2"),
            ("SELECT /* ? */ ? /**/ ? /*/ ? */ ?", "SELECT /* ? */ $1 /**/ $2 /*/ ? */ $3"), ("'?", "'?"),
            ("/*?", "/*?"), ("--?", "--?"),
            ("'", "'"), ("/*", "/*"), ("-", "-"), ("", ""),
        ])
    func placeholders(_ text: String, _ numbered: String) {
        #expect(PostgresText.numbered(text) == numbered)
    }
}
