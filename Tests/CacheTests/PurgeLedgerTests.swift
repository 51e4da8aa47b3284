// What a purge says of which object, and when it may be forgotten.

import Limits
import Synchronization
import Testing

@testable import Cache

private typealias Stage = MemoryStage

@Suite("Purge ledger")
struct PurgeLedgerTests {
    let ledger = PurgeLedger()
    var zone: ZonePurges { ledger.zone(Stage.zone(0)) }

    @Test("Nothing was purged: everything is clean")
    func clean() {
        #expect(zone.verdict(for: Stage.response(1)) == .clean)
        #expect(zone.latest == 0)
    }

    @Test("A purge is about what was fetched before it, at once and for good, and about nothing fetched after it")
    func order() {
        let before = Stage.response(Stage.key("/a"), birth: zone.latest)
        _ = zone.record(.url(before.key.urlHash), isSoft: false)
        let after = Stage.response(Stage.key("/a"), birth: zone.latest)
        let other = Stage.response(Stage.key("/b"))
        for _ in 0..<2 {
            #expect(zone.verdict(for: before) == .purged)
            #expect(zone.verdict(for: after) == .clean)
            #expect(zone.verdict(for: other) == .clean)
        }
        let checked = [other, before].map { $0.purgeChecked.load(ordering: .relaxed) }
        #expect(checked == [zone.latest, 0])
    }

    @Test("What was fetched while a purge came is purged, though it is stored afterwards")
    func duringFetch() {
        let birth = zone.fillBegan()
        _ = zone.record(.everything, isSoft: false)
        #expect(zone.verdict(for: Stage.response(Stage.key("/a"), birth: birth)) == .purged)
        #expect(zone.verdict(for: Stage.response(Stage.key("/a"), birth: zone.fillBegan())) == .clean)
    }

    @Test("A soft purge is said once and stays marked; a hard one after it is still said")
    func soft() {
        let response = Stage.response(Stage.key("/a"), tags: [5])
        _ = zone.record(.tag(5), isSoft: true)
        #expect(zone.verdict(for: response) == .softPurged)
        let isMarked = response.isSoftPurged.load(ordering: .relaxed)
        #expect(isMarked)
        #expect(zone.verdict(for: response) == .clean)
        _ = zone.record(.tag(5), isSoft: false)
        #expect(zone.verdict(for: response) == .purged)
        // A soft purge later does not make up for it.
        _ = zone.record(.tag(5), isSoft: true)
        #expect(zone.verdict(for: response) == .purged)
    }

    @Test("Zones do not concern each other")
    func zones() {
        _ = ledger.zone(Stage.zone(1)).record(.everything, isSoft: false)
        #expect(zone.verdict(for: Stage.response(1)) == .clean)
        #expect(ledger.zone(Stage.zone(1)).verdict(for: Stage.response(1, zone: 1)) == .purged)
        #expect(ledger.zone(Stage.zone(1)) === ledger.zone(Stage.zone(1)))
    }

    @Test("A purge of every zone concerns those that are not known yet, but not what they fetch afterwards")
    func everyZone() {
        let record = ledger.recordEverything(isSoft: false)
        let late = ledger.zone(Stage.zone(3))
        #expect(record.zone == nil && late.latest == record.sequence)
        #expect(late.verdict(for: Stage.response(1, zone: 3)) == .purged)
        #expect(late.verdict(for: Stage.response(Stage.key(1, zone: 3), zone: 3, birth: late.fillBegan())) == .clean)
        #expect(ledger.records() == [record])
        #expect(!late.settle(upTo: record.sequence + 1))
        ledger.settleEverything(upTo: record.sequence)
        #expect(ledger.zone(Stage.zone(4)).latest == 0)
    }

    @Test("A record is kept while a fill that began before it is under way, and forgotten after")
    func settling() {
        let birth = zone.fillBegan()
        let again = zone.fillBegan()
        let record = zone.record(.tag(1), isSoft: false)
        #expect(zone.hasFills(olderThan: record.sequence))
        #expect(!zone.settle(upTo: record.sequence))
        zone.fillEnded(birth)
        #expect(!zone.settle(upTo: record.sequence))
        let younger = zone.fillBegan()
        zone.fillEnded(again)
        #expect(!zone.hasFills(olderThan: record.sequence))
        let old = Stage.response(Stage.key("/a"), tags: [1])
        #expect(zone.verdict(for: old) == .purged)
        #expect(zone.settle(upTo: record.sequence))
        #expect(ledger.records().isEmpty && zone.latest == record.sequence && zone.settled == record.sequence)
        zone.fillEnded(younger)
        zone.fillEnded(younger)
    }

    @Test("Settling forgets the older records and no others")
    func settlingSome() {
        let records = (0..<6).map { zone.record(.tag(UInt64($0)), isSoft: $0 % 2 == 0) }
        let swept = [1, 4, 5].map { Stage.response(Stage.key("/\($0)"), tags: [UInt64($0)]) }
        for response in swept { ZonePurges.noteClean(response, upTo: records[3].sequence) }
        #expect(zone.settle(upTo: records[3].sequence))
        #expect(ledger.records() == Array(records[4...]))
        #expect(swept.map { zone.verdict(for: $0) } == [.clean, .softPurged, .purged])
    }

    @Test("What no sweep has met before its purges were forgotten counts as purged, whatever it is")
    func unswept() {
        let record = zone.record(.tag(1), isSoft: true)
        let met = Stage.response(Stage.key("/a"), tags: [2])
        let missed = Stage.response(Stage.key("/b"), tags: [2])
        ZonePurges.noteClean(met, upTo: record.sequence)
        #expect(zone.settle(upTo: record.sequence))
        _ = zone.record(.tag(9), isSoft: false)
        #expect(zone.verdict(for: met) == .clean)
        #expect(zone.verdict(for: missed) == .purged)
        let checked = missed.key.bytes.withUnsafeBytes { bytes in
            [record.sequence - 1, record.sequence].map {
                zone.verdict(keyBytes: bytes, urlHash: missed.key.urlHash, tags: [2], checked: $0)
            }
        }
        #expect(checked == [.purged, .clean])
    }

    @Test("Sweeps that overlap: nothing is forgotten that one of them still needs")
    func overlappingSweeps() {
        let records = (0..<3).map { zone.record(.tag(UInt64($0)), isSoft: false) }
        for record in records { zone.sweepBegan(record.sequence) }
        #expect(zone.sweepEnded(records[2].sequence) < records[0].sequence)
        #expect(ledger.records() == records)
        #expect(!zone.settle(upTo: records[2].sequence))
        #expect(zone.sweepEnded(records[0].sequence) == records[0].sequence)
        #expect(ledger.records() == Array(records[1...]))
        #expect(zone.sweepEnded(records[1].sequence) == records[2].sequence)
        #expect(ledger.records().isEmpty)
    }

    @Test("The end of a sweep forgets nothing while an older fill is under way; the next one does")
    func sweepDuringFill() {
        let birth = zone.fillBegan()
        let record = zone.record(.everything, isSoft: false)
        zone.sweepBegan(record.sequence)
        #expect(zone.sweepEnded(record.sequence) == 0)
        #expect(zone.verdict(for: Stage.response(Stage.key("/a"), birth: birth)) == .purged)
        zone.fillEnded(birth)
        #expect(zone.sweepEnded(record.sequence) == record.sequence && zone.settled == record.sequence)
    }

    @Test("Noting an older sequence takes nothing back")
    func noteClean() {
        let response = Stage.response(1)
        ZonePurges.noteClean(response, upTo: 9)
        ZonePurges.noteClean(response, upTo: 3)
        let checked = response.purgeChecked.load(ordering: .relaxed)
        #expect(checked == 9)
    }

    @Test("Beyond the bound the older half becomes a purge of everything: nothing purged is served")
    func folding() {
        let count = Limits.cachePurgeRecordsMax
        let purged = (0...count).map { Stage.response(Stage.key("/\($0)"), tags: [UInt64($0)]) }
        let untouched = Stage.response(Stage.key("/x"), tags: [.max])
        let seen = Stage.response(Stage.key("/y"), tags: [.max])
        var births: [StoredResponse] = []
        for number in 0..<count {
            _ = zone.record(.tag(UInt64(number)), isSoft: false)
            if number % 500 == 0 { births.append(Stage.response(Stage.key("/n"), tags: [.max], birth: zone.latest)) }
        }
        #expect(zone.verdict(for: seen) == .clean)
        _ = zone.record(.tag(UInt64(count)), isSoft: false)
        #expect(zone.records.count <= count / 2 + 3)
        for response in purged { #expect(zone.verdict(for: response) == .purged) }
        // More than need be, but not what was found clean, nor what came later.
        #expect(zone.verdict(for: untouched) == .purged)
        #expect(zone.verdict(for: seen) == .clean)
        #expect(births.last.map { zone.verdict(for: $0) } == .clean)
    }

    @Test("Thousands of purges of one URL while a fetch goes on are one: nothing else is purged for their sake")
    func repeated() {
        let birth = zone.fillBegan()
        let url = Stage.response(Stage.key("/a"))
        let other = Stage.response(Stage.key("/b"))
        for _ in 0..<Limits.cachePurgeRecordsMax * 3 { _ = zone.record(.url(url.key.urlHash), isSoft: false) }
        #expect(zone.records.count == 1 && zone.records.first?.sequence == zone.latest)
        #expect(zone.verdict(for: url) == .purged)
        #expect(zone.verdict(for: other) == .clean)
        #expect(zone.verdict(for: Stage.response(Stage.key("/a"), birth: zone.latest)) == .clean)
        #expect(!zone.settle(upTo: zone.latest))
        zone.fillEnded(birth)
        #expect(zone.settle(upTo: zone.latest) && zone.records.isEmpty)
    }

    @Test("A purge of everything makes those before it redundant, a soft one only the soft ones")
    func redundant() {
        _ = zone.record(.tag(1), isSoft: false)
        _ = zone.record(.tag(2), isSoft: true)
        _ = zone.record(.everything, isSoft: true)
        #expect(zone.records.map(\.scope) == [.tag(1), .everything])
        _ = zone.record(.tag(3), isSoft: true)
        _ = zone.record(.everything, isSoft: false)
        #expect(zone.records.map(\.scope) == [.everything])
        #expect(zone.verdict(for: Stage.response(Stage.key("/"), tags: [9])) == .purged)
    }

    @Test("What a former process left is in effect, and the sequence goes on above it")
    func restore() {
        let old = PurgeLedger()
        for _ in 0..<20 { _ = old.zone(Stage.zone(5)).record(.tag(1), isSoft: false) }
        let host = PurgeScope.host(PurgeHost(name: Array("www.example.test".utf8), port: nil))
        let left = [
            old.zone(Stage.zone(0)).record(.tag(7), isSoft: false), old.recordEverything(isSoft: true),
            old.zone(Stage.zone(1)).record(host, isSoft: true),
        ]
        #expect(ledger.restore(sequence: old.sequence + 9, left).isEmpty)
        #expect(ledger.sequence == old.sequence + 9)
        #expect(ledger.records() == left)
        #expect(zone.verdict(for: Stage.response(Stage.key("/a"), tags: [7])) == .purged)
        #expect(zone.verdict(for: Stage.response(Stage.key("/a"), tags: [8])) == .softPurged)
        #expect(zone.verdict(for: Stage.response(Stage.key("/a"), tags: [7], birth: left[1].sequence)) == .clean)
        #expect(ledger.zone(Stage.zone(1)).latest == left[2].sequence)
        #expect(zone.record(.everything, isSoft: false).sequence > old.sequence + 9)
    }

    @Test("Purges made before the disk was there concern what is on it")
    func restoreLate() {
        let first = zone.record(.tag(7), isSoft: false)
        let second = ledger.recordEverything(isSoft: true)
        let third = zone.record(.tag(9), isSoft: false)
        let kept = PurgeRecord(sequence: 40, zone: Stage.zone(0), scope: .tag(4), isSoft: false)
        let moved = ledger.restore(sequence: 100, [kept])
        #expect(moved.count == 3 && moved.allSatisfy { $0.sequence > 100 })
        #expect(Set(moved.map(\.scope)) == Set([first, second, third].map(\.scope)))
        let onDisk = Stage.response(Stage.key("/d"), tags: [9], birth: 90)
        #expect(zone.verdict(for: onDisk) == .purged)
        #expect(zone.verdict(for: Stage.response(Stage.key("/e"), tags: [1], birth: 90)) == .softPurged)
        #expect(zone.verdict(for: Stage.response(Stage.key("/f"), tags: [4], birth: 90)) == .softPurged)
        #expect(zone.verdict(for: Stage.response(Stage.key("/f"), tags: [4], birth: 30)) == .purged)
        #expect(ledger.records().map(\.sequence) == ([40] + moved.map(\.sequence)).sorted())
    }

    @Test("Random purges of all kinds: the ledger agrees with asking each record", arguments: 1...8)
    func property(seed: UInt64) {
        var random = MemoryRandom(seed)
        var records: [PurgeRecord] = []
        var model: [(response: StoredResponse, checked: UInt64, isSoft: Bool)] = []
        for _ in 0..<3000 {
            switch random.below(8) {
            case 0...1: records.append(zone.record(Self.scope(&random), isSoft: random.below(2) == 0))
            case 2...4:
                model.append((Self.response(&random, birth: zone.latest), zone.latest, false))
            default:
                guard !model.isEmpty else { continue }
                let index = random.below(model.count)
                let (response, checked, isSoft) = model[index]
                let about = records.filter { $0.sequence > checked && $0.scope.covers(response) }
                let verdict = zone.verdict(for: response)
                if about.contains(where: { !$0.isSoft }) {
                    #expect(verdict == .purged)
                    model.remove(at: index)
                } else {
                    #expect(verdict == (about.isEmpty ? .clean : .softPurged))
                    model[index].checked = zone.latest
                    model[index].isSoft = isSoft || !about.isEmpty
                    let isMarked = response.isSoftPurged.load(ordering: .relaxed)
                    #expect(isMarked == model[index].isSoft)
                }
            }
        }
    }

    static let hosts = ["a.test", "b.test"]

    static func scope(_ random: inout MemoryRandom) -> PurgeScope {
        let port = random.below(3) == 0 ? Array("8443".utf8) : nil
        let host = PurgeHost(name: Array((hosts.randomElement(using: &random) ?? "").utf8), port: port)
        switch random.below(40) {
        case 0: return .everything
        case 1...2: return .host(host)
        case 3...12: return .prefix(host, path: Array("/\(random.below(4))/\(random.below(3) == 0 ? "" : "1")".utf8))
        case 13...25: return .tag(UInt64(random.below(12)))
        default: return .url(response(&random, birth: 0).key.urlHash)
        }
    }

    static func response(_ random: inout MemoryRandom, birth: UInt64) -> StoredResponse {
        let key = Stage.key(
            "/\(random.below(4))/\(random.below(20))", host: hosts.randomElement(using: &random) ?? "",
            port: random.below(2) == 0 ? 443 : 8443, parts: random.below(2) == 0 ? "" : "device=mobile")
        let tags = Set((0..<random.below(4)).map { _ in UInt64(random.below(12)) })
        return Stage.response(key, tags: Array(tags), birth: birth)
    }

    @Test("Purged on one thread, never served on another once the purge has returned")
    func threads() async {
        let zone = zone
        let store = MemoryStore(bytesMax: 16 << 20)
        let purged = MemoryCounter(-1)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for round in 0..<300 {
                    let birth = zone.fillBegan()
                    store.insert(Stage.response(Stage.key("/\(round)"), tags: [UInt64(round)], birth: birth))
                    zone.fillEnded(birth)
                    let record = zone.record(.tag(UInt64(round)), isSoft: false)
                    purged.value.store(round, ordering: .sequentiallyConsistent)
                    _ = store.sweep(zone: zone.tag) { record.scope.covers($0) ? .remove : .keep }
                    #expect(zone.settle(upTo: record.sequence))
                }
            }
            for _ in 0..<2 {
                group.addTask {
                    while true {
                        let round = purged.value.load(ordering: .sequentiallyConsistent)
                        if round >= 0, let object = store.object(Stage.key("/\(round)")),
                            zone.verdict(for: object.newest) == .clean
                        {
                            Issue.record("served after its purge: \(round)")
                        }
                        if round == 299 { return }
                        await Task.yield()
                    }
                }
            }
        }
    }
}
