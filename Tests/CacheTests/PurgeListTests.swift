import Testing

@testable import Cache

/// What is kept of purges that repeat each other.
@Suite("Purge list")
struct PurgeListTests {
    /// A list that can be added to within an expectation.
    private final class Kept {
        var list: PurgeList
        init(_ records: [PurgeRecord] = []) { list = PurgeList(records) }
        func add(_ record: PurgeRecord) -> Bool { list.add(record) }
        var records: [PurgeRecord] { list.records }
    }

    private func record(
        _ sequence: UInt64, _ scope: PurgeScope, zone: UInt64? = 1, isSoft: Bool = false
    ) -> PurgeRecord {
        PurgeRecord(sequence: sequence, zone: zone.map { ZoneTag($0) }, scope: scope, isSoft: isSoft)
    }

    @Test("A later purge of the same takes the place of the earlier, if it is as hard")
    func repeats() {
        let list = Kept()
        for sequence in UInt64(1)...1000 { #expect(list.add(record(sequence, .tag(7)))) }
        #expect(list.records.map(\.sequence) == [1000])
        #expect(list.add(record(1001, .tag(7), isSoft: true)))
        #expect(list.records.map(\.sequence) == [1000, 1001])
        #expect(list.add(record(1002, .tag(7), isSoft: true)))
        #expect(list.records.map(\.sequence) == [1000, 1002])
        #expect(list.add(record(1003, .tag(7))))
        #expect(list.records.map(\.sequence) == [1003])
        #expect(list.add(record(1004, .tag(7), zone: 2)) && list.add(record(1005, .tag(8))))
        #expect(list.records.map(\.sequence) == [1003, 1004, 1005])
    }

    @Test("What comes late, and is covered, is not taken")
    func late() {
        let list = Kept([record(9, .tag(7)), record(4, .tag(8), isSoft: true), record(6, .tag(9))])
        #expect(list.records.map(\.sequence) == [4, 6, 9])
        #expect(!list.add(record(9, .tag(7))) && !list.add(record(3, .tag(7))))
        #expect(!list.add(record(8, .tag(7), isSoft: true)) && !list.add(record(3, .tag(8), isSoft: true)))
        // Harder than what is here, or about something else.
        #expect(list.add(record(3, .tag(8))) && list.add(record(5, .tag(5))))
        #expect(list.records.map(\.sequence) == [3, 4, 5, 6, 9])
        #expect(list.add(record(10, .tag(8))))
        #expect(list.records.map(\.sequence) == [5, 6, 9, 10])
    }

    @Test("Everything of a zone covers what is of that zone, everything everywhere covers all; soft ones the soft ones")
    func everything() {
        var list = PurgeList()
        for zone in UInt64(1)...3 {
            list.add(record(zone * 10, .tag(1), zone: zone))
            list.add(record(zone * 10 + 1, .tag(2), zone: zone, isSoft: true))
        }
        list.add(record(40, .everything, zone: 1, isSoft: true))
        #expect(list.records.map(\.sequence) == [10, 20, 21, 30, 31, 40])
        list.add(record(41, .everything, zone: 2))
        #expect(list.records.map(\.sequence) == [10, 30, 31, 40, 41])
        list.add(record(42, .everything, zone: nil, isSoft: true))
        #expect(list.records.map(\.sequence) == [10, 30, 41, 42])
        list.add(record(43, .everything, zone: nil))
        #expect(list.records.map(\.sequence) == [43])
    }

    @Test("What was removed is not remembered: the same may come again, and late")
    func removal() {
        let list = Kept([record(1, .tag(1)), record(2, .tag(2)), record(3, .tag(3))])
        let removed = list.list.removeAll { $0.sequence <= 2 }
        let removedAgain = list.list.removeAll { $0.sequence <= 2 }
        #expect(removed && !removedAgain)
        #expect(list.add(record(1, .tag(1))) && list.add(record(2, .tag(3), isSoft: true)) == false)
        #expect(list.records.map(\.sequence) == [1, 3])
    }

    @Test("Against a list that keeps all, every object has the same verdict, whatever comes in whatever order")
    func model() {
        var random = DiskRandom(5)
        for _ in 0..<200 {
            var list = PurgeList()
            var all: [PurgeRecord] = []
            for _ in 0..<30 {
                let scope: PurgeScope =
                    Int.random(in: 0..<8, using: &random) == 0
                    ? .everything : .tag(UInt64.random(in: 0..<4, using: &random))
                let isEverywhere = scope == .everything && Bool.random(using: &random)
                let sequence = UInt64.random(in: 1...60, using: &random)
                guard !all.contains(where: { $0.sequence == sequence }) else { continue }
                let one = record(
                    sequence, scope, zone: isEverywhere ? nil : UInt64.random(in: 1...2, using: &random),
                    isSoft: Bool.random(using: &random))
                all.append(one)
                list.add(one)
            }
            #expect(list.records.map(\.sequence) == list.records.map(\.sequence).sorted())
            for zone in UInt64(1)...2 {
                for tag in UInt64(0)..<4 {
                    for birth in UInt64(0)...60 {
                        #expect(verdict(list.records, zone, tag, birth) == verdict(all, zone, tag, birth))
                    }
                }
            }
        }
    }

    private func verdict(_ records: [PurgeRecord], _ zone: UInt64, _ tag: UInt64, _ birth: UInt64) -> PurgeVerdict {
        let own = records.filter { one in
            birth < one.sequence && (one.zone == nil || one.zone == ZoneTag(zone))
                && (one.scope == .everything || one.scope == .tag(tag))
        }
        if own.contains(where: { !$0.isSoft }) { return .purged }
        return own.isEmpty ? .clean : .softPurged
    }
}
