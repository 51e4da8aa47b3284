import Limits
package import NIOCore
import Synchronization
package import Telemetry

/// One fetch from the origin that many requests, on any event loop, are served from while it fills.
///
///     waiting ─▶ streaming ─▶ complete              the bytes are here, or on the disk
///        │           └──────▶ failed
///        ├─▶ stored            a stored response serves after all: validated by a 304, or read from the disk
///        ├─▶ released          what came may not be shared: everyone fetches alone
///        └─▶ failed
///
/// One journey leads: it appends, and says how it ended. Any number read: each event loop has one outlet, through which
/// it hears of news at most once a batch, however many of its requests read. What a reader sees is a `FillView`, a copy
/// of the state; the lock is held for that copy only.
package final class Fill: Sendable {
    package let key: CacheKey
    /// What the table has it under: the key, or the key and a variant.
    package let tableHash: KeyHash
    /// The purge ledger's sequence when it began.
    package let birth: UInt64
    package let zone: ZoneTag
    /// How many leaders before this one failed for the same readers.
    package let generation: Int
    private let state = Mutex(State())

    /// Where it stands.
    package enum Phase: Sendable {
        case waiting
        case streaming(FillHead)
        case complete(FillHead)
        case stored(StoredResponse)
        case released
        case failed(Failure)
    }

    /// What happens to pieces once they were given to those who read along.
    private enum Keeping {
        /// All stay until the object is complete and stored in memory.
        case all
        /// They leave once they are on the disk, where readers who are behind find them.
        case untilWritten(LargeWriter)
        /// Nobody stores them: they leave once the fastest reader is a window ahead. What a writer has of the beginning
        /// stays readable for those who are behind.
        case window(LargeWriter?)
    }

    private struct State {
        var phase = Phase.waiting
        var keeping = Keeping.all
        var pieces: ContiguousArray<ByteBuffer> = []
        /// Position in the body of the first byte of `pieces`, and behind the last.
        var base: UInt64 = 0
        var total: UInt64 = 0
        var trailers: ByteBuffer?
        var outlets: ContiguousArray<FillOutlet> = []
        var readerCount = 0
        var fastest: UInt64 = 0
        /// Something was purged while it filled that it may be about: nobody joins any more.
        var isInvalid = false
        var leader: FillLeader?
    }

    package init(key: CacheKey, tableHash: KeyHash, zone: ZoneTag, birth: UInt64, generation: Int = 0) {
        self.key = key
        self.tableHash = tableHash
        self.zone = zone
        self.birth = birth
        self.generation = generation
    }

    // MARK: The leader's side

    /// The head is here and may be shared.
    ///
    /// - Parameter writer: takes the body to the disk as it comes; nil keeps it in memory until it is whole.
    package func begin(_ head: FillHead, writer: LargeWriter?) {
        state.withLock { state in
            state.phase = .streaming(head)
            if let writer { state.keeping = .untilWritten(writer) }
        }
    }

    /// Some of the body. `bytes` must be an exact copy: what is appended may stay.
    package func append(_ bytes: ByteBuffer) {
        state.withLock { state in
            state.pieces.append(bytes)
            state.total &+= UInt64(bytes.readableBytes)
            if case .untilWritten(let writer) = state.keeping { writer.append(bytes) }
            Self.trim(&state)
        }
    }

    /// The object turned out too large for memory: from here on it goes to the disk, or, without a writer, to nobody.
    package func outgrewMemory(_ writer: LargeWriter?) {
        state.withLock { state in
            guard let writer else {
                if case .untilWritten(let last) = state.keeping {
                    state.keeping = .window(last)
                } else {
                    state.keeping = .window(nil)
                }
                return
            }
            for piece in state.pieces { writer.append(piece) }
            state.keeping = .untilWritten(writer)
        }
    }

    /// Everything came. The pieces, where they were kept to be stored.
    package func complete(trailers: ByteBuffer?) -> ContiguousArray<ByteBuffer>? {
        state.withLock { state in
            guard case .streaming(let head) = state.phase else { return nil }
            state.phase = .complete(head)
            state.trailers = trailers
            state.leader = nil
            if case .all = state.keeping { return state.pieces }
            return nil
        }
    }

    /// It is over without a body to read, or in the middle of one.
    package func end(_ phase: Phase) {
        state.withLock { state in
            state.phase = phase
            state.leader = nil
        }
    }

    /// Whom to tell that bytes are taken again, after `isCongested` was true.
    package func setLeader(_ leader: FillLeader) {
        state.withLock { $0.leader = leader }
    }

    /// Whether the origin must wait: for the disk, or for the fastest reader.
    package var isCongested: Bool {
        state.withLock { Self.isCongested($0) }
    }

    private static func isCongested(_ state: State) -> Bool {
        switch state.keeping {
        case .all: false
        case .untilWritten(let writer): writer.pendingBytes > Limits.cacheFillWindowBytes
        case .window: state.readerCount > 0 && state.total &- state.fastest > UInt64(Limits.cacheFillWindowBytes)
        }
    }

    package var total: UInt64 { state.withLock { $0.total } }
    package var readerCount: Int { state.withLock { $0.readerCount } }

    /// The head of what is being fetched, once it is there.
    package var head: FillHead? {
        state.withLock { state in
            switch state.phase {
            case .streaming(let head), .complete(let head): head
            case .waiting, .stored, .released, .failed: nil
            }
        }
    }

    /// Whether what comes in will be stored.
    package var isStoring: Bool {
        state.withLock { state in
            if case .window = state.keeping { return false }
            return true
        }
    }

    /// Nobody joins any more. Whether what comes is stored the ledger says when it is here.
    package func invalidate() { state.withLock { $0.isInvalid = true } }

    // MARK: The readers' side

    /// Whether somebody may still begin to read it.
    package var isJoinable: Bool {
        state.withLock { state in
            if state.isInvalid { return false }
            if case .window = state.keeping { return false }
            return true
        }
    }

    /// The outlet of an event loop, made with its first reader.
    package func outlet(on eventLoop: any EventLoop) -> FillOutlet {
        state.withLock { state in
            state.readerCount += 1
            for outlet in state.outlets where outlet.eventLoop === eventLoop { return outlet }
            let outlet = FillOutlet(fill: self, eventLoop: eventLoop)
            state.outlets.append(outlet)
            return outlet
        }
    }

    /// One reader less. An outlet without readers is let go: it holds the fill, and the fill held it.
    fileprivate func readerLeft(_ outlet: FillOutlet, isLast: Bool) {
        let leader = state.withLock { state -> FillLeader? in
            let wasCongested = Self.isCongested(state)
            state.readerCount -= 1
            if isLast { state.outlets.removeAll { $0 === outlet } }
            return wasCongested && !Self.isCongested(state) ? state.leader : nil
        }
        leader?.resume()
    }

    /// Everything as it stands.
    package func view() -> FillView {
        state.withLock { Self.view(of: $0) }
    }

    private static func view(of state: State) -> FillView {
        var file: FileBody?
        switch state.keeping {
        case .all: break
        case .untilWritten(let writer): file = writer.body
        case .window(let writer): file = writer?.body
        }
        return FillView(
            phase: state.phase, pieces: state.pieces, base: state.base, total: state.total, trailers: state.trailers,
            file: file)
    }

    /// A reader has come this far. Only where nobody stores the body does it matter to the others.
    package func advanced(to position: UInt64) {
        let leader = state.withLock { state -> FillLeader? in
            guard position > state.fastest else { return nil }
            let wasCongested = Self.isCongested(state)
            // Also while somebody stores it, for that may end: then those who have all that is here move no more.
            state.fastest = position
            guard case .window = state.keeping else { return nil }
            Self.trim(&state)
            return wasCongested && !Self.isCongested(state) ? state.leader : nil
        }
        leader?.resume()
    }

    private static func trim(_ state: inout State) {
        let keepFrom: UInt64
        switch state.keeping {
        case .all: return
        case .untilWritten(let writer): keepFrom = writer.writtenBytes
        case .window:
            let window = UInt64(Limits.cacheFillWindowBytes)
            keepFrom = state.fastest > window ? state.fastest - window : 0
        }
        var count = 0
        var base = state.base
        while count < state.pieces.count {
            let end = base &+ UInt64(state.pieces[count].readableBytes)
            guard end <= keepFrom else { break }
            base = end
            count += 1
        }
        guard count > 0 else { return }
        state.pieces.removeFirst(count)
        state.base = base
    }

    // MARK: News

    /// Tells every reader. Those on the calling event loop have heard when this returns.
    package func publish(on eventLoop: any EventLoop) {
        let outlets = state.withLock { state -> ContiguousArray<FillOutlet> in
            var unscheduled: ContiguousArray<FillOutlet> = []
            for outlet in state.outlets where !outlet.isScheduled {
                outlet.isScheduled = true
                unscheduled.append(outlet)
            }
            return unscheduled
        }
        for outlet in outlets where outlet.eventLoop !== eventLoop {
            outlet.eventLoop.execute { outlet.deliver() }
        }
        for outlet in outlets where outlet.eventLoop === eventLoop { outlet.deliver() }
    }

    fileprivate func take(_ outlet: FillOutlet) -> FillView {
        state.withLock { state in
            outlet.isScheduled = false
            return Self.view(of: state)
        }
    }
}

/// A copy of a fill's state at one moment.
package struct FillView: Sendable {
    package let phase: Fill.Phase
    package let pieces: ContiguousArray<ByteBuffer>
    /// Position in the body of the first byte of `pieces`, and behind the last.
    package let base: UInt64
    package let total: UInt64
    package let trailers: ByteBuffer?
    /// Where the bytes before `base` are.
    package let file: FileBody?
}

/// The head of a response that is being filled.
package final class FillHead: Sendable {
    /// As it will be stored, but without its body. Where the length is not known, what its head says of it is not true:
    /// then `head.typeEnd` is the last byte that counts.
    package let response: StoredResponse
    /// Of the body, where the origin said it.
    package let contentLength: UInt64?

    package init(response: StoredResponse, contentLength: UInt64?) {
        self.response = response
        self.contentLength = contentLength
    }
}

/// Who fetches: told, on its own event loop, that it may go on.
package final class FillLeader: Sendable {
    private let eventLoop: any EventLoop
    private let action: @Sendable () -> Void

    package init(eventLoop: any EventLoop, _ action: @escaping @Sendable () -> Void) {
        self.eventLoop = eventLoop
        self.action = action
    }

    package func resume() { eventLoop.execute(action) }
}

/// Who reads a fill, on one event loop.
package protocol FillReader: AnyObject {
    /// Its place in the outlet's list; set by the outlet alone.
    var outletIndex: Int { get set }
    ///
    /// - Parameter outlet: through which it is told; news from any other than its own are not for it.
    func fillAdvanced(_ view: FillView, by outlet: FillOutlet)
}

/// Where the readers of one event loop hear of one fill. But for `isScheduled`, only that loop touches it.
package final class FillOutlet: @unchecked Sendable {
    // Unchecked: `readers` belongs to the event loop, `isScheduled` to the fill's lock.
    package let fill: Fill
    package let eventLoop: any EventLoop
    private var readers: ContiguousArray<any FillReader> = []
    fileprivate var isScheduled = false

    fileprivate init(fill: Fill, eventLoop: any EventLoop) {
        self.fill = fill
        self.eventLoop = eventLoop
    }

    package func add(_ reader: any FillReader) {
        reader.outletIndex = readers.count
        readers.append(reader)
    }

    /// The last one takes the place of the one that leaves.
    package func remove(_ reader: any FillReader) {
        let index = reader.outletIndex
        guard readers.indices.contains(index), readers[index] === reader, let last = readers.popLast() else { return }
        if last !== reader {
            readers[index] = last
            last.outletIndex = index
        }
        reader.outletIndex = -1
        fill.readerLeft(self, isLast: readers.isEmpty)
    }

    fileprivate func deliver() {
        let view = fill.take(self)
        // A copy: who has all it wants leaves while the others are told, and may by then read something else.
        for reader in readers { reader.fillAdvanced(view, by: self) }
    }
}
