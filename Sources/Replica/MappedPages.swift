// The share of a mapped file that counts as this process's memory.
//
// Pages that were read stay mapped until the system needs them, so a process that looks at all of a large file seems to
// hold all of it. Giving the mapping's pages back from time to time keeps that bounded. They stay in the system's
// cache.

import Glibc
import Limits
import Synchronization

/// Where a file is mapped.
final class MappedPages: Sendable {
    private let start: UInt
    private let byteCount: Int
    private let reads = Atomic<UInt64>(0)

    /// - Parameter descriptor: of the file. nil if the system does not say where it is mapped: then nothing is given
    /// back.
    init?(descriptor: Int32) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, let maps = MappedPages.text("/proc/self/maps") else { return nil }
        let device = UInt64(status.st_dev)
        let major = device >> 8 & 0xFFF
        let minor = device & 0xFF | device >> 12 & 0xFFF00
        for line in maps.split(separator: "\n") {
            // from-to permissions offset major:minor inode path
            let words = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            guard words.count >= 5, UInt64(words[4]) == UInt64(status.st_ino) else { continue }
            let numbers = words[3].split(separator: ":").map { number in UInt64(number, radix: 16) }
            let range = words[0].split(separator: "-").map { address in UInt(address, radix: 16) }
            guard numbers == [major, minor], range.count == 2, let from = range[0], let to = range[1], from < to
            else { continue }
            start = from
            byteCount = Int(clamping: to - from)
            return
        }
        return nil
    }

    /// One short read was done.
    func noteRead() {
        let count = reads.add(1, ordering: .relaxed).newValue
        if count % Limits.replicaMappedCheckInterval == 0 { trim() }
    }

    /// Gives the pages back if the process has many of them. Whoever reads meanwhile takes them back one by one.
    func trim() {
        guard let counts = MappedPages.text("/proc/self/statm") else { return }
        // size resident shared …, in pages
        let words = counts.split(separator: " ", maxSplits: 3)
        guard words.count >= 3, let shared = Int(words[2]),
            shared > Limits.replicaMappedBytesMax / max(1, sysconf(Int32(_SC_PAGESIZE)))
        else { return }
        madvise(UnsafeMutableRawPointer(bitPattern: start), byteCount, MADV_DONTNEED)
    }

    /// A file of the kernel's, which has no size.
    private static func text(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes.append(contentsOf: buffer.prefix(count))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
