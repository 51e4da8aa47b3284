import Foundation
import Testing

/// Taking things out again, by anything, at once.
///
/// One after the other: what one purge of a zone sweeps, another that runs beside it no longer counts.
@Suite("Cache: purge", .serialized, .onStageThreads)
struct PurgeJourneys {
    /// Runs `martlet purge` and expects it to report this many responses.
    private func purge(
        _ cast: CacheStage, _ arguments: String..., objects: Int? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let process = try cast.stage.start(
            [try Edge.binary(), "purge"] + arguments + ["--json", "-c", cast.stage.path(cast.edge.fileName)])
        #expect(process.waitForExit() == 0, "\(process.output)\(process.errors)", sourceLocation: sourceLocation)
        guard let objects else { return }
        let report = try JSONSerialization.jsonObject(with: Data(process.output.utf8)) as? [String: Any]
        #expect(report?["objects"] as? Int == objects, "\(process.output)", sourceLocation: sourceLocation)
    }

    /// Fresh for long, with these tags.
    private func page(_ tags: String = "", _ fields: String..., in zone: CacheZone = .plain, on cast: CacheStage? = nil)
        throws -> Resource
    {
        let all = ["Cache-Control: max-age=600", "ETag: \"e\""] + (tags.isEmpty ? [] : ["Cache-Tag: \(tags)"]) + fields
        return try Resource(in: zone, on: cast) { _, number in response("200 OK", fields: all, body: "v\(number)") }
    }

    @Test("By URL: that one, in all its variants, with its exact query")
    func byURL() throws {
        let page = try page("", "Vary: X-Lang")
        for language in ["de", "en"] { _ = try page.get("X-Lang: \(language)") }
        _ = try page.get("X-Lang: de", query: "?a")
        try purge(page.stage, "--url", page.url, objects: 2)
        #expect(try page.get("X-Lang: de").text == "v4")
        #expect(try page.get("X-Lang: en").text == "v5")
        try page.get("X-Lang: de", query: "?a").expectHit("v3")
        try purge(page.stage, "--url", "\(page.url)?a")
        #expect(try page.get("X-Lang: de", query: "?a").text == "v6")
    }

    @Test("By URL, whatever the zone adds to its keys")
    func byURLWithParts() throws {
        let page = try page(in: .parts)
        for tier in ["gold", "silver"] { _ = try page.get("X-Tier: \(tier)", "Cookie: shop=\(tier)") }
        try purge(page.stage, "--url", page.url, objects: 2)
        for tier in ["gold", "silver"] { #expect(try !page.get("X-Tier: \(tier)", "Cookie: shop=\(tier)").cache.isHit) }
    }

    @Test("By host: that name on every port, and no other")
    func byHost() throws {
        let page = try page()
        let name = "\(page.mark).example.test"
        for (host, number) in [(name, 1), ("\(name):8443", 2), ("other-\(name)", 3)] {
            #expect(try page.get("Host: \(host)").text == "v\(number)")
        }
        try purge(page.stage, "--host", name, objects: 2)
        #expect(try page.get("Host: \(name)").text == "v4")
        #expect(try page.get("Host: \(name):8443").text == "v5")
        try page.get("Host: other-\(name)").expectHit("v3")
    }

    @Test("By prefix: what begins so, letter by letter")
    func byPrefix() throws {
        let stage = try CacheStage.shared
        let inside = try (0..<3).map { _ in try page() }
        let deep = try Resource("Cache-Control: max-age=600", suffix: "/deep/one")
        let beside = try Resource("Cache-Control: max-age=600", suffix: "/Deep/two")
        for page in inside + [deep, beside] { _ = try page.get() }
        try purge(stage, "--prefix", "example.test\(deep.path.dropLast(3))", objects: 1)
        #expect(try deep.get().text == "v2")
        try beside.get().expectHit("v1")
        try purge(stage, "--prefix", "example.test\(inside[0].path.dropLast(2))", objects: 1)
        #expect(try inside[0].get().text == "v2")
        try inside[1].get().expectHit("v1")
    }

    @Test("By tag, in any case, one of many; the tags themselves stay inside")
    func byTag() throws {
        let word = Resource.mark(in: try page().path)
        let pages = try [
            page("news-\(word), sport-\(word)"), page("NEWS-\(word)"), page("news-\(word)-old"),
            page("sport-\(word) ,x"),
        ]
        for page in pages { _ = try page.get() }
        #expect(try !pages[0].get().has("Cache-Tag"))
        try purge(pages[0].stage, "--tag", "News-\(word)", objects: 2)
        #expect(try pages.map { try $0.get().text } == ["v2", "v2", "v1", "v1"])
        try purge(pages[0].stage, "--tag", "sport-\(word)", "--tag", "news-\(word)-old", objects: 3)
        #expect(try pages.map { try $0.get().text } == ["v3", "v2", "v2", "v2"])
    }

    @Test("A response may have a thousand tags, over several lines")
    func manyTags() throws {
        let word = Resource.mark(in: try page().path)
        let lines = (0..<10).map { line in
            (0..<100).map { "\(word.suffix(4))\(line * 100 + $0)" }.joined(separator: ",")
        }
        let page = try page(lines.joined(separator: "\r\nCache-Tag: "))
        for (round, tag) in [0, 500, 999].enumerated() {
            _ = try page.get()
            try page.get().expectHit("v\(round + 1)")
            try purge(page.stage, "--tag", "\(word.suffix(4))\(tag)", objects: 1)
        }
        #expect(try page.get().text == "v4")
    }

    @Test("Soft: what is there is asked about, not thrown away")
    func soft() throws {
        let page = try Resource(validating: "\"one\"", "Cache-Control: max-age=600")
        _ = try page.get()
        try purge(page.stage, "--soft", "--url", page.url, objects: 1)
        let second = try page.get()
        #expect(second.text == "v1" && second["X-Answer"] == "2" && !second.cache.isHit, "\(second.head)")
        #expect(page.requests.last?["If-None-Match"] == "\"one\"")
        try page.get().expectHit("v1")
    }

    @Test("Soft, with a window: served at once, renewed beside it, also when the origin fails")
    func softWithWindow() throws {
        let page = try page("", "X-A: 1")
        let windowed = try Resource { _, number in
            number == 1
                ? ok("v1", "Cache-Control: max-age=600, stale-while-revalidate=600", "ETag: \"a\"")
                : ok("v\(number)", "Cache-Control: max-age=600", "ETag: \"b\"")
        }
        let failing = try Resource { _, number in
            number == 1 ? ok("v1", "Cache-Control: max-age=600, stale-if-error=600") : response("503 Busy")
        }
        for page in [page, windowed, failing] {
            _ = try page.get()
            try purge(page.stage, "--soft", "--url", page.url, objects: 1)
        }
        #expect(try page.get().text == "v2")
        try windowed.get().expectHit("v1")
        #expect(try eventually { try windowed.get().text == "v2" })
        let stale = try failing.get()
        #expect(stale.text == "v1", "\(stale)")
    }

    // MARK: What is under way

    @Test("A fetch that began before the purge is not stored by it, and nobody new joins it")
    func duringFill() throws {
        let (arrived, release) = (Gate(), Gate())
        let page = try Resource { _, number in
            if number == 1 {
                arrived.open()
                release.pass()
            }
            return ok("v\(number)", "Cache-Control: max-age=600")
        }
        let early = try page.stage.edge.client()
        try early.send(page.request())
        #expect(arrived.pass())
        try purge(page.stage, "--url", page.url)
        // Whoever asks after the purge does not get what was fetched before it.
        #expect(try page.get().text == "v2")
        release.open()
        #expect(try early.readAnswer().text == "v1")
        try page.get().expectHit("v2")
    }

    @Test("Nor is a body of which the first half is here", arguments: ["tag", "prefix", "host"])
    func duringBody(scope: String) throws {
        let (begun, release) = (Gate(), Gate())
        let page = try Resource(playing: { connection, request, number in
            let fields = ["Cache-Control: max-age=600", "Cache-Tag: tag-\(Resource.mark(in: request.target))"]
            guard number == 1 else { return try connection.send(response("200 OK", fields: fields, body: "new")) }
            try connection.send(
                (["HTTP/1.1 200 OK", "Content-Length: 6"] + fields).joined(separator: "\r\n") + "\r\n\r\nold")
            begun.open()
            release.pass()
            try connection.send("old")
        })
        let host = "\(page.mark).example.test"
        let early = try page.stage.edge.client()
        try early.send(page.request(["Host: \(host)"]))
        #expect(begun.pass())
        _ = try early.receive()
        switch scope {
        case "tag": try purge(page.stage, "--tag", "tag-\(page.mark)")
        case "prefix": try purge(page.stage, "--prefix", "\(host)/mark")
        default: try purge(page.stage, "--host", host)
        }
        release.open()
        #expect(try early.readAnswer().text == "oldold")
        #expect(try page.get("Host: \(host)").text == "new")
        try page.get("Host: \(host)").expectHit("new")
    }

    @Test("A validation that began before the purge does not bring the purged one back")
    func duringValidation() throws {
        let (arrived, release) = (Gate(), Gate())
        let page = try Resource { request, number in
            if number == 2 {
                arrived.open()
                release.pass()
                return "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=600\r\nETag: \"a\"\r\n\r\n"
            }
            return ok("v\(number)", "Cache-Control: max-age=600", number == 1 ? "Age: 700" : "X-A: 1", "ETag: \"a\"")
        }
        _ = try page.get()
        let early = try page.stage.edge.client()
        try early.send(page.request())
        #expect(arrived.pass())
        try purge(page.stage, "--url", page.url)
        release.open()
        #expect(try early.readAnswer().status == 200)
        let after = try page.get()
        #expect(after.text.hasPrefix("v") && after.text != "v1", "\(after)")
    }

    @Test("Everything, under load: each page is fetched once more, not once a client")
    func everythingUnderLoad() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage)
        let page = try Resource(on: cast) { _, number in
            pause(milliseconds: 100)
            return ok("v\(number)", "Cache-Control: max-age=600")
        }
        _ = try page.get()
        let isOver = Shared(false)
        let faults = Shared(0)
        let done = (0..<8).map { _ in
            let gate = Gate()
            Thread {
                defer { gate.open() }
                guard var client = try? cast.edge.client() else { return }
                while !isOver.current {
                    try? client.send(page.request())
                    let answer = try? client.readAnswer()
                    if answer?.status != 200 { return faults.withLock { $0 += 1 } }
                    // After the requests that one connection may have.
                    if answer?.announcesClose == true, let next = try? cast.edge.client() { client = next }
                }
            }.start()
            return gate
        }
        for _ in 1...3 {
            let before = try page.get().text
            try purge(cast, "--everything", "--yes")
            // What the purge has answered is in force: nobody gets the old one any more.
            let after = try page.get()
            #expect(after.text != before, "\(after)")
        }
        isOver.withLock { $0 = true }
        done.forEach { $0.pass() }
        // Once more for each purge; twice, if a fetch began in the very moment in which the purge was recorded.
        #expect((4...7).contains(page.requestCount), "\(page.requestCount) fetches for three purges, eight clients")
        #expect(faults.current == 0)
    }

    @Test("Everything of one zone leaves the others alone")
    func everythingOfZone() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, zones: [("example.test", []), ("everything.test", [])])
        let (one, other) = (try page(on: cast), try page(in: .everything, on: cast))
        for page in [one, other] { _ = try page.get() }
        try purge(cast, "--everything", "--yes", "--zone", "everything.test", objects: 1)
        try one.get().expectHit("v1")
        #expect(try other.get().text == "v2")
        try purge(cast, "--everything", "--yes", objects: 2)
        #expect(try one.get().text == "v2")
        #expect(try other.get().text == "v3")
        #expect(try cast.edge.metric("martlet_cache_purges_total") == 2)
        #expect(try cast.edge.metric("martlet_cache_purged_objects_total") == 3)
    }

    @Test("Large objects on the disk are purged like any other")
    func onDisk() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let cast = try CacheStage(on: stage, store: "{ memory: 16MiB, memory_object: 128KiB, disk: 256MiB }")
        let count = 1 << 20
        let pages = try (0..<4).map { index in
            try Resource.large(count, "Cache-Control: max-age=600", "Cache-Tag: tag-\(index)", on: cast)
        }
        for page in pages {
            try page.settle()
            #expect(page.requestCount == 1)
        }
        try purge(cast, "--tag", "tag-0", objects: 1)
        try purge(cast, "--url", pages[1].url, objects: 1)
        try purge(cast, "--prefix", "example.test\(pages[2].path)", objects: 1)
        for (index, page) in pages.enumerated() {
            let answer = try page.get()
            #expect(answer.cache.isHit == (index == 3) && page.fault(in: answer, count: count) == nil, "\(index)")
        }
    }

    // MARK: The operator's door

    @Test("POST /cache/purge does the same, and says what came of it")
    func overHTTP() throws {
        let word = Resource.mark(in: try page().path)
        let pages = try [page(), page("t-\(word)"), page()]
        for page in pages { _ = try page.get() }
        let edge = pages[0].stage.edge
        let dry = try edge.admin(post: "/cache/purge", "{\"files\": [\"\(pages[0].url)\"], \"dry_run\": true}")
        #expect(dry.status == 200 && dry.text.contains("\"objects\":1"), "\(dry)")
        try pages[0].get().expectHit("v1")
        let answer = try edge.admin(
            post: "/cache/purge", "{\"files\": [\"\(pages[0].url)\"], \"tags\": [\"t-\(word)\"], \"soft\": false}")
        #expect(answer.status == 200 && answer["Content-Type"]?.hasPrefix("application/json") == true, "\(answer)")
        #expect(answer.text.contains("\"objects\":2"), "\(answer.text)")
        #expect(try pages.map { try $0.get().text } == ["v2", "v2", "v1"])
    }

    @Test("What is not meant for it, or not understood, purges nothing")
    func refused() throws {
        let page = try page()
        _ = try page.get()
        let edge = page.stage.edge
        let good = "{\"files\": [\"\(page.url)\"]}"
        let type = "Content-Type: application/json"
        let refusals = try [
            edge.admin(post: "/cache/purge", good, "Content-Type: text/plain"),
            edge.admin(post: "/cache/purge", good, "X-None: 1"),
            edge.admin(post: "/cache/purge", good, "Content-Type: application/x-www-form-urlencoded"),
            edge.admin(post: "/cache/purge", good, type, "Origin: http://evil.test"),
            edge.admin(post: "/cache/purge", "{\"urls\": [\"\(page.url)\"]}"),
            edge.admin(post: "/cache/purge", "{\"files\": \"\(page.url)\"}"),
            edge.admin(post: "/cache/purge", "{\"files\": [\"no url\"]}"),
            edge.admin(post: "/cache/purge", "{}"), edge.admin(post: "/cache/purge", "not JSON"),
            edge.admin(post: "/cache/purge", "{\"everything\": false}"),
            edge.admin(post: "/cache/purge", "{\"files\": [\"\(page.url)\"], \"zone\": \"nowhere.test\"}"),
            edge.admin(post: "/cache/purge", "{\"everything\": true, \"files\": [\"\(page.url)\"]}"),
            edge.admin("/cache/purge"),
        ]
        for answer in refusals { #expect((400..<500).contains(answer.status), "\(answer)") }
        try page.get().expectHit("v1")
    }

    @Test("The command says what is wrong, and asks before it empties everything")
    func command() throws {
        let stage = try CacheStage.shared
        let page = try page()
        _ = try page.get()
        for arguments in [
            [], ["--everything"], ["--url", "not a URL"], ["--url", "http://nowhere.invalid/"],
            ["--zone", "nowhere.test", "--everything", "--yes"],
            ["--everything", "--yes", "--tag", "x"],
        ] {
            let process = try stage.stage.start(
                [try Edge.binary(), "purge"] + arguments + ["-c", stage.stage.path(stage.edge.fileName)])
            let status = process.waitForExit()
            #expect(status != 0 && status != nil, "\(arguments): \(process.output)")
            #expect(!process.errors.isEmpty, "\(arguments)")
        }
        let dry = try stage.edge.martlet("purge", "--url", page.url, "--dry-run")
        #expect(dry.status == 0, "\(dry)")
        try page.get().expectHit("v1")
        let off = try stage.stage.start([try Edge.binary(), "purge", "--tag", "x", "--admin", "127.0.0.1:9"])
        #expect(off.waitForExit() != 0 && off.errors.contains("127.0.0.1:9"), "\(off.errors)")
    }

    @Test("A client cannot purge")
    func clients() throws {
        let page = try Resource { request, number in
            request.method == "GET" ? ok("v\(number)", "Cache-Control: max-age=600") : response("405 No")
        }
        _ = try page.get()
        for method in ["PURGE", "BAN", "REFRESH"] { #expect(try page.ask(method).status == 405) }
        let posted = try page.stage.edge.exchange(
            "POST /cache/purge HTTP/1.1\r\nHost: example.test\r\nContent-Type: application/json\r\n"
                + "Content-Length: 20\r\n\r\n"
                + "{\"everything\": true}", method: "POST")
        #expect(posted.status == 404, "\(posted.head)")
        try page.get().expectHit("v1")
    }
}
