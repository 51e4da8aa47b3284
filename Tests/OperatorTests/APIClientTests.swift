import JSON
import Limits
import Testing

@testable import Operator

@Suite("The API's client")
struct APIClientTests {
    @Test("a list is read to the end of its pages, in order")
    func pages() async throws {
        let api = ScriptedAPI([.page([1, 2], 1, of: 3), .page([3], 2, of: 3), .page([4], 3, of: 3)])
        #expect(try await api.client.list("/zones", query: [("name", "a b")]) == [1, 2, 3, 4])
        #expect(api.asked.map { $0.split(separator: "&").last } == ["page=1", "page=2", "page=3"])
        #expect(api.asked.allSatisfy { $0.hasPrefix("GET /zones?name=a%20b&per_page=50") })
    }

    @Test("cursors are followed as well, and a page without any news ends the list")
    func cursors() async throws {
        let info: JSONValue = ["cursors": ["after": "x/y"]]
        let api = ScriptedAPI([.result([1], info: info), .result([2], info: info), .result([], info: info)])
        #expect(try await api.client.list("/items") == [1, 2])
        #expect(api.asked.last?.hasSuffix("cursor=x%2Fy") == true)
    }

    @Test("a list that says nothing of pages is one")
    func single() async throws {
        #expect(try await ScriptedAPI([.result([1, 2])]).client.list("/x") == [1, 2])
        #expect(try await ScriptedAPI([.result(nil)]).client.list("/x") == [])
        let other = await problem { _ = try await ScriptedAPI([.result("text")]).client.list("/x") }
        #expect(other?.kind == .answer)
    }

    @Test("no more than were asked for are read")
    func countMax() async throws {
        let api = ScriptedAPI([.page([1, 2], 1, of: 9), .page([3, 4], 2, of: 9)])
        #expect(try await api.client.list("/x", countMax: 3) == [1, 2, 3])
        #expect(api.asked.count == 2)
    }

    @Test("what is put off is asked again, a bounded number of times")
    func patience() async throws {
        let api = ScriptedAPI([
            .failure(429, 971, retryAfter: 7), .failure(503, 10503, retryAfter: 1), .result("done"),
        ])
        #expect(try await api.client.result("POST", "/x") == "done")
        #expect(api.waits == [7, 1])
        let never = ScriptedAPI(Array(repeating: .failure(429, 971, retryAfter: 7), count: 10))
        let ended = await problem { _ = try await never.client.result("GET", "/x") }
        #expect(ended?.kind == .unreachable)
        #expect(never.asked.count == Limits.operatorAttemptsMax)
        #expect(ended?.help?.contains("7 s") == true)
    }

    @Test("a wait that is too long is told, not waited for")
    func longWait() async throws {
        let api = ScriptedAPI([.failure(429, 971, retryAfter: Limits.operatorWaitSecondsMax + 1)])
        let ended = await problem { _ = try await api.client.result("GET", "/x") }
        #expect(ended?.kind == .unreachable && api.waits.isEmpty)
    }

    @Test("a change whose fate is unknown is not made twice; a question is asked again")
    func unknownOutcome() async throws {
        let change = ScriptedAPI([.failure(503, 10504), .result("made twice")])
        let ended = await problem { _ = try await change.client.result("POST", "/x") }
        #expect(ended?.kind == .unreachable && change.asked.count == 1)
        let question = ScriptedAPI([.failure(503, 10504), .result(1)])
        #expect(try await question.client.result("GET", "/x") == 1)
    }

    @Test("refusals keep the API's code and say what to do")
    func refusals() async throws {
        func kind(_ reply: APIReply) async -> OperatorProblem? {
            await problem { _ = try await ScriptedAPI([reply]).client.result("POST", "/zones/x/martlet/site") }
        }
        let exists = await kind(.failure(400, 81057, "The record already exists."))
        #expect(exists?.kind == .refused && exists?.message == "The record already exists. (81057)")
        let void = await kind(.failure(403, 9109, "Invalid access token"))
        #expect(void?.kind == .credentials && void?.help?.contains("martlet login") == true)
        let forbidden = await kind(.failure(403, 10000, "Authentication error", chain: [(9109, "needs DNS Write")]))
        #expect(forbidden?.kind == .credentials && forbidden?.message.contains("needs DNS Write") == true)
        #expect(forbidden?.help?.contains("not allowed") == true)
        let unknown = await kind(.failure(404, 7003, "Could not route", chain: [(7000, "No route for that URI")]))
        #expect(unknown?.kind == .unknownToAPI && unknown?.message.contains("does not know POST") == true)
        #expect(await kind(.failure(404, 7003, "There is no zone x"))?.kind == .notFound)
        #expect(await kind(.failure(405, 10405))?.kind == .unknownToAPI)
        #expect(await kind(.failure(500, 10500))?.help?.contains("log") == true)
    }

    @Test("what is no API is called so, and redirects are not followed")
    func strangers() async throws {
        let page = APIReply(status: 200, type: "text/html", body: Array("<html>".utf8))
        let ended = await problem { _ = try await ScriptedAPI([page]).client.result("GET", "/x") }
        #expect(ended?.kind == .answer && ended?.message.contains("text/html") == true)
        let broken = APIReply(status: 200, body: Array("{\"success\":tr".utf8))
        #expect(await problem { _ = try await ScriptedAPI([broken]).client.result("GET", "/x") }?.kind == .answer)
        let moved = APIReply(status: 302, body: [], location: "https://elsewhere.example/")
        let api = ScriptedAPI([moved, .result(1)])
        let redirected = await problem { _ = try await api.client.result("GET", "/x") }
        #expect(redirected?.message.contains("elsewhere.example") == true && api.asked.count == 1)
    }

    @Test("a problem is harmless to a terminal")
    func harmless() async throws {
        let reply = APIReply.failure(400, 1, "a\u{1b}[31mb\u{202e}c")
        let ended = await problem { _ = try await ScriptedAPI([reply]).client.result("GET", "/x") }
        #expect(ended.map { "\($0)" } == "a?[31mb?c (1)")
    }

    @Test("files come as they are, and refusals of them as problems")
    func files() async throws {
        let file = APIReply(status: 200, type: "text/plain", body: [1, 2, 3])
        #expect(try await ScriptedAPI([file]).client.file("/export") == [1, 2, 3])
        #expect(await problem { _ = try await ScriptedAPI([.failure(404, 7003)]).client.file("/e") }?.kind == .notFound)
    }

    // MARK: Finding

    private static let zone: JSONValue = ["id": "8126bb3a6cc3da072ff6476289b0e1bf", "name": "example.com"]

    @Test("zones are found by name and by identifier")
    func zones() async throws {
        let api = ScriptedAPI([.result([Self.zone]), .result(Self.zone), .result([])])
        #expect(try await api.client.zone("Example.COM.").name == "example.com")
        #expect(try await api.client.zone("8126bb3a6cc3da072ff6476289b0e1bf").name == "example.com")
        #expect(api.asked[1] == "GET /zones/8126bb3a6cc3da072ff6476289b0e1bf")
        let missing = await problem { _ = try await api.client.zone("nix.example") }
        #expect(missing?.kind == .notFound && missing?.help?.contains("zone create nix.example") == true)
    }

    @Test("a record is one, or the candidates are named")
    func records() async throws {
        let zone = try #require(ZoneReference(Self.zone))
        #expect(zone.recordName("@") == "example.com" && zone.recordName("WWW") == "www.example.com")
        #expect(zone.recordName("www.example.com.") == "www.example.com")
        let two: JSONValue = [
            ["id": "a", "type": "A", "content": "192.0.2.1"], ["id": "b", "type": "TXT", "content": "x"],
        ]
        let api = ScriptedAPI([.result(two), .result([["id": "b"]])])
        let many = await problem { _ = try await api.client.record("www", type: nil, in: zone) }
        #expect(many?.help?.contains("a (A 192.0.2.1)") == true)
        #expect(try await api.client.record("www", type: "txt", in: zone).text("id") == "b")
        #expect(api.asked[1].contains("name.exact=www.example.com&type=TXT"))
    }

    @Test("the only account is meant unless one is named")
    func accounts() async throws {
        let one: JSONValue = ["id": "1", "name": "Martlet"]
        let other: JSONValue = ["id": "2", "name": "Other"]
        #expect(try await ScriptedAPI([.result([one])]).client.account(nil) == "1")
        #expect(try await ScriptedAPI([.result([one, other])]).client.account("Other") == "2")
        let both = await problem { _ = try await ScriptedAPI([.result([one, other])]).client.account(nil) }
        #expect(both?.help == "name one by --account: Martlet, Other")
    }
}
