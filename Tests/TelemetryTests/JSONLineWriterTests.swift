import Foundation
import Limits
import Testing

@testable import Telemetry

@Suite struct JSONLineWriterTests {
    /// One line as the writer makes it, in a buffer with a guard behind it; nil if it had no room at all.
    private func line(
        bytesMax: Int = AccessLogShard.lineBytesMax, _ body: (inout JSONLineWriter) -> Void
    ) throws -> [UInt8]? {
        let guardBytes = 64
        var bytes = [UInt8](repeating: 0xaa, count: bytesMax + guardBytes)
        var timestamps = TimestampText()
        let count = bytes.withUnsafeMutableBytes { buffer in
            withUnsafeMutablePointer(to: &timestamps) { timestamps -> Int? in
                guard let start = buffer.baseAddress else { return nil }
                var writer = JSONLineWriter(at: start, byteCount: bytesMax, timestamps: timestamps)
                body(&writer)
                return writer.finish()
            }
        }
        #expect(bytes[bytesMax...].allSatisfy { $0 == 0xaa }, "written behind the buffer")
        let length = try #require(count)
        guard length > 0 else { return nil }
        #expect(bytes[length - 1] == UInt8(ascii: "\n"))
        return Array(bytes[..<(length - 1)])
    }

    private func decoded(_ value: [UInt8]) throws -> [UInt8] {
        let bytes = try #require(try line { $0.string("v", value.span) })
        // One line in the strict sense: nothing that any reader takes for its end, nothing that speaks to a terminal.
        #expect(bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7f })
        #expect(String(validating: bytes, as: UTF8.self) != nil)
        return Array(try #require(try jsonObject(bytes)["v"] as? String).utf8)
    }

    /// What a decoder that repairs UTF-8 makes of the same bytes.
    private func repaired(_ value: [UInt8]) -> [UInt8] {
        Array(String(decoding: value, as: UTF8.self).utf8)
    }

    @Test func membersComeInOrderWithTheirForms() throws {
        let bytes = try #require(
            try line {
                $0.timestamp("time", unixNanoseconds: 1_767_323_045_678_999_999)
                $0.string("host", "example.test")
                $0.number("status", 200)
                $0.number("least", Int.min)
                $0.number("most", UInt64.max)
                $0.number("zero", 0 as UInt64)
                $0.milliseconds("ms", nanoseconds: 12_345_999)
                $0.milliseconds("none", nanoseconds: 0)
                $0.milliseconds("max", nanoseconds: .max)
                $0.bool("yes", true)
                $0.bool("no", false)
            })
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == #"{"time":"2026-01-02T03:04:05.678Z","host":"example.test","status":200,"#
                + #""least":-9223372036854775808,"most":18446744073709551615,"zero":0,"ms":12.345,"none":0.000,"#
                + #""max":18446744073709.551,"yes":true,"no":false}"#)
    }

    @Test func aLineWithoutMembersIsAnEmptyObject() throws {
        #expect(try line { _ in } == Array("{}".utf8))
    }

    @Test func everyByteAndEveryPairOfBytesSurvives() throws {
        for first in UInt8.min...UInt8.max {
            #expect(try decoded([first]) == repaired([first]))
        }
        for first in stride(from: 0, through: 255, by: 5) {
            for second in UInt8.min...UInt8.max {
                let pair = [UInt8(first), second]
                #expect(try decoded(pair) == repaired(pair), "\(pair)")
            }
        }
    }

    /// The scan takes eight bytes at a time: every place within and across the words must behave.
    @Test func specialBytesAreFoundAtEveryPlace() throws {
        for count in 1...26 {
            for place in 0..<count {
                for special: UInt8 in [0x00, 0x0a, 0x1f, 0x22, 0x5c, 0x7f, 0x80, 0xff] {
                    var value = [UInt8](repeating: UInt8(ascii: "x"), count: count)
                    value[place] = special
                    #expect(try decoded(value) == repaired(value), "\(count) \(place) \(special)")
                }
            }
        }
    }

    @Test func randomBytesSurvive() throws {
        var generator = SeededGenerator(seed: 7)
        for round in 0..<3000 {
            let count = Int.random(in: 0...120, using: &generator)
            var value = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
            // Every other value is mostly text, so that sequences get past their first byte.
            if round % 2 == 0 {
                let alphabet = Array("aé€😀\"\\\u{85}\n".utf8) + [0xf4, 0x90, 0xed, 0xa0, 0xe0, 0x80]
                value = value.map { alphabet[Int($0) % alphabet.count] }
            }
            #expect(try decoded(value) == repaired(value), "\(value)")
        }
    }

    @Test func validTextIsKept() throws {
        for text in ["", "plain", "Zürich", "日本語テキスト", "😀😀😀😀", "\u{10ffff}\u{fffd}\u{feff}", "a/b?c=d&e"] {
            #expect(try decoded(Array(text.utf8)) == Array(text.utf8))
        }
    }

    @Test func longValuesAreCutOnACharacterBorder() throws {
        let max = Limits.accessLogValueBytesMax
        for filler in ["x", "é", "€", "😀"] {
            for shift in 0..<4 {
                let value = Array(
                    (String(repeating: "a", count: shift) + String(repeating: filler, count: max + 1)).utf8)
                let object = try jsonObject(try #require(try line { $0.string("v", value.span) }))
                let kept = Array(try #require(object["v"] as? String).utf8)
                #expect(value.starts(with: kept))
                #expect(kept.count <= max && kept.count > max - 4)
                #expect(object["cut"] as? Bool == true)
            }
        }
        let exact = [UInt8](repeating: UInt8(ascii: "x"), count: max)
        let object = try jsonObject(try #require(try line { $0.string("v", exact.span) }))
        #expect((object["v"] as? String)?.utf8.count == max)
        #expect(object["cut"] == nil)
    }

    @Test func aPrefixNeverCutsACharacterAndIsNeverMuchShorter() {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<5000 {
            let bytes: [UInt8] = (0..<Int.random(in: 0...20, using: &generator)).map { _ in
                [0x41, 0x80, 0xbf, 0xc3, 0xe2, 0xf0].randomElement(using: &generator) ?? 0
            }
            let bytesMax = Int.random(in: 0...24, using: &generator)
            let count = bytes.withUnsafeBytes { JSONString.prefix($0, bytesMax: bytesMax).count }
            #expect(count <= bytesMax && count <= bytes.count)
            #expect(count >= min(bytes.count, bytesMax) - 3)
        }
    }

    @Test func aLineWithoutRoomIsCutButStaysWhole() throws {
        let value = [UInt8](repeating: 0x01, count: 40)
        for bytesMax in 0...400 {
            let bytes = try line(bytesMax: bytesMax) {
                $0.timestamp("time", unixNanoseconds: 1)
                $0.string("a", value.span)
                $0.number("n", UInt64.max)
                $0.string("b", value.span)
                $0.milliseconds("m", nanoseconds: .max)
                $0.bool("t", false)
            }
            guard let bytes else {
                #expect(bytesMax <= JSONLineWriter.tailBytes)
                continue
            }
            let object = try jsonObject(bytes)
            let isWhole = object.count == 6 && object["cut"] == nil && (object["b"] as? String)?.utf8.count == 40
            #expect(isWhole || object["cut"] as? Bool == true)
        }
    }

    @Test func timesAgreeWithFoundation() throws {
        let formatter = ISO8601DateFormatter()
        formatter.formatOptions = [.withInternetDateTime]
        var generator = SeededGenerator(seed: 3)
        // Leap days, century rules and the ends of years, then anything.
        let edges: [UInt64] = [
            0, 951_782_399, 951_782_400, 951_868_800, 1_709_164_800, 4_107_542_399, 4_107_542_400, 13_569_465_600,
        ]
        var timestamps = TimestampText()
        for index in 0..<2000 {
            let second = index < edges.count ? edges[index] : UInt64.random(in: 0...18_446_744_072, using: &generator)
            var bytes = [UInt8](repeating: 0, count: TimestampText.byteCount)
            bytes.withUnsafeMutableBytes { buffer in
                guard let start = buffer.baseAddress else { return }
                timestamps.write(unixNanoseconds: second * 1_000_000_000 + 7_000_000, to: start)
            }
            let expected = formatter.string(from: Date(timeIntervalSince1970: Double(second)))
            #expect(String(decoding: bytes, as: UTF8.self) == expected.dropLast() + ".007Z")
        }
    }
}
