import Foundation
import Telemetry
import Testing

@Suite(.serialized) struct ProcessFactsTests {
    @Test func figuresAreThoseOfThisProcess() {
        let facts = ProcessFacts.read()
        #expect(facts.residentBytes > 1024 * 1024)
        #expect(facts.virtualBytes >= facts.residentBytes)
        #expect(facts.threads >= 1)
        #expect(facts.fileDescriptorsMax >= facts.openFileDescriptors)
        // Began before now, and not before the year 2020.
        #expect(facts.startUnixNanoseconds < WallClock.nanoseconds() + 2_000_000_000)
        #expect(facts.startUnixNanoseconds > 1_577_836_800_000_000_000)
    }

    @Test func cpuTimeGrowsWithWork() {
        let before = ProcessFacts.read().cpuNanoseconds
        var work: UInt64 = 1
        #expect(
            eventually {
                for _ in 0..<100_000 { work = work &* 31 &+ 7 }
                return ProcessFacts.read().cpuNanoseconds > before
            })
        #expect(work != 0)
    }

    @Test func openedDescriptorsAreCounted() throws {
        // Other tests open and close files meanwhile, by the dozen: a thousand stand out.
        let before = ProcessFacts.read().openFileDescriptors
        let limit = FileDescriptorLimit.raise()
        try #require(limit.soft > 3000)
        let opened = (0..<1000).map { _ in open("/dev/null", O_RDONLY | O_CLOEXEC) }
        defer { opened.forEach { close($0) } }
        #expect(opened.allSatisfy { $0 >= 0 })
        #expect(ProcessFacts.read().openFileDescriptors > before + 500)
    }

    @Test func theLimitIsRaisedToTheHardOne() {
        let limit = FileDescriptorLimit.raise()
        #expect(limit.errorNumber == nil)
        #expect(limit.soft == limit.hard)
        #expect(ProcessFacts.read().fileDescriptorsMax == limit.soft)
        #expect(FileDescriptorLimit.raise() == limit)
    }

    @Test func clocksGoForward() {
        let first = MonotonicClock.nanoseconds()
        let second = MonotonicClock.nanoseconds()
        #expect(second >= first)
        let difference = abs(Date().timeIntervalSince1970 - Double(WallClock.nanoseconds()) / 1e9)
        #expect(difference < 3600)
    }
}
