import Cache
import Exchange
import Limits
import NIOCore
import Telemetry

/// Sending what the cache has to the client, as fast as the client takes it.
extension Journey {
    /// Begins to send the body that follows the head just given.
    func send(_ plan: BodyPlan) {
        visit.plan = plan
        pump()
    }

    /// Sends until the client is full, the bytes are not there yet, or all is sent.
    func pump() {
        guard visit.plan.isActive, !visit.isPumping else { return }
        visit.isPumping = true
        var unflushed = 0
        // Writing may find the connection dead, and then this journey is another exchange's already.
        let serial = visit.serial
        while client != nil, visit.serial == serial, !visit.isResponsePaused, !visit.isAwaitingDisk {
            guard let part = visit.plan.current else { return finishSending() }
            switch part {
            case .bytes(let bytes):
                visit.plan.advance()
                give(bytes, &unflushed)
            case .range(let range) where visit.plan.position >= range.upperBound:
                visit.plan.advance()
            case .range(let range):
                guard sendSome(upTo: range.upperBound, &unflushed) else {
                    guard visit.serial == serial else { return }
                    visit.isPumping = false
                    return flushIfNeeded(unflushed)
                }
            }
        }
        guard visit.serial == serial else { return }
        visit.isPumping = false
        flushIfNeeded(unflushed)
    }

    private func flushIfNeeded(_ unflushed: Int) {
        if unflushed > 0 { client?.flush() }
    }

    private func finishSending() {
        let trailers = visit.plan.trailers
        visit.plan = BodyPlan()
        visit.isPumping = false
        leaveFill()
        client?.respondEnd(trailers: trailers)
    }

    private func give(_ bytes: ByteBuffer, _ unflushed: inout Int) {
        responseBodyBytes &+= UInt64(bytes.readableBytes)
        client?.respondBody(bytes)
        unflushed += bytes.readableBytes
        guard unflushed >= Limits.cacheSendBytes else { return }
        unflushed = 0
        client?.flush()
    }

    /// False: there is nothing to send now; somebody will call `pump` again, or the response was cut.
    private func sendSome(upTo end: UInt64, _ unflushed: inout Int) -> Bool {
        switch visit.plan.source {
        case .none: return false
        case .file(let file): return sendFile(file, upTo: end)
        case .fill: return sendFilled(upTo: end, &unflushed)
        case .buffer, .blocks, .partial:
            guard let bytes = visit.plan.nextBytes(upTo: end) else {
                cutResponse(.internalError)
                return false
            }
            visit.plan.position &+= UInt64(bytes.readableBytes)
            give(bytes, &unflushed)
            return true
        }
    }

    /// The body cannot be completed: the client must see that.
    func cutResponse(_ failure: Failure) {
        note(failure)
        visit.plan = BodyPlan()
        visit.isPumping = false
        leaveFill()
        client?.abort()
    }

    // MARK: From the disk

    private func sendFile(_ file: FileBody, upTo end: UInt64) -> Bool {
        guard let reader = visit.fileReader, reader.body === file else { return open(file) }
        let position = visit.plan.position
        guard client?.takesFiles == true else {
            let range = position..<min(end, position &+ UInt64(Limits.cacheSendBytes))
            guard let bytes = reader.readNow(range) else { return read(reader, range) }
            visit.plan.position &+= UInt64(bytes.readableBytes)
            responseBodyBytes &+= UInt64(bytes.readableBytes)
            client?.respondBody(bytes)
            client?.flush()
            return true
        }
        let range = position..<min(end, position &+ UInt64(Limits.cacheSendFileBytes))
        guard let region = reader.region(range) else { return prepare(reader, range) }
        give(region, upTo: range.upperBound, of: reader)
        return true
    }

    private func give(_ region: FileRegion, upTo end: UInt64, of reader: FileReader) {
        visit.plan.position = end
        responseBodyBytes &+= UInt64(region.readableBytes)
        client?.respondFile(region, owner: reader)
        client?.flush()
    }

    /// False: the reader is on its way.
    private func open(_ file: FileBody) -> Bool {
        if let reader = file.reader() {
            visit.fileReader = reader
            return true
        }
        awaitDisk { journey, done in
            file.open(on: journey.loop.eventLoop) { reader in done(reader != nil) { $0.visit.fileReader = reader } }
        }
        return false
    }

    private func prepare(_ reader: FileReader, _ range: Range<UInt64>) -> Bool {
        awaitDisk { journey, done in
            reader.prepare(range, on: journey.loop.eventLoop) { isThere in
                done(isThere) { journey in
                    // Pages may have gone again between the look and the sending: then a copy is surer.
                    guard let region = reader.region(range), journey.client?.takesFiles == true else {
                        _ = journey.read(reader, range)
                        return
                    }
                    journey.give(region, upTo: range.upperBound, of: reader)
                }
            }
        }
        return false
    }

    private func read(_ reader: FileReader, _ range: Range<UInt64>) -> Bool {
        awaitDisk { journey, done in
            reader.read(range, on: journey.loop.eventLoop) { bytes in
                done((bytes?.readableBytes ?? 0) > 0) { journey in
                    guard let bytes else { return }
                    journey.visit.plan.position &+= UInt64(bytes.readableBytes)
                    journey.responseBodyBytes &+= UInt64(bytes.readableBytes)
                    journey.client?.respondBody(bytes)
                    journey.client?.flush()
                }
            }
        }
        return false
    }

    /// Too many may be reading: a moment later there is room again. What is damaged stays so.
    private func askDiskAgain() {
        visit.diskRetries += 1
        guard visit.diskRetries <= Limits.cacheDiskRetriesMax else { return diskFailed() }
        visit.isAwaitingDisk = true
        let bound = NIOLoopBound((self, visit.serial), eventLoop: loop.eventLoop)
        loop.eventLoop.scheduleTask(in: .milliseconds(Int64(Limits.cacheDiskRetryPauseMilliseconds))) {
            let (journey, serial) = bound.value
            guard journey.visit.serial == serial, journey.client != nil else { return }
            journey.visit.isAwaitingDisk = false
            journey.pump()
        }
    }

    /// The disk does not have it any more, or not as it was written: nobody else is to begin with it.
    private func diskFailed() {
        if let stored = visit.reading, let store = zone?.cache?.store {
            _ = store.memory.remove(stored)
        }
        cutResponse(.internalError)
    }

    /// Called on the event loop when the disk has answered: whether it had what was asked for, and what to do then.
    private typealias DiskAnswer = @Sendable (Bool, @escaping (Journey) -> Void) -> Void

    /// Asks the disk and goes on when it has answered, if the exchange is still the same one then.
    private func awaitDisk(_ ask: (Journey, @escaping DiskAnswer) -> Void) {
        visit.isAwaitingDisk = true
        let bound = NIOLoopBound((self, visit.serial), eventLoop: loop.eventLoop)
        ask(self) { isThere, then in
            let (journey, serial) = bound.value
            guard journey.visit.serial == serial, journey.client != nil else { return }
            journey.visit.isAwaitingDisk = false
            guard isThere else { return journey.askDiskAgain() }
            journey.visit.diskRetries = 0
            then(journey)
            journey.pump()
        }
    }

    // MARK: From a fill

    private func sendFilled(upTo end: UInt64, _ unflushed: inout Int) -> Bool {
        guard let view = visit.fillView else { return false }
        let position = visit.plan.position
        if position < view.base {
            guard let file = view.file else {
                // Too slow for a body that nobody keeps.
                cutResponse(.clientStalled)
                return false
            }
            guard let reader = visit.fileReader, reader.body === file else { return open(file) }
            return read(reader, position..<min(end, min(view.base, position &+ UInt64(Limits.cacheSendBytes))))
        }
        guard position < view.total else { return endOfFilled(view) }
        let serial = visit.serial
        var start = view.base
        for index in nextPiece(in: view, &start)..<view.pieces.count {
            let piece = view.pieces[index]
            guard let bytes = BodyPlan.slice(piece, startingAt: start, from: visit.plan.position, to: end) else {
                break
            }
            start &+= UInt64(piece.readableBytes)
            visit.plan.position &+= UInt64(bytes.readableBytes)
            give(bytes, &unflushed)
            guard visit.serial == serial else { return false }
            if visit.isResponsePaused || visit.plan.position >= end || client == nil { break }
        }
        visit.fill?.advanced(to: visit.plan.position)
        return true
    }

    /// The index of the piece that holds the position, `start` moved to where it begins. Looks from the end: readers who
    /// keep up are there.
    private func nextPiece(in view: FillView, _ start: inout UInt64) -> Int {
        var index = view.pieces.count
        var end = view.total
        while index > 0 {
            let pieceStart = end &- UInt64(view.pieces[index - 1].readableBytes)
            index -= 1
            end = pieceStart
            if pieceStart <= visit.plan.position { break }
        }
        start = end
        return index
    }

    /// Nothing more is here: perhaps later, perhaps that was all, perhaps it was cut.
    private func endOfFilled(_ view: FillView) -> Bool {
        // What the outlet told last may be old news to who was paused.
        if let fill = visit.fill, case .streaming = view.phase {
            let now = fill.view()
            if now.total > view.total { visit.fillView = now; return true }
            if case .streaming = now.phase { return false }
            visit.fillView = now
            return true
        }
        switch view.phase {
        case .complete:
            visit.plan.trailers = view.trailers
            visit.plan.close(at: view.total)
            return true
        case .failed(let failure):
            cutResponse(failure)
            return false
        case .waiting, .streaming, .stored, .released:
            return false
        }
    }
}
