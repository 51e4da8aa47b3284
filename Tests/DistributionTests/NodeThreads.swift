import Dispatch
import Testing

/// The threads on which tests of nodes run. Peers have seconds to answer each other, and on the cooperative pool a test may
/// wait for longer than that until those of other suites, which block, let it go on.
final class NodeThreads: TaskExecutor {
    static let shared = NodeThreads()

    private let queue = DispatchQueue(label: "nodes", attributes: .concurrent)

    func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        queue.async { [self] in unowned.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}

/// Runs the tests of a suite on ``NodeThreads``.
struct OnNodeThreads: TestTrait, SuiteTrait, TestScoping {
    let isRecursive = true

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(NodeThreads.shared) { try await function() }
    }
}

extension Trait where Self == OnNodeThreads {
    static var onNodeThreads: Self { Self() }
}
