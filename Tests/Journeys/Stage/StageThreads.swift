import Foundation
import Testing

/// The threads on which journeys run.
///
/// A journey is a plain sequence of blocking calls on sockets: what it does is read from top to bottom. Run on the
/// cooperative pool, two of them would starve every other test, so each runs on one of these threads instead, from
/// its first line to its last. The number of threads is the number of journeys under way at once.
final class StageThreads: TaskExecutor, @unchecked Sendable {
    static let shared = StageThreads(count: 10)

    private let condition = NSCondition()
    private var waiting: [UnownedJob] = []

    private init(count: Int) {
        for index in 0..<count {
            let thread = Thread { [self] in work() }
            thread.name = "journey-\(index)"
            thread.stackSize = 1 << 20
            thread.start()
        }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        condition.lock()
        waiting.append(unowned)
        condition.signal()
        condition.unlock()
    }

    private func work() {
        while true {
            condition.lock()
            while waiting.isEmpty { condition.wait() }
            let job = waiting.removeFirst()
            condition.unlock()
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}

/// Runs the tests of a suite on ``StageThreads``.
struct OnStageThreads: TestTrait, SuiteTrait, TestScoping {
    let isRecursive = true

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(StageThreads.shared) { try await function() }
    }
}

extension Trait where Self == OnStageThreads {
    /// For suites whose tests block: see ``StageThreads``.
    static var onStageThreads: Self { Self() }
}
