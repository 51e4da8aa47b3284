// Comparing, finding and taking lists apart.

import HTTPWire
import Testing

// `#expect` cannot take a span as an argument.
extension [UInt8] {
    fileprivate func equals(_ range: ByteRange, _ text: StaticString) -> Bool { span.equals(range, text) }
    fileprivate func equalsIgnoringCase(_ range: ByteRange, _ text: StaticString) -> Bool {
        span.equalsIgnoringCase(range, text)
    }
    fileprivate func equalsIgnoringCase(_ one: ByteRange, _ other: ByteRange) -> Bool {
        span.equalsIgnoringCase(one, other)
    }
    fileprivate func hasPrefixIgnoringCase(_ range: ByteRange, _ prefix: StaticString) -> Bool {
        span.hasPrefixIgnoringCase(range, prefix)
    }
    fileprivate func trimmingBlanks(_ range: ByteRange) -> ByteRange { span.trimmingBlanks(range) }
    fileprivate func find(_ byte: UInt8, limit: Int) -> Int { span.firstIndex(of: byte, from: 0, limit: limit) }
}

@Suite("Comparing bytes")
struct ByteCompareTests {
    private let bytes = "Hello, hELLO, [AZaz@`{]".latin1

    private func range(_ start: Int, _ count: Int) -> ByteRange {
        ByteRange(start: UInt32(start), count: UInt32(count))
    }

    @Test("with text and with each other")
    func compare() {
        #expect(bytes.equals(range(0, 5), "Hello"))
        #expect(!bytes.equals(range(0, 5), "hello"))
        #expect(!bytes.equals(range(0, 4), "Hello"))
        #expect(bytes.equalsIgnoringCase(range(0, 5), "hELLo"))
        #expect(!bytes.equalsIgnoringCase(range(0, 5), "hELL"))
        #expect(bytes.equalsIgnoringCase(range(0, 5), range(7, 5)))
        #expect(!bytes.equalsIgnoringCase(range(0, 5), range(7, 4)))
        #expect(bytes.hasPrefixIgnoringCase(range(0, 5), "hel"))
        #expect(!bytes.hasPrefixIgnoringCase(range(0, 2), "hel"))
        // Only letters have a case: @ and `, [ and { differ in the same bit.
        #expect(!bytes.equalsIgnoringCase(range(19, 1), "`"))
        #expect(!bytes.equalsIgnoringCase(range(14, 1), "{"))
        #expect(bytes.equalsIgnoringCase(range(15, 2), range(17, 2)))
    }

    @Test("ranges outside the bytes are equal to nothing")
    func outside() {
        #expect(!bytes.equals(range(22, 2), "]x"))
        #expect(!bytes.equalsIgnoringCase(range(22, 2), "]x"))
        #expect(!bytes.equalsIgnoringCase(range(22, 2), range(22, 2)))
        #expect(bytes.trimmingBlanks(range(22, 2)) == .empty)
        var list = ListMembers(range(0, 4000))
        var count = 0
        while list.next(in: bytes.span) != nil { count += 1 }
        #expect(count == 3)
    }

    @Test("finding a byte, at every distance from the end of a word")
    func find() {
        for count in 0..<40 {
            for position in 0...count {
                var haystack = [UInt8](repeating: 0xFF, count: count)
                if position < count { haystack[position] = 0x0A }
                if position + 1 < count { haystack[position + 1] = 0x0B }
                #expect(haystack.find(0x0A, limit: count) == position)
                if position > 0 { #expect(haystack.find(0x0A, limit: position) == position) }
            }
        }
    }

    @Test(
        "members of a list",
        arguments: [
            ("", []), (" , ,\t,", []), ("a", ["a"]), ("a,b", ["a", "b"]), (" a , b\t,,c ", ["a", "b", "c"]),
            ("a b,c", ["a b", "c"]), ("a=\"x,y\", b", ["a=\"x,y\"", "b"]), ("\"a\\\",b\",c", ["\"a\\\",b\"", "c"]),
            ("\"open, b", ["\"open, b"]), ("a,\"\\", ["a", "\"\\"]),
        ] as [(String, [String])])
    func list(_ text: String, _ members: [String]) {
        let bytes = text.latin1
        var list = ListMembers(ByteRange(start: 0, count: UInt32(bytes.count)))
        var found: [String] = []
        while let member = list.next(in: bytes.span) { found.append(String(bytes: bytes[member.range])) }
        #expect(found == members)
    }
}
