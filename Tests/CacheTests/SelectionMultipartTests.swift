// multipart/byteranges (RFC 9110, section 14.6), read back by a reader of its own.

import Cache
import HTTPWire
import NIOCore
import Testing

@Suite("Several ranges in one body")
struct SelectionMultipartTests {
    private func render(_ plan: MultipartPlan, _ body: [UInt8]) -> [UInt8] {
        var all: [UInt8] = []
        for part in plan.parts {
            all += Array(part.head.readableBytesView)
            all += body[Int(part.range.lowerBound)..<Int(part.range.upperBound)]
        }
        return all + Array(plan.tail.readableBytesView)
    }

    @Test("what is sent, to the byte")
    func wire() {
        let boundary = MultipartBoundary(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210)
        let plan = MultipartPlan(
            ranges: [0..<2, 5..<6], length: 10, contentType: Array("text/plain".utf8).span, boundary: boundary)
        let sent = String(decoding: render(plan, Array("abcdefghij".utf8)), as: UTF8.self)
        let dashes = "--0123456789abcdeffedcba9876543210"
        #expect(
            sent == "\(dashes)\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\nab"
                + "\r\n\(dashes)\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-5/10\r\n\r\nf\r\n\(dashes)--\r\n"
        )
        #expect(plan.totalBytes == UInt64(sent.utf8.count))
        let type = selectionText { plan.writeContentType(to: &$0) }
        #expect(type == "multipart/byteranges; boundary=\(dashes.dropFirst(2))")
    }

    @Test("without a type, none is claimed")
    func untyped() {
        let plan = MultipartPlan(
            ranges: [0..<1, 3..<4], length: 10, contentType: [UInt8]().span, boundary: MultipartBoundary(1, 2))
        let head = String(buffer: plan.parts[0].head)
        #expect(!head.contains("Content-Type"))
        #expect(head.hasSuffix("\r\nContent-Range: bytes 0-0/10\r\n\r\n"))
    }

    @Test("totals hold for any ranges, types and lengths")
    func totals() {
        var random = SelectionRandom(0x6d70)
        let body = (0..<3000).map { UInt8(truncatingIfNeeded: $0) }
        for _ in 0..<200 {
            let ranges = (0..<2 + random.below(300)).map { _ in
                let start = UInt64(random.below(3000))
                return start..<start + 1 + UInt64(random.below(3000 - Int(start)))
            }
            let type = [UInt8](repeating: UInt8(ascii: "t"), count: random.below(300))
            let plan = MultipartPlan(ranges: ranges, length: 3000, contentType: type.span, boundary: .random())
            let sent = render(plan, body)
            #expect(UInt64(sent.count) == plan.totalBytes)
            #expect(plan.parts.map(\.range) == ranges)
        }
        let huge = MultipartPlan(
            ranges: [0..<UInt64.max - 1, 0..<UInt64.max], length: .max, contentType: [UInt8]().span,
            boundary: .random())
        #expect(String(buffer: huge.parts[1].head).contains("bytes 0-18446744073709551614/18446744073709551615"))
    }

    @Test("boundaries differ")
    func boundaries() {
        #expect(MultipartBoundary.random() != MultipartBoundary.random())
    }
}
