// Threads that may wait for a device, so that no event loop ever does. A worker has a bounded queue of jobs and one or
// more threads that take them in order. What the jobs touch is guarded by itself.

import Glibc

/// Runs jobs on threads of its own.
final class DiskWorker: @unchecked Sendable {
    // Unchecked: everything that changes is only touched under the mutex. The pthread objects live on the heap because
    // they must not move.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: ContiguousArray<(@Sendable () -> Void)?> = []
    private var first = 0
    private var isStopping = false
    private var runningCount = 0
    private var threads: [pthread_t] = []
    private let jobsMax: Int
    private let tick: (@Sendable () -> Void)?

    /// - Parameters:
    ///   - jobsMax: Jobs that wait; beyond, they are refused.
    ///   - tick: What a thread without jobs does once a second.
    init(threadCount: Int, jobsMax: Int, tick: (@Sendable () -> Void)? = nil) throws(DiskError) {
        self.jobsMax = jobsMax
        self.tick = tick
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
        for _ in 0..<threadCount {
            guard startThread() else {
                stop()
                throw DiskError.file("a thread for the cache", "cannot be started")
            }
        }
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Queues a job; false if the queue is full or closed.
    ///
    /// - Parameter isUrgent: Whether it is taken although the queue is full: what ends or cleans up must not be lost.
    @discardableResult
    func submit(isUrgent: Bool = false, _ job: @escaping @Sendable () -> Void) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isStopping, isUrgent || jobs.count - first < jobsMax else { return false }
        jobs.append(job)
        pthread_cond_signal(condition)
        return true
    }

    /// Whether a job waits or runs.
    var isBusy: Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return runningCount > 0 || first < jobs.count
    }

    /// Waits until every queued job is done and the threads have ended. Not to be called from a job.
    func stop() {
        pthread_mutex_lock(mutex)
        isStopping = true
        pthread_cond_broadcast(condition)
        let ending = threads
        threads = []
        pthread_mutex_unlock(mutex)
        for thread in ending { pthread_join(thread, nil) }
    }

    private func startThread() -> Bool {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let failure = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<DiskWorker>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard failure == 0 else {
            context.release()
            return false
        }
        pthread_mutex_lock(mutex)
        threads.append(thread)
        pthread_mutex_unlock(mutex)
        return true
    }

    private func run() {
        // Signals are for the main thread.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        var hasRun = false
        var tickDue = Self.seconds() + 1
        while true {
            switch next(after: hasRun) {
            case .job(let job):
                job()
                hasRun = true
            case .idle: hasRun = false
            case .end: return
            }
            // Also between jobs: somebody who is always busy must not forget the time.
            guard let tick, Self.seconds() >= tickDue else { continue }
            tick()
            tickDue = Self.seconds() + 1
        }
    }

    private static func seconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec
    }

    private enum Next {
        case job(@Sendable () -> Void)
        case idle
        case end
    }

    /// Waits for the next job, the last one being done.
    private func next(after hasRun: Bool) -> Next {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        if hasRun { runningCount -= 1 }
        while true {
            if first < jobs.count {
                let job = jobs[first]
                jobs[first] = nil
                first += 1
                // The queue is cut when half of it is spent, so that a job is moved once on average.
                if first == jobs.count || first >= 1024 {
                    jobs.removeFirst(first)
                    first = 0
                }
                guard let job else { continue }
                runningCount += 1
                return .job(job)
            }
            if isStopping { return .end }
            guard tick != nil else {
                pthread_cond_wait(condition, mutex)
                continue
            }
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            time.tv_sec += 1
            if pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT, first >= jobs.count { return .idle }
        }
    }
}
