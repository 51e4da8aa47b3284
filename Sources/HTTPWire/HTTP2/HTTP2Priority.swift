// How urgent a response is to its client (RFC 9218): from the `priority` field or a PRIORITY_UPDATE frame.

/// The parameters of RFC 9218, section 4. Others are ignored.
package struct HTTP2Priority: Sendable, Equatable {
    /// 0, the most urgent, to 7 (RFC 9218, section 4.1).
    package var urgency: UInt8 = 3
    /// Parts of the response are of use before the whole is there (RFC 9218, section 4.2).
    package var isIncremental = false

    /// What holds where nothing is said.
    package init() {}

    /// What `range` of `bytes` says, which is a dictionary (RFC 9651, section 3.2); what holds otherwise for all that it
    /// does not say. A value that is no dictionary says nothing.
    package init(_ bytes: Span<UInt8>, _ range: ByteRange) { update(bytes, range) }

    /// Takes over what `range` of `bytes` says and leaves the rest as it is: a field of several lines, or what an
    /// origin's response adds to the client's wishes (RFC 9218, section 8).
    package mutating func update(_ bytes: Span<UInt8>, _ range: ByteRange) {
        var read = self
        var members = StructuredDictionary(range)
        do {
            while let member = try members.next(in: bytes) {
                guard member.key.count == 1, member.key.end <= bytes.count else { continue }
                switch (bytes[Int(member.key.start)], member.value) {
                case (UInt8(ascii: "u"), .integer(let urgency)) where 0...7 ~= urgency:
                    read.urgency = UInt8(truncatingIfNeeded: urgency)
                case (UInt8(ascii: "i"), .boolean(let isIncremental)):
                    read.isIncremental = isIncremental
                default: continue
                }
            }
        } catch {
            return
        }
        self = read
    }
}

/// Priorities of streams that are not begun yet (RFC 9218, section 7.1). Few, and the oldest make room.
struct HTTP2EarlyPriorities: Sendable {
    private struct Row: Sendable {
        var id: UInt32
        var priority: HTTP2Priority
    }

    private var rows: ContiguousArray<Row> = []
    private let countMax: Int

    init(countMax: Int) { self.countMax = countMax }

    @inline(__always)
    var isEmpty: Bool { rows.isEmpty }

    mutating func set(_ priority: HTTP2Priority, of id: UInt32) {
        rows.removeAll { $0.id == id }
        if rows.count >= countMax, !rows.isEmpty { rows.removeFirst() }
        if countMax > 0 { rows.append(Row(id: id, priority: priority)) }
    }

    /// What was said of `id`; streams below it will not be begun any more.
    mutating func take(_ id: UInt32) -> HTTP2Priority? {
        let priority = rows.first { $0.id == id }?.priority
        rows.removeAll { $0.id <= id }
        return priority
    }
}
