// What the kernel knows about this process, read from /proc/self at a scrape. Counting descriptors lists a directory
// (kernels before 6.2 have no other way), about 0.1 s with 200,000 of them: read off the event loops.

import Glibc

/// Resources this process uses now. A figure that cannot be read is 0.
package struct ProcessFacts: Sendable, Equatable {
    /// User and system time together.
    package var cpuNanoseconds: UInt64 = 0
    package var residentBytes: UInt64 = 0
    package var virtualBytes: UInt64 = 0
    package var openFileDescriptors: UInt64 = 0
    /// The soft limit.
    package var fileDescriptorsMax: UInt64 = 0
    package var startUnixNanoseconds: UInt64 = 0
    package var threads: UInt64 = 0

    /// Reads every figure. Blocks on /proc, which never waits for a disk.
    package static func read() -> ProcessFacts {
        var facts = ProcessFacts()
        let ticksPerSecond = UInt64(max(sysconf(Int32(_SC_CLK_TCK)), 1))
        if let fields = statFields(), fields.count > 21 {
            // proc(5), counted from the state, which is field 3: utime 14, stime 15, num_threads 20,
            // starttime 22, vsize 23, rss 24.
            let nanosecondsPerTick = 1_000_000_000 / ticksPerSecond
            facts.cpuNanoseconds = (fields[11] &+ fields[12]) &* nanosecondsPerTick
            facts.threads = fields[17]
            facts.virtualBytes = fields[20]
            facts.residentBytes = fields[21] &* UInt64(max(sysconf(Int32(_SC_PAGESIZE)), 0))
            facts.startUnixNanoseconds = bootUnixSeconds() &* 1_000_000_000 &+ fields[19] &* nanosecondsPerTick
        }
        facts.openFileDescriptors = countFileDescriptors()
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            facts.fileDescriptorsMax = UInt64(limit.rlim_cur)
        }
        return facts
    }

    /// The fields of /proc/self/stat behind the program's name, which stands in parentheses and may hold anything.
    private static func statFields() -> [UInt64]? {
        let bytes = contents("/proc/self/stat", bytesMax: 4096)
        guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        return bytes[bytes.index(after: end)...]
            .split(separator: UInt8(ascii: " "))
            .map { number($0) }
    }

    private static func bootUnixSeconds() -> UInt64 {
        // Long on machines with many interrupts; btime stands behind the line that lists them.
        let bytes = contents("/proc/stat", bytesMax: 1024 * 1024)
        for line in bytes.split(separator: UInt8(ascii: "\n")) where line.starts(with: "btime ".utf8) {
            return number(line.dropFirst(6))
        }
        return 0
    }

    /// A decimal number; 0 for anything else, such as the letter of the state or a negative value.
    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64 {
        var value: UInt64 = 0
        for byte in digits {
            let digit = byte &- UInt8(ascii: "0")
            guard digit < 10 else { return 0 }
            value = value &* 10 &+ UInt64(digit)
        }
        return value
    }

    private static func countFileDescriptors() -> UInt64 {
        var status = stat()
        // Since Linux 6.2 the size of the directory is the count.
        if stat("/proc/self/fd", &status) == 0, status.st_size > 0 { return UInt64(status.st_size) }
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        var count: UInt64 = 0
        while readdir(directory) != nil { count &+= 1 }
        // Without ".", ".." and the descriptor of the listing itself.
        return count > 3 ? count - 3 : 0
    }

    private static func contents(_ path: String, bytesMax: Int) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        while bytes.count < bytesMax {
            let chunk = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
                count = max(Glibc.read(descriptor, buffer.baseAddress, buffer.count), 0)
            }
            if chunk.isEmpty { break }
            bytes += chunk
        }
        return bytes
    }
}
