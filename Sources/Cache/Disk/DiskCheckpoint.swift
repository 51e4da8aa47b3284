// A checkpoint: the whole index at once, written beside the running store and then put in place by its name.
//
// It has the form of a journal: batches numbered from 1. The first says what the checkpoint is, the last that it is
// whole. It is taken shard by shard while changes go on, but only after the journal was continued in a new file: a
// change is in the checkpoint, in the new journal, or in both, and applying one twice changes nothing.

import Glibc

/// Writes checkpoints.
enum DiskCheckpoint {
    struct Head {
        var generation: UInt64
        /// The number of the last batch before the journal of the same generation.
        var lastBatch: UInt64
        var sequence: UInt64
        var nextUnit: UInt32

        init(generation: UInt64, lastBatch: UInt64, sequence: UInt64, nextUnit: UInt32) {
            self.generation = generation
            self.lastBatch = lastBatch
            self.sequence = sequence
            self.nextUnit = nextUnit
        }

        init?(_ bytes: UnsafeRawBufferPointer) {
            var cursor = DiskCursor(bytes)
            guard cursor.next(UInt32.self) == DiskMagic.checkpoint, let generation = cursor.next(UInt64.self),
                let lastBatch = cursor.next(UInt64.self), let sequence = cursor.next(UInt64.self),
                let nextUnit = cursor.next(UInt32.self)
            else { return nil }
            self.init(generation: generation, lastBatch: lastBatch, sequence: sequence, nextUnit: nextUnit)
        }

        var bytes: [UInt8] {
            var bytes: [UInt8] = []
            bytes.putLittle(DiskMagic.checkpoint)
            bytes.putLittle(generation)
            bytes.putLittle(lastBatch)
            bytes.putLittle(sequence)
            bytes.putLittle(nextUnit)
            return bytes
        }
    }

    private static let end: [UInt8] = [0]
    private static let batchBytes = 1024 * 1024

    static func isEnd(_ records: UnsafeRawBufferPointer) -> Bool { records.count == 1 && records[0] == end[0] }

    /// Writes and puts in place.
    ///
    /// - Parameter purges: Asked for once the slots are written.
    /// - Returns: Its size in bytes; nil if it could not be written.
    static func write(
        _ head: Head, _ index: DiskIndex, _ names: DiskNames, purges: () -> [PurgeRecord], in directory: DiskDirectory,
        store: UInt64
    ) -> UInt64? {
        let name = DiskDirectory.Name.checkpoint(head.generation)
        let draft = DiskDirectory.Name.draft(name.text + ".tmp")
        directory.remove(draft)
        guard let file = directory.open(draft, O_WRONLY | O_CREAT | O_EXCL) else { return nil }
        var output = Output(file: file, store: store, call: directory.writeCall)
        output.write(head.bytes)
        var records: [UInt8] = []
        for shard in 0..<DiskIndex.shardCount {
            index.forEach(shard: shard) { slot in
                records.append(DiskJournal.Kind.put.rawValue)
                withUnsafeBytes(of: slot) { records.append(contentsOf: $0) }
            }
            if records.count >= batchBytes { output.write(take: &records) }
        }
        // Behind the slots: what these refer to has been defined by now.
        append(names, purges(), to: &records)
        output.write(take: &records)
        output.write(end)
        guard !output.hasFailed, fdatasync(file.descriptor) == 0,
            rename(directory.path(draft), directory.path(name)) == 0
        else {
            directory.remove(draft)
            return nil
        }
        directory.flush()
        return output.byteCount
    }

    private static func append(_ names: DiskNames, _ purges: [PurgeRecord], to records: inout [UInt8]) {
        let definitions = names.definitions
        for (number, tag) in definitions.zones.enumerated() {
            records.append(DiskJournal.Kind.zone.rawValue)
            records.putLittle(UInt32(clamping: number))
            records.putLittle(tag.value)
        }
        for (index, names) in definitions.names.enumerated() {
            records.append(DiskJournal.Kind.names.rawValue)
            records.putLittle(UInt32(clamping: index + 1))
            records.putLittle(UInt32(clamping: names.count))
            records.append(contentsOf: names)
        }
        for purge in purges {
            records.append(DiskJournal.Kind.purge.rawValue)
            DiskPurge.append(purge, to: &records)
        }
    }

    private struct Output {
        let file: OpenFile
        let store: UInt64
        let call: DiskWriteCall
        var number: UInt64 = 0
        var byteCount: UInt64 = 0
        var hasFailed = false

        init(file: OpenFile, store: UInt64, call: @escaping DiskWriteCall) {
            self.file = file
            self.store = store
            self.call = call
        }

        mutating func write(take records: inout [UInt8]) {
            if !records.isEmpty { write(records) }
            records.removeAll(keepingCapacity: true)
        }

        mutating func write(_ records: [UInt8]) {
            guard !hasFailed else { return }
            number += 1
            let batch = DiskBatch.bytes(records, store: store, number: number)
            hasFailed = batch.withUnsafeBytes { file.write($0, at: byteCount, by: call) } != 0
            byteCount += UInt64(batch.count)
        }
    }
}
