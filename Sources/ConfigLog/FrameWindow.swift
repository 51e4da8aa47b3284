/// The recent frames that a root or a relay keeps for its children, in order and without gaps.
///
/// Children hold no copies: each has an index into the window, counted from the first frame that it ever held.
///
///     base │ frame firstIndex │ … │ frame endIndex - 1 │ head
struct FrameWindow: Sendable {
    struct Entry: Sendable {
        /// Where somebody stands behind it.
        let position: LogPosition
        let bytes: [UInt8]
        /// Bytes of all frames up to and with this one since the window began.
        let endOffset: UInt64
    }

    /// Where in the window somebody stands.
    enum Place: Equatable {
        /// The frame with this index comes next.
        case before(UInt64)
        /// Farther than the head.
        case ahead
        /// Before the window, or in an older epoch.
        case tooOld
        /// Not on this history.
        case forked
        /// In a later epoch.
        case laterEpoch
    }

    private let bytesMax: Int
    private let framesMax: Int
    /// The position before the first frame.
    private(set) var base: LogPosition
    private(set) var head: LogPosition
    private(set) var firstIndex: UInt64 = 0
    /// Bytes of all frames since the window began.
    private(set) var endOffset: UInt64 = 0
    /// Those before `start` are gone, and their room is used again now and then.
    private var entries: [Entry?] = []
    private var start = 0
    private(set) var byteCount = 0

    init(at position: LogPosition, bounds: LogBounds) {
        base = position
        head = position
        bytesMax = bounds.windowBytesMax
        framesMax = bounds.windowFramesMax
    }

    var count: Int { entries.count - start }
    var endIndex: UInt64 { firstIndex &+ UInt64(count) }

    subscript(index: UInt64) -> Entry? {
        guard index >= firstIndex, index < endIndex else { return nil }
        return entries[start + Int(index - firstIndex)]
    }

    /// Bytes of all frames before that one; for one that is gone, before the first that is not.
    func offset(before index: UInt64) -> UInt64 {
        guard index < endIndex else { return endOffset }
        guard let entry = self[max(index, firstIndex)] else { return endOffset }
        return entry.endOffset &- UInt64(entry.bytes.count)
    }

    /// Appends what comes next, and lets go of the oldest beyond the bounds. The caller has checked that it follows.
    mutating func append(_ frame: Frame) {
        endOffset &+= UInt64(frame.bytes.count)
        entries.append(Entry(position: frame.position, bytes: frame.bytes, endOffset: endOffset))
        byteCount += frame.bytes.count
        head = frame.position
        while count > framesMax || (byteCount > bytesMax && count > 1) { removeFirst() }
        if start > 64, start > entries.count / 2 {
            entries.removeSubrange(0..<start)
            start = 0
        }
    }

    private mutating func removeFirst() {
        guard start < entries.count, let entry = entries[start] else { return }
        base = entry.position
        byteCount -= entry.bytes.count
        entries[start] = nil
        start += 1
        firstIndex &+= 1
    }

    /// Begins anew, where a snapshot has led. No index of before is valid.
    mutating func reset(to position: LogPosition) {
        firstIndex = endIndex
        entries = []
        (start, byteCount) = (0, 0)
        (base, head) = (position, position)
    }

    func place(_ position: LogPosition) -> Place {
        if position.sequence == 0 && position.hash == .zero && position.epoch <= head.epoch {
            return base.sequence == 0 ? .before(firstIndex) : .tooOld
        }
        guard head != .none else { return .ahead }
        guard position.epoch == head.epoch else { return position.epoch < head.epoch ? .tooOld : .laterEpoch }
        guard position.sequence <= head.sequence else { return .ahead }
        guard position.sequence >= base.sequence else { return .tooOld }
        if position.sequence == base.sequence { return position.hash == base.hash ? .before(firstIndex) : .forked }
        // Frames have the same boundaries everywhere: who stands within one has another history.
        guard let index = index(endingWith: position.sequence), let entry = self[index],
            entry.position.hash == position.hash
        else { return .forked }
        return .before(index &+ 1)
    }

    /// The frame whose last sequence is this one.
    func index(endingWith sequence: UInt64) -> UInt64? {
        var (low, high) = (firstIndex, endIndex)
        while low < high {
            let middle = low &+ (high - low) / 2
            guard let found = self[middle]?.position.sequence else { return nil }
            if found == sequence { return middle }
            if found < sequence { low = middle &+ 1 } else { high = middle }
        }
        return nil
    }
}
