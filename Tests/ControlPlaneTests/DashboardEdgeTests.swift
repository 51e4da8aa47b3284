// Edges and their traffic, from what the API says of them.

import Foundation
import JSON
import Testing

@testable import ControlPlane

@Suite("Dashboard: edges")
struct DashboardEdgeTests {
    private static let root = "/accounts/{account_id}/martlet"
    private static let need = Need.account(.account("Edges", .read))

    private static func node(_ name: String, _ more: JSONObject = [:]) -> JSONValue {
        .object(
            ([
                "name": .string(name), "role": "edge", "parent": "relay-1", "state": "enrolled", "canary": false,
                "connected": true, "sequence": 41, "behind": 1, "lag_ms": 72, "version": "0.5.0",
                "health": [
                    "requests": 6000, "server_errors": 60, "cache_hits": 5400, "bytes_sent": 1, "p99_us": 12_500,
                    "crashes": 0, "refused_objects": 2,
                ], "seen_at": .string(APITime.now.text),
            ] as JSONObject).merging(more))
    }

    /// An API that has edges.
    private static func routes(
        _ nodes: [JSONValue], samples: @escaping @Sendable @autoclosure () -> [JSONValue] = []
    ) -> [Route] {
        [
            Route(.get, root + "/nodes", "Edges", "", needs: need) { _ in
                .page(nodes, PageInfo(page: 1, perPage: 200, count: nodes.count, totalCount: nodes.count))
            },
            Route(.get, root + "/nodes/{node}", "Edges", "", needs: need) { call in
                guard let node = nodes.first(where: { $0["name"]?.string == call.parameter("node") }) else {
                    throw APIError.notFound("node", call.parameter("node"))
                }
                return .result(node)
            },
            Route(.get, root + "/samples", "Edges", "", needs: need) { _ in .result(.array(samples())) },
            Route(.get, root + "/nodes/{node}/samples", "Edges", "", needs: need) { _ in .result(.array(samples())) },
            Route(.get, root + "/join_tokens", "Edges", "", needs: need) { _ in
                .result([["id": "t1", "role": "edge", "state": "open"]])
            },
            Route(
                .post, root + "/join_tokens", "Edges", "", needs: .account(.account("Edges", .write)),
                payload: .json(.anything)
            ) { call in
                guard call.body["name"] != "taken" else { throw APIError.conflict("An edge of that name exists") }
                return .result([
                    "id": "t2",
                    "token": .string("mj1.\(call.body["role"]?.string ?? "").\(call.body["expires_in"]?.integer ?? 0)"),
                ])
            },
        ]
    }

    private static func samples(_ count: Int) -> [JSONValue] {
        let now = APITime.now.microseconds
        return (0..<count).map { index in
            let at = APITime(microseconds: now - Int64(count - index) * 10_000_000)
            return [
                "at": .string(at.text), "requests": .number(JSONNumber(600 + index)), "server_errors": 6,
                "cache_hits": 300, "bytes": 1, "p99_us": 8000,
            ]
        }
    }

    @Test("no edges, or an API that knows of none: what to do next")
    func none() async throws {
        for routes in [Self.routes([]), []] {
            try await withDashboard(routes: routes) { stage in
                let visitor = await stage.visitor()
                #expect(await visitor.get("/edges").text.contains("No edges yet"))
                #expect(await visitor.get("/").text.contains("No edges yet"))
            }
        }
    }

    @Test("each edge with what it has applied, how late, how well")
    func list() async throws {
        let nodes = [
            Self.node("fra-1", ["canary": true]), Self.node("sin-1", ["connected": false, "behind": 0]),
            Self.node("old-1", ["state": "revoked"]),
            .object(["name": "new-1", "role": "edge", "health": nil, "sequence": nil, "behind": nil]),
        ]
        try await withDashboard(routes: Self.routes(nodes)) { stage in
            let visitor = await stage.visitor()
            let text = await visitor.get("/edges").text
            for word in [
                "fra-1", "Canary", "Away", "Revoked", "1 behind", "up to date", "72 ms", "100/s", "1 %", "0.5.0",
                "behind relay-1", "nothing yet", "never",
            ] { #expect(text.contains(word), "\(word)") }
            let table = await visitor.get("/edges/table?page=1")
            #expect(table.text.hasPrefix("<table") && table.text.contains("fra-1") && !table.text.contains("<html"))
            let one = await visitor.get("/edges/nodes/fra-1")
            #expect(one.text.contains("No canary any more") && one.text.contains("0, 2"))
            #expect(await visitor.get("/edges/nodes/nobody").status == 404)
            #expect(await visitor.get("/").text.contains("<strong>1 of 3</strong>"))
        }
    }

    @Test("a join token is shown once, with the command it is for")
    func join() async throws {
        try await withDashboard(routes: Self.routes([])) { stage in
            let visitor = await stage.visitor()
            let wrong = await visitor.post("/edges/new", [("role", "edge"), ("name", "taken"), ("expires_in", "3600")])
            #expect(wrong.status == 422 && wrong.text.contains("id=\"e-name\""))
            #expect(
                await visitor.post("/edges/new", [("role", "relay"), ("name", ""), ("expires_in", "86400")]).location
                    == "/edges")
            let page = await visitor.get("/edges")
            #expect(page.text.contains("value=\"mj1.relay.86400\"") && page.text.contains("martlet relay --join"))
            #expect(page.text.contains("Withdraw"))
            #expect(await !visitor.get("/edges").text.contains("mj1."))
        }
    }

    @Test("graphs show the last hour, and say it in words")
    func graphs() async throws {
        try await withDashboard(routes: Self.routes([Self.node("fra-1")], samples: Self.samples(360))) { stage in
            let visitor = await stage.visitor()
            let page = await visitor.get("/")
            #expect(page.text.components(separatedBy: "<svg viewBox=\"0 0 720").count == 5)
            #expect(page.text.contains("Requests, last hour: now 16/s, at most 16/s"))
            #expect(page.text.contains("Hit ratio, last hour: now 31.3 %"))
            let part = await visitor.get("/graphs")
            #expect(part.text.hasPrefix("<figure") && !part.text.contains("NaN"))
            #expect(await visitor.get("/edges/nodes/fra-1/graphs").text.hasPrefix("<figure"))
        }
    }

    @Test("what was not measured leaves a gap; no value leaves the picture")
    func gaps() {
        let points: [(age: Double, value: Double)] = [
            (3700, 1), (600, 1), (590, .infinity), (580, 2), (100, 50), (0, -3),
        ]
        let html = Graph(title: "T", format: Figures.short, points: points, top: 10).html.text
        #expect(html.components(separatedBy: "M").count > 3)
        for number in html.matches(of: /[ML](-?[0-9.]+) (-?[0-9.]+)/) {
            #expect(
                (0...720).contains(Double(number.1) ?? -1) && (0...120).contains(Double(number.2) ?? -1), "\(number.0)")
        }
        #expect(!html.contains("inf") && !html.contains("nan"))
        let empty = Graph(title: "T", format: Figures.short, points: []).html.text
        #expect(empty.contains("nothing was measured") && empty.contains("<strong>–</strong>"))
    }

    @Test(
        "scales end at a round number",
        arguments: [(0, 1), (0.3, 0.3), (1, 1), (1.2, 1.5), (3, 3), (7, 8), (340, 400), (1e300, 1e300)]
            as [(Double, Double)])
    func scale(value: Double, top: Double) {
        #expect(abs(Graph.rounded(value) - top) <= top * 1e-6 || value > 1e15)
        #expect(Graph.rounded(value).isFinite)
    }

    @Test("figures have three digits")
    func figures() {
        #expect(Figures.short(0) == "0" && Figures.short(1.256) == "1.26" && Figures.short(12.56) == "12.6")
        #expect(Figures.short(9999) == "9999" && Figures.short(12_345) == "12.3 k" && Figures.short(2.5e6) == "2.5 M")
        #expect(Figures.share(0.931) == "93.1 %" && Figures.milliseconds(12_300) == "12.3 s")
        #expect(Figures.short(.nan) == "–")
    }
}
