// What the tests drive the coders with.

import HTTPWire

/// Random numbers that are the same in every run, so that what fails once fails again (SplitMix64).
struct HPACKRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func chance(_ one: Int, in many: Int) -> Bool { Int.random(in: 0..<many, using: &self) < one }

    mutating func bytes(_ counts: ClosedRange<Int>, _ values: ClosedRange<UInt8>) -> [UInt8] {
        (0..<Int.random(in: counts, using: &self)).map { _ in UInt8.random(in: values, using: &self) }
    }

    /// A field such as messages have, from a small stock, so that many come again.
    mutating func line() -> HPACKLine {
        let names = [
            "date", "server", "content-type", "cache-control", "x-a", "x-bb", "x-request-identifier", "set-cookie",
            "etag", "age", "martlet-ray", "link", "authorization", "accept", "te-te", "sec-fetch-mode",
            "access-control-allow-origin", "via", "content-disposition", "cookie",
        ]
        let values = ["", "a", "1", "text/html; charset=utf-8", "max-age=3600", "Sun, 23 Nov 2025 10:12:13 GMT"]
        let name = names.randomElement(using: &self) ?? ""
        switch Int.random(in: 0..<8, using: &self) {
        case 0: return HPACKLine(name.latin1, bytes(0...40, 0x21...0x7E))
        case 1: return HPACKLine(name.latin1, bytes(1...90, 0x80...0xFF))
        case 2: return HPACKLine(bytes(1...20, 0x61...0x7A), bytes(0...8, 0x30...0x39))
        default: return HPACKLine(name, values.randomElement(using: &self) ?? "")
        }
    }
}

extension HPACKFields {
    init(roomy: Void) { self.init(bytesMax: 1 << 17, fieldsMax: 4096, listBytesMax: 1 << 24) }

    /// The fields as the reference has them.
    var lines: [HPACKLine] {
        entries.map { entry in
            let name =
                switch entry.kind {
                case .method: ":method".latin1
                case .path: ":path".latin1
                case .scheme: ":scheme".latin1
                case .authority: ":authority".latin1
                case .status: ":status".latin1
                case .protocol: ":protocol".latin1
                case .field, .otherPseudo: Array(bytes[entry.name.range])
                }
            return HPACKLine(name, Array(bytes[entry.value.range]), isNeverIndexed: entry.isNeverIndexed)
        }
    }
}

extension HPACKDecoder {
    /// The fields of one block.
    mutating func lines(_ block: [UInt8]) throws(HPACKError) -> [HPACKLine] {
        var fields = HPACKFields(roomy: ())
        try decode(block.span, into: &fields)
        return fields.lines
    }

    mutating func lines(_ hex: String) throws(HPACKError) -> [HPACKLine] { try lines(HPACKText.bytes(hex)) }

    /// What the dynamic table holds, the newest first: each index is asked for until there is none.
    var entries: [HPACKLine] {
        var copy = self
        var fields = HPACKFields(roomy: ())
        var index = 62
        while (try? copy.decode(HPACKReferenceEncoder.integer(index, 7, 0x80).span, into: &fields)) != nil {
            index += 1
        }
        return fields.lines
    }
}

extension HPACKEncoder {
    /// A block of lines, begun and ended.
    mutating func block(_ lines: String) -> [UInt8] {
        block(bytesMax: HPACKEncoder.boundBytes(lineBytes: lines.utf8.count, fieldCount: lines.count)) {
            encoder, writer in
            encoder.encode(lines: lines.latin1.span, to: &writer)
        }
    }

    /// A block of whatever is written.
    mutating func block(bytesMax: Int = 65_536, _ body: (inout HPACKEncoder, inout ByteWriter) -> Void) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xA5, count: bytesMax)
        var count = 0
        bytes.withUnsafeMutableBytes { memory in
            var writer = ByteWriter(memory)
            begin(to: &writer)
            body(&self, &writer)
            count = writer.hasOverflowed ? 0 : writer.count
        }
        return Array(bytes[..<count])
    }

    mutating func block(_ lines: [HPACKLine]) -> [UInt8] {
        block(lines.map { "\(HPACKText.text($0.name)): \(HPACKText.text($0.value))\r\n" }.joined())
    }
}
