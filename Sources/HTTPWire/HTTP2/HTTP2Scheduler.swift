// Whose turn it is to send (RFC 9218, section 10).
//
//     urgency 0   in order ─ 1 ─ 5          by turns ─ 3 ─ 9 ─ 7
//     …
//     urgency 7   in order                  by turns ─ 11
//     ends        ─ 13                      (END_STREAM without data, which no window holds up)
//
// The most urgent go first. Of one urgency, streams whose parts are of use by themselves (incremental) take turns, a
// frame each; the others are sent one after the other in the order of their identifiers. Where an urgency has both
// kinds, a frame of the one and a frame of the other go alternately, so that neither waits for the end of the other. And
// so that nobody waits for ever, one frame in 65 goes to a less urgent stream, over all less urgent ones by turns.
//
// A lane is a list through the rows of the stream table. All that is asked for here takes constant time, except that a
// stream that enters an ordered lane looks for its place from the lane's end on.

internal import Limits

/// The lanes of one connection. A stream is in a lane while it has something to send and its own window lets it.
struct HTTP2Scheduler: Sendable {
    private struct Lane: Sendable {
        var head: Int32 = -1
        var tail: Int32 = -1
    }

    private var lanes = InlineArray<17, Lane>(repeating: Lane())
    /// Which of the sixteen lanes of data are not empty.
    private var mask: UInt32 = 0
    /// Of each urgency, whether it is the incremental streams' turn.
    private var turns: UInt8 = 0
    /// Frames that less urgent streams have seen go by.
    private var passedOver = 0
    /// The urgency that was last let in between.
    private var lastLetIn = 0

    static var noLane: UInt8 { 255 }
    static var endsLane: UInt8 { 16 }

    /// Whether anything waits that the connection's window does not hold up, or that it might.
    @inline(__always)
    var isEmpty: Bool { mask == 0 && lanes[16].head < 0 }
    @inline(__always)
    var hasData: Bool { mask != 0 }
    @inline(__always)
    var hasEnds: Bool { lanes[16].head >= 0 }

    // MARK: Coming and going

    /// Puts a stream where it belongs now: into a lane, out of its lane, or into another one.
    @inline(__always)
    mutating func settle(_ slot: Int, in table: inout HTTP2StreamTable) {
        let wanted = Self.lane(of: table.rows[slot])
        let present = table.rows[slot].lane
        guard wanted != present else { return }
        if present != Self.noLane { leave(slot, in: &table) }
        if wanted != Self.noLane { enter(slot, wanted, in: &table) }
    }

    @inline(__always)
    private static func lane(of row: HTTP2StreamState) -> UInt8 {
        // Nothing goes before the head, and nothing behind the end.
        guard row.flags.intersection([.headSent, .localEnded]) == .headSent else { return noLane }
        if row.pending == 0 { return row.flags.contains(.ends) ? endsLane : noLane }
        guard row.sendWindow > 0 else { return noLane }
        return row.urgency &* 2 | (row.flags.contains(.isIncremental) ? 1 : 0)
    }

    private mutating func enter(_ slot: Int, _ number: UInt8, in table: inout HTTP2StreamTable) {
        let lane = Int(number)
        var before = lanes[lane].tail
        if number & 1 == 0, number < Self.endsLane {
            let id = table.rows[slot].id
            while before >= 0, table.rows[Int(before)].id > id { before = table.rows[Int(before)].previous }
        }
        let place = Int32(truncatingIfNeeded: slot)
        let after = before >= 0 ? table.rows[Int(before)].next : lanes[lane].head
        table.rows[slot].lane = number
        table.rows[slot].previous = before
        table.rows[slot].next = after
        if before >= 0 { table.rows[Int(before)].next = place } else { lanes[lane].head = place }
        if after >= 0 { table.rows[Int(after)].previous = place } else { lanes[lane].tail = place }
        if number < Self.endsLane { mask |= 1 &<< UInt32(number) }
    }

    /// Takes a stream out of its lane, if it is in one.
    mutating func leave(_ slot: Int, in table: inout HTTP2StreamTable) {
        let number = table.rows[slot].lane
        guard number != Self.noLane else { return }
        let lane = Int(number)
        let before = table.rows[slot].previous
        let after = table.rows[slot].next
        if before >= 0 { table.rows[Int(before)].next = after } else { lanes[lane].head = after }
        if after >= 0 { table.rows[Int(after)].previous = before } else { lanes[lane].tail = before }
        table.rows[slot].lane = Self.noLane
        table.rows[slot].previous = -1
        table.rows[slot].next = -1
        if number < Self.endsLane, lanes[lane].head < 0 { mask &= ~(1 &<< UInt32(number)) }
    }

    // MARK: Turns

    /// The stream whose turn it is, or -1. `mayData`: the connection's window lets data go.
    @inline(__always)
    mutating func pick(mayData: Bool) -> Int {
        let end = lanes[16].head
        if end >= 0 { return Int(end) }
        guard mayData, mask != 0 else { return -1 }
        let lane = mask & (mask &- 1) == 0 ? mask.trailingZeroBitCount : crowdedLane()
        return Int(lanes[lane].head)
    }

    /// The lane whose turn it is among several.
    private mutating func crowdedLane() -> Int {
        var urgency = mask.trailingZeroBitCount &>> 1
        let lessUrgent = mask &>> UInt32(2 &* urgency &+ 2)
        if lessUrgent != 0 {
            passedOver &+= 1
            if passedOver > Limits.http2FramesBeforeLessUrgent {
                passedOver = 0
                urgency = letIn(above: urgency)
            }
        }
        let pair = mask &>> UInt32(2 &* urgency) & 3
        guard pair == 3 else { return 2 &* urgency &+ Int(pair &>> 1) }
        let bit: UInt8 = 1 &<< UInt8(truncatingIfNeeded: urgency)
        defer { turns ^= bit }
        return 2 &* urgency &+ (turns & bit == 0 ? 0 : 1)
    }

    /// The next less urgent urgency with something to send, behind the one that was last let in.
    private mutating func letIn(above urgency: Int) -> Int {
        for step in 1...8 {
            let candidate = (lastLetIn &+ step) & 7
            guard candidate > urgency, mask &>> UInt32(2 &* candidate) & 3 != 0 else { continue }
            lastLetIn = candidate
            return candidate
        }
        return urgency
    }

    /// A frame of this stream has gone out: in a lane by turns it goes to the end, in any other it stays. What has no
    /// more to send, or no window, leaves.
    @inline(__always)
    mutating func sent(_ slot: Int, in table: inout HTTP2StreamTable) {
        let present = table.rows[slot].lane
        let wanted = Self.lane(of: table.rows[slot])
        if wanted == present, present & 1 == 0 || lanes[Int(present)].tail == Int32(truncatingIfNeeded: slot) { return }
        leave(slot, in: &table)
        if wanted != Self.noLane { enter(slot, wanted, in: &table) }
    }
}
