import Limits
package import NIOCore
import Synchronization

/// The body of a large object on the disk; also one that is still being written, as far as it has come.
///
/// It stands in `StoredBody.file`, for as long as the object is in memory, but does not own a descriptor for all that
/// time: there may be far more objects than descriptors. A stream takes a `FileReader`.
package final class FileBody: Sendable {
    let unit: UInt32
    let files: DiskFiles

    struct State {
        var file: OpenFile?
        var byteCount: UInt64
        var isComplete: Bool
        var hasFailed = false
        var checksums: [UInt32]
        /// A bit for each block: read, or written, and found right.
        var verified: [UInt64]
        var trailers: ByteBuffer?
    }

    private let state: Mutex<State>
    /// Reads that go on, on threads that may wait.
    private let readsUnderWay = Atomic<Int>(0)

    /// A complete one.
    init(unit: UInt32, files: DiskFiles, file: OpenFile, record: DiskRecord, checksums: [UInt32]) {
        self.unit = unit
        self.files = files
        state = Mutex(
            State(
                file: file, byteCount: record.bodyBytes, isComplete: true, checksums: checksums,
                verified: [UInt64](repeating: 0, count: (checksums.count + 63) / 64), trailers: record.trailers))
    }

    /// One that is about to be written: its file is made with the first bytes.
    init(filling unit: UInt32, files: DiskFiles) {
        self.unit = unit
        self.files = files
        state = Mutex(State(file: nil, byteCount: 0, isComplete: false, checksums: [], verified: []))
    }

    deinit { files.leave(unit) }

    /// Bytes that can be read now: all of them once it is complete.
    package var byteCount: UInt64 { state.withLock { $0.byteCount } }
    package var isComplete: Bool { state.withLock { $0.isComplete } }
    /// Given up while it was written: no more bytes will come.
    package var hasFailed: Bool { state.withLock { $0.hasFailed } }
    /// Trailer lines, each ended by CRLF; nil for none.
    package var trailers: ByteBuffer? { state.withLock { $0.trailers } }

    func withState<Result>(_ body: (inout State) -> Result) -> Result { state.withLock { body(&$0) } }

    // MARK: Descriptors

    /// A stream's use of it, at once if the file is open.
    package func reader() -> FileReader? {
        state.withLock { $0.file }.map { FileReader(body: self, file: $0) }
    }

    /// A stream's use of it.
    ///
    /// - Parameter done: Runs on `eventLoop`, never before this returns. nil: the file is gone, or too many reads wait.
    package func open(on eventLoop: any EventLoop, _ done: @escaping @Sendable (FileReader?) -> Void) {
        if let reader = reader() {
            eventLoop.execute { done(reader) }
            return
        }
        files.read(on: eventLoop, done) { [self] in openFile().map { FileReader(body: self, file: $0) } }
    }

    /// On a thread that may wait.
    func openFile() -> OpenFile? {
        if let file = state.withLock({ $0.file }) { return file }
        guard let opened = files.open(unit) else { return nil }
        let file = state.withLock { state in
            if state.file == nil { state.file = opened }
            return state.file ?? opened
        }
        if file === opened { files.opened(self) }
        return file
    }

    /// Others need the descriptor more. Streams keep theirs.
    func releaseDescriptor() {
        state.withLock { state in
            if state.isComplete { state.file = nil }
        }
    }

    /// Whether some of its pages may be on their way into memory.
    var isBeingRead: Bool { readsUnderWay.load(ordering: .acquiring) > 0 }

    /// Does what brings pages into memory.
    func reading<Result>(_ work: () -> Result) -> Result {
        readsUnderWay.add(1, ordering: .acquiringAndReleasing)
        defer { readsUnderWay.subtract(1, ordering: .acquiringAndReleasing) }
        return work()
    }

    // MARK: Verification

    private static let blockBytes = DiskFiles.blockBytes

    /// Whether every whole block in the range was found right. What is being written is, up to its last block.
    func isVerified(_ range: Range<UInt64>) -> Bool {
        state.withLock { state in
            guard range.upperBound <= state.byteCount else { return false }
            guard !range.isEmpty else { return true }
            let last = (range.upperBound - 1) / Self.blockBytes
            var block = range.lowerBound / Self.blockBytes
            while block <= last {
                guard Self.isVerified(block, state) else { return false }
                block += 1
            }
            return true
        }
    }

    private static func isVerified(_ block: UInt64, _ state: State) -> Bool {
        // Bytes behind the last whole block were just written by this process.
        guard block < UInt64(state.checksums.count) else { return !state.isComplete }
        let word = Int(block / 64)
        guard state.verified.indices.contains(word) else { return false }
        return state.verified[word] & (1 << (block % 64)) != 0
    }

    /// The range of a block, its checksum, if it has one yet.
    func block(_ number: UInt64) -> (range: Range<UInt64>, checksum: UInt32?)? {
        state.withLock { state in
            let start = number &* Self.blockBytes
            guard start < state.byteCount else { return nil }
            let index = Int(clamping: number)
            let checksum = state.checksums.indices.contains(index) ? state.checksums[index] : nil
            return (start..<min(start + Self.blockBytes, state.byteCount), checksum)
        }
    }

    func setVerified(_ number: UInt64) {
        state.withLock { Self.setVerified(number, &$0) }
    }

    /// It is to be read again before anybody gets it.
    func setUnverified(_ number: UInt64) {
        state.withLock { state in
            let word = Int(clamping: number / 64)
            guard state.verified.indices.contains(word) else { return }
            state.verified[word] &= ~(1 << (number % 64))
        }
    }

    private static func setVerified(_ number: UInt64, _ state: inout State) {
        let word = Int(clamping: number / 64)
        while state.verified.count <= word, state.verified.count < (state.checksums.count + 63) / 64 {
            state.verified.append(0)
        }
        guard state.verified.indices.contains(word) else { return }
        state.verified[word] |= 1 << (number % 64)
    }

    // MARK: Filling

    /// Bytes were written; `checksums` are those of the blocks that became whole with them.
    func advance(by count: Int, checksums: [UInt32]) {
        state.withLock { state in
            state.byteCount += UInt64(count)
            for checksum in checksums {
                state.checksums.append(checksum)
                Self.setVerified(UInt64(state.checksums.count - 1), &state)
            }
        }
    }

    func complete(lastChecksum: UInt32?, trailers: ByteBuffer?) {
        state.withLock { state in
            if let lastChecksum {
                state.checksums.append(lastChecksum)
                Self.setVerified(UInt64(state.checksums.count - 1), &state)
            }
            state.trailers = trailers
            state.isComplete = true
        }
        files.opened(self)
    }

    func fail() { state.withLock { $0.hasFailed = true } }
}
