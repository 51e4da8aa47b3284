// The trees of an LMDB file, page by page. The format stands in PageCheck.swift.

import Glibc
import Limits

extension PageCheck {
    typealias Visit = (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(ReplicaError) -> Void

    /// What a walk carries along.
    fileprivate struct Progress {
        let name: String
        let isMain: Bool
        let isNumbered: Bool
        var entries: UInt64 = 0
        /// The key before, and a key that the next one may not be below.
        var last: [UInt8] = []
        var hasLast = false
        var floor: [UInt8] = []
        var hasFloor = false
    }

    /// Every entry of a table, in order.
    mutating func walk(_ table: Table, _ name: String, isMain: Bool = false, _ visit: Visit) throws(ReplicaError) {
        try walk(table, Progress(name: name, isMain: isMain, isNumbered: false), visit)
    }

    /// The lists of free pages: they may be used by nobody.
    mutating func walkFree() throws(ReplicaError) {
        var runs: [UInt64] = []
        let path = path
        try walk(free, Progress(name: "free", isMain: false, isNumbered: true)) { _, value throws(ReplicaError) in
            // Their count, then the page numbers from the highest down.
            let count = value.littleEndian64(at: 0)
            guard value.count >= 8, count <= UInt64(value.count / 8 - 1) else {
                throw ReplicaError(.damaged, "\(path) is damaged: a list of free pages is cut short")
            }
            for index in 0..<Int(count) { runs.append(value.littleEndian64(at: 8 &+ index &* 8)) }
        }
        for page in runs { try mark(page) }
    }

    private mutating func walk(_ table: Table, _ start: Progress, _ visit: Visit) throws(ReplicaError) {
        var progress = start
        if table.root != PageCheck.noPage {
            guard (1...Limits.replicaTreeDepthMax).contains(table.depth) else {
                throw damaged("table \(start.name) has depth \(table.depth)")
            }
            while levels.count < table.depth { levels.append([UInt8](repeating: 0, count: pageBytes)) }
            try page(table.root, level: 0, depth: table.depth, &progress, visit)
        }
        guard progress.entries == table.entries else {
            throw damaged("table \(start.name) has \(progress.entries) entries of \(table.entries)")
        }
    }

    private mutating func page(
        _ number: UInt64, level: Int, depth: Int, _ progress: inout Progress, _ visit: Visit
    ) throws(ReplicaError) {
        try mark(number)
        // The buffer is taken out while this page is walked, so that the levels below can use theirs.
        var buffer = levels[level]
        levels[level] = []
        defer { levels[level] = buffer }
        let descriptor = descriptor
        let offset = Int(number) &* pageBytes
        guard buffer.withUnsafeMutableBytes({ ReplicaDirectory.readAll(descriptor, into: $0, at: offset) }) else {
            throw damaged("page \(number) is beyond its end")
        }
        let isLeaf = level == depth - 1
        let count = try nodeCount(buffer, number: number, isLeaf: isLeaf)
        for index in 0..<count {
            if isLeaf {
                try leafNode(buffer, index, number: number, &progress, visit)
            } else {
                let child = try branchNode(buffer, index, number: number, &progress)
                try page(child, level: level + 1, depth: depth, &progress, visit)
            }
        }
    }

    private func nodeCount(_ buffer: [UInt8], number: UInt64, isLeaf: Bool) throws(ReplicaError) -> Int {
        let head: (number: UInt64, flags: UInt16, lower: Int, upper: Int) = buffer.withUnsafeBytes { bytes in
            (
                bytes.littleEndian64(at: 0), bytes.littleEndian16(at: 10), Int(bytes.littleEndian16(at: 12)),
                Int(bytes.littleEndian16(at: 14))
            )
        }
        guard head.number == number, head.flags == (isLeaf ? PageFlag.leaf : PageFlag.branch),
            head.lower >= PageCheck.pageHeadBytes, head.lower <= head.upper, head.upper <= pageBytes
        else { throw damaged("page \(number) is not what it should be") }
        let count = (head.lower - PageCheck.pageHeadBytes) / 2
        guard count >= (isLeaf ? 1 : 2) else { throw damaged("page \(number) is empty") }
        return count
    }

    /// Where a node begins, with room for its head and its key.
    private func node(_ bytes: UnsafeRawBufferPointer, _ index: Int) -> (offset: Int, keyBytes: Int)? {
        let offset = Int(bytes.littleEndian16(at: PageCheck.pageHeadBytes &+ index &* 2))
        guard offset >= PageCheck.pageHeadBytes, offset <= bytes.count - PageCheck.nodeHeadBytes else { return nil }
        let keyBytes = Int(bytes.littleEndian16(at: offset &+ 6))
        guard keyBytes <= Limits.replicaFileKeyBytesMax, keyBytes <= bytes.count - PageCheck.nodeHeadBytes - offset
        else { return nil }
        return (offset, keyBytes)
    }

    /// - Returns: the child's page. Its keys are not below the node's key.
    private func branchNode(
        _ buffer: [UInt8], _ index: Int, number: UInt64, _ progress: inout Progress
    ) throws(ReplicaError) -> UInt64 {
        var child: UInt64?
        var isInOrder = true
        buffer.withUnsafeBytes { bytes in
            guard let (offset, keyBytes) = node(bytes, index) else { return }
            child =
                UInt64(bytes.littleEndian16(at: offset)) | UInt64(bytes.littleEndian16(at: offset &+ 2)) << 16
                | UInt64(bytes.littleEndian16(at: offset &+ 4)) << 32
            // The first node's key stands for all that is lower, and is not looked at.
            guard index > 0 else { return }
            let key = UnsafeRawBufferPointer(rebasing: bytes[offset &+ 8..<offset &+ 8 &+ keyBytes])
            isInOrder = !progress.hasLast || Progress.isBelow(progress.last, key, progress.isNumbered)
            progress.floor = [UInt8](key)
            progress.hasFloor = true
        }
        guard let child else { throw damaged("page \(number) has a node outside itself") }
        guard isInOrder else { throw damaged("page \(number) has keys out of order") }
        return child
    }

    private mutating func leafNode(
        _ buffer: [UInt8], _ index: Int, number: UInt64, _ progress: inout Progress, _ visit: Visit
    ) throws(ReplicaError) {
        var failure: ReplicaError?
        buffer.withUnsafeBytes { bytes in
            do throws(ReplicaError) {
                guard let (offset, keyBytes) = node(bytes, index) else {
                    throw damaged("page \(number) has a node outside itself")
                }
                let keyEnd = offset &+ PageCheck.nodeHeadBytes &+ keyBytes
                let key = UnsafeRawBufferPointer(rebasing: bytes[offset &+ PageCheck.nodeHeadBytes..<keyEnd])
                guard progress.take(key) else { throw damaged("page \(number) has keys out of order") }
                let flags = bytes.littleEndian16(at: offset &+ 4)
                let byteCount =
                    Int(bytes.littleEndian16(at: offset)) | Int(bytes.littleEndian16(at: offset &+ 2)) << 16
                guard flags == (progress.isMain ? NodeFlag.table : flags & NodeFlag.overflow) else {
                    throw damaged("page \(number) has a node of an unknown kind")
                }
                guard flags & NodeFlag.overflow == 0 else {
                    guard bytes.count - keyEnd >= 8 else { throw damaged("page \(number) has a node outside itself") }
                    try overflowValue(bytes.littleEndian64(at: keyEnd), byteCount)
                    try visitOverflow(key, byteCount, visit)
                    return
                }
                guard byteCount <= bytes.count - keyEnd else {
                    throw damaged("page \(number) has a node outside itself")
                }
                try visit(key, UnsafeRawBufferPointer(rebasing: bytes[keyEnd..<keyEnd &+ byteCount]))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        progress.entries &+= 1
    }

    /// Reads a long value into `overflow`. A shorter value that took the place of a longer one keeps all its pages.
    private mutating func overflowValue(_ page: UInt64, _ byteCount: Int) throws(ReplicaError) {
        guard page <= lastPage else { throw damaged("page \(page) is not in the file") }
        let needed = PageCheck.pageHeadBytes + byteCount
        guard needed / pageBytes <= Int(clamping: lastPage) else { throw damaged("page \(page) is beyond its end") }
        if overflow.count < needed { overflow = [UInt8](repeating: 0, count: needed) }
        let descriptor = descriptor
        let offset = Int(page) &* pageBytes
        let isRead = overflow.withUnsafeMutableBytes { buffer in
            ReplicaDirectory.readAll(
                descriptor, into: UnsafeMutableRawBufferPointer(rebasing: buffer[0..<needed]), at: offset)
        }
        guard isRead else { throw damaged("page \(page) is beyond its end") }
        let head: (number: UInt64, flags: UInt16, pages: UInt32) = overflow.withUnsafeBytes { bytes in
            (bytes.littleEndian64(at: 0), bytes.littleEndian16(at: 10), bytes.littleEndian32(at: 12))
        }
        guard head.number == page, head.flags == PageFlag.overflow, Int(head.pages) >= (needed - 1) / pageBytes + 1
        else { throw damaged("page \(page) is not what it should be") }
        try mark(page, count: UInt64(head.pages))
    }

    private func visitOverflow(
        _ key: UnsafeRawBufferPointer, _ byteCount: Int, _ visit: Visit
    ) throws(ReplicaError) {
        var failure: ReplicaError?
        overflow.withUnsafeBytes { bytes in
            do throws(ReplicaError) {
                let range = PageCheck.pageHeadBytes..<PageCheck.pageHeadBytes &+ byteCount
                try visit(key, UnsafeRawBufferPointer(rebasing: bytes[range]))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }
}

extension PageCheck.Progress {
    /// Whether a key may come here: above the one before, not below what the branch above said.
    fileprivate mutating func take(_ key: UnsafeRawBufferPointer) -> Bool {
        if isNumbered, key.count != 8 { return false }
        if hasLast, !Self.isBelow(last, key, isNumbered) { return false }
        if hasFloor, floor.withUnsafeBytes({ Self.order(key, $0, isNumbered) < 0 }) { return false }
        hasFloor = false
        last.removeAll(keepingCapacity: true)
        last.append(contentsOf: key)
        hasLast = true
        return true
    }

    fileprivate static func isBelow(_ one: [UInt8], _ other: UnsafeRawBufferPointer, _ isNumbered: Bool) -> Bool {
        one.withUnsafeBytes { one in order(one, other, isNumbered) < 0 }
    }

    /// Bytes first, then length; the table of free pages has numbers for keys.
    private static func order(
        _ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer, _ isNumbered: Bool
    ) -> Int {
        if isNumbered {
            let (left, right) = (one.littleEndian64(at: 0), other.littleEndian64(at: 0))
            return left == right ? 0 : left < right ? -1 : 1
        }
        let shared = min(one.count, other.count)
        if shared > 0, let left = one.baseAddress, let right = other.baseAddress {
            let order = memcmp(left, right, shared)
            if order != 0 { return Int(order) }
        }
        return one.count - other.count
    }
}
