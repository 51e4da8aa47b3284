// A flag that one thread raises and another waits for. The standard library has no condition variable; this one is
// the smallest use of pthread's. What the flag is about is kept elsewhere, under a `Mutex`.

import Glibc

/// Wakes a waiting thread. A signal raised while nobody waits is kept, once, for the next wait.
final class ThreadSignal: @unchecked Sendable {
    // Unchecked: the pthread objects are made for several threads, and `isRaised` is only touched under the mutex.
    // They live on the heap because they must not move.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var isRaised = false

    init() {
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // Deadlines are monotonic: somebody setting the time must not end a wait, or stretch it.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Wakes the waiting thread, or the next one that comes to wait. Never blocks for longer than a few instructions.
    func raise() {
        pthread_mutex_lock(mutex)
        isRaised = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// Waits for the signal and takes it.
    ///
    /// - Parameter deadline: On `MonotonicClock`, in nanoseconds; nil waits for ever.
    /// - Returns: Whether the signal came before the deadline.
    @discardableResult
    func wait(until deadline: UInt64? = nil) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !isRaised {
            guard let deadline else {
                pthread_cond_wait(condition, mutex)
                continue
            }
            var time = timespec()
            time.tv_sec = Int(truncatingIfNeeded: deadline / 1_000_000_000)
            time.tv_nsec = Int(truncatingIfNeeded: deadline % 1_000_000_000)
            if pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT, !isRaised { return false }
        }
        isRaised = false
        return true
    }
}
