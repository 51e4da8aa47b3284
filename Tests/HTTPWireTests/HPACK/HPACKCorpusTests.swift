// The corpus of FuzzTesting/HPACK, replayed against the reference: every seed is judged as its file name says (`valid-`,
// `attack-`), what a fuzzer once found stays fixed, and seeded mutations of all seeds are tried on each run.

import HTTPWire
import Testing

@Suite("HPACK: corpus")
struct HPACKCorpusTests {
    @Test("every seed is judged as its name says and keeps the properties")
    func seeds() throws {
        let seeds = try Corpus.seeds("Corpus", "HPACK")
        #expect(seeds.count >= 30)
        for seed in seeds {
            let word = HPACKConnection(seed.bytes).isValid ? "valid" : "attack"
            #expect(seed.name.hasPrefix(word + "-"), "\(seed.name)")
            let violation = HPACKProperties.violation(seed.bytes)
            #expect(violation == nil, "\(seed.name)")
        }
    }

    @Test("what once failed does not fail again")
    func failCases() throws {
        for seed in try Corpus.seeds("FailCases", "HPACK") {
            let violation = HPACKProperties.violation(seed.bytes)
            #expect(violation == nil, "\(seed.name)")
        }
    }

    @Test("mutations keep the properties")
    func mutations() throws {
        let seeds = try Corpus.seeds("Corpus", "HPACK").filter { $0.bytes.count <= 200 }
        var mutator = Mutator(seed: 0x4D41_5254_4C45_5431)
        for _ in 0..<600 {
            let bytes = mutator.mutate(seeds.map(\.bytes))
            if let violation = HPACKProperties.violation(bytes) {
                Issue.record("\(violation): \(bytes)")
                return
            }
        }
    }
}
