// The corpus of FuzzTesting/, replayed: every seed keeps its properties and is judged as its file name says
// (`valid-`, `attack-`, `partial-`), every crash that a fuzzer ever found stays fixed, and a bounded number of seeded
// mutations of all seeds is tried on each run.

import Foundation
import HTTPWire
import Testing

/// Files of FuzzTesting/.
enum Corpus {
    struct Seed: CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var testDescription: String { name }
    }

    static let parsers = ["RequestHead", "ResponseHead", "Chunked", "Date"]

    /// The files of `FuzzTesting/<folder>/<parser>`, by name. A parser that never failed has no folder in FailCases.
    static func seeds(_ folder: String, _ parser: String) throws -> [Seed] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let directory = root.appending(path: "FuzzTesting/\(folder)/\(parser)")
        let path = directory.path(percentEncoded: false)
        if folder == "FailCases", !FileManager.default.fileExists(atPath: path) { return [] }
        let names = try FileManager.default.contentsOfDirectory(atPath: path)
        return try names.filter { !$0.hasPrefix(".") }.sorted().map { name in
            Seed(name: name, bytes: Array(try Data(contentsOf: directory.appending(path: name))))
        }
    }

    static func violation(_ parser: String, _ bytes: [UInt8]) -> String? {
        switch parser {
        case "RequestHead": WireProperties.requestHead(bytes)
        case "ResponseHead": WireProperties.responseHead(bytes)
        case "Chunked": WireProperties.chunked(bytes)
        default: WireProperties.date(bytes)
        }
    }

    /// How the parser judges the seed: the first word of the file's name.
    static func judgement(_ parser: String, _ bytes: [UInt8]) -> String {
        switch parser {
        case "RequestHead": RequestOutcome(bytes).word
        case "ResponseHead": ResponseOutcome(bytes).word
        case "Chunked":
            switch WireProperties.decode(bytes, lengths: []) {
            case .complete: "valid"
            case .needsMore: "partial"
            case .failed: "attack"
            }
        default:
            HTTPDate.parse(bytes.span, ByteRange(start: 0, count: UInt32(bytes.count)), now: 0) == nil
                ? "attack" : "valid"
        }
    }
}

@Suite("Corpus")
struct CorpusTests {
    @Test("every seed is judged as its name says and keeps the properties", arguments: Corpus.parsers)
    func seeds(_ parser: String) throws {
        let seeds = try Corpus.seeds("Corpus", parser)
        #expect(seeds.count >= 12)
        for seed in seeds {
            #expect(seed.name.hasPrefix(Corpus.judgement(parser, seed.bytes) + "-"), "\(parser)/\(seed.name)")
            #expect(Corpus.violation(parser, seed.bytes) == nil, "\(parser)/\(seed.name)")
        }
    }

    @Test("what once failed does not fail again", arguments: Corpus.parsers)
    func failCases(_ parser: String) throws {
        for seed in try Corpus.seeds("FailCases", parser) {
            #expect(Corpus.violation(parser, seed.bytes) == nil, "\(parser)/\(seed.name)")
        }
    }

    @Test("mutations keep the properties", arguments: Corpus.parsers)
    func mutations(_ parser: String) throws {
        let seeds = try Corpus.seeds("Corpus", parser).filter { $0.bytes.count <= 1024 }
        var mutator = Mutator(seed: 0x4D41_5254_4C45_5431)
        for _ in 0..<1500 {
            let bytes = mutator.mutate(seeds.map(\.bytes))
            let violation = Corpus.violation(parser, bytes)
            #expect(violation == nil, "\(parser): \(bytes)")
            if violation != nil { return }
        }
    }
}

/// Small random changes to known inputs, the same ones on every run.
struct Mutator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// xorshift64.
    private mutating func next(below bound: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return bound > 0 ? Int(state % UInt64(bound)) : 0
    }

    private static let fragments: [[UInt8]] = [
        "\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", ":", ",", ";", "\0", "\u{7F}", "0", "chunked", "HTTP/1.1",
        "Host: a\r\n",
        "Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "http://", "*", "[::]", "@",
    ].map { Array($0.utf8) }

    mutating func mutate(_ seeds: [[UInt8]]) -> [UInt8] {
        guard !seeds.isEmpty else { return [] }
        var bytes = seeds[next(below: seeds.count)]
        for _ in 0...next(below: 4) {
            let at = next(below: bytes.count + 1)
            switch next(below: 7) {
            case 0 where at < bytes.count: bytes[at] = UInt8(next(below: 256))
            case 1 where at < bytes.count: bytes[at] ^= 1 << UInt8(next(below: 8))
            case 2 where at < bytes.count: bytes.removeSubrange(at..<min(bytes.count, at + 1 + next(below: 4)))
            case 3: bytes.insert(contentsOf: Self.fragments[next(below: Self.fragments.count)], at: at)
            case 4: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + next(below: 32))], at: at)
            case 5:
                let other = seeds[next(below: seeds.count)]
                bytes = Array(bytes[..<at]) + other[next(below: other.count)...]
            default: bytes.insert(UInt8(next(below: 256)), at: at)
            }
        }
        return bytes
    }
}
