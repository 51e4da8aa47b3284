import Cache
import ConfigModel
package import Exchange
package import HTTPWire
import Limits
import Logging
package import NIOCore
import Origin
import Synchronization
package import Telemetry

/// The path of one request, on one screen.
///
///     identify ─▶ admit ─▶ cache ─▶ balance ─▶ connect ─▶ forward ─▶ (origin answers) ─▶ respond
///        │          │        │         ▲          │          │               │
///        └──────────┴────────┼─ respond with a page          └── try again ──┘
///                            ├─ serve what is stored (Journey+CacheLookup, +CacheServe, +CacheBody)
///                            └─ wait for, or become, the one that fetches it (+CacheFill, +CacheFetch)
///
/// A stage says what is next: another stage, wait for somebody to call, or an answer of our own. All of it runs on the
/// event loop of the client's connection. The rooms it meets know nothing of each other: they meet here.
///
/// The client's connection takes a journey from its loop's `JourneyDesk` with the first byte of a request, and gives it
/// back by `finish()` when both the request and the response are over. A journey that fetches for others too may then go
/// on as an orphan, without a client, until its fetch is over (`endOrphan`); one that validates beside a request is born
/// as one.
package final class Journey: Exchange, OriginReceiver {
    let desk: JourneyDesk
    /// The configuration this request began with: it is served by that to its end.
    var serving: Serving
    var zone: ServedZone?
    /// Whom the request comes from: the peer, or whom a trusted proxy names.
    var clientAddress = IPAddress.unspecified

    var server: OriginServer?
    private var serverIndex = 0
    private var triedServers: [Int] = []
    private(set) var attempts = 0
    private(set) var link: (any OriginLink)?
    private var acquisition: Acquisition?
    private var mayUseIdle = true
    private var staleRetries = 0
    private(set) var usedIdle = false

    /// Body received and not yet given up: what no link has had, and what a second attempt would send again.
    private var heldBody = ByteBuffer()
    private var isHeadSent = false
    private var isBodyHeld = true
    private var heldTrailers: ByteBuffer?
    private var isBodyPaused = false
    private var isTunnel = false
    /// What the cache stage keeps of this exchange.
    var visit = CacheVisit()
    /// Its client is gone, its fetch goes on.
    var isOrphan = false
    package var outletIndex = -1
    /// The client's framing, kept here so that an idle connection need not hold it.
    package var parser: RequestHeadParser
    package var chunks = ChunkedDecoder(side: .request)
    /// Field lines added to the response.
    package private(set) var responseFields = ByteBuffer()

    enum Stage { case identify, admit, cache, balance, connect }

    /// What a stage says is next.
    enum Step {
        case proceed(Stage)
        case wait
        /// Indirect: a step is handed on and copied far more often than it holds a page.
        indirect case respond(Page)
        case fail(Failure)
    }

    init(desk: JourneyDesk) {
        self.desk = desk
        self.serving = desk.serving
        self.parser = RequestHeadParser(bounds: desk.serving.headBounds)
        super.init(loop: desk.loop)
    }

    // MARK: The path

    /// Takes the request's head, or what there is of it, off the front of `bytes`.
    ///
    /// - Returns: whether it is all there. Else `bytes` are as they were, to be given again when there are more.
    package func readHead(from bytes: inout ByteBuffer) throws(WireError) -> Bool {
        let progress = try parser.parse(bytes.readableBytesUInt8Span, into: &request)
        guard case .complete(let count) = progress else { return false }
        bytes.withUnsafeReadableBytes { bytes in
            _ = requestBytes.writeBytes(UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
        }
        bytes.moveReaderIndex(forwardBy: count)
        return true
    }

    /// The request's head is in `request`; if it has a body, that follows by `requestBody` and `requestEnd`.
    package func begin() {
        startedAt = MonotonicClock.nanoseconds()
        ray = loop.identifiers.next()
        isRequestComplete = request.framing == .none || request.framing == .length(0)
        loop.metrics.add(.requestsReceived)
        loop.metrics.adjust(.requestsActive, by: 1)
        run(from: .identify)
    }

    func run(from first: Stage) { run(.proceed(first)) }

    func run(_ first: Step) {
        var step = first
        while true {
            switch step {
            case .proceed(.identify): step = identify()
            case .proceed(.admit): step = admit()
            case .proceed(.cache): step = lookUp()
            case .proceed(.balance): step = balance()
            case .proceed(.connect): step = connect()
            case .wait: return
            case .respond(let page): return respond(with: page)
            case .fail(let failure): return fail(failure)
            }
        }
    }

    /// Which zone is asked, and by whom.
    private func identify() -> Step {
        clientAddress = serving.clientAddress(of: self)
        guard let zone = serving.zone(of: self) else { return .fail(.unknownHost) }
        self.zone = zone
        if let named = tls?.zoneName, named != zone.name { return .fail(.misdirected) }
        return .proceed(.admit)
    }

    /// Whether the request is one that this zone answers at all.
    private func admit() -> Step {
        guard let zone else { return .fail(.internalError) }
        if request.method == .connect { return .fail(.connectRefused) }
        refuseHTTP2Upgrade()
        if let page = Page.whereForwardingEnds(self) { return .respond(page) }
        if zone.configuration.redirectToHTTPS, !isSecure {
            // Without a Host (HTTP/1.0) there is no URI to redirect to.
            return request.host.isEmpty ? .fail(.badRequest) : .respond(.redirectToHTTPS(self))
        }
        if case .length(let count) = request.framing, let most = zone.configuration.bodyBytesMax, count > most {
            return .fail(.bodyTooLarge)
        }
        return .proceed(.cache)
    }

    /// Which origin server gets it.
    private func balance() -> Step {
        guard let zone else { return .fail(.internalError) }
        releaseServer()
        let now = zone.balancer.servers.count > 1 ? MonotonicClock.nanoseconds() : startedAt
        let hint = zone.hint(of: self)
        let random = zone.balancer.servers.count > 1 ? loop.identifiers.next() : 0
        guard let index = zone.balancer.choose(hint, tried: triedServers, now: now, random: random) else {
            return .fail(.noHealthyOrigin)
        }
        serverIndex = index
        let server = zone.balancer.servers[index]
        if zone.countsOutstanding { server.outstanding.wrappingAdd(1, ordering: .relaxed) }
        self.server = server
        return .proceed(.connect)
    }

    /// A connection to it, idle or new.
    private func connect() -> Step {
        guard let server else { return .fail(.internalError) }
        attempts += 1
        switch server.acquire(for: self, on: loop, fresh: !mayUseIdle, mayUpgrade: request.upgrade != nil) {
        case .ready(let link):
            forward(link)
            return .wait
        case .pending(let acquisition):
            self.acquisition = acquisition
            return .wait
        case .unavailable(let failure):
            return .fail(failure)
        }
    }

    /// The request goes out: its head, and what there is of its body.
    private func forward(_ link: any OriginLink) {
        guard let zone else { return fail(.internalError) }
        self.link = link
        usedIdle = link.isReused
        sentAt = MonotonicClock.nanoseconds()
        let shape = RequestShape(
            method: request.method, framing: request.framing, mayUpgrade: request.upgrade != nil)
        let isWhole = isRequestComplete && heldBody.readableBytes == 0 && request.framing != .chunked
        link.attach(self)
        isHeadSent = true
        let head = renderRequest(for: zone)
        link.send(head, shape: shape, isComplete: isWhole)
        loop.giveBackOutput(head)
        guard !isWhole, self.link === link else { return }
        if heldBody.readableBytes > 0 {
            let hasRoom = link.sendBody(heldBody)
            // Writing may find the connection dead, and by now the exchange may be elsewhere, or over.
            guard self.link === link else { return }
            if !hasRoom { pauseBody() }
        }
        if !request.method.isIdempotent, !link.mayBeRefused { dropHeldBody() }
        if isRequestComplete { link.sendEnd(trailers: heldTrailers) } else if isBodyPaused { resumeBodyIfDrained() }
    }

    // MARK: The request's body

    package func requestBody(_ bytes: ByteBuffer) {
        if isTunnel {
            return send(bytes)
        }
        requestBodyBytes &+= UInt64(bytes.readableBytes)
        if let most = zone?.configuration.bodyBytesMax, requestBodyBytes > most {
            // What comes behind the piece that was too much changes nothing any more.
            return requestBodyBytes &- UInt64(bytes.readableBytes) <= most ? fail(.bodyTooLarge) : ()
        }
        if isHeadSent, link != nil {
            keepForRetry(bytes)
            send(bytes)
        } else {
            heldBody.writeImmutableBuffer(bytes)
            if heldBody.readableBytes > Limits.retryBodyBytesMax { pauseBody() }
        }
    }

    private func send(_ bytes: ByteBuffer) {
        guard let link else { return }
        let hasRoom = link.sendBody(bytes)
        guard self.link === link else { return }
        if !hasRoom { pauseBody() }
    }

    package func requestEnd(trailers: ByteBuffer?) {
        isRequestComplete = true
        heldTrailers = trailers
        if isHeadSent { link?.sendEnd(trailers: trailers) }
    }

    /// A body that a second attempt could not repeat is not kept.
    private func keepForRetry(_ bytes: ByteBuffer) {
        guard isBodyHeld else { return }
        if heldBody.readableBytes + bytes.readableBytes > Limits.retryBodyBytesMax {
            dropHeldBody()
        } else {
            heldBody.writeImmutableBuffer(bytes)
        }
    }

    private func dropHeldBody() {
        isBodyHeld = false
        heldBody = ByteBuffer()
    }

    private func pauseBody() {
        guard !isBodyPaused else { return }
        isBodyPaused = true
        client?.pauseRequestBody()
    }

    /// The held body has gone out whole, and the link takes more.
    private func resumeBodyIfDrained() {
        if heldBody.readableBytes > Limits.retryBodyBytesMax { dropHeldBody() }
        isBodyPaused = false
        client?.resumeRequestBody()
    }

    package func originWritable() {
        guard isBodyPaused else { return }
        resumeBodyIfDrained()
    }

    // MARK: What the origin says

    package func originReady(_ link: any OriginLink) {
        acquisition = nil
        forward(link)
    }

    package func originUnavailable(_ failure: Failure) {
        acquisition = nil
        originFailed(failure)
    }

    package func originInterim(bytes: ByteBuffer) {
        guard request.minorVersion == 1, answer.head.status != 100 || request.expectsContinue else { return }
        loop.metrics.add(.interimResponses)
        client?.respondInterim(answer.head, bytes: bytes)
    }

    package func originHead(bytes: ByteBuffer) {
        noteFirstByte()
        if isFetching, fetchedHead(bytes) { return }
        status = answer.head.status
        renderResponseFields()
        client?.respond(answer.head, bytes: bytes)
    }

    package func originBody(_ bytes: ByteBuffer) {
        if isFetching, fetchedBody(bytes) { return }
        if !isTunnel { responseBodyBytes &+= UInt64(bytes.readableBytes) }
        client?.respondBody(bytes)
    }

    package func originEnd(trailers: ByteBuffer?) {
        link = nil
        if isFetching, fetchedEnd(trailers: trailers) { return }
        client?.respondEnd(trailers: trailers)
    }

    package func originFlush() {
        if isFetching, fetchedFlush() { return }
        client?.flush()
    }

    package func originSwitched(bytes: ByteBuffer) {
        noteFirstByte()
        status = answer.head.status
        isTunnel = true
        loop.metrics.add(.tunnelsOpened)
        loop.metrics.adjust(.tunnelsActive, by: 1)
        renderResponseFields()
        client?.beginTunnel(answer.head, bytes: bytes)
    }

    private func noteFirstByte() {
        firstByteAt = MonotonicClock.nanoseconds()
        loop.metrics.observe(.originFirstByte, nanoseconds: firstByteAt &- sentAt)
        if server?.health.noteSuccess() == true { loop.metrics.add(.originReadmissions) }
    }

    package func originFailed(_ failure: Failure) {
        link = nil
        let isStale =
            status == 0 && visit.head == nil
            && (failure == .pooledConnectionLost || failure == .originClosedEarly && usedIdle)
        // An origin at its limit, or on its way out, is not ill.
        if !isStale, failure.side == .origin, failure != .originRefusedStream { noteOriginFailure(failure) }
        if mayTryAgain(after: failure, isStale: isStale) {
            loop.metrics.add(isStale ? .originRetriesStaleConnection : .originRetriesFailover)
            return tryAgain(isStale: isStale)
        }
        fail(failure)
    }

    private func noteOriginFailure(_ failure: Failure) {
        guard let server else { return }
        if server.health.noteFailure(now: MonotonicClock.nanoseconds()) {
            loop.metrics.add(.originEjections)
            desk.log.warning(
                "origin ejected", metadata: ["origin": "\(server.name)", "last failure": "\(failure.label)"])
        }
    }

    /// Sending again is safe when nothing can have been sent, or when the request may be repeated (RFC 9110, 9.2.2)
    /// and all of it is still here. The origin must not have answered a byte.
    private func mayTryAgain(after failure: Failure, isStale: Bool) -> Bool {
        guard status == 0, visit.head == nil, visit.freshening == nil, client != nil || isOrphan, let zone else {
            return false
        }
        // News from another loop comes when the body may be gone already.
        guard isBodyHeld || requestBodyBytes == 0 else { return false }
        if failure == .pooledConnectionLost { return staleRetries < Limits.staleRetriesMax }
        if failure.happenedBeforeSending { return attempts < zone.configuration.attempts }
        guard failure == .originClosedEarly, request.method.isIdempotent else { return false }
        // An idle connection that the origin had closed was no attempt at all.
        return isStale ? staleRetries < Limits.staleRetriesMax : attempts < zone.configuration.attempts
    }

    private func tryAgain(isStale: Bool) {
        isHeadSent = false
        usedIdle = false
        if isStale {
            mayUseIdle = false
            staleRetries += 1
            attempts -= 1
            run(from: .connect)
        } else {
            triedServers.append(serverIndex)
            releaseServer()
            run(from: .balance)
        }
    }

    // MARK: What the client says

    /// The client takes no more of the response for now, or takes it again.
    package func pauseResponse() {
        visit.isResponsePaused = true
        // What is stored waits by itself; what is being filled goes on for the others.
        if !visit.plan.isActive, visit.outlet == nil, visit.role != .leader { link?.pauseResponse() }
    }

    package func resumeResponse() {
        visit.isResponsePaused = false
        if !visit.isOriginPaused { link?.resumeResponse() }
        if visit.plan.isActive || visit.outlet != nil { pump() }
    }

    /// The same for what comes from the origin, on behalf of a fill.
    func pauseOrigin() { link?.pauseResponse() }
    func resumeOrigin() { link?.resumeResponse() }

    /// The client is gone: nobody waits for the rest, unless it is fetched for others too.
    package func clientGone(_ reason: Failure) {
        note(reason)
        leaveFill()
        if !mayGoOnAlone { abandonOrigin() }
    }

    /// The client ended its half of a tunnel.
    package func tunnelInputEnded() {
        link?.closeTunnelOutput()
    }

    /// The request turned out to be bad after it had begun: a chunk that is none, a body too slow.
    package func requestFailed(_ failure: Failure) {
        fail(failure)
    }

    /// The request never got a head that could be read: it is answered, and nothing else.
    package func reject(_ failure: Failure) {
        startedAt = MonotonicClock.nanoseconds()
        ray = loop.identifiers.next()
        loop.metrics.adjust(.requestsActive, by: 1)
        clientAddress = peer
        request.reset()
        fail(failure)
    }

    // MARK: The end

    /// Answers with a page, or cuts the response that has begun. Where something is stored that may serve as long as no
    /// origin answers, that is the answer.
    func fail(_ failure: Failure) {
        abandonOrigin()
        if status == 0, failure.side != .client, visit.mayServeOnError, let stored = visit.stored {
            return serveStale(stored, because: failure.label)
        }
        note(failure)
        let serial = visit.serial
        endFill(.failed(failure))
        // Its own client reads the fill too, and may have ended the exchange by what it heard.
        guard visit.serial == serial else { return }
        leaveFill()
        if isOrphan { return endOrphan() }
        if status != 0 {
            client?.abort()
        } else {
            respond(with: .failure(forbidsStale && failure.side == .origin ? .validationFailed : failure, self))
        }
    }

    /// What is stored must not be served without an origin that says so.
    private var forbidsStale: Bool {
        guard let facts = visit.stored?.facts else { return false }
        return !facts.flags.isDisjoint(with: [.mustRevalidate, .noCache])
    }

    private func respond(with page: Page) {
        status = page.status
        responseBodyBytes = request.method == .head ? 0 : UInt64(page.body.readableBytes)
        client?.respond(status: page.status, fields: page.fields, body: page.body)
        client?.flush()
    }

    /// No more of the origin's response is wanted.
    func dropLink() { abandonOrigin() }

    private func abandonOrigin() {
        acquisition?.cancel()
        acquisition = nil
        let held = link
        link = nil
        held?.cancel()
    }

    private func releaseServer() {
        if zone?.countsOutstanding == true { server?.outstanding.wrappingSubtract(1, ordering: .relaxed) }
        server = nil
    }

    /// Both halves are over: counted, logged, and ready for another request. By the client's connection only.
    package func finish() {
        leaveFill()
        if visit.role == .leader, link != nil || acquisition != nil || visit.isLoading, mayGoOnAlone {
            return becomeOrphan()
        }
        abandonOrigin()
        if visit.role == .leader { endFill(.failed(.clientClosed)) }
        endBirth()
        if startedAt != 0 { record(took: MonotonicClock.nanoseconds() &- startedAt) }
        if isTunnel { loop.metrics.adjust(.tunnelsActive, by: -1) }
        releaseServer()
        desk.takeBack(self)
    }

    /// The client's part is over, the fetch goes on.
    private func becomeOrphan() {
        if startedAt != 0 { record(took: MonotonicClock.nanoseconds() &- startedAt) }
        client = nil
        visit.plan = BodyPlan()
        isOrphan = true
        desk.adopt(self)
    }

    /// The fetch is over that went on without a client.
    func endOrphan() {
        guard isOrphan else { return }
        isOrphan = false
        abandonOrigin()
        if visit.role == .leader { endFill(.failed(.clientClosed)) }
        endBirth()
        releaseServer()
        desk.release(self)
    }

    /// Lets go of what the next request has no use for.
    func shed() {
        client = nil
        tls = nil
        zone = nil
        visit.reset()
        if heldBody.storageCapacity > 0 { heldBody = ByteBuffer() }
        heldTrailers = nil
        if requestBytes.storageCapacity > Limits.keptHeadBytesMax {
            requestBytes = ByteBufferAllocator().buffer(capacity: 1024)
        }
    }

    /// As new, with the memory it has grown to.
    func renew(serving: Serving) {
        reset()
        if self.serving !== serving {
            self.serving = serving
            parser = RequestHeadParser(bounds: serving.headBounds)
        } else {
            parser.reset()
        }
        zone = nil
        if !triedServers.isEmpty { triedServers = [] }
        attempts = 0
        mayUseIdle = true
        staleRetries = 0
        usedIdle = false
        if heldBody.storageCapacity > 0 { heldBody = ByteBuffer() }
        isHeadSent = false
        isBodyHeld = true
        heldTrailers = nil
        isBodyPaused = false
        isTunnel = false
    }

    /// Replaces the lines added to the response.
    func setResponseFields(_ write: (inout ByteBuffer) -> Void) {
        responseFields.clear()
        write(&responseFields)
    }
}
