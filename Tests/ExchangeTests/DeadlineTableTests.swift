// The deadlines of one event loop. Time here is `tick()`, called by the test.

import Exchange
import Limits
import Testing

/// Counts what it is told, and does what the test wants when its deadline passes.
private final class Waiter: Deadlined {
    var passed = 0
    var drained = 0
    var onPass: (() -> Void)?
    var onDrain: (() -> Void)?

    override func deadlinePassed() {
        passed += 1
        onPass?()
    }

    override func drain() {
        drained += 1
        onDrain?()
    }
}

@Suite("DeadlineTable")
struct DeadlineTableTests {
    private let table = DeadlineTable()
    private static let tick = Limits.deadlineTickMilliseconds

    private func waiter() -> Waiter {
        let waiter = Waiter()
        table.register(waiter)
        return waiter
    }

    /// Ticks until the deadline passes; nil if it does not within `limit`.
    private func ticksUntilPass(_ waiter: Waiter, limit: Int = 10_000) -> Int? {
        for count in 1...limit {
            table.tick()
            if waiter.passed > 0 { return count }
        }
        return nil
    }

    /// A deadline set just before a tick has that tick for free: only the ticks behind it are whole.
    @Test(
        "a deadline is never early and at most two ticks late",
        arguments: [0, 1, 10, 99, 100, 101, 150, 199, 200, 250, 999, 1_000, 5_000, 60_000, 400_000])
    func neverEarly(milliseconds: Int) throws {
        let waiter = waiter()
        table.set(waiter, milliseconds: milliseconds)
        let ticks = try #require(ticksUntilPass(waiter))
        let leastElapsed = (ticks - 1) * Self.tick
        let mostElapsed = ticks * Self.tick
        #expect(leastElapsed >= milliseconds)
        #expect(mostElapsed <= milliseconds + 3 * Self.tick)
    }

    @Test("a deadline passes once")
    func passesOnce() {
        let waiter = waiter()
        table.set(waiter, milliseconds: 100)
        for _ in 0..<1_000 { table.tick() }
        #expect(waiter.passed == 1)
    }

    @Test("a deadline that is unset does not pass")
    func unset() {
        let waiter = waiter()
        table.set(waiter, milliseconds: 100)
        table.tick()
        table.unset(waiter)
        for _ in 0..<100 { table.tick() }
        #expect(waiter.passed == 0)
    }

    @Test("moving a deadline counts from the move")
    func move() throws {
        let waiter = waiter()
        table.set(waiter, milliseconds: 300)
        for _ in 0..<50 {
            table.tick()
            table.set(waiter, milliseconds: 300)
            #expect(waiter.passed == 0)
        }
        let ticks = try #require(ticksUntilPass(waiter))
        #expect((ticks - 1) * Self.tick >= 300)
        // It can be moved nearer as well.
        let other = self.waiter()
        table.set(other, milliseconds: 400_000)
        table.set(other, milliseconds: 100)
        #expect(try #require(ticksUntilPass(other)) <= 4)
    }

    @Test("negative and enormous times neither trap nor pass early")
    func extremes() {
        let soon = waiter()
        table.set(soon, milliseconds: -5)
        let never = waiter()
        table.set(never, milliseconds: .max)
        for _ in 0..<5 { table.tick() }
        #expect(soon.passed == 1)
        #expect(never.passed == 0)
    }

    @Test("who is not registered has no deadline")
    func unregistered() {
        let stranger = Waiter()
        table.set(stranger, milliseconds: 0)
        table.unset(stranger)
        table.release(stranger)
        for _ in 0..<10 { table.tick() }
        #expect(stranger.passed == 0)
        #expect(table.count == 0)
    }

    @Test("registering twice takes one slot")
    func registerTwice() {
        let waiter = waiter()
        table.register(waiter)
        #expect(table.count == 1)
        table.release(waiter)
        #expect(table.count == 0)
        table.release(waiter)
        #expect(table.count == 0)
    }

    @Test("a freed slot is used again, without the deadline it had")
    func reuse() throws {
        let first = waiter()
        table.set(first, milliseconds: 100)
        let slot = try #require(first.deadlineSlot)
        table.release(first)
        let second = waiter()
        #expect(second.deadlineSlot == slot)
        for _ in 0..<10 { table.tick() }
        #expect(first.passed == 0)
        #expect(second.passed == 0)
    }

    @Test("a released waiter is let go")
    func releases() {
        weak var seen: Waiter?
        do {
            let waiter = waiter()
            seen = waiter
            #expect(seen != nil)
            table.release(waiter)
        }
        #expect(seen == nil)
    }

    @Test("within its call a waiter may set another deadline, which passes later")
    func setInCallback() {
        let waiter = waiter()
        waiter.onPass = { [table] in table.set(waiter, milliseconds: 0) }
        table.set(waiter, milliseconds: 0)
        for _ in 0..<6 { table.tick() }
        // Every second tick: never twice in one.
        #expect(waiter.passed == 3)
        waiter.onPass = nil
    }

    @Test("within its call a waiter may release itself and others")
    func releaseInCallback() {
        let waiters = (0..<10).map { _ in waiter() }
        for waiter in waiters { table.set(waiter, milliseconds: 0) }
        waiters[3].onPass = { [table] in
            for index in [3, 4, 7, 0] { table.release(waiters[index]) }
        }
        for _ in 0..<5 { table.tick() }
        #expect(waiters.map(\.passed) == [1, 1, 1, 1, 0, 1, 1, 0, 1, 1])
        #expect(table.count == 6)
        waiters[3].onPass = nil
    }

    @Test("a waiter registered within a call has its own deadline and no other")
    func registerInCallback() {
        let first = waiter()
        let late = Waiter()
        first.onPass = { [table] in
            table.release(first)
            table.register(late)
        }
        table.set(first, milliseconds: 0)
        for _ in 0..<10 { table.tick() }
        #expect(first.passed == 1)
        #expect(late.passed == 0)
        table.set(late, milliseconds: 0)
        for _ in 0..<3 { table.tick() }
        #expect(late.passed == 1)
        first.onPass = nil
    }

    @Test("draining tells everyone once, those included who come and go meanwhile")
    func drain() {
        let waiters = (0..<5).map { _ in waiter() }
        waiters[1].onDrain = { [table] in
            table.release(waiters[1])
            table.release(waiters[2])
        }
        table.drainAll()
        #expect(waiters.map(\.drained) == [1, 1, 0, 1, 1])
        waiters[1].onDrain = nil
    }

    @Test("a random history agrees with a model that keeps every deadline apart")
    func model() {
        var random = SeededGenerator(seed: 7)
        var due: [Int?] = Array(repeating: nil, count: 50)
        var now = 0
        let waiters = (0..<50).map { _ in waiter() }
        for _ in 0..<20_000 {
            let index = Int.random(in: 0..<50, using: &random)
            switch Int.random(in: 0..<8, using: &random) {
            case 0..<4:
                let milliseconds = Int.random(in: 0...3_000, using: &random)
                table.set(waiters[index], milliseconds: milliseconds)
                due[index] = now + milliseconds / Self.tick + 2
            case 4:
                table.unset(waiters[index])
                due[index] = nil
            case 5:
                table.release(waiters[index])
                table.register(waiters[index])
                due[index] = nil
            default:
                let before = waiters.map(\.passed)
                table.tick()
                now += 1
                for (index, waiter) in waiters.enumerated() {
                    let isDue = due[index].map { $0 <= now } ?? false
                    #expect(waiter.passed - before[index] == (isDue ? 1 : 0))
                    if isDue { due[index] = nil }
                }
            }
        }
        #expect(table.count == 50)
    }
}
