import Glibc
import Limits
@preconcurrency package import NIOCore

/// One stream's use of a large object's file.
///
/// NIO lets one channel at a time use a `NIOFileHandle`, so every stream has its own, over one shared descriptor. Keep
/// the reader until the write of its last region has completed: when it goes, its regions turn invalid, and the channel
/// that still sends one fails. It never sends another file's bytes.
package final class FileReader: Sendable {
    package let body: FileBody
    private let file: OpenFile
    private let handle: NIOFileHandle

    init(body: FileBody, file: OpenFile) {
        self.body = body
        self.file = file
        handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: file.descriptor)
    }

    deinit {
        // The descriptor is the open file's; the handle only must not be used any more.
        _ = try? handle.takeDescriptorOwnership()
    }

    // MARK: At once, on an event loop

    /// The range for sendfile, if it was verified and is in memory now, so that nobody waits for the device.
    ///
    /// That its pages are still those that were verified is as good as certain: this process reads a file only in
    /// blocks that it verifies, and with readahead off.
    package func region(_ range: Range<UInt64>) -> FileRegion? {
        guard isReady(range), let start = Int(exactly: DiskFiles.bodyStart &+ range.lowerBound) else { return nil }
        return FileRegion(fileHandle: handle, readerIndex: start, endIndex: start + range.count)
    }

    /// A copy of the range, under the same conditions. Empty for an empty range.
    package func readNow(_ range: Range<UInt64>) -> ByteBuffer? {
        guard Self.isReadable(range), isReady(range) else { return nil }
        return copy(range)
    }

    /// Whether it is short enough. (`count` would trap for what does not fit into an `Int`.)
    private static func isReadable(_ range: Range<UInt64>) -> Bool {
        range.upperBound - range.lowerBound <= UInt64(Limits.cacheDiskReadBytesMax)
    }

    private func isReady(_ range: Range<UInt64>) -> Bool {
        body.isVerified(range) && isInMemory(offset(range))
    }

    /// Says nothing of the next moment, but that is all a caller wants who would rather not wait for a device.
    private func isInMemory(_ range: Range<UInt64>) -> Bool {
        guard let isCached = file.isCached(range) else { return file.isResident(range) }
        guard isCached, range.isEmpty || file.readsAtOnce(range.upperBound - 1) else { return false }
        // Asked last: pages that were on their way before are still, or are there.
        return !body.isBeingRead || file.isResident(range)
    }

    private func offset(_ range: Range<UInt64>) -> Range<UInt64> {
        DiskFiles.bodyStart + range.lowerBound..<DiskFiles.bodyStart + range.upperBound
    }

    private func copy(_ range: Range<UInt64>) -> ByteBuffer? {
        guard !range.isEmpty else { return ByteBuffer() }
        var isRead = false
        let bytes = ExactBuffer.make(count: range.count) { target in
            isRead = file.read(into: target, at: DiskFiles.bodyStart + range.lowerBound)
        }
        return isRead && bytes.readableBytes == range.count ? bytes : nil
    }

    // MARK: By way of a thread

    /// Brings the range into memory and verifies it: then `region` has it.
    ///
    /// - Parameters:
    ///   - range: At most `Limits.cacheDiskReadBytesMax` long.
    ///   - done: Runs on `eventLoop`, never before this returns. False: corrupt, unreadable, or too many reads wait.
    package func prepare(
        _ range: Range<UInt64>, on eventLoop: any EventLoop, _ done: @escaping @Sendable (Bool) -> Void
    ) {
        body.files.read(on: eventLoop, { done($0 ?? false) }) { [self] in body.reading { verify(range) } }
    }

    /// A verified copy of the range; as `prepare`.
    package func read(
        _ range: Range<UInt64>, on eventLoop: any EventLoop, _ done: @escaping @Sendable (ByteBuffer?) -> Void
    ) {
        body.files.read(on: eventLoop, done) { [self] in
            // Straight behind its verification the range is in memory, so the copy costs no second read.
            body.reading { verify(range) ? copy(range) : nil }
        }
    }

    /// Reads the blocks of the range that are not verified, or not in memory any more.
    private func verify(_ range: Range<UInt64>) -> Bool {
        guard Self.isReadable(range), range.upperBound <= body.byteCount else { return false }
        guard !range.isEmpty, !isReady(range) else { return true }
        let blockBytes = DiskFiles.blockBytes
        let first = range.lowerBound / blockBytes
        let last = (range.upperBound - 1) / blockBytes
        // What has left memory comes back as the device has it now, and is there for others before it is looked at here.
        for number in first...last {
            guard let block = body.block(number)?.range, !isInMemory(offset(block)) else { continue }
            body.setUnverified(number)
        }
        // One request to the device for all of it.
        if let start = Int(exactly: DiskFiles.bodyStart + first * blockBytes) {
            posix_fadvise(file.descriptor, start, Int(last - first + 1) * Int(blockBytes), Int32(POSIX_FADV_WILLNEED))
        }
        return withUnsafeTemporaryAllocation(byteCount: Int(blockBytes), alignment: 16) { scratch in
            for number in first...last {
                guard verify(block: number, scratch) else {
                    body.files.discard(body.unit)
                    return false
                }
            }
            return true
        }
    }

    private func verify(block number: UInt64, _ scratch: UnsafeMutableRawBufferPointer) -> Bool {
        guard let block = body.block(number) else { return false }
        let bytes = UnsafeMutableRawBufferPointer(rebasing: scratch[..<block.range.count])
        guard file.read(into: bytes, at: DiskFiles.bodyStart + block.range.lowerBound) else { return false }
        body.files.counters.add { counters in
            counters.reads += 1
            counters.readBytes += UInt64(bytes.count)
        }
        // No checksum yet: this process has just written it.
        guard let checksum = block.checksum else { return true }
        guard DiskChecksum.of(UnsafeRawBufferPointer(bytes)) == checksum else { return false }
        body.setVerified(number)
        return true
    }
}
