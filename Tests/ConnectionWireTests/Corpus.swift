import Foundation
import Testing

/// The samples that fuzzers start from and unit tests replay: `FuzzTesting/Corpus/<kind>/`.
enum Corpus {
    static func directory(_ kind: String) -> URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("FuzzTesting/Corpus/\(kind)")
    }

    static func sample(_ kind: String, _ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: directory(kind).appendingPathComponent(name)))
    }

    static func samples(_ kind: String) throws -> [(name: String, bytes: [UInt8])] {
        let names = try FileManager.default.contentsOfDirectory(atPath: directory(kind).path).sorted()
        try #require(!names.isEmpty)
        return try names.map { ($0, try sample(kind, $0)) }
    }
}

/// SplitMix64: the same seed gives the same run everywhere.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Turns a sample into something that is nearly one.
struct Mutation {
    var generator: SeededGenerator
    private static let telling: [UInt8] = [
        0, 1, 2, 3, 0x0A, 0x0D, 0x16, 0x20, 0x2E, 0x30, 0x3A, 0x7F, 0x80, 0xFE, 0xFF,
    ]

    mutating func mutate(_ sample: [UInt8]) -> [UInt8] {
        var bytes = sample
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            guard !bytes.isEmpty else { break }
            let place = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<7, using: &generator) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes[place] = Self.telling.randomElement(using: &generator) ?? 0
            case 2: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 3: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: place)
            case 4: bytes.remove(at: place)
            case 5: bytes.removeLast(bytes.count - place)
            default:
                let end = min(bytes.count, place + Int.random(in: 1...32, using: &generator))
                bytes.insert(contentsOf: bytes[place..<end], at: place)
            }
        }
        return bytes
    }
}
