import Foundation
import Glibc
import Testing

/// The commands as an operator types them, against a real control plane.
@Suite("The operator's commands", .onStageThreads)
struct OperatorJourneys {
    private func operating(_ body: (Operating) throws -> Void) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let operating = try Operating(on: stage)
        try operating.login()
        try body(operating)
        // Whatever happened: the first token stands nowhere but in its files.
        for name in try FileManager.default.contentsOfDirectory(atPath: stage.directory.path)
        where name.hasSuffix(".err") {
            let text = try String(contentsOfFile: stage.path(name), encoding: .utf8)
            #expect(!text.contains(operating.token), "\(name)")
        }
    }

    @Test("login keeps the credentials for their owner alone, whoami shows whose they are, logout forgets them")
    func login() throws {
        try operating { operating in
            let file = operating.stage.path("config/martlet/credentials")
            var status = stat()
            #expect(stat(file, &status) == 0 && status.st_mode & 0o777 == 0o600)
            let who = try operating.martlet("whoami")
            #expect(who.status == 0 && who.output.contains("admin@localhost"), "\(who)")
            #expect(!who.output.contains(operating.token))
            #expect(try operating.martlet("logout").status == 0)
            #expect(!FileManager.default.fileExists(atPath: file))
            let nobody = try operating.martlet("zone", "list")
            #expect(nobody.status == 77 && nobody.errors.contains("martlet login"), "\(nobody)")
            // The token of the machine's own data directory, variables, and Cloudflare's variables serve as well.
            let data = operating.stage.path("data")
            #expect(try operating.martlet("zone", "list", "--data", data, "--api", operating.base).status == 0)
            let variables = ["MARTLET_API=\(operating.base)", "MARTLET_TOKEN=\(operating.token)"]
            #expect(try operating.martlet("zone", "list", with: variables).status == 0)
            let other = ["CLOUDFLARE_BASE_URL=\(operating.base)", "CLOUDFLARE_API_TOKEN=\(operating.token)"]
            #expect(try operating.martlet("zone", "list", with: other).status == 0)
            // A wrong token is not kept.
            try operating.stage.write("wrong\n", to: "wrong")
            let wrong = try operating.martlet("login", operating.base, "--token-file", operating.stage.path("wrong"))
            #expect(wrong.status == 77 && !FileManager.default.fileExists(atPath: file), "\(wrong)")
        }
    }

    @Test("a zone and its records from the first to the last")
    func records() throws {
        try operating { operating in
            #expect(try operating.martlet("zone", "create", "example.test").output.hasPrefix("created example.test ("))
            let again = try operating.martlet("zone", "create", "example.test")
            #expect(again.status == 1 && again.errors.contains("(1061)"), "\(again)")
            for record in [
                ["www", "A", "192.0.2.1", "--proxied"], ["@", "MX", "mail.example.test", "--priority", "10"],
                ["@", "TXT", "v=spf1 -all", "--ttl", "1h"], ["_sip._tcp", "SRV", "10 5 5060 sip.example.test"],
            ] {
                let added = try operating.stage.start(
                    try operating.command(["dns", "add", "example.test"] + record))
                #expect(added.waitForExit() == 0, "\(added.errors)")
            }
            let list = try operating.list("dns", "list", "example.test")
            #expect(list.count == 4)
            #expect(list.contains { $0["type"] as? String == "TXT" && $0["ttl"] as? Int == 3600 })
            #expect(try operating.list("dns", "list", "example.test", "--type", "mx").count == 1)
            #expect(try operating.list("dns", "list", "example.test", "--name", "www").count == 1)

            let edited = try operating.martlet("dns", "edit", "example.test", "www", "--content", "192.0.2.9")
            #expect(edited.output.contains("→ www.example.test auto A 192.0.2.9 (proxied)"), "\(edited)")
            let which = try operating.martlet("dns", "edit", "example.test", "@", "--comment", "x")
            #expect(which.status == 1 && which.errors.contains("expected one record, found 2"), "\(which)")
            let typed = try operating.martlet("dns", "edit", "example.test", "@", "--type", "MX", "--comment", "x")
            #expect(typed.status == 0, "\(typed)")

            let file = operating.stage.path("zone.txt")
            #expect(try operating.martlet("dns", "export", "example.test", "-o", file).status == 0)
            #expect(try operating.martlet("dns", "delete", "example.test", "www", "_sip._tcp", "--yes").status == 0)
            #expect(try operating.list("dns", "list", "example.test").count == 2)
            let back = try operating.martlet("dns", "import", "example.test", file)
            #expect(back.output == "added 2 of 4 records\n", "\(back)")
            #expect(try operating.martlet("dns", "export", "example.test").output.contains("192.0.2.9"))
        }
    }

    @Test("what takes something away asks first, and is not done where nobody can be asked")
    func caution() throws {
        try operating { operating in
            try operating.martlet("zone", "create", "example.test")
            try operating.martlet("dns", "add", "example.test", "www", "A", "192.0.2.1")
            for command in [
                ["zone", "delete", "example.test"], ["dns", "delete", "example.test", "www"],
                ["purge", "--everywhere", "--everything", "--zone", "example.test"],
            ] {
                let asked = try operating.stage.start(try operating.command(command))
                #expect(asked.waitForExit() == 1 && asked.errors.contains("--yes"), "\(command): \(asked.errors)")
                let dry = try operating.stage.start(try operating.command(command + ["--dry-run"]))
                #expect(dry.waitForExit() == 0 && dry.output.hasPrefix("would "), "\(command): \(dry.errors)")
            }
            #expect(try operating.list("dns", "list", "example.test").count == 1)
            #expect(try operating.martlet("zone", "delete", "example.test", "--yes").output == "deleted example.test\n")
            #expect(try operating.list("zone", "list").isEmpty)
        }
    }

    @Test("settings keep their kind, and a purge finds the zone it is about")
    func settings() throws {
        try operating { operating in
            try operating.martlet("zone", "create", "example.test")
            let set = try operating.martlet(
                "zone", "set", "example.test", "min_tls_version=1.3", "browser_cache_ttl=60", "brotli=off")
            #expect(set.output == "min_tls_version: 1.2 → 1.3\nbrowser_cache_ttl: 14400 → 60\nbrotli: on → off\n")
            let settings = try operating.list("zone", "settings", "example.test")
            #expect(settings.contains { $0["id"] as? String == "browser_cache_ttl" && $0["value"] as? Int == 60 })
            let bad = try operating.martlet("zone", "set", "example.test", "brotli=maybe")
            #expect(bad.status == 1 && bad.errors.contains("(1004)"), "\(bad)")

            let purge = try operating.martlet("purge", "--everywhere", "--url", "https://www.example.test/a")
            #expect(purge.output == "purged 1 URL of example.test at all edges\n", "\(purge)")
            let tags = try operating.martlet(
                "purge", "--api", operating.base, "--tag", "news", "--zone", "example.test")
            #expect(tags.status == 0, "\(tags)")
            let nowhere = try operating.martlet("purge", "--everywhere", "--host", "www.other.test")
            #expect(nowhere.status == 1 && nowhere.errors.contains("lies in no zone"), "\(nowhere)")
        }
    }

    @Test("a token does what it was made for, and nothing once it is revoked")
    func tokens() throws {
        try operating { operating in
            try operating.martlet("zone", "create", "example.test")
            let made = try operating.martlet(
                "token", "create", "ci", "--allow", "dns write", "--allow", "zone read", "--zone", "example.test",
                "--expires", "1d")
            // The secret stands alone where a script takes it.
            let file = try operating.stage.write(made.output, to: "ci-token").path
            #expect(made.status == 0 && made.output.split(separator: "\n").count == 1, "\(made)")
            let asCI = ["--token-file", file]
            func ci(_ arguments: [String]) throws -> ChildProcess {
                let process = try operating.stage.start(try operating.command(arguments + asCI))
                _ = process.waitForExit()
                return process
            }
            #expect(try ci(["dns", "add", "example.test", "a", "A", "192.0.2.1"]).exitStatus == 0)
            let refused = try ci(["zone", "create", "other.test"])
            #expect(refused.exitStatus == 77 && refused.errors.contains("Zone Write"), "\(refused.errors)")
            let id = try #require(
                try operating.list("token", "list").first { $0["name"] as? String == "ci" }?["id"] as? String)
            let rolled = try operating.martlet("token", "roll", id, "--yes")
            #expect(rolled.status == 0 && rolled.output != made.output)
            #expect(try ci(["token", "verify"]).exitStatus == 77)
            try operating.stage.write(rolled.output, to: "ci-token")
            #expect(try ci(["token", "verify"]).exitStatus == 0)
            #expect(try operating.martlet("token", "revoke", id, "--yes").status == 0)
            let void = try ci(["dns", "list", "example.test"])
            #expect(void.exitStatus == 77 && void.errors.contains("9109"), "\(void.errors)")
            #expect(!void.errors.contains(rolled.output.dropLast()))
        }
    }

    @Test("a certificate is uploaded, listed and deleted; its key is never shown")
    func certificates() throws {
        try operating { operating in
            try operating.martlet("zone", "create", "example.test")
            let authority = try operating.stage.authority("own")
            _ = try operating.stage.certificate("example.test", by: authority, file: "cert")
            let (certificate, key) = (operating.stage.path("cert.pem"), operating.stage.path("cert.key"))
            let uploaded = try operating.martlet(
                "cert", "upload", "example.test", "--certificate", certificate, "--key", key)
            #expect(uploaded.status == 0 && uploaded.output.contains("for example.test"), "\(uploaded)")
            let swapped = try operating.martlet(
                "cert", "upload", "example.test", "--certificate", key, "--key", certificate)
            #expect(swapped.status == 1 && swapped.errors.contains("(1208)"), "\(swapped)")
            let list = try operating.list("cert", "list", "example.test")
            let id = try #require(list.first?["id"] as? String)
            #expect(list.count == 1 && list.first?["private_key"] == nil)
            #expect(try operating.martlet("cert", "delete", "example.test", id, "--yes").status == 0)
            #expect(try operating.list("cert", "list", "example.test").isEmpty)
        }
    }

    @Test("what cannot be reached, is unknown or does not exist is told as such")
    func refusals() throws {
        try operating { operating in
            let missing = try operating.martlet("dns", "list", "nowhere.test")
            #expect(missing.status == 1 && missing.errors.contains("there is no zone nowhere.test"), "\(missing)")
            let port = try Ports.pick()
            let away = try operating.martlet(
                "zone", "list", "--api", "http://127.0.0.1:\(port)", "--token-file", operating.tokenFile)
            #expect(away.status == 69 && away.errors.contains("127.0.0.1:\(port)"), "\(away)")
            #expect(away.errors.contains("Connection refused") && away.errors.contains("--api"), "\(away)")
            let wrong = try operating.martlet("zone", "list", with: ["MARTLET_TOKEN=wrong"])
            #expect(wrong.status == 77 && wrong.errors.contains("MARTLET_TOKEN"), "\(wrong)")
            // A token is not sent where it was not given for.
            let elsewhere = try operating.martlet("zone", "list", "--api", "http://127.0.0.1:\(port)")
            #expect(elsewhere.status == 77 && elsewhere.errors.contains("there is no token for"), "\(elsewhere)")
            let clear = operating.base.replacingOccurrences(of: "http://", with: "https://")
            let tls = try operating.martlet("zone", "list", "--api", clear, "--token-file", operating.tokenFile)
            #expect(tls.status == 69 && tls.errors.contains("does not speak TLS"), "\(tls)")
        }
    }

    @Test("behind TLS of one's own authority, that authority is named, and kept with the credentials")
    func ownAuthority() throws {
        try operating { operating in
            let stage = operating.stage
            let authority = try stage.authority("own")
            _ = try stage.certificate("localhost", by: authority, file: "front")
            let port = try #require(URL(string: operating.base)?.port)
            let zone = zone(
                "localhost", origins: ["http://127.0.0.1:\(port)"], ["tls: { certificate: front.pem, key: front.key }"])
            let edge = try stage.edge(try EdgeConfiguration(zones: zone, hasHTTPS: true))
            let front = "https://localhost:\(edge.httpsPort)"
            let unknown = try operating.martlet("login", front, "--token-file", operating.tokenFile)
            #expect(unknown.status == 69 && unknown.errors.contains("is not trusted"), "\(unknown)")
            #expect(unknown.errors.contains("--ca FILE"), "\(unknown)")
            let known = try operating.martlet(
                "login", front, "--token-file", operating.tokenFile, "--ca", authority.certificate)
            #expect(known.status == 0, "\(known)")
            #expect(try operating.martlet("zone", "create", "example.test").status == 0)
            #expect(try operating.list("zone", "list").count == 1)
        }
    }

    @Test("a person at a terminal is asked, is not shown what they type, and sees tables that fit")
    func terminal() throws {
        try operating { operating in
            let program = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Peers/terminal.py").path
            func person(_ scenario: String, _ arguments: String...) throws -> String {
                let run = try operating.stage.start(
                    Operating.environment(operating.stage, ["TYPED=\(operating.token)"])
                        + ["python3", program, scenario, try Edge.binary()] + arguments)
                _ = run.waitForExit()
                return run.output + run.errors
            }
            #expect(try operating.martlet("logout").status == 0)
            #expect(try person("broken-off", "login", operating.base) == "done\n")
            #expect(try person("login", "login", operating.base) == "done\n")
            try operating.martlet("zone", "create", "example.test")
            try operating.martlet(
                "dns", "add", "example.test", "@", "TXT", String(repeating: "long ", count: 40) + "end")
            #expect(try person("narrow", "dns", "list", "example.test") == "done\n")
            #expect(try person("no", "zone", "delete", "example.test") == "done\n")
            #expect(try person("interrupt", "zone", "delete", "example.test") == "done\n")
            #expect(try operating.list("zone", "list").count == 1)
            #expect(try person("yes", "zone", "delete", "example.test") == "done\n")
            #expect(try operating.list("zone", "list").isEmpty)
        }
    }
}
