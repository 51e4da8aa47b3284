// A descriptor and the few calls made with it. Offsets are always given, so that threads share a descriptor freely.

import CPageCache
import Glibc

/// What writes pieces of memory, one behind the other, at an offset: `pwritev`, or what a test puts in its place.
typealias DiskWriteCall =
    @Sendable (
        _ descriptor: Int32, _ pieces: UnsafePointer<iovec>?, _ count: Int32, _ offset: Int
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
        var piece = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
        return withUnsafeMutablePointer(to: &piece) {
            write(UnsafeMutableBufferPointer(start: $0, count: 1), at: offset, by: call)
        }
    }

    /// Writes all pieces, one behind the other; what `pieces` says of them is void afterwards. As above.
    func write(_ pieces: UnsafeMutableBufferPointer<iovec>, at offset: UInt64, by call: DiskWriteCall) -> Int32 {
        var position = offset
        var rest = pieces[...]
        while let first = rest.first {
            guard first.iov_len > 0 else {
                rest.removeFirst()
                continue
            }
            guard let place = Int(exactly: position) else { return EFBIG }
            let remaining = UnsafeMutableBufferPointer(rebasing: rest)
            let count = call(descriptor, remaining.baseAddress, Int32(clamping: remaining.count), place)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count < 0 ? errno : EIO }
            position &+= UInt64(count)
            Self.advance(&rest, by: count)
        }
        return 0
    }

    /// Takes off what was written.
    private static func advance(_ pieces: inout Slice<UnsafeMutableBufferPointer<iovec>>, by count: Int) {
        var count = count
        while count > 0, let first = pieces.first {
            guard first.iov_len > count else {
                count -= first.iov_len
                pieces.removeFirst()
                continue
            }
            pieces[pieces.startIndex] = iovec(
                iov_base: first.iov_base.map { $0 + count }, iov_len: first.iov_len - count)
            return
        }
    }

    /// Whether the page cache has all pages of the range at this moment, those among them that are still being read. nil:
    /// the kernel does not say.
    func isCached(_ range: Range<UInt64>) -> Bool? {
        guard !range.isEmpty else { return true }
        let page = UInt64(Self.pageBytes)
        let wanted = (range.upperBound - 1) / page - range.lowerBound / page + 1
        let found = martlet_cached_pages(descriptor, range.lowerBound, range.upperBound - range.lowerBound)
        return found < 0 ? nil : UInt64(found) >= wanted
    }

    /// Whether a byte can be read now, without waiting. A filesystem that has failed says no, though the page is there.
    func readsAtOnce(_ offset: UInt64) -> Bool { martlet_reads_at_once(descriptor, offset) }

    /// Whether all pages of the range are in memory at this moment, and none is still being read. Takes a mapping, and so
    /// ten times as long as `isCached`.
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
