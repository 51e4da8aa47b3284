// What the tests of selection have in common: heads parsed from text by the real parsers, stored responses with a head
// that holds just the validators, and random numbers that are the same in every run.

import Cache
import HTTPWire
import NIOCore

/// A parsed request and the bytes its ranges point into.
struct SelectionRequest {
    let bytes: [UInt8]
    let head: RequestHead

    /// - Parameter lines: the head without its last empty line, lines ended by LF alone.
    init(_ lines: String) throws {
        let bytes = Array((lines.split(separator: "\n").joined(separator: "\r\n") + "\r\n\r\n").utf8)
        var parser = RequestHeadParser(
            bounds: HeadBounds(startLineBytesMax: 65_536, headBytesMax: 131_072, fieldCountMax: 64))
        var head = RequestHead()
        let progress = try parser.parse(bytes.span, into: &head)
        guard case .complete = progress else { throw SelectionStageError.incomplete }
        self.bytes = bytes
        self.head = head
    }

    /// GET of a URL that is the same for all, with these fields.
    init(fields: String) throws {
        try self.init("GET /a HTTP/1.1\nHost: www.example.test\n" + fields)
    }
}

struct SelectionResponse {
    let bytes: [UInt8]
    let head: ResponseHead

    init(_ lines: String) throws {
        let bytes = Array((lines.split(separator: "\n").joined(separator: "\r\n") + "\r\n\r\n").utf8)
        var parser = ResponseHeadParser(
            bounds: HeadBounds(startLineBytesMax: 8192, headBytesMax: 65_536, fieldCountMax: 64))
        var head = ResponseHead()
        let progress = try parser.parse(bytes.span, answering: .get, into: &head)
        guard case .complete = progress else { throw SelectionStageError.incomplete }
        self.bytes = bytes
        self.head = head
    }
}

enum SelectionStageError: Error { case incomplete }

/// A stored response of which only what selection looks at is filled in.
func selectionStored(eTag: String = "", facts: StoredFacts = StoredFacts()) -> StoredResponse {
    let line = "ETag: "
    let text = eTag.isEmpty ? "" : "\(line)\(eTag)\r\n"
    let range = eTag.isEmpty ? 0..<0 : line.utf8.count..<line.utf8.count + eTag.utf8.count
    let end = text.utf8.count
    let head = StoredHead(
        bytes: ByteBuffer(string: text + "\r\n"), notModifiedEnd: end, commonEnd: end, typeEnd: end, end: end + 2,
        eTag: range, lastModified: 0..<0, contentType: 0..<0)
    let none = KeyHash(high: 0, low: 0)
    return StoredResponse(
        key: CacheKey(hash: none, urlHash: none, bytes: []), zone: ZoneTag(0), facts: facts, head: head, body: .inline,
        vary: nil, tags: [], birth: 0)
}

/// What a writer wrote, as text.
func selectionText(_ body: (inout ByteWriter) -> Void) -> String {
    withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { memory in
        var writer = ByteWriter(memory)
        body(&writer)
        return String(decoding: memory.prefix(writer.count), as: UTF8.self)
    }
}

/// SplitMix64.
struct SelectionRandom: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(1, bound))) }

    mutating func one<Element>(of choices: [Element]) -> Element { choices[below(choices.count)] }
}
