import Foundation
import Logging
import Testing

@testable import Telemetry

@Suite struct ProcessLogTests {
    private func event(_ message: String, _ metadata: Logger.Metadata? = nil) -> LogEvent {
        LogEvent(
            level: .info, message: "\(message)", metadata: metadata, source: nil, file: #fileID, function: #function,
            line: #line)
    }

    private func render(
        _ message: String, _ metadata: Logger.Metadata = [:], _ format: ProcessLog.Format = .text
    ) -> String {
        let bytes = LogLineText.render(
            event(message), label: "listener", metadata: metadata, format: format,
            unixNanoseconds: 1_767_323_045_678_000_000)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A logger that writes to a pipe, and the end to read from.
    private func makeLogger(
        level: Logger.Level = .info, format: ProcessLog.Format = .text
    ) throws -> (logger: Logger, output: LogOutput, reader: FileHandle, writer: FileHandle) {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        let output = LogOutput(descriptor: ends[1], level: level, format: format)
        let logger = Logger(label: "test") { LineLogHandler(label: $0, output: output) }
        return (
            logger, output, FileHandle(fileDescriptor: ends[0], closeOnDealloc: true),
            FileHandle(fileDescriptor: ends[1], closeOnDealloc: true)
        )
    }

    @Test func textHasItsForm() {
        #expect(
            render("serving", ["zone": "example.test", "why": "two words", "empty": "", "count": "\(3)"])
                == "2026-01-02T03:04:05.678Z info  listener: serving count=3 empty=\"\" why=\"two words\""
                + " zone=example.test\n")
    }

    @Test func nothingBeginsALineOfItsOwnOrSpeaksToATerminal() {
        let hostile = "a\nb\r\nc\u{1b}[31m\u{7f}\u{85}\u{2028}\u{202e}\u{0}\t\""
        for format in [ProcessLog.Format.text, .json] {
            let line = render(hostile, ["k\ney": "\(hostile)"], format)
            #expect(line.unicodeScalars.count { $0 == "\n" } == 1)
            #expect(line.hasSuffix("\n"))
            for scalar in line.dropLast().unicodeScalars {
                #expect(scalar.value >= 0x20 && !(0x7f...0x9f).contains(scalar.value), "\(scalar.value)")
                if format == .text { #expect(scalar != "\u{2028}" && scalar != "\u{202e}") }
            }
        }
        #expect(render("a\nb\u{1b}").hasSuffix(": a\\nb\\u{1b}\n"))
        #expect(render("m", ["k": "a\"b\\ c"]).hasSuffix(" k=\"a\\\"b\\\\ c\"\n"))
        // Without quotes somebody could make one value look like two members.
        #expect(render("m", ["k": "a=b"]).hasSuffix(" k=\"a=b\"\n"))
    }

    @Test func jsonIsAnObjectWithOurMembersOnce() throws {
        let line = render("héllo \"x\"", ["zone": "z", "level": "mine", "list": ["a", "b"]], .json)
        let object = try jsonObject(line.dropLast().utf8)
        #expect(object["time"] as? String == "2026-01-02T03:04:05.678Z")
        #expect(object["level"] as? String == "info")
        #expect(object["logger"] as? String == "listener")
        #expect(object["message"] as? String == "héllo \"x\"")
        #expect(object["zone"] as? String == "z")
        #expect((object["list"] as? String)?.contains("a") == true)
    }

    @Test func linesAreBounded() throws {
        let long = String(repeating: "é\n", count: 100_000)
        let members: Logger.Metadata = Dictionary(
            uniqueKeysWithValues: (0..<100).map { ("key\($0)", Logger.MetadataValue.string(long)) })
        for format in [ProcessLog.Format.text, .json] {
            let bytes = LogLineText.render(
                event(long), label: "listener", metadata: members, format: format, unixNanoseconds: 0)
            #expect(bytes.count <= LogLineText.lineBytesMax)
            #expect(String(validating: bytes, as: UTF8.self) != nil)
            if format == .json { #expect(try jsonObject(bytes.dropLast())["message"] != nil) }
        }
    }

    @Test func theErrorOfARecordIsShown() {
        struct Broken: Error, CustomStringConvertible { let description = "it broke" }
        var event = event("failed")
        event.error = Broken()
        let bytes = LogLineText.render(event, label: "l", metadata: [:], format: .text, unixNanoseconds: 0)
        #expect(String(decoding: bytes, as: UTF8.self).hasSuffix(" info  l: failed error=\"it broke\"\n"))
    }

    @Test func metadataOfLoggerProviderAndRecordAreMerged() throws {
        let (_, output, reader, writer) = try makeLogger()
        var logger = Logger(label: "test") { label in
            LineLogHandler(
                label: label, output: output,
                metadataProvider: Logger.MetadataProvider { ["b": "provider", "c": "provider"] })
        }
        logger[metadataKey: "a"] = "logger"
        logger[metadataKey: "b"] = "logger"
        logger.info("m", metadata: ["c": "record"])
        try writer.close()
        let text = String(decoding: try #require(try reader.readToEnd()), as: UTF8.self)
        #expect(text.hasSuffix(" info  test: m a=logger b=provider c=record\n"))
    }

    @Test func levelsAreKept() throws {
        let (logger, output, reader, writer) = try makeLogger(level: .notice)
        var loud = logger
        loud.logLevel = .trace
        logger.info("hidden")
        loud.debug("shown")
        output.level = .debug
        logger.debug("shown too")
        output.level = .error
        logger.warning("hidden again")
        #expect(output.level == .error)
        try writer.close()
        let text = String(decoding: try #require(try reader.readToEnd()), as: UTF8.self)
        let messages = text.split(separator: "\n").compactMap { $0.split(separator: ": ").last }
        #expect(messages == ["shown", "shown too"])
    }

    @Test func linesOfManyThreadsAreNeverMixed() throws {
        let (logger, _, reader, writer) = try makeLogger(format: .json)
        let threads = 6
        let count = 200
        let collected = Thread.collect(reader)
        DispatchQueue.concurrentPerform(iterations: threads) { thread in
            for index in 0..<count { logger.info("line", metadata: ["thread": "\(thread)", "index": "\(index)"]) }
        }
        try writer.close()
        let found = try collected().split(separator: UInt8(ascii: "\n")).map { try jsonObject($0) }
        for thread in 0..<threads {
            let indices = found.filter { $0["thread"] as? String == "\(thread)" }.compactMap { $0["index"] as? String }
            #expect(indices == (0..<count).map(String.init))
        }
    }

    @Test func aReaderThatReadsNothingCostsLinesAndThenHearsOfIt() throws {
        let (logger, output, reader, writer) = try makeLogger()
        let filler = String(repeating: "x", count: 1000)
        var sent: UInt64 = 0
        // Ends although nobody reads.
        while output.droppedCount < 100 {
            logger.info("\(filler)")
            sent += 1
        }
        let dropped = output.droppedCount
        let collected = Thread.collect(reader)
        // Until the reader has made room, lines may go on being dropped: each of them is counted, too.
        #expect(
            eventually {
                let before = output.droppedCount
                logger.info("after")
                sent += 1
                return output.droppedCount == before
            })
        try writer.close()
        let lines = try collected().split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
        #expect(dropped >= 100)
        #expect(lines.last?.hasSuffix(": after") == true)
        let notice = try #require(lines.dropLast().last)
        #expect(notice.hasSuffix(" log: log lines dropped: nobody took them count=\(output.droppedCount)"))
        let whole = lines.count { $0.hasSuffix(": \(filler)") || $0.hasSuffix(": after") }
        #expect(UInt64(whole) + output.droppedCount == sent)
    }
}

extension Thread {
    /// Reads to the end on a thread of its own; the result waits for it.
    fileprivate static func collect(_ handle: FileHandle) -> () throws -> Data {
        let queue = DispatchQueue(label: "reader")
        // Unchecked: written and read on the queue alone.
        nonisolated(unsafe) var result: Result<Data?, any Error> = .success(nil)
        queue.async { result = Result { try handle.readToEnd() } }
        return { try queue.sync { try result.get() ?? Data() } }
    }
}
