// Destinations that take nothing, stop taking or fail: the loops' side goes on, memory stays bounded, and every line is
// either written or counted.

import Foundation
import Limits
import Testing

@testable import Telemetry

@Suite struct AccessLogTroubleTests {
    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("access.log")
    }

    /// Opens a FIFO at both ends, so that writing works and reading is up to the test.
    private func openFIFO() throws -> FileHandle {
        try #require(mkfifo(path, 0o600) == 0)
        let descriptor = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        try #require(descriptor >= 0)
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    private func readAvailable(_ handle: FileHandle) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = read(handle.fileDescriptor, &chunk, chunk.count)
            guard count > 0 else { return bytes }
            bytes += chunk[..<count]
        }
    }

    @Test func aReaderThatReadsNothingCostsLinesAndNothingElse() throws {
        let fifo = try openFIFO()
        let bound = 4 * AccessLogBuffer.capacity
        let log = try AccessLog(.file(path), bufferBytes: bound)
        let shard = log.makeShard()
        let count = 10_000
        for sequence in 0..<count {
            appendLine(shard, writer: 0, sequence: sequence, paddingBytes: 200)
            if sequence % 100 == 0 { shard.tick() }
            #expect(log.statistics().bufferedBytes <= bound)
        }
        shard.close()
        #expect(log.statistics().linesDropped > 0)
        #expect(!log.close(timeoutMilliseconds: 50))
        // The thread ends by itself, and then no line is unaccounted for.
        #expect(
            eventually {
                let statistics = log.statistics()
                return statistics.linesWritten + statistics.linesDropped == UInt64(count)
            })
        #expect(log.statistics().bufferedBytes == 0)
        #expect(!log.close(timeoutMilliseconds: 1000))
        // What got through is a beginning, with at most the last line torn.
        let bytes = readAvailable(fifo)
        let end = try #require(bytes.lastIndex(of: UInt8(ascii: "\n")))
        let found = try sequences(bytes[..<end].split(separator: UInt8(ascii: "\n")).map { Data($0) })
        #expect(found[0] == Array(0..<(found[0]?.count ?? 0)))
    }

    @Test func linesFlowAgainWhenTheReaderDoes() throws {
        let fifo = try openFIFO()
        let log = try AccessLog(.file(path), bufferBytes: 2 * AccessLogBuffer.capacity)
        let shard = log.makeShard()
        var sequence = 0
        while log.statistics().linesDropped == 0 {
            appendLine(shard, writer: 0, sequence: sequence, paddingBytes: 200)
            sequence += 1
            if sequence % 50 == 0 { shard.tick() }
        }
        var bytes: [UInt8] = []
        #expect(
            eventually {
                bytes += readAvailable(fifo)
                return log.statistics().bufferedBytes == 0
            })
        let mark = sequence
        var written = log.statistics().linesWritten
        appendLine(shard, writer: 1, sequence: mark)
        // The first line after a refusal may be one that does not ask again: a tick does.
        shard.tick()
        appendLine(shard, writer: 1, sequence: mark + 1)
        shard.tick()
        written += 1
        #expect(
            eventually {
                bytes += readAvailable(fifo)
                shard.tick()
                return log.statistics().linesWritten >= written && log.statistics().bufferedBytes == 0
            })
        shard.close()
        #expect(log.close())
        bytes += readAvailable(fifo)
        let found = try sequences(bytes.split(separator: UInt8(ascii: "\n")).map { Data($0) })
        #expect(found[0] == found[0]?.sorted())
        #expect(found[1]?.last == mark + 1)
        let statistics = log.statistics()
        #expect(statistics.linesWritten == UInt64(found.values.reduce(0) { $0 + $1.count }))
        #expect(statistics.linesWritten + statistics.linesDropped == UInt64(sequence + 2))
    }

    @Test func aFIFOWithoutAReaderIsTriedAgain() throws {
        try #require(mkfifo(path, 0o600) == 0)
        let log = try AccessLog(.file(path), bufferBytes: 1)
        let shard = log.makeShard()
        appendLine(shard, writer: 0, sequence: 0)
        shard.tick()
        #expect(eventually { log.statistics().writeErrors > 0 })
        let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        let reader = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        #expect(eventually { log.statistics().linesWritten == 1 })
        #expect(try jsonObject(readAvailable(reader))["sequence"] as? Int == 0)
        shard.close()
        #expect(log.close())
    }

    @Test func aFullDiskIsCountedAndTriedAgainUntilTheEnd() throws {
        let log = try AccessLog(.file("/dev/full"), bufferBytes: 8 * AccessLogBuffer.capacity)
        let shard = log.makeShard()
        appendLine(shard, writer: 0, sequence: 0)
        shard.tick()
        #expect(eventually { log.statistics().writeErrors >= 2 })
        let stuck = log.statistics().bufferedBytes
        #expect(stuck > 0)
        // While one buffer of a shard is stuck, the next one fills up instead of being handed over line by line.
        for sequence in 1...50 {
            appendLine(shard, writer: 0, sequence: sequence)
            shard.tick()
        }
        #expect(log.statistics().bufferedBytes == stuck)
        shard.close()
        #expect(log.statistics().bufferedBytes > stuck)
        #expect(!log.close(timeoutMilliseconds: 20))
        #expect(eventually { log.statistics().linesDropped == 51 })
        #expect(log.statistics().linesWritten == 0)
    }

    @Test func aLineThatTheOldFileHoldsInPartGoesWholeIntoTheNewOne() throws {
        let fifo = try openFIFO()
        let log = try AccessLog(.file(path), bufferBytes: Limits.accessLogBufferBytesDefault)
        let shard = log.makeShard()
        let count = 1000
        for sequence in 0..<count { appendLine(shard, writer: 0, sequence: sequence, paddingBytes: 200) }
        shard.close()
        // The pipe holds 64 KiB, more than the first buffer and less than the first two.
        #expect(eventually { log.statistics().linesWritten > 0 })
        usleep(20_000)
        try FileManager.default.removeItem(atPath: path)
        log.reopen()
        #expect(log.close())
        let old = readAvailable(fifo).split(separator: UInt8(ascii: "\n")).map { Data($0) }
        let new = try lines(ofFile: path)
        let inNew = try #require(try sequences(new)[0])
        let first = try #require(inNew.first)
        #expect(inNew == Array(first..<count))
        #expect(try sequences(Array(old.prefix(first)))[0] == Array(0..<first))
        // All that is left in the pipe is the beginning of the line that begins the new file.
        #expect(old.count <= first + 1)
        if old.count == first + 1 { #expect(try #require(new.first).starts(with: try #require(old.last))) }
    }

    @Test func aReaderThatLeftDoesNotEndTheProcess() throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { close(ends[1]) }
        var destination = LogDestination(.inherited(ends[1]))
        #expect(destination.open() == nil)
        let queue = AccessLogQueue(bufferBytes: 1)
        let shard = AccessLogShard(queue: queue)
        #expect(AccessLogWriter(queue: queue, destination: destination).start() == nil)
        close(ends[0])
        appendLine(shard, writer: 0, sequence: 0)
        shard.close()
        #expect(eventually { queue.withState { $0.statistics.writeErrors } > 0 })
        queue.withState { ($0.isClosing, $0.isAbandoned) = (true, true) }
        queue.wake.raise()
        #expect(queue.finished.wait())
        #expect(queue.withState { $0.statistics.linesDropped } == 1)
    }

    @Test func anInheritedPipeIsNeverWaitedForAndKeepsItsFlags() throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { ends.forEach { close($0) } }
        let flags = fcntl(ends[1], F_GETFL)
        var destination = LogDestination(.inherited(ends[1]))
        #expect(destination.open() == nil)
        let bytes = [UInt8](repeating: 0x2a, count: 10_000)
        var total = 0
        loop: while true {
            switch bytes.withUnsafeBytes({ destination.write($0) }) {
            case .wrote(let count): total += count
            case .busy: break loop
            case .failed(let number): Issue.record("errno \(number)"); break loop
            }
        }
        #expect(total > 0)
        #expect(!destination.waitUntilWritable(milliseconds: 0))
        #expect(fcntl(ends[1], F_GETFL) == flags)
        destination.close()
        #expect(fcntl(ends[1], F_GETFL) == flags, "an inherited descriptor is not ours to close")
    }

    @Test func anInheritedSocketIsNeverWaitedFor() throws {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { ends.forEach { close($0) } }
        var destination = LogDestination(.inherited(ends[0]))
        #expect(destination.open() == nil)
        let bytes = [UInt8](repeating: 0x2a, count: 10_000)
        var total = 0
        while case .wrote(let count) = bytes.withUnsafeBytes({ destination.write($0) }) { total += count }
        #expect(total > 0)
        guard case .busy = bytes.withUnsafeBytes({ destination.write($0) }) else {
            Issue.record("a full socket is busy, not failed")
            return
        }
    }
}
