// The directory and the names in it:
//
//     lock                      held while a process uses the directory
//     secret                    this installation's key and the store's identity
//     floor                     how far the journal must be readable (DiskFloor.swift)
//     checkpoint.G  journal.G   the index as it was when journal G began, and what happened since
//     N.log                     small objects, one behind the other
//     N.big                     one large object
//
// Numbers are decimal and never used twice.

import Glibc

/// Names, listing, and whole small files.
struct DiskDirectory: Sendable {
    let path: String
    let writeCall: DiskWriteCall

    /// What a name in the directory means.
    enum Name: Hashable {
        case checkpoint(UInt64)
        case journal(UInt64)
        case segment(UInt32)
        case large(UInt32)
        /// A file that was being written when the process ended.
        case draft(String)

        init?(_ text: String) {
            if text.hasSuffix(".tmp") {
                self = .draft(text)
                return
            }
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 2 else { return nil }
            switch (parts[0], parts[1]) {
            case ("checkpoint", let number):
                guard let number = UInt64(number) else { return nil }
                self = .checkpoint(number)
            case ("journal", let number):
                guard let number = UInt64(number) else { return nil }
                self = .journal(number)
            case (let number, "log"):
                guard let number = UInt32(number) else { return nil }
                self = .segment(number)
            case (let number, "big"):
                guard let number = UInt32(number) else { return nil }
                self = .large(number)
            default: return nil
            }
        }

        var text: String {
            switch self {
            case .checkpoint(let number): "checkpoint.\(number)"
            case .journal(let number): "journal.\(number)"
            case .segment(let number): "\(number).log"
            case .large(let number): "\(number).big"
            case .draft(let text): text
            }
        }
    }

    func path(_ name: Name) -> String { path + "/" + name.text }

    func open(_ name: Name, _ flags: Int32) -> OpenFile? { OpenFile.open(path(name), flags) }

    @discardableResult
    func remove(_ name: Name) -> Bool { unlink(path(name)) == 0 }

    /// Everything in the directory that is ours by its name.
    func list() throws(DiskError) -> [Name] {
        guard let directory = opendir(path) else { throw DiskError.file(path, "cannot be listed") }
        defer { closedir(directory) }
        var names: [Name] = []
        while let entry = readdir(directory) {
            let text = withUnsafePointer(to: &entry.pointee.d_name) { name in
                String(cString: UnsafeRawPointer(name).assumingMemoryBound(to: CChar.self))
            }
            if let name = Name(text) { names.append(name) }
        }
        return names
    }

    /// The whole file, if it is there and has at most `bytesMax` bytes.
    func contents(_ name: String, bytesMax: Int) -> [UInt8]? {
        guard let file = OpenFile.open(path + "/" + name, O_RDONLY) else { return nil }
        let count = Int(clamping: file.byteCount)
        guard count <= bytesMax else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        return bytes.withUnsafeMutableBytes { file.read(into: $0, at: 0) } ? bytes : nil
    }

    /// Puts a small file in place, all or nothing, also over a power cut.
    func put(_ bytes: [UInt8], at name: String, mode: mode_t) throws(DiskError) {
        let target = path + "/" + name
        let draft = target + ".tmp"
        unlink(draft)
        guard let file = OpenFile.open(draft, O_WRONLY | O_CREAT | O_EXCL, mode: mode) else {
            throw DiskError.file(draft, "cannot be created")
        }
        let failure = bytes.withUnsafeBytes { file.write($0, at: 0, by: writeCall) }
        guard failure == 0 else { throw DiskError.file(draft, "cannot be written", failure) }
        guard fdatasync(file.descriptor) == 0 else { throw DiskError.file(draft, "cannot be flushed") }
        guard rename(draft, target) == 0 else { throw DiskError.file(target, "cannot be put in place") }
        flush()
    }

    /// A new name is on the disk once its directory is.
    func flush() {
        guard let directory = OpenFile.open(path, O_RDONLY | O_DIRECTORY) else { return }
        fsync(directory.descriptor)
    }

    /// Bytes that this user may still write on the filesystem, and its size; nil if it does not say.
    func freeSpace() -> (available: UInt64, total: UInt64)? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        let unit = UInt64(status.f_frsize)
        return (UInt64(status.f_bavail) &* unit, UInt64(status.f_blocks) &* unit)
    }

    /// Makes the directory and those above it; only the last one gets `mode`.
    static func make(_ path: String, mode: mode_t) throws(DiskError) {
        var made = ""
        let parts = path.split(separator: "/", omittingEmptySubsequences: true)
        for (index, part) in parts.enumerated() {
            made += (made.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            if mkdir(made, index == parts.count - 1 ? mode : 0o755) != 0, errno != EEXIST {
                throw DiskError.file(made, "cannot be created")
            }
        }
    }
}
