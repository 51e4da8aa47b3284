import Limits
package import NIOCore
package import Telemetry

/// What one event loop owns and everything on it shares. Only that loop may touch it.
///
/// Nothing here is locked and nothing is atomic: a request lives on one loop from its first byte to its last.
package final class EdgeLoop: @unchecked Sendable {
    // Unchecked: other threads hold it only to reach `eventLoop` and `index`, which never change.
    package let eventLoop: any EventLoop
    /// 0 ..< count of loops.
    package let index: Int
    package let metrics: LoopMetrics
    /// nil: no access log is written.
    package let accessLog: AccessLogShard?
    package let deadlines = DeadlineTable()
    package var identifiers: IdentifierGenerator
    package let readBuffers = ReadBuffers()
    /// The process is stopping: every response says so and closes its connection.
    package var isDraining = false
    private var spareOutput: ByteBuffer?

    package init(eventLoop: any EventLoop, index: Int, metrics: LoopMetrics, accessLog: AccessLogShard?) {
        self.eventLoop = eventLoop
        self.index = index
        self.metrics = metrics
        self.accessLog = accessLog
        self.identifiers = IdentifierGenerator()
    }

    /// An empty buffer to render a head into. Who gives it back after writing saves the next one an allocation.
    package func takeOutput(minimumCapacity: Int = 4096) -> ByteBuffer {
        guard var output = spareOutput.take() else { return ByteBufferAllocator().buffer(capacity: minimumCapacity) }
        // Gets new memory by itself if what was written last still waits for its socket.
        output.clear(minimumCapacity: minimumCapacity)
        return output
    }

    package func giveBackOutput(_ output: consuming ByteBuffer) {
        guard output.storageCapacity <= Limits.readBufferBytesRange.upperBound else { return }
        spareOutput = output
    }

    /// One tick of the loop's clock, every `Limits.deadlineTickMilliseconds`.
    package func tick() {
        deadlines.tick()
        accessLog?.tick()
    }
}

/// Ray and trace identifiers: unique without being secret. One generator a loop, seeded by the kernel.
package struct IdentifierGenerator {
    private var state: UInt64
    private let increment: UInt64

    package init() {
        var seed = SystemRandomNumberGenerator()
        state = seed.next()
        increment = seed.next() | 1
    }

    /// A fresh 64-bit identifier, never 0 (W3C Trace Context forbids all-zero ids).
    package mutating func next() -> UInt64 {
        // A Weyl sequence through a finalising mix (Steele, Lea, Flood: SplitMix, OOPSLA 2014).
        repeat {
            state &+= increment
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            mixed ^= mixed >> 31
            if mixed != 0 { return mixed }
        } while true
    }
}
