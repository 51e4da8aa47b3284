// The files of large objects: at most one FileBody for each, whoever loads it, so that what one stream verified
// another need not; and a bounded number of descriptors beside those of streams under way.
//
//     slot 0 ┊ slot 1 ┊ body … ┊ checksums of its blocks
//     0        256 K    512 K
//
// A slot holds a DiskRecord. The two are written in turn: the newer whole one counts. Unused bytes of slots are holes.

import Glibc
import Limits
import NIOCore
import Synchronization

/// The open large objects.
final class DiskFiles: Sendable {
    static let bodyStart = UInt64(2 * Limits.cacheDiskSlotBytes)
    static let blockBytes = UInt64(Limits.cacheDiskChecksumBytes)

    let directory: DiskDirectory
    let reader: DiskWorker
    let observer: DiskObserver
    let counters: DiskCounters
    /// A file is corrupt, or gone: the object is to be forgotten.
    let discard: @Sendable (_ unit: UInt32) -> Void

    private struct Body {
        weak var body: FileBody?
    }

    private struct State {
        var bodies: [UInt32: Body] = [:]
        /// Bodies with a descriptor, longest open first.
        var open: ContiguousArray<Body> = []
    }

    private let state = Mutex(State())

    init(
        directory: DiskDirectory, reader: DiskWorker, observer: DiskObserver, counters: DiskCounters,
        discard: @escaping @Sendable (UInt32) -> Void
    ) {
        self.directory = directory
        self.reader = reader
        self.observer = observer
        self.counters = counters
        self.discard = discard
    }

    /// The body of a file, if somebody has it.
    func body(_ unit: UInt32) -> FileBody? { state.withLock { $0.bodies[unit]?.body } }

    /// Enters a body; the one that is there already wins.
    func enter(_ body: FileBody) -> FileBody {
        state.withLock { state in
            if let other = state.bodies[body.unit]?.body { return other }
            state.bodies[body.unit] = Body(body: body)
            return body
        }
    }

    /// A body that nobody has any more.
    func leave(_ unit: UInt32) {
        state.withLock { state in
            guard let entry = state.bodies[unit], entry.body == nil else { return }
            state.bodies[unit] = nil
        }
    }

    /// A body has a descriptor now; the one that has had one for longest may lose its.
    func opened(_ body: FileBody) {
        let surplus = state.withLock { state -> FileBody? in
            state.open.append(Body(body: body))
            guard state.open.count > Limits.cacheDiskFilesOpenMax else { return nil }
            return state.open.removeFirst().body
        }
        surplus?.releaseDescriptor()
    }

    var openCount: Int { state.withLock { state in state.open.count { $0.body != nil } } }

    /// Opens a file for what is read from it. Readahead is off: only what somebody asked for, and so verifies, comes to
    /// lie in memory.
    func open(_ unit: UInt32) -> OpenFile? {
        guard let file = directory.open(.large(unit), O_RDWR) else { return nil }
        posix_fadvise(file.descriptor, 0, 0, Int32(POSIX_FADV_RANDOM))
        return file
    }

    /// Queues a read and answers on the event loop, also when nobody can take it.
    func read<Answer: Sendable>(
        on eventLoop: any EventLoop, _ done: @escaping @Sendable (Answer?) -> Void,
        _ work: @escaping @Sendable () -> Answer?
    ) {
        let start = DiskClock.nanoseconds()
        let isQueued = reader.submit { [observer] in
            let answer = work()
            observer.didRead(DiskClock.nanoseconds() &- start)
            eventLoop.execute { done(answer) }
        }
        guard !isQueued else { return }
        counters.add { $0.readsBusy += 1 }
        eventLoop.execute { done(nil) }
    }

    // MARK: Slots

    /// The newer whole slot of a file.
    static func record(_ file: OpenFile, wantsHead: Bool) -> DiskRecord? {
        var best: DiskRecord?
        for slot in 0..<2 {
            let offset = UInt64(slot * Limits.cacheDiskSlotBytes)
            guard
                let record = DiskRecord.read(
                    file, at: offset, bytesMax: Limits.cacheDiskSlotBytes, wantsHead: wantsHead)
            else { continue }
            if best.map({ record.version > $0.version }) ?? true { best = record }
        }
        return best
    }

    /// The checksums behind a body; nil if they are not what the record says.
    static func table(_ file: OpenFile, _ record: DiskRecord) -> [UInt32]? {
        guard record.bodyBytes < UInt64(Int64.max) - bodyStart else { return nil }
        let blocks = record.bodyBytes / blockBytes + (record.bodyBytes % blockBytes == 0 ? 0 : 1)
        guard blocks > 0 else { return [] }
        let start = bodyStart + record.bodyBytes
        guard file.byteCount >= start, (file.byteCount - start) / 4 >= blocks else { return nil }
        var table = [UInt32](repeating: 0, count: Int(blocks))
        return table.withUnsafeMutableBytes { bytes in
            file.read(into: bytes, at: start) && DiskChecksum.of(UnsafeRawBufferPointer(bytes)) == record.tableChecksum
        } ? table : nil
    }
}

/// Counts that any of the disk's threads changes.
final class DiskCounters: Sendable {
    private let values = Mutex(DiskStatistics())
    func add(_ change: (inout DiskStatistics) -> Void) { values.withLock { change(&$0) } }
    var snapshot: DiskStatistics { values.withLock { $0 } }
}

/// Time that only goes forward.
enum DiskClock {
    static func nanoseconds() -> UInt64 {
        var now = timespec()
        _ = clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(truncatingIfNeeded: now.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: now.tv_nsec)
    }

    static func seconds() -> UInt64 { nanoseconds() / 1_000_000_000 }
}

extension DiskRecord {
    /// Reads the record at an offset of a file.
    static func read(_ file: OpenFile, at offset: UInt64, bytesMax: Int, wantsHead: Bool) -> DiskRecord? {
        let count = withUnsafeTemporaryAllocation(byteCount: prefixBytes, alignment: 8) { prefix -> Int? in
            guard file.read(into: prefix, at: offset) else { return nil }
            return byteCount(UnsafeRawBufferPointer(prefix))
        }
        guard let count, count <= bytesMax else { return nil }
        return withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { bytes in
            guard file.read(into: bytes, at: offset) else { return nil }
            return DiskRecord(UnsafeRawBufferPointer(bytes), wantsHead: wantsHead)
        }
    }
}
