// What must hold for any blocks whatever, in the order in which they came on one connection.
//
// An input of the corpus is a connection: a byte that says what table size is announced, then blocks, each behind a byte
// with its length; 255 stands for all that is left.

import HTTPWire

/// The blocks of one connection.
struct HPACKConnection {
    var tableBytes: Int
    var blocks: [[UInt8]] = []

    static let tableSizes = [4096, 256, 0, 65_536]

    init(_ bytes: [UInt8]) {
        tableBytes = Self.tableSizes[Int(bytes.first ?? 0) % 4]
        var position = 1
        while position < bytes.count {
            let length = Int(bytes[position])
            let start = position + 1
            let end = length == 255 ? bytes.count : min(bytes.count, start + length)
            blocks.append(Array(bytes[start..<end]))
            position = end
        }
    }

    /// Whether every block can be decoded.
    var isValid: Bool {
        var decoder = HPACKReferenceDecoder()
        decoder.limit = max(tableBytes, 4096)
        return blocks.allSatisfy { (try? decoder.decode($0)) != nil }
    }
}

enum HPACKProperties {
    /// Bounds that hold everything, and bounds that short inputs reach.
    private static let bounds = [(1 << 16, 256, 1 << 20), (100, 256, 1 << 20), (1 << 16, 3, 1 << 20), (60, 4, 400)]

    /// Nil, or what was violated:
    /// - the decoder finds the fields that the reference finds, or the same error at the same byte;
    /// - so it does whatever room it has: then the fields it keeps are the first ones, and its table is in step;
    /// - what is told of a field's form is so.
    static func violation(_ bytes: [UInt8]) -> String? {
        let connection = HPACKConnection(bytes)
        for (bytesMax, fieldsMax, listBytesMax) in bounds {
            var fields = HPACKFields(bytesMax: bytesMax, fieldsMax: fieldsMax, listBytesMax: listBytesMax)
            var decoder = HPACKDecoder(tableBytesMax: connection.tableBytes)
            var reference = HPACKReferenceDecoder()
            reference.limit = max(connection.tableBytes, 4096)
            reference.listBytesMax = listBytesMax
            for (index, block) in connection.blocks.enumerated() {
                fields.clear()
                let expected = Result { try reference.decode(block) }
                do {
                    try decoder.decode(block.span, into: &fields)
                } catch {
                    guard case .failure(let other as HPACKError) = expected, other == error else {
                        return "block \(index): \(error), not \(expected)"
                    }
                    break
                }
                guard case .success(let lines) = expected else { return "block \(index): not \(expected)" }
                if let violation = compare(fields, lines, bytesMax, fieldsMax) { return "block \(index): \(violation)" }
                if decoder.entries != reference.table.entries { return "block \(index): the tables differ" }
            }
        }
        return nil
    }

    private static func compare(
        _ fields: HPACKFields, _ lines: [HPACKLine], _ bytesMax: Int, _ fieldsMax: Int
    ) -> String? {
        guard fields.listBytes == lines.reduce(0, { $0 + $1.size }) else {
            return "a list of \(fields.listBytes) bytes"
        }
        guard fields.lines == Array(lines.prefix(fields.entries.count)) else { return "\(fields.lines), not \(lines)" }
        guard fields.byteCount <= bytesMax, fields.entries.count <= fieldsMax else { return "beyond the bounds" }
        let isWhole = fields.entries.count == lines.count
        guard isWhole != fields.hasOverflowed else { return "\(lines.count) fields, overflow \(fields.hasOverflowed)" }
        if !isWhole, fields.entries.count < fieldsMax {
            let next = lines[fields.entries.count]
            guard fields.byteCount + next.name.count + next.value.count > bytesMax else { return "there was room" }
        }
        for (entry, line) in zip(fields.entries, lines) {
            guard entry.isWellFormed == isWellFormed(line) else { return "\(line) is \(entry.isWellFormed)" }
            guard entry.kind == kind(line) else { return "\(line) is \(entry.kind)" }
        }
        return nil
    }

    /// RFC 9113, 8.2.1.
    private static func isWellFormed(_ line: HPACKLine) -> Bool {
        let name = line.name.first == UInt8(ascii: ":") ? Array(line.name.dropFirst()) : line.name
        return isToken(name) && !name.contains { 0x41...0x5A ~= $0 } && isFieldValue(line.value)
    }

    private static func kind(_ line: HPACKLine) -> HPACKFields.Kind {
        switch HPACKText.text(line.name) {
        case ":method": .method
        case ":path": .path
        case ":scheme": .scheme
        case ":authority": .authority
        case ":status": .status
        case ":protocol": .protocol
        default:
            line.name.first == UInt8(ascii: ":")
                ? .otherPseudo
                : .field(KnownField.identify(line.name.span, ByteRange(start: 0, count: UInt32(line.name.count))))
        }
    }

    // MARK: The encoder

    /// Nil, or what was violated: the blocks of an encoder, decoded by the reference, are the lines that were put in,
    /// without those that HTTP/2 does not have.
    static func violation(
        _ lines: [HPACKLine], _ encoder: inout HPACKEncoder, _ reference: inout HPACKReferenceDecoder
    ) -> String? {
        let text: [UInt8] = lines.flatMap { $0.name + ": ".utf8 + $0.value + "\r\n".utf8 }
        let bound = HPACKEncoder.boundBytes(lineBytes: text.count, fieldCount: lines.count)
        let block = encoder.block(bytesMax: bound) { encoder, writer in
            encoder.encode(lines: text.span, to: &writer)
        }
        guard block.count <= bound, !block.isEmpty || lines.isEmpty else { return "\(block.count) bytes of \(bound)" }
        do {
            let decoded = try reference.decode(block).map { HPACKLine($0.name, $0.value) }
            let expected = lines.map { HPACKLine(HPACKText.text($0.name).lowercased().latin1, $0.value) }
            return decoded == expected ? nil : "\(decoded), not \(expected)"
        } catch {
            return "\(error)"
        }
    }
}
