// What waits for a database, and the line it waits in. Databases block, so they have threads of their own; an `async`
// caller leaves a job in the line and is resumed when the job is finished.

import Glibc
import Limits

/// One transaction that somebody waits for. Its body may run more than once.
final class StoreJob: Sendable {
    let isWrite: Bool
    /// Names of locks to hold, sorted and without doubles.
    let scopes: [String]
    let deadline: ContinuousClock.Instant
    let body: @Sendable (Transaction) throws -> Void
    /// Called once.
    let finish: @Sendable (Result<Void, any Error>) -> Void

    init(
        isWrite: Bool, scopes: [String], body: @escaping @Sendable (Transaction) throws -> Void,
        finish: @escaping @Sendable (Result<Void, any Error>) -> Void
    ) {
        self.isWrite = isWrite
        self.scopes = scopes
        self.body = body
        self.finish = finish
        deadline = .now + .milliseconds(Limits.storeWaitMilliseconds)
    }

    func fail(_ error: StoreError) { finish(.failure(error)) }

    var isLate: Bool { ContinuousClock.now >= deadline }
}

/// A bounded line of jobs. Reads and writes wait apart, each first come, first served, and take turns.
///
/// `@unchecked Sendable`: every access to its state holds the mutex. A condition of the C library rather than one of
/// Swift's concurrency, because those who wait are threads.
final class JobQueue: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    /// Threads that could begin at once, and those that would have to connect first.
    private let ready: UnsafeMutablePointer<pthread_cond_t>
    private let cold: UnsafeMutablePointer<pthread_cond_t>
    /// Ready threads that wait, and how many of them have been woken and do not run yet.
    private var readyWaiting = 0
    private var readyWoken = 0
    private var coldWaiting = 0
    private var reads = JobLine()
    private var writes = JobLine()
    private var writing = 0
    /// Whose turn it is when both wait.
    private var isWritesTurn = false
    private var isClosed = false
    /// Writes that may run at the same time.
    private let writersMax: Int

    init(writersMax: Int) {
        self.writersMax = writersMax
        mutex = .allocate(capacity: 1)
        ready = .allocate(capacity: 1)
        cold = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(ready, nil)
        pthread_cond_init(cold, nil)
    }

    deinit {
        pthread_cond_destroy(ready)
        pthread_cond_destroy(cold)
        pthread_mutex_destroy(mutex)
        ready.deallocate()
        cold.deallocate()
        mutex.deallocate()
    }

    private func locked<R>(_ body: () -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// Puts a job into the line. Returns why not.
    func add(_ job: StoreJob) -> StoreError? {
        locked {
            if isClosed { return .unavailable("it is closed") }
            guard reads.count + writes.count < Limits.storeQueueMax else {
                return .unavailable("\(Limits.storeQueueMax) transactions wait already")
            }
            if job.isWrite { writes.append(job) } else { reads.append(job) }
            wakeOne()
            return nil
        }
    }

    /// A thread that is ready comes before one that would have to connect.
    private func wakeOne() {
        if readyWaiting > readyWoken {
            readyWoken += 1
            pthread_cond_signal(ready)
        } else {
            pthread_cond_signal(cold)
        }
    }

    /// The next job; waits for one. Nil when the queue is closed and empty. A write counts as running until `done`.
    func take(isReady: Bool = true) -> StoreJob? {
        locked {
            while true {
                if let job = takeLocked() { return job }
                if isClosed && reads.count == 0 && writes.count == 0 { return nil }
                wait(isReady: isReady)
            }
        }
    }

    private func wait(isReady: Bool) {
        if isReady {
            readyWaiting += 1
            pthread_cond_wait(ready, mutex)
            readyWaiting -= 1
            readyWoken = max(0, readyWoken - 1)
        } else {
            coldWaiting += 1
            pthread_cond_wait(cold, mutex)
            coldWaiting -= 1
        }
    }

    /// Threads that wait, for tests.
    var waiting: (ready: Int, cold: Int) { locked { (readyWaiting, coldWaiting) } }

    /// The next job if there is one now.
    func takeIfAny() -> StoreJob? { locked { takeLocked() } }

    private func takeLocked() -> StoreJob? {
        let mayWrite = writing < writersMax && writes.count > 0
        guard mayWrite, isWritesTurn || reads.count == 0, let job = writes.popFirst() else {
            isWritesTurn = true
            return reads.popFirst()
        }
        isWritesTurn = false
        writing += 1
        return job
    }

    func done(_ job: StoreJob) {
        guard job.isWrite else { return }
        locked {
            writing -= 1
            // Who waited because too many wrote may go on, and who waits for the end of a closed queue.
            // Nobody is woken for nothing: a thread that would have to connect might be the one.
            if isClosed { wakeAll() } else if reads.count + writes.count > 0 { wakeOne() }
        }
    }

    /// No more jobs; those in line are still done.
    func close() {
        locked {
            isClosed = true
            wakeAll()
        }
    }

    private func wakeAll() {
        pthread_cond_broadcast(ready)
        pthread_cond_broadcast(cold)
    }
}

/// First in, first out, without moving everything at each step.
private struct JobLine {
    private var jobs: [StoreJob?] = []
    private var head = 0

    var count: Int { jobs.count - head }

    mutating func append(_ job: StoreJob) { jobs.append(job) }

    mutating func popFirst() -> StoreJob? {
        guard head < jobs.count else { return nil }
        let job = jobs[head]
        jobs[head] = nil
        head += 1
        if head == jobs.count {
            jobs.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 1024 {
            jobs.removeFirst(head)
            head = 0
        }
        return job
    }
}
