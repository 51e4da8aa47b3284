// A descriptor and the few calls made with it. Offsets are always given, so that threads share a descriptor freely.

import Glibc

/// What writes bytes at an offset: `pwrite`, or what a test puts in its place.
typealias DiskWriteCall =
    @Sendable (
        _ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int, _ offset: Int
    ) -> Int

/// An open file. Closed when nobody uses it any more: what was unlinked stays readable until then.
final class OpenFile: Sendable {
    let descriptor: Int32

    init(takingOwnershipOf descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Nil leaves the reason in `errno`.
    static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o640) -> OpenFile? {
        var descriptor: Int32
        repeat {
            descriptor = Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW, mode)
        } while descriptor < 0 && errno == EINTR
        return descriptor >= 0 ? OpenFile(takingOwnershipOf: descriptor) : nil
    }

    var byteCount: UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return 0 }
        return UInt64(clamping: status.st_size)
    }

    /// Reads exactly as many bytes as `target` has room for; false if there are fewer, or the device failed.
    func read(into target: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Bool {
        var done = 0
        while done < target.count {
            guard let position = Int(exactly: offset &+ UInt64(done)) else { return false }
            let count = pread(descriptor, target.baseAddress.map { $0 + done }, target.count - done, position)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }

    /// Writes all bytes. The error's number, 0 for none.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, by call: DiskWriteCall) -> Int32 {
        var done = 0
        while done < bytes.count {
            guard let position = Int(exactly: offset &+ UInt64(done)) else { return EFBIG }
            let count = call(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, position)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count < 0 ? errno : EIO }
            done += count
        }
        return 0
    }

    /// Whether all pages of the range are in memory at this moment. Says nothing of the next one, but that is all a
    /// caller wants who would rather not wait for a device.
    func isResident(_ range: Range<UInt64>) -> Bool {
        let page = UInt64(Self.pageBytes)
        let start = range.lowerBound / page * page
        let bytes = Int(clamping: range.upperBound &- start)
        guard bytes > 0, let offset = Int(exactly: start) else { return true }
        guard let window = mmap(nil, bytes, PROT_READ, MAP_SHARED, descriptor, offset), window != MAP_FAILED else {
            return false
        }
        defer { munmap(window, bytes) }
        let pages = (bytes + Self.pageBytes - 1) / Self.pageBytes
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: pages) { marks in
            guard mincore(window, bytes, marks.baseAddress) == 0 else { return false }
            return marks.allSatisfy { $0 & 1 == 1 }
        }
    }

    static let pageBytes = max(4096, Int(sysconf(Int32(_SC_PAGESIZE))))
}
