import CChecksum
import Glibc
import Limits
import Synchronization
import Testing

@testable import Cache

/// The index against a dictionary, and the checksums against their definition.
@Suite struct DiskIndexTests {
    private func slot(_ number: UInt64, variant: UInt32 = 0, unit: UInt32 = 1) -> DiskSlot {
        var slot = DiskSlot()
        var random = DiskRandom(number)
        slot.high = random.next()
        slot.low = random.next()
        slot.vary = variant
        slot.varyNames = variant == 0 ? 0 : 1
        slot.unit = unit
        slot.offset = UInt32(number) * 4 + variant
        return slot
    }

    @Test func slotsTake64Bytes() {
        #expect(MemoryLayout<DiskSlot>.stride == 64)
    }

    @Test(arguments: [1, 2, 3]) func itHoldsWhatADictionaryWould(seed: UInt64) {
        var random = DiskRandom(seed)
        let index = DiskIndex()
        var model: [UInt64: [UInt32: DiskSlot]] = [:]
        for step in 0..<40_000 {
            let number = random.next() % 3000
            let variant = UInt32(random.next() % 3)
            var one = slot(number, variant: variant, unit: UInt32(step % 50 + 1))
            switch random.next() % 8 {
            case 0..<4:
                one.offset = UInt32(step)
                let displaced = index.put(one, journal: nil)
                #expect(displaced == [model[number]?[variant]].compactMap { $0 })
                model[number, default: [:]][variant] = one
            case 4:
                let removed = index.remove(KeyHash(high: one.high, low: one.low), journal: nil) { $0.vary == variant }
                #expect(removed.count == (model[number]?.removeValue(forKey: variant) == nil ? 0 : 1))
            case 5:
                let known = model[number]?[variant]
                #expect(index.update(known ?? one) { $0.isSoftPurged = true } == (known != nil))
                model[number]?[variant]?.isSoftPurged = true
            case 6 where step % 100 == 0:
                let unit = UInt32(random.next() % 50 + 1)
                var removed = 0
                for shard in 0..<DiskIndex.shardCount {
                    removed += index.scan(shard: shard, journal: nil) { $0.unit == unit ? .remove : .keep }.count
                }
                var expected = 0
                for key in Array(model.keys) {
                    for (variant, slot) in model[key] ?? [:] where slot.unit == unit {
                        model[key]?[variant] = nil
                        expected += 1
                    }
                }
                #expect(removed == expected)
            default: break
            }
        }
        #expect(index.count == model.values.reduce(0) { $0 + $1.count })
        for number in UInt64(0)..<3000 {
            let found = index.variants(KeyHash(high: slot(number).high, low: slot(number).low))
            #expect(Set(found.map(\.offset)) == Set((model[number] ?? [:]).values.map(\.offset)))
        }
    }

    /// Many keys in few homes: probing wraps round the table's end, and gaps are closed across it.
    @Test func crowdedTablesLoseNothing() {
        var table = DiskTable()
        var model: Set<UInt64> = []
        var random = DiskRandom(9)
        for _ in 0..<20_000 {
            let low = random.next() % 64
            let hash = KeyHash(high: low < 32 ? .max - low : low, low: low)
            if model.contains(low) {
                table.removeAll(hash) { _ in true }
                model.remove(low)
            } else {
                var slot = DiskSlot()
                slot.high = hash.high
                slot.low = hash.low
                table.insert(slot)
                model.insert(low)
            }
            var found: Set<UInt64> = []
            for low in UInt64(0)..<64 {
                table.forEach(KeyHash(high: low < 32 ? .max - low : low, low: low)) { found.insert($0.low) }
            }
            guard found == model, table.count == model.count else {
                Issue.record("the table and the model differ")
                return
            }
        }
    }

    @Test func tagsMatchExactlyOrPerhaps() {
        var few = slot(1)
        few.setTags([10, 20, 30])
        #expect(few.match(tag: 20) == .yes && few.match(tag: 40) == .no)
        var many = slot(1)
        let tags = (0..<8).map { UInt64($0) &* 0x9E37_79B9_7F4A_7C15 }
        many.setTags(tags)
        for tag in tags { #expect(many.match(tag: tag) == .perhaps) }
        var random = DiskRandom(1)
        let others = (0..<1000).count { _ in many.match(tag: random.next()) == .perhaps }
        #expect(others < 60)
        many.setTags([])
        #expect(many.match(tag: 0) == .no && many.match(tag: tags[3]) == .no)
    }

    @Test func marksDoNotTouchEachOther() {
        var one = slot(1)
        one.zone = DiskSlot.zonesMax - 1
        one.uses = 7
        one.isLarge = true
        one.setTags([1, 2, 3, 4])
        #expect(one.zone == DiskSlot.zonesMax - 1 && one.uses == 3 && one.isLarge && !one.isSoftPurged)
        one.uses = 0
        one.isLarge = false
        one.isSoftPurged = true
        #expect(one.zone == DiskSlot.zonesMax - 1 && one.uses == 0 && !one.isLarge && one.isSoftPurged)
    }

    // MARK: Checksums

    @Test func checksumsAreCRC32C() {
        // RFC 3720, appendix B.4.
        let vectors: [([UInt8], UInt32)] = [
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA), ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            (Array(0..<32), 0x46DD_794E), ((0..<32).reversed(), 0x113F_DB5C), (Array("123456789".utf8), 0xE306_9283),
        ]
        for (bytes, checksum) in vectors {
            bytes.withUnsafeBytes { bytes in
                #expect(martlet_crc32c(0, bytes.baseAddress, bytes.count) == checksum)
                #expect(martlet_crc32c_by_table(0, bytes.baseAddress, bytes.count) == checksum)
            }
        }
    }

    @Test func checksumsGoOn() {
        var random = DiskRandom(4)
        let bytes = (0..<1000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        bytes.withUnsafeBytes { all in
            for cut in 0..<40 {
                let head = UnsafeRawBufferPointer(rebasing: all[..<cut])
                let tail = UnsafeRawBufferPointer(rebasing: all[cut...])
                #expect(DiskChecksum.of(tail, after: DiskChecksum.of(head)) == DiskChecksum.of(all))
                #expect(
                    martlet_crc32c_by_table(0, tail.baseAddress, tail.count)
                        == martlet_crc32c(0, tail.baseAddress, tail.count))
            }
        }
    }
}
