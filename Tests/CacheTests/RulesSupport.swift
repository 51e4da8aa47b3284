// Messages from lines of text, and the moment at which all of these tests take place.

import Cache
import ConfigModel
import HTTPWire
import NIOCore
import Testing

/// A moment, in milliseconds: Sun, 06 Nov 1994 08:49:37 GMT. The response arrives then; its request left at the same
/// time unless a test says otherwise.
let arrival: Int64 = 784_111_777_000

/// The Date of `arrival` and `offset` seconds.
func date(_ offset: Int64 = 0) -> String {
    var text = [UInt8](repeating: 0, count: HTTPDate.byteCount)
    text.withUnsafeMutableBytes { buffer in
        var writer = ByteWriter(buffer)
        HTTPDate.write(arrival / 1000 + offset, to: &writer)
    }
    return String(decoding: text, as: UTF8.self)
}

private let bounds = HeadBounds(startLineBytesMax: 16_384, headBytesMax: 131_072, fieldCountMax: 300)

/// A request: `Host: www.example.test` and the lines given.
struct TestRequest {
    let bytes: [UInt8]
    let head: RequestHead

    init(_ method: String = "GET", _ target: String = "/page?q=1", _ lines: [String] = []) {
        let text = (["\(method) \(target) HTTP/1.1", "Host: www.example.test"] + lines).joined(separator: "\r\n")
        let bytes = Array((text + "\r\n\r\n").utf8)
        self.bytes = bytes
        var parser = RequestHeadParser(bounds: bounds)
        var head = RequestHead()
        do {
            let progress = try parser.parse(bytes.span, into: &head)
            #expect(progress == .complete(byteCount: bytes.count))
        } catch {
            Issue.record("no request: \(error) in \(text)")
        }
        self.head = head
    }

    var directives: RequestDirectives { RequestDirectives(head, bytes.span) }
}

/// A response with the lines given, and a Date unless they have one or `dated` is false.
struct TestResponse {
    let bytes: [UInt8]
    let head: ResponseHead

    init(_ status: Int = 200, _ lines: [String] = [], dated: Bool = true, answering method: HTTPWire.Method = .get) {
        var all = ["HTTP/1.1 \(status) Whatever"] + lines
        if dated, !lines.contains(where: { $0.hasPrefix("Date:") }) { all.append("Date: \(date())") }
        let bytes = Array((all.joined(separator: "\r\n") + "\r\n\r\n").utf8)
        self.bytes = bytes
        var parser = ResponseHeadParser(bounds: bounds)
        var head = ResponseHead()
        do {
            let progress = try parser.parse(bytes.span, answering: method, into: &head)
            #expect(progress == .complete(byteCount: bytes.count))
        } catch {
            Issue.record("no response: \(error) in \(all)")
        }
        self.head = head
    }

    var directives: ResponseDirectives { ResponseDirectives(head, bytes.span) }
}

extension StorageContext {
    init(_ settings: CacheSettings = CacheSettings(), sentAt: Int64 = arrival, receivedAt: Int64 = arrival) {
        self.init(
            settings: settings, isSecure: true, objectBytesMax: 1_000_000, requestTime: sentAt,
            responseTime: receivedAt)
    }
}

func judge(
    _ request: TestRequest = TestRequest(), _ response: TestResponse, _ context: StorageContext = StorageContext()
) -> StorageVerdict {
    StorageRules.judge(request: request.head, request.bytes.span, response: response.head, response.bytes.span, context)
}

extension StorageVerdict {
    var storable: Storable? { if case .store(let storable) = self { storable } else { nil } }
    var refusal: StorageRefusal? { if case .refuse(let refusal) = self { refusal } else { nil } }
}

extension StoredHead {
    /// The lines up to the empty one.
    var lines: [String] { String(decoding: Array(buffer: bytes).prefix(end), as: UTF8.self).split("\r\n") }

    func text(_ range: Range<Int>) -> String { String(decoding: Array(buffer: bytes)[range], as: UTF8.self) }
}

extension String {
    /// The parts between `separator`, without empty ones.
    func split(_ separator: String) -> [String] {
        var parts: [String] = []
        var part = ""
        for character in self {
            if String(character) == separator {
                if !part.isEmpty { parts.append(part) }
                part = ""
            } else {
                part.append(character)
            }
        }
        return part.isEmpty ? parts : parts + [part]
    }
}

extension Array where Element == UInt8 {
    init(buffer: ByteBuffer) { self = Array(buffer.readableBytesView) }
}

/// A response as it would lie in the cache after `response` had answered `request`.
func stored(
    _ response: TestResponse, _ request: TestRequest = TestRequest(), body: String = "content",
    _ context: StorageContext = StorageContext(), tags: [UInt64] = []
) throws -> StoredResponse {
    var storable = try #require(judge(request, response, context).storable)
    let pieces = [ByteBuffer(string: body)]
    if storable.facts.representationBytes == 0 { storable.facts.representationBytes = UInt64(body.utf8.count) }
    let head = StoredHead.render(
        response.head, response.bytes.span, facts: storable.facts, strip: storable.strip,
        contentLength: storable.facts.representationBytes, body: pieces)
    let hash = KeyHash(high: 1, low: 2)
    var vary: VaryKey?
    if case .names(let names) = Vary.requirement(of: response.head, response.bytes.span) {
        vary = VaryKey(names: names, hash: hash)
    }
    return StoredResponse(
        key: CacheKey(hash: hash, urlHash: hash, bytes: Array("key".utf8)), zone: ZoneTag(1), facts: storable.facts,
        head: head, body: .inline, vary: vary, tags: tags, birth: 0)
}

/// Random numbers that are the same in every run, so that what fails once fails again (SplitMix64).
struct RulesGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
