import Limits

/// When the next frame may be sealed: at once after a silence, otherwise at most every 20 ms, so that a burst becomes few
/// frames and a single change does not wait.
package struct SealPacer: Sendable {
    private var sealedAt: UInt64?

    package init() {}

    /// Milliseconds to wait, with the time on a clock that never goes back.
    package func waitMilliseconds(now monotonic: UInt64) -> UInt64 {
        guard let sealedAt, monotonic >= sealedAt else { return 0 }
        let since = monotonic - sealedAt
        return since >= Limits.configSealMilliseconds ? 0 : Limits.configSealMilliseconds - since
    }

    package mutating func sealed(now monotonic: UInt64) { sealedAt = monotonic }
}

/// Makes frames out of what transactions changed, where no store does.
package struct LogSealer: Sendable {
    package private(set) var position: LogPosition
    private var groups: [[Change]] = []
    private var byteCount = 0
    private var committedAt: UInt64 = 0
    private var pacer = SealPacer()

    /// Goes on behind that position, whose epoch is 1 or later.
    package init(at position: LogPosition) { self.position = position }

    /// Takes one transaction's changes, committed at `unix` milliseconds; throws if they are out of bounds, or too many
    /// wait already.
    package mutating func add(_ changes: [Change], committedAt unix: UInt64) throws(ConfigLogError) {
        let group = ChangeGroup(sequence: 0, changes: changes)
        _ = try group.encoded()
        guard byteCount + group.encodedByteCount <= Limits.configUnsealedBytesMax else {
            throw ConfigLogError(
                .tooLarge, "changes to seal", expected: "at most \(Limits.configUnsealedBytesMax) bytes that wait",
                found: "\(byteCount + group.encodedByteCount)")
        }
        groups.append(changes)
        byteCount += group.encodedByteCount
        committedAt = unix
    }

    /// When `seal` has something to do: milliseconds of the monotonic clock, `now` being the present.
    package func nextDeadline(now monotonic: UInt64) -> UInt64? {
        guard !groups.isEmpty else { return nil }
        return byteCount >= Limits.configFrameBytesTarget
            ? monotonic : monotonic &+ pacer.waitMilliseconds(now: monotonic)
    }

    /// The next frame, if its time has come. Call it until it returns nil.
    package mutating func seal(now monotonic: UInt64) throws(ConfigLogError) -> Frame? {
        guard let due = nextDeadline(now: monotonic), due <= monotonic else { return nil }
        var count = 0
        var bytes = 0
        while count < groups.count, count == 0 || bytes < Limits.configFrameBytesTarget {
            let next = ChangeGroup(sequence: 0, changes: groups[count]).encodedByteCount
            if count > 0, bytes + next > Limits.configFrameBytesTarget { break }
            bytes += next
            count += 1
        }
        let frame = try Frame.seal(
            epoch: position.epoch, after: (position.sequence, position.hash), groups: Array(groups.prefix(count)),
            committedAt: committedAt)
        groups.removeFirst(count)
        byteCount -= bytes
        position = frame.position
        pacer.sealed(now: monotonic)
        return frame
    }
}
