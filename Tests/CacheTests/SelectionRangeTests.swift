// Range and Content-Range (RFC 9110, section 14).

import Cache
import HTTPWire
import Limits
import Testing

@Suite("Ranges")
struct SelectionRangeTests {
    private func select(_ value: String, length: UInt64, method: String = "GET") throws -> RangeSelection {
        let request = try SelectionRequest("\(method) /a HTTP/1.1\nHost: www.example.test\nRange: \(value)")
        return RangeSelection(request.head, request.bytes.span, length: length)
    }

    @Test(
        "one range of a hundred bytes",
        arguments: [
            ("bytes=0-9", 0, 10), ("bytes=0-0", 0, 1), ("bytes=99-99", 99, 100), ("bytes=90-", 90, 100),
            ("bytes=0-", 0, 100),
            ("bytes=-1", 99, 100), ("bytes=-100", 0, 100), ("bytes=-1000", 0, 100), ("bytes=50-1000", 50, 100),
            ("bytes=0-18446744073709551615", 0, 100), ("bytes=5-99999999999999999999999", 5, 100),
            ("BYTES=1-2", 1, 3), ("bytes= 1-2", 1, 3), ("bytes=1-2,", 1, 3), ("bytes=,\t,1-2 ,", 1, 3),
            ("bytes=007-8", 7, 9), ("bytes=1-2,200-", 1, 3), ("bytes=200-300, -0, 1-2", 1, 3),
            // Joined: they overlap, touch, or are the same.
            ("bytes=0-9,5-14", 0, 15), ("bytes=0-9,10-19", 0, 20), ("bytes=10-19,0-9", 0, 20), ("bytes=1-2,1-2", 1, 3),
            ("bytes=0-9,20-29,10-19", 0, 30), ("bytes=0-50,-50", 0, 100),
        ])
    func single(_ value: String, _ start: UInt64, _ end: UInt64) throws {
        #expect(try select(value, length: 100) == .single(start..<end))
    }

    @Test("several ranges, in the order they were asked for")
    func multiple() throws {
        #expect(try select("bytes=0-0,2-2", length: 100) == .multiple([0..<1, 2..<3]))
        #expect(try select("bytes=-1, 0-1 ,50-59", length: 100) == .multiple([99..<100, 0..<2, 50..<60]))
        #expect(try select("bytes=50-59,0-9,55-69", length: 100) == .multiple([50..<70, 0..<10]))
        #expect(try select("bytes=55-69,0-9,50-59", length: 100) == .multiple([50..<70, 0..<10]))
        #expect(try select("bytes=20-29,0-9,10-19,90-", length: 100) == .multiple([0..<30, 90..<100]))
    }

    @Test(
        "what is no set of byte ranges is ignored",
        arguments: [
            "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=a", "bytes=1", "bytes=2-1", "bytes=0-9,2-1",
            "bytes=0-9;1-2",
            "bytes=0 -9", "bytes=0- 9", "bytes=+0-9", "bytes=0--9", "bytes=-+9", "bytes=0x0-9", "bytes =0-9",
            "items=0-9",
            "bytes=0-9 10-19", "bytes:0-9", "bytes=0-9\nRange: bytes=0-9", "", "bytes=--1",
        ])
    func ignored(_ value: String) throws {
        #expect(try select(value, length: 100) == .whole)
    }

    @Test("none that exists", arguments: ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=18446744073709551616-"])
    func unsatisfiable(_ value: String) throws {
        #expect(try select(value, length: 100) == .unsatisfiable)
        #expect(try select(value, length: 100, method: "HEAD") == .whole)
    }

    @Test("of nothing, only its end exists")
    func empty() throws {
        #expect(try select("bytes=0-", length: 0) == .unsatisfiable)
        #expect(try select("bytes=-0", length: 0) == .unsatisfiable)
        #expect(try select("bytes=-1", length: 0) == .whole)
        #expect(try select("bytes=0-1,-1", length: 0) == .whole)
        #expect(try select("bytes=-1,x", length: 0) == .whole)
    }

    @Test("the largest lengths")
    func large() throws {
        let most = UInt64.max
        #expect(try select("bytes=0-", length: most) == .single(0..<most))
        #expect(try select("bytes=0-18446744073709551615", length: most) == .single(0..<most))
        #expect(try select("bytes=18446744073709551614-", length: most) == .single(most - 1..<most))
        #expect(try select("bytes=18446744073709551615-", length: most) == .unsatisfiable)
        #expect(try select("bytes=0-,1-,2-,3-", length: most) == .whole)
    }

    @Test("too many, and more than there is twice over, get the whole")
    func abuse() throws {
        let most = (0..<Limits.cacheRangesMax).map { "\($0 * 2)-\($0 * 2)" }.joined(separator: ",")
        let selected = try select("bytes=\(most)", length: 10_000)
        let singles: [Range<UInt64>] = (0..<UInt64(Limits.cacheRangesMax)).map { index in
            let start: UInt64 = index * 2
            return start..<start + 1
        }
        #expect(selected == .multiple(singles))
        #expect(try select("bytes=\(most),9000-", length: 10_000) == .whole)
        #expect(try select("bytes=0-,0-", length: 100) == .single(0..<100))
        #expect(try select("bytes=0-,0-,0-", length: 100) == .whole)
        #expect(try select("bytes=0-,0-,-1", length: 100) == .whole)
    }

    @Test("only GET has ranges")
    func methods() throws {
        for method in ["HEAD", "POST", "PUT", "OPTIONS"] {
            #expect(try select("bytes=0-9", length: 100, method: method) == .whole)
        }
        let none = try SelectionRequest(fields: "Accept: a")
        let selected = RangeSelection(none.head, none.bytes.span, length: 100)
        #expect(selected == .whole)
    }

    @Test("of what is stored")
    func stored() throws {
        func selected(_ fields: String = "", change: (inout StoredFacts) -> Void = { _ in }) throws -> RangeSelection {
            let request = try SelectionRequest(fields: "Range: bytes=0-9\n\(fields)")
            var facts = StoredFacts()
            facts.representationBytes = 100
            change(&facts)
            return RangeSelection(
                request.head, request.bytes.span, of: selectionStored(eTag: "\"a\"", facts: facts), nowMilliseconds: 0)
        }
        #expect(try selected() == .single(0..<10))
        #expect(try selected { $0.representationBytes = 5 } == .single(0..<5))
        #expect(try selected { $0.status = 206 } == .single(0..<10))
        #expect(try selected { $0.status = 404 } == .whole)
        #expect(try selected { $0.flags = .refusesRanges } == .whole)
        #expect(try selected("If-Range: \"a\"") { $0.flags = .hasStrongETag } == .single(0..<10))
        #expect(try selected("If-Range: \"b\"") { $0.flags = .hasStrongETag } == .whole)
    }

    @Test("a range of a body whose length is not known yet")
    func only() throws {
        func spec(_ fields: String, method: String = "GET") throws -> RangeSpec? {
            let request = try SelectionRequest("\(method) /a HTTP/1.1\nHost: www.example.test\n\(fields)")
            return RangeField.only(request.head, request.bytes.span)
        }
        #expect(try spec("Range: bytes=5-") == .from(5))
        #expect(try spec("Range: bytes=5-9") == .between(5, 9))
        #expect(try spec("Range: bytes=-9") == .suffix(9))
        for none in ["bytes=0-1,3-4", "bytes=0-1,x", "bytes=", "items=0-1", "bytes=1-0"] {
            #expect(try spec("Range: \(none)") == nil)
        }
        #expect(try spec("Range: bytes=0-1", method: "HEAD") == nil)
        #expect(try spec("Accept: a") == nil)
    }

    // MARK: Properties

    /// The bytes that a set of well-formed ranges means, by its definition alone.
    private func bytesMeant(_ specs: [(first: Int?, last: Int?)], length: Int) -> Set<Int> {
        var all: Set<Int> = []
        for spec in specs {
            for byte in 0..<length {
                switch (spec.first, spec.last) {
                case (let first?, let last?): if byte >= first, byte <= last { all.insert(byte) }
                case (let first?, nil): if byte >= first { all.insert(byte) }
                case (nil, let count?): if byte >= length - count { all.insert(byte) }
                case (nil, nil): break
                }
            }
        }
        return all
    }

    @Test("exactly the bytes asked for, each once")
    func property() throws {
        var random = SelectionRandom(0x7261_6e67)
        var kinds: [String: Int] = [:]
        for _ in 0..<4000 {
            let length = 1 + random.below(30)
            let specs: [(first: Int?, last: Int?)] = (0...random.below(5)).map { _ in
                let first = random.below(length + 5)
                return random.one(of: [(first, first + random.below(5)), (first, nil), (nil, random.below(length + 3))])
            }
            let value = specs.map { "\($0.map { "\($0)" } ?? "")-\($1.map { "\($0)" } ?? "")" }.joined(separator: ",")
            let meant = bytesMeant(specs, length: length)
            switch try select("bytes=\(value)", length: UInt64(length)) {
            case .unsatisfiable:
                #expect(meant.isEmpty, "\(value) of \(length)")
                kinds["unsatisfiable", default: 0] += 1
            case .whole:
                let sum = specs.reduce(0) { $0 + bytesMeant([$1], length: length).count }
                #expect(sum > 2 * length, "\(value) of \(length)")
                kinds["whole", default: 0] += 1
            case .single(let range):
                #expect(Set(range.map { Int($0) }) == meant, "\(value) of \(length)")
                kinds["single", default: 0] += 1
            case .multiple(let ranges):
                #expect(Set(ranges.flatMap { $0.map { Int($0) } }) == meant, "\(value) of \(length)")
                let sorted = ranges.sorted { $0.lowerBound < $1.lowerBound }
                #expect(zip(sorted, sorted.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
                #expect(ranges.count > 1)
                kinds["multiple", default: 0] += 1
            }
        }
        #expect(kinds.count == 4, "\(kinds)")
    }

    @Test("whatever bytes stand in the fields, nothing traps, and what is selected exists")
    func mutations() throws {
        var random = SelectionRandom(0x6d75_7461)
        let pieces = [
            "bytes", "=", "-", ",", " ", "0", "9", "18446744073709551615", "\"", "W/", "*", "/", "x", "\u{FF}",
        ]
        for _ in 0..<5000 {
            let value = (0..<random.below(12)).map { _ in random.one(of: pieces) }.joined()
            let prefixed = random.below(2) == 0 ? "bytes=" + value : value
            let request = try SelectionRequest(
                fields: "Range: \(prefixed)\nIf-None-Match: \(value)\nIf-Range: \(value)")
            let length = random.one(of: [0, 1, 10, UInt64.max])
            switch RangeSelection(request.head, request.bytes.span, length: length) {
            case .single(let range): #expect(!range.isEmpty && range.upperBound <= length)
            case .multiple(let ranges): #expect(ranges.allSatisfy { !$0.isEmpty && $0.upperBound <= length })
            case .whole, .unsatisfiable: break
            }
            var facts = StoredFacts()
            facts.flags = [.hasStrongETag, .hasStrongLastModified]
            facts.lastModified = 0
            let stored = selectionStored(eTag: "\"0\"", facts: facts)
            _ = Preconditions.evaluate(request.head, request.bytes.span, stored, nowMilliseconds: 0)
            _ = Preconditions.rangeApplies(request.head, request.bytes.span, stored, nowMilliseconds: 0)
            let bytes = Array(value.utf8)
            let range = ByteRange(start: 0, count: UInt32(bytes.count))
            if let parsed = ContentRange(bytes.span, range)?.range { #expect(!parsed.isEmpty) }
            let outside = ContentRange(bytes.span, ByteRange(start: 1, count: UInt32(bytes.count)))
            #expect(outside == nil)
        }
    }
}

@Suite("Content-Range")
struct SelectionContentRangeTests {
    private func parse(_ value: String) throws -> ContentRange? {
        let response = try SelectionResponse("HTTP/1.1 206 Partial Content\nContent-Length: 0\nContent-Range: \(value)")
        return ContentRange(of: response.head, response.bytes.span)
    }

    @Test("a range of a known and of an unknown length, and none")
    func valid() throws {
        let known = try #require(try parse("bytes 0-9/100"))
        #expect(known.range == 0..<10 && known.completeLength == 100)
        let last = try #require(try parse("BYTES 99-99/100"))
        #expect(last.range == 99..<100)
        let unknown = try #require(try parse("bytes 5-9/*"))
        #expect(unknown.range == 5..<10 && unknown.completeLength == nil)
        let unsatisfied = try #require(try parse("bytes */100"))
        #expect(unsatisfied.range == nil && unsatisfied.completeLength == 100)
        let most = try #require(try parse("bytes 18446744073709551613-18446744073709551613/18446744073709551614"))
        #expect(most.range == UInt64.max - 2..<UInt64.max - 1)
    }

    @Test(
        "invalid",
        arguments: [
            "", "bytes", "bytes 0-9", "bytes 0-9/", "bytes /100", "bytes 9-0/100", "bytes 0-100/100", "bytes 0-9/9",
            "bytes=0-9/100", "items 0-9/100", "bytes 0-/100", "bytes -9/100", "bytes */*", "bytes * /100",
            "bytes 0 -9/100",
            "bytes 0-9/100 ,", "bytes 0-9/100/100", "bytes  0-9/100", "bytes 0-9/1e3", "bytes 0-0/0",
            "bytes 0-18446744073709551615/*", "bytes 0-99999999999999999999/*", "bytes 0-9/18446744073709551616",
            "bytes 0-9/100\nContent-Range: bytes 0-9/100",
        ])
    func invalid(_ value: String) throws {
        #expect(try parse(value) == nil)
    }

    @Test("what is written is read again")
    func roundTrip() throws {
        var random = SelectionRandom(0x6372)
        for _ in 0..<500 {
            let length = 1 + random.next() % (UInt64.max >> UInt64(1 + random.below(63)))
            let start = random.next() % length
            let end = start + 1 + random.next() % (length - start)
            let value = selectionText { ContentRange.write(start..<end, of: length, to: &$0) }
            #expect(value == "bytes \(start)-\(end - 1)/\(length)")
            let read = try #require(try parse(value))
            #expect(read.range == start..<end && read.completeLength == length)
        }
        #expect(selectionText { ContentRange.writeUnsatisfied(length: 0, to: &$0) } == "bytes */0")
    }
}
