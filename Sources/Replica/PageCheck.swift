// Reads a whole LMDB file (format 1, of LMDB 0.9 on 64 bits) and says whether it is what was written.
//
// LMDB trusts its file: a page of garbage is a bad answer at best and the end of the process at worst. So a file is
// read once before it is opened: the shape of every page that is in use, the order of all keys, that no page is used
// twice or is both used and free, and that the entries add up to the sum that was committed with them. A million zones
// take about a second, all of it sequential where the disk is slow. Nobody may write the file meanwhile.
//
//     page     number u64 | pad u16 | flags u16 | lower u16, upper u16 (overflow: pages u32) | offsets of nodes u16 …
//     node     low u16, high u16 | flags u16 | key bytes u16 | key | value (leaf) or nothing (branch)
//              leaf: value bytes are high·2^16 + low; branch: the child is flags·2^32 + high·2^16 + low
//     pages 0 and 1 are meta pages; the one with the higher transaction number counts

import Glibc
import Limits

/// One reading of a file.
struct PageCheck {
    /// A page with nodes has one of the two; an overflow page holds one long value.
    enum PageFlag {
        static let branch: UInt16 = 0x01
        static let leaf: UInt16 = 0x02
        static let overflow: UInt16 = 0x04
        static let meta: UInt16 = 0x08
    }

    enum NodeFlag {
        /// The value lies on overflow pages.
        static let overflow: UInt16 = 0x01
        /// The value is a table.
        static let table: UInt16 = 0x02
    }

    static let pageHeadBytes = 16
    static let nodeHeadBytes = 8
    static let tableBytes = 48
    static let noPage = UInt64.max

    /// A table's root and count, as its record says.
    struct Table {
        let depth: Int
        let entries: UInt64
        let root: UInt64

        init(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
            depth = Int(bytes.littleEndian16(at: offset &+ 6))
            entries = bytes.littleEndian64(at: offset &+ 32)
            root = bytes.littleEndian64(at: offset &+ 40)
        }
    }

    let path: String
    let descriptor: Int32
    let pageBytes: Int
    let lastPage: UInt64
    let free: Table
    let main: Table
    /// One bit for every page: in use or free.
    var seen: [UInt64]
    /// One buffer for each level of the tree.
    var levels: [[UInt8]] = []
    var overflow: [UInt8] = []

    /// - Throws: `damaged` with the first thing found, `file` if it cannot be read.
    static func run(_ directory: String) throws(ReplicaError) -> ReplicaHead {
        let path = directory + "/" + ReplicaFile.dataName
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { throw ReplicaError(.damaged, "\(path) is not there") }
            throw ReplicaError.file(path, "cannot be opened")
        }
        defer { close(descriptor) }
        // The walk jumps; the disk need not.
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_WILLNEED)
        var check = try PageCheck(path: path, descriptor: descriptor)
        return try check.all()
    }

    private init(path: String, descriptor: Int32) throws(ReplicaError) {
        self.path = path
        self.descriptor = descriptor
        let damaged = ReplicaError(.damaged, "\(path) is not a whole LMDB file")
        var newest: (transaction: UInt64, head: [UInt8])?
        var pageBytes = 4096
        for number in 0..<2 {
            var head = [UInt8](repeating: 0, count: PageCheck.pageHeadBytes + 136)
            guard
                head.withUnsafeMutableBytes({ buffer in
                    ReplicaDirectory.readAll(descriptor, into: buffer, at: number * pageBytes)
                })
            else { throw damaged }
            let found: (isMeta: Bool, pageBytes: Int, transaction: UInt64) = head.withUnsafeBytes { bytes in
                (
                    bytes.littleEndian16(at: 10) == PageFlag.meta && bytes.littleEndian32(at: 16) == 0xBEEF_C0DE
                        && bytes.littleEndian32(at: 20) == 1,
                    Int(bytes.littleEndian32(at: 40)), bytes.littleEndian64(at: 144)
                )
            }
            guard found.isMeta, (512...65_536).contains(found.pageBytes), found.pageBytes & (found.pageBytes - 1) == 0
            else { throw damaged }
            pageBytes = found.pageBytes
            if newest.map({ newest in newest.transaction < found.transaction }) ?? true {
                newest = (found.transaction, head)
            }
        }
        guard let head = newest?.head else { throw damaged }
        self.pageBytes = pageBytes
        (free, main, lastPage) = head.withUnsafeBytes { bytes in
            (Table(bytes, at: 40), Table(bytes, at: 88), bytes.littleEndian64(at: 136))
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw ReplicaError.file(path, "cannot be read") }
        // Pages at the very end may have been given out and never written: up to one large value.
        let filePages = UInt64(clamping: status.st_size) / UInt64(pageBytes)
        let slack = UInt64(Limits.configFrameBytesMax / pageBytes) + 1024
        guard lastPage >= 1, lastPage <= filePages &+ slack else {
            throw ReplicaError(.damaged, "\(path) is cut short: \(filePages) pages of \(lastPage &+ 1)")
        }
        seen = [UInt64](repeating: 0, count: Int(lastPage / 64) + 1)
        seen[0] = 3
    }

    func damaged(_ what: String) -> ReplicaError { ReplicaError(.damaged, "\(path) is damaged: \(what)") }

    /// Marks a run of pages; each may be marked once.
    mutating func mark(_ page: UInt64, count: UInt64 = 1) throws(ReplicaError) {
        guard page >= 2, count >= 1, page <= lastPage, count &- 1 <= lastPage &- page else {
            throw damaged("page \(page) is not in the file")
        }
        for number in page...page &+ (count &- 1) {
            let bit = UInt64(1) << (number & 63)
            guard seen[Int(number >> 6)] & bit == 0 else { throw damaged("page \(number) is used twice") }
            seen[Int(number >> 6)] |= bit
        }
    }

    private mutating func all() throws(ReplicaError) -> ReplicaHead {
        var tables: (state: Table?, meta: Table?) = (nil, nil)
        try walk(main, "main", isMain: true) { name, value throws(ReplicaError) in
            let table = value.count == PageCheck.tableBytes ? Table(value, at: 0) : nil
            if name.elementsEqual(ReplicaFile.stateTable.utf8) { tables.state = table }
            if name.elementsEqual(ReplicaFile.metaTable.utf8) { tables.meta = table }
        }
        guard let state = tables.state, let meta = tables.meta else {
            throw ReplicaError(.damaged, "\(path) is not a replica of Martlet's configuration")
        }
        var encoded: [UInt8] = []
        try walk(meta, ReplicaFile.metaTable) { name, value throws(ReplicaError) in
            if name.elementsEqual(ReplicaFile.headKey.utf8) { encoded = [UInt8](value) }
        }
        var decoded: Result<ReplicaHead, ReplicaError> = .failure(damaged("no head"))
        let path = path
        encoded.withUnsafeBytes { bytes in
            decoded = Result { () throws(ReplicaError) in try ReplicaHead(decoding: bytes, path: path) }
        }
        let head = try decoded.get()
        var sum = StateSum()
        try walk(state, ReplicaFile.stateTable) { key, value throws(ReplicaError) in sum.add(key, value) }
        guard sum == head.sum else {
            throw damaged("its \(sum.keys) entries do not add up to what was committed (\(head.sum.keys) entries)")
        }
        try walkFree()
        return head
    }
}
