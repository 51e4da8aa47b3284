// DNS records: contents of every type, conflicts, batches, zone files.

import JSON
import Testing

@testable import ControlPlane

@Suite("API: DNS records")
struct APIRecordTests {
    /// Type, what a client sends, the content that is shown.
    static let contents: [(type: String, body: JSONObject, content: String)] = [
        ("A", ["content": "192.0.2.1"], "192.0.2.1"), ("AAAA", ["content": "2001:DB8:0:0::1"], "2001:db8::1"),
        ("CNAME", ["content": "Target.Example."], "target.example"),
        ("MX", ["content": "mx.example", "priority": 10], "mx.example"),
        ("NS", ["content": "ns.example"], "ns.example"), ("PTR", ["content": "host.example"], "host.example"),
        ("TXT", ["content": "v=spf1 -all"], "v=spf1 -all"), ("OPENPGPKEY", ["content": "bWFydGxldA=="], "bWFydGxldA=="),
        ("CAA", ["data": ["flags": 0, "tag": "issue", "value": "ca.example"]], "0 issue \"ca.example\""),
        ("CAA", ["content": "128 iodef \"mailto:a@b\""], "128 iodef \"mailto:a@b\""),
        ("SRV", ["data": ["priority": 1, "weight": 2, "port": 3, "target": "t.example"]], "2 3 t.example"),
        ("SRV", ["content": "2 3 t.example", "priority": 1], "2 3 t.example"),
        ("HTTPS", ["data": ["priority": 1, "target": ".", "value": "alpn=\"h3,h2\""]], "1 . alpn=\"h3,h2\""),
        ("SVCB", ["content": "0 svc.example"], "0 svc.example"),
        ("TLSA", ["content": "3 1 1 ABCD"], "3 1 1 abcd"), ("SMIMEA", ["content": "3 0 0 ab"], "3 0 0 ab"),
        ("SSHFP", ["content": "4 2 cdef"], "4 2 cdef"), ("DS", ["content": "1 13 2 ef01"], "1 13 2 ef01"),
        ("DNSKEY", ["content": "257 3 13 bWFydGxldA=="], "257 3 13 bWFydGxldA=="),
        ("CERT", ["content": "9 1 8 bWFydGxldA=="], "9 1 8 bWFydGxldA=="),
        (
            "NAPTR", ["content": "100 10 \"S\" \"SIP+D2U\" \"\" _sip._udp.example"],
            "100 10 \"S\" \"SIP+D2U\" \"\" _sip._udp.example"
        ),
        ("URI", ["priority": 10, "data": ["weight": 1, "target": "https://a.example/"]], "1 \"https://a.example/\""),
        ("LOC", ["content": "52 22 23.000 N 4 53 32 E -2.00m"], "52 22 23.000 N 4 53 32 E -2.00m 1m 10000m 10m"),
    ]

    @Test("contents of every type are taken, in one form", arguments: contents.indices)
    func valid(index: Int) async throws {
        let (type, body, content) = Self.contents[index]
        try await withAPI { api in
            let zone = try await api.zone()
            let record = (["name": "x", "type": .string(type)] as JSONObject).merging(body)
            let answer = await api.call("POST", "/zones/\(zone)/dns_records", .object(record))
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer.result["content"] == .string(content))
            #expect(answer.result["name"] == "x.example.com")
            // What is shown may be sent back, and is the same record.
            let id = answer.result["id"]?.string ?? ""
            let again = await api.call("PUT", "/zones/\(zone)/dns_records/\(id)", answer.result)
            #expect(again.status == 200, "\(again.text)")
            #expect(again.result["content"] == .string(content))
            #expect(
                again.result["priority"] == answer.result["priority"] && again.result["data"] == answer.result["data"])
        }
    }

    @Test("the table has every type there is")
    func everyType() {
        #expect(Set(Self.contents.map(\.type)) == Set(RecordType.all.map(\.name)))
    }

    @Test(
        "contents that do not fit are refused with what was expected",
        arguments: [
            ("A", "2001:db8::1", 9005), ("A", "192.0.2", 9005), ("AAAA", "192.0.2.1", 9005), ("CNAME", "a b", 9005),
            ("MX", "", 9005), ("TXT", "", 9005), ("TLSA", "3 1 1 abc", 1004), ("TLSA", "3 1", 9005),
            ("CAA", "256 issue \"x\"", 1004),
            ("SRV", "1 2 70000 t.example", 1004), ("DS", "1 13 2 xyz", 1004), ("LOC", "91 0 0 N 4 0 0 E 0m", 1004),
            ("LOC", "somewhere", 9005), ("OPENPGPKEY", "***", 9005), ("NAPTR", "1", 9005), ("ODD", "x", 1004),
        ])
    func invalid(type: String, content: String, code: Int64) async throws {
        try await withAPI { api in
            let zone = try await api.zone()
            let answer = await api.call(
                "POST", "/zones/\(zone)/dns_records", ["name": "x", "type": .string(type), "content": .string(content)])
            #expect(answer.status == 400)
            #expect(answer.code == code, "\(answer.text)")
        }
    }

    @Test(
        "names are complete or below the zone, in one form",
        arguments: [
            ("@", "example.com"), ("www", "www.example.com"), ("WWW.Example.COM.", "www.example.com"),
            ("*.a", "*.a.example.com"), ("_dmarc", "_dmarc.example.com"), ("bücher", "xn--bcher-kva.example.com"),
            ("www.other.test", "www.other.test.example.com"),
        ])
    func names(given: String, shown: String) async throws {
        try await withAPI { api in
            let zone = try await api.zone()
            let answer = await api.call(
                "POST", "/zones/\(zone)/dns_records", ["name": .string(given), "type": "TXT", "content": "x"])
            #expect(answer.result["name"] == .string(shown), "\(answer.text)")
        }
    }

    @Test(
        "names that are none are refused",
        arguments: ["a..b", "-a", "a b", "www.other.test.", String(repeating: "a", count: 64)])
    func badNames(name: String) async throws {
        try await withAPI { api in
            let zone = try await api.zone()
            let answer = await api.call(
                "POST", "/zones/\(zone)/dns_records", ["name": .string(name), "type": "A", "content": "192.0.2.1"])
            #expect(answer.status == 400 && answer.code == 9000, "\(answer.text)")
        }
    }

    @Test("what cannot stand beside each other does not", arguments: StoreKind.allCases)
    func conflicts(kind: StoreKind) async throws {
        try await withAPI(kind) { api in
            let path = "/zones/\(try await api.zone())/dns_records"
            func add(_ name: String, _ type: String, _ content: String, _ also: JSONObject = [:]) async -> Int64? {
                let body = (["name": .string(name), "type": .string(type), "content": .string(content)] as JSONObject)
                    .merging(also)
                return await api.call("POST", path, .object(body)).code
            }
            #expect(await add("a", "A", "192.0.2.1") == nil)
            #expect(await add("a", "A", "192.0.2.1") == 81057)
            #expect(await add("a", "A", "192.0.2.2") == nil)
            #expect(await add("a", "CNAME", "b.example") == 81053)
            #expect(await add("c", "CNAME", "b.example") == nil)
            #expect(await add("c", "AAAA", "2001:db8::1") == 81054)
            #expect(await add("c", "CNAME", "d.example") == 81053)
            #expect(await add("c", "TXT", "x") == 81054)
            #expect(await add("p", "CNAME", "b.example", ["proxied": true]) == nil)
            #expect(await add("p", "TXT", "x") == nil)
            #expect(await add("@", "TXT", "x") == nil)
            #expect(await add("@", "CNAME", "b.example") == nil)
            #expect(await add("m", "MX", "m.example", ["proxied": true]) == 9004)
        }
    }

    @Test("a batch is done whole or not at all, in its order", arguments: StoreKind.allCases)
    func batch(kind: StoreKind) async throws {
        try await withAPI(kind) { api in
            let path = "/zones/\(try await api.zone())/dns_records"
            let first = await api.call("POST", path, ["name": "a", "type": "A", "content": "192.0.2.1"])
            let id = try #require(first.result["id"])
            let before = try await api.published().count
            let bad = await api.call(
                "POST", path + "/batch",
                [
                    "deletes": [["id": id]],
                    "posts": [
                        ["name": "b", "type": "A", "content": "192.0.2.2"], ["name": "c", "type": "A", "content": "x"],
                    ],
                ])
            #expect(bad.status == 400 && bad.message.hasPrefix("posts.1: "))
            #expect(await api.call("GET", path).result.array?.count == 1)
            #expect(try await api.published().count == before)
            let good = await api.call(
                "POST", path + "/batch",
                [
                    "posts": [["name": "a", "type": "CNAME", "content": "t.example"]], "deletes": [["id": id]],
                    "patches": nil,
                ])
            #expect(good.status == 200, "\(good.text)")
            #expect(good.result["posts"]?.array?.count == 1 && good.result["deletes"]?.array?.count == 1)
            #expect(await api.call("GET", path).result.array?.map { $0["type"] } == ["CNAME"])
        }
    }

    @Test("lists are filtered, ordered, and end with an empty page", arguments: StoreKind.allCases)
    func lists(kind: StoreKind) async throws {
        try await withAPI(kind) { api in
            let path = "/zones/\(try await api.zone())/dns_records"
            for index in 0..<7 {
                _ = await api.call(
                    "POST", path,
                    [
                        "name": .string("h\(index)"), "type": "A", "content": .string("192.0.2.\(index)"),
                        "comment": index == 3 ? "100%_sure" : nil,
                    ])
            }
            _ = await api.call("POST", path, ["name": "t", "type": "TXT", "content": "x", "tags": ["team:dns"]])
            func names(_ query: String) async -> [String] {
                (await api.call("GET", path + "?" + query).result.array ?? []).compactMap {
                    $0["name"]?.string?.split(separator: ".").first.map(String.init)
                }
            }
            #expect(await names("per_page=3&page=1") == ["h0", "h1", "h2"])
            #expect(await names("per_page=3&page=3") == ["h6", "t"])
            #expect(await names("per_page=3&page=4").isEmpty)
            #expect(await names("order=content&direction=desc&type=A") == ["h6", "h5", "h4", "h3", "h2", "h1", "h0"])
            #expect(await names("name=H3.example.com") == ["h3"])
            #expect(await names("name.startswith=h&content.endswith=.5") == ["h5"])
            #expect(await names("match=any&name.exact=h1.example.com&content=192.0.2.2") == ["h1", "h2"])
            #expect(await names("comment.contains=%25_s") == ["h3"])
            #expect(await names("comment.contains=1_0").isEmpty)
            #expect(await names("comment.present=") == ["h3"])
            #expect(await names("tag=team:dns") == ["t"])
            #expect(await names("search=192.0.2.6") == ["h6"])
            #expect(await api.call("GET", path + "?order=odd").status == 400)
            let info = await api.call("GET", path + "?per_page=3").json["result_info"]
            #expect(info == ["page": 1, "per_page": 3, "count": 3, "total_count": 8, "total_pages": 3])
        }
    }

    @Test("PATCH changes what it names, PUT makes the rest as new; both and DELETE are published")
    func changes() async throws {
        try await withAPI { api in
            let zone = try await api.zone()
            let path = "/zones/\(zone)/dns_records"
            let made = await api.call(
                "POST", path,
                ["name": "a", "type": "A", "content": "192.0.2.1", "ttl": 300, "comment": "c", "tags": ["x"]])
            let id = try #require(made.result["id"]?.string)
            let patched = await api.call("PATCH", "\(path)/\(id)", ["content": "192.0.2.2"])
            #expect(
                patched.result["ttl"] == 300 && patched.result["comment"] == "c"
                    && patched.result["content"] == "192.0.2.2")
            let put = await api.call("PUT", "\(path)/\(id)", ["name": "b", "type": "AAAA", "content": "2001:db8::1"])
            #expect(put.result["ttl"] == 1 && put.result["comment"] == .null && put.result["name"] == "b.example.com")
            #expect(await api.call("DELETE", "\(path)/\(id)").result == ["id": .string(id)])
            #expect(await api.call("DELETE", "\(path)/\(id)").code == 81044)
            let changes = try await api.published().filter { $0.key == "zone/\(zone)/dns/\(id)" }.map(\.value)
            #expect(changes.count == 4 && changes.last == "-")
            #expect(try JSONValue(parsing: changes[2])["content"] == "2001:db8::1")
        }
    }

    @Test("a zone's export is its import: all types, twice changes nothing")
    func zoneFiles() async throws {
        try await withAPI { api in
            let (one, two) = (try await api.zone("one.example"), try await api.zone("two.example"))
            for (index, (type, body, _)) in Self.contents.enumerated() {
                let record = (["name": .string("r\(index)"), "type": .string(type), "ttl": 600] as JSONObject).merging(
                    body)
                #expect(await api.call("POST", "/zones/\(one)/dns_records", .object(record)).status == 200)
            }
            let file = await api.call("GET", "/zones/\(one)/dns_records/export").text
            let moved = Array(file.replacing("one.example", with: "two.example").utf8)
            let import1 = await api.call("POST", "/zones/\(two)/dns_records/import", bytes: moved)
            #expect(
                import1.result == [
                    "recs_added": .number(JSONNumber(Self.contents.count)),
                    "total_records_parsed": .number(JSONNumber(Self.contents.count)),
                ], "\(import1.text)")
            let import2 = await api.call("POST", "/zones/\(two)/dns_records/import", bytes: moved)
            #expect(import2.result["recs_added"] == 0)
            func facts(_ zone: String) async -> [JSONValue] {
                (await api.call("GET", "/zones/\(zone)/dns_records?per_page=100").result.array ?? []).map {
                    [$0["type"] ?? .null, $0["content"] ?? .null, $0["priority"] ?? .null, $0["ttl"] ?? .null]
                }
            }
            #expect(await facts(one) == facts(two))
        }
    }

    @Test("a zone file as people write them")
    func handWritten() throws {
        let file = """
            $TTL 1h
            @   IN SOA ns.example. host.example. ( 1 ; serial
                    2 3 4 5 )
                IN NS ns
            www 300 IN A 192.0.2.1 ; the web
                IN A 192.0.2.2
            mail MX 10 mx.other.
            $ORIGIN sub.example.com.
            txt TXT "a; b" "c\\"d"
            """
        let lines = try ZoneFile.parse(Array(file.utf8), origin: "example.com")
        #expect(
            lines.map(\.name) == [
                "example.com", "example.com", "www.example.com", "www.example.com", "mail.example.com",
                "txt.sub.example.com",
            ])
        #expect(lines.map(\.type) == ["SOA", "NS", "A", "A", "MX", "TXT"])
        #expect(lines.map(\.ttl) == [3600, 3600, 300, 3600, 3600, 3600])
        #expect(lines[4].priority == 10 && lines[4].content == "mx.other")
        #expect(lines[5].content == "\"a; b\" \"c\\\"d\"")
    }

    @Test("lines may end as on Windows, and what is exported is what is there")
    func lineEnds() async throws {
        try await withAPI { api in
            let path = "/zones/\(try await api.zone())/dns_records"
            let file = "a 300 IN A 192.0.2.1\r\nb 300 IN A 192.0.2.2\r\n"
            #expect(await api.call("POST", path + "/import", bytes: Array(file.utf8)).result["recs_added"] == 2)
            let comment = "x\r\nevil.example.com. 60 IN A 192.0.2.66"
            _ = await api.call(
                "POST", path, ["name": "c", "type": "TXT", "content": "one\ntwo", "comment": .string(comment)])
            let text = await api.call("GET", path + "/export").text
            let lines = text.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix(";") && !$0.hasPrefix("$") }
            #expect(lines.count == 3)
            let again = await api.call("POST", path + "/import", bytes: Array(text.utf8))
            #expect(again.result["recs_added"] == 0, "\(again.text)")
        }
    }

    @Test(
        "a file that cannot be read says the line",
        arguments: [
            ("a A", 1), ("ok A 192.0.2.1\n\nb IN", 3), ("a TXT \"x", 1), ("$FOO", 1), ("a ( A", 0), (" A 1", 1),
        ])
    func badFiles(text: String, line: Int) async throws {
        try await withAPI { api in
            let answer = await api.call(
                "POST", "/zones/\(try await api.zone())/dns_records/import", bytes: Array(text.utf8))
            #expect(answer.status == 400, "\(answer.text)")
            #expect(line == 0 || answer.message.contains("ine \(line)"), "\(answer.message)")
        }
    }
}
