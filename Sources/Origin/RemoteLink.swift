import ConfigModel
import Exchange
import HTTPWire
import Limits
import NIOCore
import Telemetry

/// A link to an origin connection that lives on another event loop: what the exchange holds.
///
///     near loop                                   far loop
///     exchange ─▶ RemoteLink ── execute ─▶ RemoteEar / the seat's link
///     exchange ◀─ RemoteLink ◀─ execute ── RemoteEar ◀─ the seat's link
///
/// A hop costs some microseconds and a new connection to the origin costs it a hundred. So an HTTP/1.1 connection from
/// afar is used only when the own loop has none, and one HTTP/2 connection serves all loops. Bytes under way between
/// the loops are counted by their sender, who stops at `Limits.bodyBufferBytesMax` until they are acknowledged: neither
/// loop's queue can grow without bound.
final class RemoteLink: OriginLink, @unchecked Sendable {
    // Unchecked: all state belongs to `near`; the ear only passes the reference back to it.
    fileprivate let near: EdgeLoop
    private let seat: any OriginSeat
    private var ear: RemoteEar?
    private var receiver: (any OriginReceiver)?
    private var unacknowledgedBytes = 0
    private var isFull = false
    private var isPaused = false
    /// The exchange is over: nothing more goes to the far loop, where the connection may serve another.
    private var isOver = false
    let isReused: Bool

    init(driving seat: any OriginSeat, from near: EdgeLoop) {
        self.seat = seat
        self.near = near
        isReused = seat.mayBeStale
    }

    /// Whatever the seat is: it may be gone before the request has crossed over, and that is told later.
    var mayBeRefused: Bool { true }

    func attach(_ receiver: any OriginReceiver) {
        self.receiver = receiver
    }

    func send(_ head: ByteBuffer, shape: RequestShape, isComplete: Bool) {
        guard !isOver, ear == nil else { return }
        let ear = RemoteEar(link: self)
        self.ear = ear
        let seat = self.seat
        // `output` of this loop is reused: what crosses must be its own copy.
        let copy = ByteBuffer(bytes: head.readableBytesView)
        seat.loop.eventLoop.execute {
            let link = seat.takeLink()
            ear.far = link
            link.attach(ear)
            link.send(copy, shape: shape, isComplete: isComplete)
        }
    }

    func sendBody(_ bytes: ByteBuffer) -> Bool {
        guard let ear else { return true }
        let count = bytes.readableBytes
        unacknowledgedBytes += count
        onFarLoop { far in ear.sent(count, isWritable: far.sendBody(bytes)) }
        guard unacknowledgedBytes > Limits.bodyBufferBytesMax else { return true }
        isFull = true
        return false
    }

    func sendEnd(trailers: ByteBuffer?) { onFarLoop { $0.sendEnd(trailers: trailers) } }
    func pauseResponse() { pause(true) }
    func resumeResponse() { pause(false) }
    func closeTunnelOutput() { onFarLoop { $0.closeTunnelOutput() } }

    func cancel() {
        guard !isOver else { return }
        if ear == nil {
            let seat = self.seat
            seat.loop.eventLoop.execute { seat.returnUnused() }
        } else {
            onFarLoop { $0.cancel() }
        }
        end()
    }

    /// The ear holds the link and the link the ear, until here.
    private func end() {
        isOver = true
        receiver = nil
        ear = nil
    }

    private func pause(_ paused: Bool) {
        guard let ear, isPaused != paused else { return }
        isPaused = paused
        onFarLoop { _ in ear.pause(paused) }
    }

    /// Runs `action` on the connection's loop, unless by then the connection has ended this exchange: it may already
    /// serve another.
    private func onFarLoop(_ action: @escaping @Sendable (any OriginLink) -> Void) {
        guard !isOver, let ear else { return }
        seat.loop.eventLoop.execute {
            if let far = ear.far { action(far) }
        }
    }

    // MARK: From the ear

    fileprivate func heard(_ events: [RemoteEvent]) {
        for event in events {
            guard let receiver else { return }
            switch event {
            case .interim(let head, let bytes):
                receiver.answer.head = head
                receiver.originInterim(bytes: bytes)
            case .head(let head, let bytes):
                receiver.answer.head = head
                receiver.originHead(bytes: bytes)
            case .switched(let head, let bytes):
                receiver.answer.head = head
                receiver.originSwitched(bytes: bytes)
            case .body(let bytes):
                receiver.originBody(bytes)
            case .end(let trailers):
                end()
                receiver.originEnd(trailers: trailers)
                receiver.originFlush()
            case .failed(let failure):
                end()
                receiver.originFailed(failure)
            }
        }
        receiver?.originFlush()
        let heardBytes = events.reduce(0) { $0 + $1.byteCount }
        if heardBytes > 0, let ear { onFarLoop { _ in ear.acknowledge(heardBytes) } }
    }

    fileprivate func acknowledge(_ count: Int) {
        unacknowledgedBytes -= count
        guard isFull, unacknowledgedBytes <= Limits.bodyBufferBytesMax / 2 else { return }
        isFull = false
        receiver?.originWritable()
    }
}

/// What an origin connection said, on its way to another loop.
private enum RemoteEvent: Sendable {
    case interim(ResponseHead, ByteBuffer)
    case head(ResponseHead, ByteBuffer)
    case switched(ResponseHead, ByteBuffer)
    case body(ByteBuffer)
    case end(trailers: ByteBuffer?)
    case failed(Failure)

    var byteCount: Int {
        if case .body(let bytes) = self { return bytes.readableBytes }
        return 0
    }
}

/// The far end: listens to the connection on its own loop and passes on what it says, one hop per read.
private final class RemoteEar: OriginReceiver, @unchecked Sendable {
    // Unchecked: all state belongs to the connection's loop; the link only passes the reference back to it.
    let answer = OriginAnswer()
    private let link: RemoteLink
    /// The link on the far loop, until the connection has said its last word on this exchange.
    var far: (any OriginLink)?
    private var pending: [RemoteEvent] = []
    private var unacknowledgedBytes = 0
    private var owedBytes = 0
    private var isPausedByReceiver = false
    private var isPausedByBound = false

    init(link: RemoteLink) {
        self.link = link
    }

    func originReady(_ link: any OriginLink) {}
    func originUnavailable(_ failure: Failure) {}

    func originInterim(bytes: ByteBuffer) { pending.append(.interim(answer.head, bytes)) }
    func originHead(bytes: ByteBuffer) { pending.append(.head(answer.head, bytes)) }

    func originSwitched(bytes: ByteBuffer) { pending.append(.switched(answer.head, bytes)) }

    func originBody(_ bytes: ByteBuffer) {
        unacknowledgedBytes += bytes.readableBytes
        pending.append(.body(bytes))
        if unacknowledgedBytes > Limits.bodyBufferBytesMax, !isPausedByBound {
            isPausedByBound = true
            far?.pauseResponse()
        }
    }

    func originEnd(trailers: ByteBuffer?) {
        far = nil
        pending.append(.end(trailers: trailers))
    }

    func originFailed(_ failure: Failure) {
        far = nil
        pending.append(.failed(failure))
        originFlush()
    }

    func originFlush() {
        guard !pending.isEmpty else { return }
        let events = pending
        pending = []
        let link = self.link
        link.near.eventLoop.execute { link.heard(events) }
    }

    func originWritable() {
        let count = owedBytes
        owedBytes = 0
        tellAcknowledged(count)
    }

    func sent(_ count: Int, isWritable: Bool) {
        if isWritable { tellAcknowledged(count + owedBytes) } else { owedBytes += count }
        if isWritable { owedBytes = 0 }
    }

    private func tellAcknowledged(_ count: Int) {
        guard count > 0 else { return }
        let link = self.link
        link.near.eventLoop.execute { link.acknowledge(count) }
    }

    func acknowledge(_ count: Int) {
        unacknowledgedBytes -= count
        guard isPausedByBound, unacknowledgedBytes <= Limits.bodyBufferBytesMax / 2 else { return }
        isPausedByBound = false
        if !isPausedByReceiver { far?.resumeResponse() }
    }

    func pause(_ paused: Bool) {
        isPausedByReceiver = paused
        if paused { far?.pauseResponse() } else if !isPausedByBound { far?.resumeResponse() }
    }
}
