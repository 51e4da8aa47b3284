// RFC 7541 once more, slowly and plainly: arrays of arrays, a table that moves its entries, a Huffman code that is looked
// up bit by bit. What the tests hold the decoder and the encoder against.

import HTTPWire

/// A field as the reference has it.
struct HPACKLine: Equatable, CustomStringConvertible {
    var name: [UInt8]
    var value: [UInt8]
    var isNeverIndexed = false

    init(_ name: [UInt8], _ value: [UInt8], isNeverIndexed: Bool = false) {
        self.name = name
        self.value = value
        self.isNeverIndexed = isNeverIndexed
    }

    init(_ name: String, _ value: String) { self.init(name.latin1, value.latin1) }

    /// RFC 7541, 4.1.
    var size: Int { name.count + value.count + 32 }
    var description: String { "\(HPACKText.text(name)): \(HPACKText.text(value))\(isNeverIndexed ? " (never)" : "")" }
}

enum HPACKText {
    static func text(_ bytes: [UInt8]) -> String { String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) })) }

    /// `8286 84`.
    static func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

/// Static and dynamic table (RFC 7541, 2.3). The newest entry is the first.
struct HPACKReferenceTable: Equatable {
    var entries: [HPACKLine] = []
    var bytesMax = 4096
    var size: Int { entries.reduce(0) { $0 + $1.size } }

    subscript(index: Int) -> HPACKLine? {
        if index < 1 { return nil }
        if index <= 61 { return Self.fixed[index - 1] }
        return index - 62 < entries.count ? entries[index - 62] : nil
    }

    /// RFC 7541, 4.3.
    mutating func resize(_ bytes: Int) {
        bytesMax = bytes
        while size > bytesMax { entries.removeLast() }
    }

    /// RFC 7541, 4.4.
    mutating func insert(_ line: HPACKLine) {
        while !entries.isEmpty, size + line.size > bytesMax { entries.removeLast() }
        if line.size <= bytesMax { entries.insert(HPACKLine(line.name, line.value), at: 0) }
    }

    /// The lowest index of the whole field, and of its name.
    func find(_ line: HPACKLine) -> (whole: Int?, name: Int?) {
        let all = Self.fixed + entries
        return (
            all.firstIndex { $0.name == line.name && $0.value == line.value }.map { $0 + 1 },
            all.firstIndex { $0.name == line.name }.map { $0 + 1 }
        )
    }

    static let fixed: [HPACKLine] = [
        HPACKLine(":authority", ""),
        HPACKLine(":method", "GET"),
        HPACKLine(":method", "POST"),
        HPACKLine(":path", "/"),
        HPACKLine(":path", "/index.html"),
        HPACKLine(":scheme", "http"),
        HPACKLine(":scheme", "https"),
        HPACKLine(":status", "200"),
        HPACKLine(":status", "204"),
        HPACKLine(":status", "206"),
        HPACKLine(":status", "304"),
        HPACKLine(":status", "400"),
        HPACKLine(":status", "404"),
        HPACKLine(":status", "500"),
        HPACKLine("accept-charset", ""),
        HPACKLine("accept-encoding", "gzip, deflate"),
        HPACKLine("accept-language", ""),
        HPACKLine("accept-ranges", ""),
        HPACKLine("accept", ""),
        HPACKLine("access-control-allow-origin", ""),
        HPACKLine("age", ""),
        HPACKLine("allow", ""),
        HPACKLine("authorization", ""),
        HPACKLine("cache-control", ""),
        HPACKLine("content-disposition", ""),
        HPACKLine("content-encoding", ""),
        HPACKLine("content-language", ""),
        HPACKLine("content-length", ""),
        HPACKLine("content-location", ""),
        HPACKLine("content-range", ""),
        HPACKLine("content-type", ""),
        HPACKLine("cookie", ""),
        HPACKLine("date", ""),
        HPACKLine("etag", ""),
        HPACKLine("expect", ""),
        HPACKLine("expires", ""),
        HPACKLine("from", ""),
        HPACKLine("host", ""),
        HPACKLine("if-match", ""),
        HPACKLine("if-modified-since", ""),
        HPACKLine("if-none-match", ""),
        HPACKLine("if-range", ""),
        HPACKLine("if-unmodified-since", ""),
        HPACKLine("last-modified", ""),
        HPACKLine("link", ""),
        HPACKLine("location", ""),
        HPACKLine("max-forwards", ""),
        HPACKLine("proxy-authenticate", ""),
        HPACKLine("proxy-authorization", ""),
        HPACKLine("range", ""),
        HPACKLine("referer", ""),
        HPACKLine("refresh", ""),
        HPACKLine("retry-after", ""),
        HPACKLine("server", ""),
        HPACKLine("set-cookie", ""),
        HPACKLine("strict-transport-security", ""),
        HPACKLine("transfer-encoding", ""),
        HPACKLine("user-agent", ""),
        HPACKLine("vary", ""),
        HPACKLine("via", ""),
        HPACKLine("www-authenticate", ""),
    ]
}

/// The decoding end.
struct HPACKReferenceDecoder {
    var table = HPACKReferenceTable()
    var limit = 4096
    var listBytesMax = Int.max

    private struct Cursor {
        let bytes: [UInt8]
        var position = 0
        var start = 0
        func error(_ kind: HPACKError.Kind) -> HPACKError { HPACKError(kind, at: start) }

        mutating func byte() throws -> UInt8 {
            guard position < bytes.count else { throw error(.truncated) }
            defer { position += 1 }
            return bytes[position]
        }

        mutating func integer(_ bits: Int) throws -> Int {
            let mask = 1 << bits - 1
            var value = Int(try byte()) & mask
            if value < mask { return value }
            for shift in [0, 7, 14, 21, 28] {
                let next = Int(try byte())
                value += (next & 127) << shift
                if next < 128 {
                    if value > 0xFFFF_FFFF { break }
                    return value
                }
            }
            throw error(.integerTooLarge)
        }

        mutating func string() throws -> (isHuffman: Bool, bytes: [UInt8]) {
            guard position < bytes.count else { throw error(.truncated) }
            let isHuffman = bytes[position] >= 128
            let count = try integer(7)
            guard count <= bytes.count - position else { throw error(.stringBeyondBlock) }
            position += count
            return (isHuffman, Array(bytes[position - count..<position]))
        }

        func decoded(_ string: (isHuffman: Bool, bytes: [UInt8])) throws -> [UInt8] {
            guard string.isHuffman else { return string.bytes }
            switch HPACKReferenceHuffman.decode(string.bytes) {
            case .success(let bytes): return bytes
            case .failure(let fault): throw error(fault.kind)
            }
        }
    }

    mutating func decode(_ block: [UInt8]) throws -> [HPACKLine] {
        var cursor = Cursor(bytes: block)
        var lines: [HPACKLine] = []
        var list = 0
        var isStart = true
        while cursor.position < block.count {
            cursor.start = cursor.position
            let first = block[cursor.position]
            switch first {
            case 0x80...:
                let index = try cursor.integer(7)
                guard index > 0 else { throw cursor.error(.indexZero) }
                guard let line = table[index] else { throw cursor.error(.indexBeyondTable) }
                lines.append(line)
            case 0x20..<0x40:
                guard isStart else { throw cursor.error(.sizeUpdateLate) }
                let size = try cursor.integer(5)
                guard size <= limit else { throw cursor.error(.sizeUpdateTooLarge) }
                table.resize(size)
                continue
            default:
                let index = try cursor.integer(first >= 0x40 ? 6 : 4)
                let name: (isHuffman: Bool, bytes: [UInt8])
                if index == 0 {
                    name = try cursor.string()
                } else {
                    guard let line = table[index] else { throw cursor.error(.indexBeyondTable) }
                    name = (false, line.name)
                }
                let value = try cursor.string()
                var line = HPACKLine(try cursor.decoded(name), try cursor.decoded(value))
                if first >= 0x40 { table.insert(line) }
                line.isNeverIndexed = first & 0xF0 == 0x10
                lines.append(line)
            }
            isStart = false
            list += lines[lines.count - 1].size
            if list > listBytesMax { throw cursor.error(.listTooLarge) }
        }
        return lines
    }
}

/// The encoding end, which is told how to write each field.
struct HPACKReferenceEncoder {
    enum Form: CaseIterable { case indexed, incremental, without, never }

    var table = HPACKReferenceTable()

    static func integer(_ value: Int, _ bits: Int, _ pattern: UInt8) -> [UInt8] {
        let mask = 1 << bits - 1
        if value < mask { return [pattern | UInt8(value)] }
        var bytes = [pattern | UInt8(mask)]
        var rest = value - mask
        while rest >= 128 {
            bytes.append(UInt8(rest & 127 | 128))
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    static func string(_ bytes: [UInt8], isHuffman: Bool) -> [UInt8] {
        let text = isHuffman ? HPACKReferenceHuffman.encode(bytes) : bytes
        return integer(text.count, 7, isHuffman ? 0x80 : 0) + text
    }

    /// One field; `indexed` where the table has it, otherwise as `incremental`.
    mutating func encode(_ line: HPACKLine, _ form: Form, isHuffman: Bool, usesNames: Bool = true) -> [UInt8] {
        let found = table.find(line)
        if form == .indexed, let index = found.whole { return Self.integer(index, 7, 0x80) }
        let name = usesNames ? found.name : nil
        var bytes =
            switch form {
            case .indexed, .incremental: Self.integer(name ?? 0, 6, 0x40)
            case .without: Self.integer(name ?? 0, 4, 0)
            case .never: Self.integer(name ?? 0, 4, 0x10)
            }
        if name == nil { bytes += Self.string(line.name, isHuffman: isHuffman) }
        if form == .indexed || form == .incremental { table.insert(line) }
        return bytes + Self.string(line.value, isHuffman: isHuffman)
    }

    mutating func resize(_ bytes: Int) -> [UInt8] {
        table.resize(bytes)
        return Self.integer(bytes, 5, 0x20)
    }
}

/// The Huffman code, bit by bit.
enum HPACKReferenceHuffman {
    enum Fault: Error {
        case padding, endOfString
        var kind: HPACKError.Kind { self == .padding ? .huffmanPadding : .huffmanEOS }
    }

    private struct Code: Hashable {
        var bits: UInt32
        var length: Int
    }

    private static let symbols = Dictionary(
        uniqueKeysWithValues: codes.enumerated().map { (Code(bits: $1.0, length: $1.1), $0) })

    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var bits: [UInt8] = []
        for byte in bytes {
            let (code, length) = codes[Int(byte)]
            for place in (0..<length).reversed() { bits.append(UInt8(code >> UInt32(place) & 1)) }
        }
        while bits.count % 8 != 0 { bits.append(1) }
        return stride(from: 0, to: bits.count, by: 8).map { bits[$0..<$0 + 8].reduce(0) { $0 << 1 | $1 } }
    }

    static func decode(_ bytes: [UInt8]) -> Result<[UInt8], Fault> {
        var result: [UInt8] = []
        var code = Code(bits: 0, length: 0)
        for byte in bytes {
            for place in (0..<8).reversed() {
                code.bits = code.bits << 1 | UInt32(byte >> UInt8(place) & 1)
                code.length += 1
                guard let symbol = symbols[code] else { continue }
                if symbol == 256 { return .failure(.endOfString) }
                result.append(UInt8(symbol))
                code = Code(bits: 0, length: 0)
            }
        }
        let isPadding = code.length < 8 && code.bits == UInt32(1) << UInt32(code.length) - 1
        return isPadding ? .success(result) : .failure(.padding)
    }

    /// RFC 7541, appendix B: code and length of each symbol, EOS last.
    static let codes: [(UInt32, Int)] = [
        (0x1ff8, 13), (0x7fffd8, 23), (0xfffffe2, 28), (0xfffffe3, 28), (0xfffffe4, 28), (0xfffffe5, 28),
        (0xfffffe6, 28), (0xfffffe7, 28), (0xfffffe8, 28), (0xffffea, 24), (0x3ffffffc, 30), (0xfffffe9, 28),
        (0xfffffea, 28), (0x3ffffffd, 30), (0xfffffeb, 28), (0xfffffec, 28), (0xfffffed, 28), (0xfffffee, 28),
        (0xfffffef, 28), (0xffffff0, 28), (0xffffff1, 28), (0xffffff2, 28), (0x3ffffffe, 30), (0xffffff3, 28),
        (0xffffff4, 28), (0xffffff5, 28), (0xffffff6, 28), (0xffffff7, 28), (0xffffff8, 28), (0xffffff9, 28),
        (0xffffffa, 28), (0xffffffb, 28), (0x14, 6), (0x3f8, 10), (0x3f9, 10), (0xffa, 12), (0x1ff9, 13), (0x15, 6),
        (0xf8, 8), (0x7fa, 11), (0x3fa, 10), (0x3fb, 10), (0xf9, 8), (0x7fb, 11), (0xfa, 8), (0x16, 6), (0x17, 6),
        (0x18, 6), (0x0, 5), (0x1, 5), (0x2, 5), (0x19, 6), (0x1a, 6), (0x1b, 6), (0x1c, 6), (0x1d, 6), (0x1e, 6),
        (0x1f, 6), (0x5c, 7), (0xfb, 8), (0x7ffc, 15), (0x20, 6), (0xffb, 12), (0x3fc, 10), (0x1ffa, 13), (0x21, 6),
        (0x5d, 7), (0x5e, 7), (0x5f, 7), (0x60, 7), (0x61, 7), (0x62, 7), (0x63, 7), (0x64, 7), (0x65, 7), (0x66, 7),
        (0x67, 7), (0x68, 7), (0x69, 7), (0x6a, 7), (0x6b, 7), (0x6c, 7), (0x6d, 7), (0x6e, 7), (0x6f, 7), (0x70, 7),
        (0x71, 7), (0x72, 7), (0xfc, 8), (0x73, 7), (0xfd, 8), (0x1ffb, 13), (0x7fff0, 19), (0x1ffc, 13),
        (0x3ffc, 14), (0x22, 6), (0x7ffd, 15), (0x3, 5), (0x23, 6), (0x4, 5), (0x24, 6), (0x5, 5), (0x25, 6),
        (0x26, 6), (0x27, 6), (0x6, 5), (0x74, 7), (0x75, 7), (0x28, 6), (0x29, 6), (0x2a, 6), (0x7, 5), (0x2b, 6),
        (0x76, 7), (0x2c, 6), (0x8, 5), (0x9, 5), (0x2d, 6), (0x77, 7), (0x78, 7), (0x79, 7), (0x7a, 7), (0x7b, 7),
        (0x7ffe, 15), (0x7fc, 11), (0x3ffd, 14), (0x1ffd, 13), (0xffffffc, 28), (0xfffe6, 20), (0x3fffd2, 22),
        (0xfffe7, 20), (0xfffe8, 20), (0x3fffd3, 22), (0x3fffd4, 22), (0x3fffd5, 22), (0x7fffd9, 23), (0x3fffd6, 22),
        (0x7fffda, 23), (0x7fffdb, 23), (0x7fffdc, 23), (0x7fffdd, 23), (0x7fffde, 23), (0xffffeb, 24),
        (0x7fffdf, 23), (0xffffec, 24), (0xffffed, 24), (0x3fffd7, 22), (0x7fffe0, 23), (0xffffee, 24),
        (0x7fffe1, 23), (0x7fffe2, 23), (0x7fffe3, 23), (0x7fffe4, 23), (0x1fffdc, 21), (0x3fffd8, 22),
        (0x7fffe5, 23), (0x3fffd9, 22), (0x7fffe6, 23), (0x7fffe7, 23), (0xffffef, 24), (0x3fffda, 22),
        (0x1fffdd, 21), (0xfffe9, 20), (0x3fffdb, 22), (0x3fffdc, 22), (0x7fffe8, 23), (0x7fffe9, 23),
        (0x1fffde, 21), (0x7fffea, 23), (0x3fffdd, 22), (0x3fffde, 22), (0xfffff0, 24), (0x1fffdf, 21),
        (0x3fffdf, 22), (0x7fffeb, 23), (0x7fffec, 23), (0x1fffe0, 21), (0x1fffe1, 21), (0x3fffe0, 22),
        (0x1fffe2, 21), (0x7fffed, 23), (0x3fffe1, 22), (0x7fffee, 23), (0x7fffef, 23), (0xfffea, 20),
        (0x3fffe2, 22), (0x3fffe3, 22), (0x3fffe4, 22), (0x7ffff0, 23), (0x3fffe5, 22), (0x3fffe6, 22),
        (0x7ffff1, 23), (0x3ffffe0, 26), (0x3ffffe1, 26), (0xfffeb, 20), (0x7fff1, 19), (0x3fffe7, 22),
        (0x7ffff2, 23), (0x3fffe8, 22), (0x1ffffec, 25), (0x3ffffe2, 26), (0x3ffffe3, 26), (0x3ffffe4, 26),
        (0x7ffffde, 27), (0x7ffffdf, 27), (0x3ffffe5, 26), (0xfffff1, 24), (0x1ffffed, 25), (0x7fff2, 19),
        (0x1fffe3, 21), (0x3ffffe6, 26), (0x7ffffe0, 27), (0x7ffffe1, 27), (0x3ffffe7, 26), (0x7ffffe2, 27),
        (0xfffff2, 24), (0x1fffe4, 21), (0x1fffe5, 21), (0x3ffffe8, 26), (0x3ffffe9, 26), (0xffffffd, 28),
        (0x7ffffe3, 27), (0x7ffffe4, 27), (0x7ffffe5, 27), (0xfffec, 20), (0xfffff3, 24), (0xfffed, 20),
        (0x1fffe6, 21), (0x3fffe9, 22), (0x1fffe7, 21), (0x1fffe8, 21), (0x7ffff3, 23), (0x3fffea, 22),
        (0x3fffeb, 22), (0x1ffffee, 25), (0x1ffffef, 25), (0xfffff4, 24), (0xfffff5, 24), (0x3ffffea, 26),
        (0x7ffff4, 23), (0x3ffffeb, 26), (0x7ffffe6, 27), (0x3ffffec, 26), (0x3ffffed, 26), (0x7ffffe7, 27),
        (0x7ffffe8, 27), (0x7ffffe9, 27), (0x7ffffea, 27), (0x7ffffeb, 27), (0xffffffe, 28), (0x7ffffec, 27),
        (0x7ffffed, 27), (0x7ffffee, 27), (0x7ffffef, 27), (0x7fffff0, 27), (0x3ffffee, 26), (0x3fffffff, 30),
    ]
}
