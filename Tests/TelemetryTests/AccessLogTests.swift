import Foundation
import Limits
import Synchronization
import Testing

@testable import Telemetry

/// Appends one line that says who wrote it, and when in the shard's order.
func appendLine(_ shard: AccessLogShard, writer: Int, sequence: Int, paddingBytes: Int = 0) {
    let padding = [UInt8](repeating: UInt8(ascii: "p"), count: paddingBytes)
    var line = shard.beginLine()
    line.number("writer", writer)
    line.number("sequence", sequence)
    line.string("padding", padding.span)
    shard.endLine(line)
}

/// The sequence numbers of each writer, in the file's order. Every line must be whole.
func sequences(_ lines: [Data]) throws -> [Int: [Int]] {
    var found: [Int: [Int]] = [:]
    for line in lines {
        let object = try jsonObject(line)
        let writer = try #require(object["writer"] as? Int)
        found[writer, default: []].append(try #require(object["sequence"] as? Int))
    }
    return found
}

@Suite struct AccessLogTests {
    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        folder = try TemporaryFolder()
        path = folder.file("access.log")
    }

    @Test func linesReachTheFileInOrder() throws {
        let log = try AccessLog(.file(path), bufferBytes: Limits.accessLogBufferBytesDefault)
        let shard = log.makeShard()
        for sequence in 0..<5000 { appendLine(shard, writer: 0, sequence: sequence, paddingBytes: sequence % 100) }
        shard.close()
        #expect(log.close())
        #expect(try sequences(lines(ofFile: path)) == [0: Array(0..<5000)])
        let statistics = log.statistics()
        #expect(statistics.linesWritten == 5000)
        #expect(statistics.linesDropped == 0)
        #expect(statistics.bufferedBytes == 0)
        #expect(statistics.bytesWritten == UInt64(try Data(contentsOf: URL(fileURLWithPath: path)).count))
        var snapshot = MetricsSnapshot()
        log.contribute(to: &snapshot)
        #expect(snapshot[.accessLogLinesWritten] == 5000)
        var status = stat()
        #expect(stat(path, &status) == 0)
        // Whatever the umask takes away, others never read it.
        #expect(status.st_mode & 0o7137 == 0)
    }

    /// A reader at any moment sees what a kill at that moment would leave: of each shard the lines up to some point.
    @Test func aPrefixOfEveryShardIsThereAtAnyMoment() throws {
        let log = try AccessLog(.file(path), bufferBytes: 64 * 1024 * 1024)
        let running = Atomic<Int>(0)
        let writers = 3
        let count = 4000
        let threads = (0..<writers).map { writer in
            running.add(1, ordering: .relaxed)
            let thread = Thread {
                let shard = log.makeShard()
                for sequence in 0..<count {
                    appendLine(shard, writer: writer, sequence: sequence, paddingBytes: 60)
                    if sequence % 97 == 0 { shard.tick() }
                }
                shard.close()
                running.subtract(1, ordering: .releasing)
            }
            return thread
        }
        threads.forEach { $0.start() }
        var isLast = false
        while !isLast {
            isLast = running.load(ordering: .acquiring) == 0
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { continue }
            for (_, found) in try sequences(bytes[..<end].split(separator: UInt8(ascii: "\n"))) {
                #expect(found == Array(0..<found.count))
            }
        }
        #expect(log.close())
        let found = try sequences(lines(ofFile: path))
        #expect(found.count == writers)
        #expect(found.values.allSatisfy { $0 == Array(0..<count) })
        #expect(log.statistics().linesWritten == UInt64(writers * count))
    }

    @Test func aTickHandsOverWhatHasGathered() throws {
        let log = try AccessLog(.file(path), bufferBytes: Limits.accessLogBufferBytesDefault)
        let shard = log.makeShard()
        shard.tick()
        #expect(log.statistics() == AccessLogStatistics())
        appendLine(shard, writer: 0, sequence: 0)
        #expect(log.statistics().bufferedBytes == 0)
        shard.tick()
        #expect(eventually { log.statistics().linesWritten == 1 })
        #expect(try lines(ofFile: path).count == 1)
        appendLine(shard, writer: 0, sequence: 1)
        shard.tick()
        #expect(eventually { log.statistics().linesWritten == 2 })
        shard.close()
        #expect(log.close())
    }

    @Test func reopenFollowsTheName() throws {
        let log = try AccessLog(.file(path), bufferBytes: Limits.accessLogBufferBytesDefault)
        let shard = log.makeShard()
        appendLine(shard, writer: 0, sequence: 0)
        shard.tick()
        #expect(eventually { log.statistics().linesWritten == 1 })
        try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
        log.reopen()
        #expect(eventually { FileManager.default.fileExists(atPath: path) })
        appendLine(shard, writer: 0, sequence: 1)
        shard.close()
        #expect(log.close())
        #expect(try sequences(lines(ofFile: path + ".1")) == [0: [0]])
        #expect(try sequences(lines(ofFile: path)) == [0: [1]])
    }

    @Test func aReopenThatFailsKeepsTheOldFile() throws {
        let inner = folder.file("inner")
        try FileManager.default.createDirectory(atPath: inner, withIntermediateDirectories: true)
        let log = try AccessLog(.file(inner + "/access.log"), bufferBytes: 1)
        let shard = log.makeShard()
        try FileManager.default.moveItem(atPath: inner, toPath: folder.file("moved"))
        log.reopen()
        #expect(eventually { log.statistics().writeErrors == 1 })
        appendLine(shard, writer: 0, sequence: 0)
        shard.close()
        #expect(log.close())
        #expect(try lines(ofFile: folder.file("moved/access.log")).count == 1)
    }

    @Test func halfALineFromAKilledProcessIsEndedFirst() throws {
        try Data(#"{"writer":9,"sequence":1}"#.utf8 + [0x0a] + #"{"writer":9,"sequ"#.utf8)
            .write(to: URL(fileURLWithPath: path))
        let log = try AccessLog(.file(path), bufferBytes: 1)
        let shard = log.makeShard()
        appendLine(shard, writer: 0, sequence: 0)
        shard.close()
        #expect(log.close())
        let found = try lines(ofFile: path)
        #expect(found.count == 3)
        #expect(try jsonObject(try #require(found.last))["writer"] as? Int == 0)
    }

    @Test func whatCannotBeOpenedIsSaidWithItsName() throws {
        let missing = folder.file("missing/access.log")
        let error = #expect(throws: AccessLogError.self) { try AccessLog(.file(missing), bufferBytes: 1) }
        #expect(error?.errorNumber == ENOENT)
        #expect(error?.description.contains(missing) == true)
        #expect(throws: AccessLogError.self) { try AccessLog(.file(folder.path), bufferBytes: 1) }
    }

    @Test func closingTwiceAndWritingAfterwardsDoNoHarm() throws {
        let log = try AccessLog(.file(path), bufferBytes: 1)
        let shard = log.makeShard()
        let late = log.makeShard()
        shard.close()
        shard.close()
        appendLine(shard, writer: 0, sequence: 0)
        shard.tick()
        #expect(log.statistics().linesDropped == 1)
        #expect(log.close())
        #expect(log.close())
        appendLine(late, writer: 1, sequence: 0)
        late.tick()
        late.close()
        #expect(log.statistics().linesDropped == 2)
        #expect(try lines(ofFile: path).isEmpty)
    }

    /// A line that was begun and forgotten must leave no trace.
    @Test func aLineThatIsNotEndedWasNeverThere() throws {
        let log = try AccessLog(.file(path), bufferBytes: 1)
        let shard = log.makeShard()
        do {
            var line = shard.beginLine()
            line.number("forgotten", 1)
        }
        appendLine(shard, writer: 0, sequence: 0)
        shard.close()
        #expect(log.close())
        #expect(try sequences(lines(ofFile: path)) == [0: [0]])
    }
}
