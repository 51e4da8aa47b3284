// The coders against the reference, over random messages, random ways to write them, and random damage.

import HTTPWire
import Testing

@Suite("HPACK: against the reference")
struct HPACKDifferentialTests {
    /// A connection of the corpus' format: random fields in random forms, table sizes that change, now and then damage.
    private func connection(_ random: inout HPACKRandom, isDamaged: Bool) -> [UInt8] {
        let selector = UInt8.random(in: 0..<4, using: &random)
        let limit = max(4096, HPACKConnection.tableSizes[Int(selector)])
        var encoder = HPACKReferenceEncoder()
        var bytes = [selector]
        for _ in 0..<Int.random(in: 1...12, using: &random) {
            var block: [UInt8] = []
            if random.chance(1, in: 4) { block += encoder.resize(Int.random(in: 0...300, using: &random)) }
            if random.chance(1, in: 4) { block += encoder.resize(Int.random(in: 0...limit, using: &random)) }
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                let form = HPACKReferenceEncoder.Form.allCases.randomElement(using: &random) ?? .never
                let isHuffman = random.chance(1, in: 2)
                let usesNames = random.chance(3, in: 4)
                let line = random.line()
                let field = encoder.encode(line, form, isHuffman: isHuffman, usesNames: usesNames)
                if block.count + field.count < 255 {
                    block += field
                } else {
                    // The table has it although the block has not: what follows is another connection.
                    return bytes
                }
            }
            if isDamaged, random.chance(1, in: 3), !block.isEmpty {
                block[Int.random(in: 0..<block.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
            bytes.append(UInt8(block.count))
            bytes += block
        }
        return bytes
    }

    @Test("fields, tables and errors are the reference's", arguments: [false, true])
    func decode(isDamaged: Bool) {
        var random = HPACKRandom(seed: isDamaged ? 7541 : 9113)
        var valid = 0
        for _ in 0..<250 {
            let bytes = connection(&random, isDamaged: isDamaged)
            if HPACKConnection(bytes).isValid { valid += 1 }
            if let violation = HPACKProperties.violation(bytes) {
                Issue.record("\(violation): \(bytes)")
                return
            }
        }
        #expect(isDamaged ? (60...190).contains(valid) : valid == 250, "\(valid) of 250")
    }

    @Test("random bytes are judged as by the reference")
    func noise() {
        var random = HPACKRandom(seed: 28)
        for _ in 0..<1500 {
            let bytes = random.bytes(0...40, 0...255)
            if let violation = HPACKProperties.violation(bytes) {
                Issue.record("\(violation): \(bytes)")
                return
            }
        }
    }

    @Test(
        "what is encoded is decoded as the same, through many blocks and sizes",
        arguments: [0, 100, 1000, 4096, 16_384])
    func encode(tableBytes: Int) {
        for isShared in [false, true] {
            var random = HPACKRandom(seed: UInt64(tableBytes))
            var encoder = HPACKEncoder(tableBytesMax: tableBytes, isShared: isShared)
            var reference = HPACKReferenceDecoder()
            reference.limit = 1 << 20
            for _ in 0..<120 {
                while random.chance(1, in: 5) {
                    encoder.peerAllows(tableBytes: Int.random(in: 0...6000, using: &random))
                }
                let lines = (0..<Int.random(in: 0...8, using: &random)).map { _ in random.line() }
                if let violation = HPACKProperties.violation(lines, &encoder, &reference) {
                    Issue.record("\(violation)")
                    return
                }
                // The same again, which is now mostly in the table.
                if let violation = HPACKProperties.violation(lines, &encoder, &reference) {
                    Issue.record("\(violation)")
                    return
                }
            }
            #expect(reference.table.bytesMax <= tableBytes)
        }
    }

    @Test("encoder and decoder stay in step while table sizes change")
    func inStep() throws {
        var random = HPACKRandom(seed: 42)
        var encoder = HPACKEncoder(tableBytesMax: 8192)
        var decoder = HPACKDecoder(tableBytesMax: 8192)
        var reference = HPACKReferenceDecoder()
        reference.limit = 8192
        for _ in 0..<200 {
            if random.chance(1, in: 3) { encoder.peerAllows(tableBytes: Int.random(in: 0...8192, using: &random)) }
            let block = encoder.block((0..<5).map { _ in random.line() })
            #expect(try decoder.lines(block) == reference.decode(block))
            #expect(decoder.entries == reference.table.entries)
        }
    }
}
