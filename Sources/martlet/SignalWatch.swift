import Glibc
import Limits
import Synchronization

/// The operator's signals and a slow clock, as one stream of events.
///
/// The signals are blocked for the whole process and taken by one thread that waits for them: no handler runs in the
/// middle of anything. `block()` comes before any other thread does, for those inherit what is blocked.
final class SignalWatch: Sendable {
    enum Event: Sendable {
        case signal(Int32)
        /// Some time has passed: look whether files have changed.
        case tick
    }

    let events: AsyncStream<Event>
    private let isTickPending: TickFlag

    /// Whether a tick waits to be taken: no second one is added to it, so that ticks cannot push signals out.
    private final class TickFlag: Sendable {
        let isSet = Atomic<Bool>(false)
    }
    static let watched = [SIGHUP, SIGINT, SIGTERM, SIGUSR2]

    /// On the main thread, while it is the only one: the kernel gives a signal to any thread that does not block it.
    static func block() {
        signal(SIGPIPE, SIG_IGN)
        var set = watchedSet
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    fileprivate static var watchedSet: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for number in watched { sigaddset(&set, number) }
        return set
    }

    init() {
        let (stream, continuation) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .unbounded)
        events = stream
        let pending = TickFlag()
        isTickPending = pending
        Self.start { set in
            var set = set
            var timeout = timespec(tv_sec: 0, tv_nsec: Limits.signalTickMilliseconds * 1_000_000)
            let number = sigtimedwait(&set, nil, &timeout)
            if number > 0 {
                continuation.yield(.signal(number))
            } else if !pending.isSet.exchange(true, ordering: .relaxed) {
                continuation.yield(.tick)
            }
        }
    }

    /// The tick was taken: the next one may come.
    func tickTaken() { isTickPending.isSet.store(false, ordering: .relaxed) }

    /// Calls `body` for ever on a thread of its own.
    private static func start(_ body: @escaping @Sendable (sigset_t) -> Void) {
        final class Box: Sendable {
            let body: @Sendable (sigset_t) -> Void
            init(_ body: @escaping @Sendable (sigset_t) -> Void) { self.body = body }
        }
        var thread = pthread_t()
        let argument = Unmanaged.passRetained(Box(body)).toOpaque()
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
                let set = SignalWatch.watchedSet
                while true { box.body(set) }
            }, argument)
        pthread_detach(thread)
    }
}
