import Foundation
import Testing

/// `martlet cache inspect` and `martlet cache stats`.
@Suite("Cache: inspect", .onStageThreads)
struct InspectJourneys {
    @Test("What is stored for a URL: key, variants, freshness, where it lies")
    func inspect() throws {
        let page = try Resource(
            "Cache-Control: max-age=600, stale-while-revalidate=30, stale-if-error=40", "Age: 100", "Vary: X-Lang",
            "ETag: \"one\"", "Cache-Tag: a, b", "Content-Type: text/x-odd")
        for language in ["de", "en"] { _ = try page.get("X-Lang: \(language)") }
        let seen = try page.stage.edge.inspect(page.url)
        #expect(seen["zone"] as? String == "example.test")
        #expect((seen["key"] as? String)?.contains(page.path) == true)
        #expect((seen["hash"] as? String)?.count == 32 && seen["filling"] as? Bool == false, "\(seen)")
        let variants = try #require(seen["variants"] as? [[String: Any]])
        #expect(variants.count == 2)
        let one = try #require(variants.first)
        #expect(one["vary"] as? [String] == ["x-lang"] && one["status"] as? Int == 200, "\(one)")
        #expect((100...200).contains(one["age"] as? Int ?? 0) && one["freshness_lifetime"] as? Int == 600, "\(one)")
        #expect((400...500).contains(one["fresh_for"] as? Int ?? 0), "\(one)")
        #expect(one["stale_while_revalidate"] as? Int == 30 && one["stale_if_error"] as? Int == 40, "\(one)")
        #expect(one["in_memory"] as? Bool == true && one["tags"] as? Int == 2 && one["bytes"] as? Int == 2, "\(one)")
        #expect(one["etag"] as? String == "\"one\"" && one["content_type"] as? String == "text/x-odd", "\(one)")
        let text = try page.stage.edge.martlet("cache", "inspect", page.url)
        #expect(text.status == 0 && text.output.contains(page.path) && text.output.contains("x-lang"), "\(text)")
    }

    @Test("Asking changes nothing, and of what is not there it says so")
    func absent() throws {
        let page = try Resource("Cache-Control: max-age=600")
        #expect((try page.stage.edge.inspect(page.url)["variants"] as? [Any])?.isEmpty == true)
        #expect(page.requestCount == 0)
        #expect(try page.stage.edge.martlet("cache", "inspect", "http://nowhere.invalid/").status != 0)
        #expect(try page.stage.edge.martlet("cache", "inspect", "nonsense").status != 0)
    }

    @Test("What proved uncacheable is remembered with its reason")
    func uncacheable() throws {
        let page = try Resource("Cache-Control: no-store")
        _ = try page.get()
        #expect(try page.stage.edge.inspect(page.url)["uncacheable"] as? String == "no_store")
    }

    @Test("Parts of a page show as ranges")
    func partial() throws {
        let page = try Resource { _, _ in
            response(
                "206 Partial Content",
                fields: ["Cache-Control: max-age=600", "ETag: \"a\"", "Content-Range: bytes 5-9/26"], body: "fghij")
        }
        _ = try page.get("Range: bytes=5-9")
        let variants = try page.stage.edge.inspect(page.url)["variants"] as? [[String: Any]]
        #expect(variants?.first?["ranges"] as? [String] == ["5-9"], "\(variants ?? [])")
    }

    @Test("How full it is, and whose")
    func statistics() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage)
        let page = try Resource("Cache-Control: max-age=600", on: cast)
        for _ in 1...3 { _ = try page.get() }
        let said = try cast.edge.martlet("cache", "stats", "--json")
        let object = try JSONSerialization.jsonObject(with: Data(said.output.utf8)) as? [String: Any]
        let memory = try #require(object?["memory"] as? [String: Any], "\(said)")
        #expect(memory["objects"] as? Int == 1 && (memory["bytes"] as? Int ?? 0) > 0, "\(memory)")
        let zones = try #require(object?["zones"] as? [[String: Any]])
        #expect(zones.first?["name"] as? String == "example.test")
        #expect((zones.first?["requests"] as? [String: Int])?["hit"] == 2, "\(zones)")
        #expect(try cast.edge.martlet("cache", "stats").output.contains("example.test"))
        #expect(try cast.edge.admin("/cache/stats").status == 200)
    }
}
