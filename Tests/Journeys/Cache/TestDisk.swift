import Foundation
import Glibc

/// A small filesystem of a journey's own, gone when the journey ends: one that can be filled to its last byte, or that
/// fails from one moment to the next. Mounting takes root; where it is not permitted, the journeys say so and are skipped.
final class TestDisk: Sendable {
    enum Kind {
        /// All of it in memory. Writing beyond its size is refused at once.
        case memory
        /// ext4 in a file. Can be made to fail as a device does that is pulled out.
        case image
    }

    static let why = "mounting a filesystem of one's own takes root, and loop devices for one that fails"
    static let mayMount: Bool = isPermitted(.memory, megabytes: 1)
    static let mayMountImages: Bool = isPermitted(.image, megabytes: 16)

    let path: String

    init(_ kind: Kind, megabytes: Int, on stage: Stage) throws {
        path = stage.path(stage.unique("disk"))
        let path = path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        switch kind {
        case .memory:
            try Self.run(stage, "mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", path)
        case .image:
            let image = path + ".image"
            try Self.run(stage, "truncate", "-s", "\(megabytes)M", image)
            try Self.run(stage, "mkfs.ext4", "-q", "-F", "-m", "0", image)
            try Self.run(stage, "mount", "-o", "loop", image, path)
        }
        stage.atEnd {
            // Also where somebody still has a file of it open.
            if umount2(path, 0) != 0 { umount2(path, Int32(MNT_DETACH)) }
        }
    }

    private static func isPermitted(_ kind: Kind, megabytes: Int) -> Bool {
        guard geteuid() == 0, let stage = try? Stage() else { return false }
        defer { stage.strike() }
        guard let disk = try? TestDisk(kind, megabytes: megabytes, on: stage) else { return false }
        return kind == .memory || disk.fail()
    }

    private static func run(_ stage: Stage, _ command: String...) throws {
        let process = try stage.start(["env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"] + command)
        guard process.waitForExit() == 0 else { throw WireFailure.malformed("\(command): \(process.errors)") }
    }

    /// Every call that needs the device fails from now on; true where the kernel can do that (EXT4_IOC_SHUTDOWN).
    @discardableResult
    func fail() -> Bool {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // _IOR('X', 125, __u32), and EXT4_GOING_FLAGS_NOLOGFLUSH.
        var flags: UInt32 = 2
        return ioctl(descriptor, 0x8004_587D, &flags) == 0
    }

    /// Writes until there is no room, and says how many bytes that were.
    @discardableResult
    func fill() throws -> Int {
        let descriptor = open(ballast, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw WireFailure.system("open", errno) }
        defer { close(descriptor) }
        let block = [UInt8](repeating: 7, count: 1 << 16)
        var total = 0
        while true {
            let count = block.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                total += count
            } else if count == 0 || errno != EINTR {
                return total
            }
        }
    }

    /// Takes away what `fill` wrote.
    func empty() { unlink(ballast) }

    private var ballast: String { path + "/ballast" }
}

/// Damage to the files of a cache, behind the back of the process that has them open.
enum Damage {
    /// Changes one byte in every so many of the files that end so, and makes the kernel forget what it had of them, so that
    /// who reads them next gets what the device has.
    ///
    /// - Returns: how many bytes were changed; nil where the kernel does not forget, because its memory is the device.
    static func flip(in directory: String, suffix: String, from start: Int = 0, every step: Int) throws -> Int? {
        var count = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: directory) where name.hasSuffix(suffix) {
            let descriptor = open(directory + "/" + name, O_RDWR | O_CLOEXEC)
            guard descriptor >= 0 else { throw WireFailure.system("open", errno) }
            defer { close(descriptor) }
            var status = stat()
            guard fstat(descriptor, &status) == 0 else { throw WireFailure.system("fstat", errno) }
            for offset in stride(from: start, to: Int(status.st_size), by: step) {
                var byte: UInt8 = 0
                guard pread(descriptor, &byte, 1, offset) == 1 else { continue }
                byte ^= 0x10
                guard pwrite(descriptor, &byte, 1, offset) == 1 else { throw WireFailure.system("pwrite", errno) }
                count += 1
            }
            guard fdatasync(descriptor) == 0, posix_fadvise(descriptor, 0, 0, Int32(POSIX_FADV_DONTNEED)) == 0 else {
                throw WireFailure.system("fdatasync", errno)
            }
            if isInMemory(descriptor, bytes: Int(status.st_size)) { return nil }
        }
        return count
    }

    private static func isInMemory(_ descriptor: Int32, bytes: Int) -> Bool {
        guard bytes > 0, let window = mmap(nil, bytes, PROT_READ, MAP_SHARED, descriptor, 0), window != MAP_FAILED
        else {
            return false
        }
        defer { munmap(window, bytes) }
        var marks = [UInt8](repeating: 0, count: (bytes + 4095) / 4096)
        return mincore(window, bytes, &marks) == 0 && marks.contains { $0 & 1 == 1 }
    }
}
