// Encoding field blocks (RFC 7541, section 2.1): finding a field in the tables, or writing it out.
//
// The dynamic table's entries are found through `buckets`: by the row of a known field, by a hash of any other name. A
// bucket holds the number of its newest entry, and each entry that of the one before it. Numbers of entries that were
// evicted tell so by themselves (`HPACKDynamicTable.index(ofNumber:)`), so eviction leaves the buckets alone.
//
// `HPACKEncoder+Fields.swift` has the forms in which whole heads are handed in, `HPACKRule.swift` what is done with each
// field.

/// The encoding end of one direction of a connection: its dynamic table. Each block begins with `begin`, and its fields
/// follow in one go; a block that was begun must be sent, in the order in which blocks were begun.
package struct HPACKEncoder: Sendable {
    private(set) var table: HPACKDynamicTable
    private var buckets: ContiguousArray<UInt32> = []
    private let ownBytesMax: Int
    private var peerBytesMax = HPACKDynamicTable.initialBytes
    /// The smallest size since the last block, if it changed (RFC 7541, section 4.2).
    private var lowestBytes: Int?
    let isShared: Bool

    /// Entries looked at for one field.
    private static var stepsMax: Int { 16 }
    static var pseudoBucket: Int { 72 }
    static var otherBucket: Int { 80 }
    static var bucketCount: Int { 128 }

    /// `tableBytesMax`: no larger table is used, whatever the peer allows; 0 for none. `isShared`: messages of several
    /// parties travel on the connection, as they do towards an origin. Then no field enters the table of which it is not
    /// known what it means, for its value may be somebody's secret (RFC 7541, section 7.1.1).
    package init(tableBytesMax: Int, isShared: Bool = false) {
        self.isShared = isShared
        ownBytesMax = min(max(0, tableBytesMax), HPACKDynamicTable.bytesMaxMax)
        table = HPACKDynamicTable(bytesMax: HPACKDynamicTable.initialBytes)
        if ownBytesMax < table.bytesMax { lowestBytes = ownBytesMax }
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE (RFC 9113, section 6.5.2). Holds from the next block on, which says so.
    package mutating func peerAllows(tableBytes: Int) {
        peerBytesMax = max(0, tableBytes)
        lowestBytes = min(lowestBytes ?? table.bytesMax, min(ownBytesMax, peerBytesMax))
    }

    /// Begins a block: writes the size updates that are due (RFC 7541, section 4.2).
    package mutating func begin(to writer: inout ByteWriter) {
        guard let lowest = lowestBytes else { return }
        lowestBytes = nil
        let final = min(ownBytesMax, peerBytesMax)
        if lowest < final, lowest < table.bytesMax { update(to: lowest, &writer) }
        if final != table.bytesMax { update(to: final, &writer) }
    }

    private mutating func update(to bytes: Int, _ writer: inout ByteWriter) {
        table.resize(to: bytes)
        guard writer.reserve(HPACKPen.integerBytesMax) else { return }
        write(to: &writer) { pen in pen.write(bytes, bits: 5, pattern: 0x20) }
    }

    /// Most bytes that a block takes: of `lineBytes` bytes of lines and of values that are handed in by name, in
    /// `fieldCount` fields, those by name and the status included. A block must not be cut short by its writer's end, for
    /// then the tables differ; so this many bytes are reserved first.
    package static func boundBytes(lineBytes: Int, fieldCount: Int) -> Int {
        let names = 16
        let contentLength = 20
        let updates = 2 * HPACKPen.integerBytesMax
        let (perField, isTooLarge) = max(0, fieldCount).multipliedReportingOverflow(by: HPACKPen.fieldOverheadBytes)
        guard !isTooLarge else { return .max }
        let (sum, isBeyond) = max(0, lineBytes).addingReportingOverflow(perField)
        guard !isBeyond, sum < .max - 256 else { return .max }
        return sum + names + contentLength + updates + HPACKPen.fieldOverheadBytes
    }

    // MARK: One field

    /// One field as it is handed to the tables.
    struct Line {
        let kind: HPACKFields.Kind
        let rule: HPACKRule
        /// Where the static table has the name, or 0.
        let staticIndex: Int
        /// Where the dynamic table's entries of that name are found.
        let bucket: Int
        let name: UnsafeRawPointer
        let nameCount: Int
        let value: UnsafeRawPointer
        let valueCount: Int
    }

    @inline(__always)
    func write(to writer: inout ByteWriter, _ body: (inout HPACKPen) -> Void) {
        guard let base = writer.buffer.baseAddress else { return }
        var pen = HPACKPen(base + writer.position)
        body(&pen)
        writer.position = UnsafeRawPointer(pen.place) - UnsafeRawPointer(base)
    }

    /// Writes a field. One that does not surely fit is not written, and the overflow noted.
    mutating func write(_ line: Line, _ huffman: HPACKHuffman, to writer: inout ByteWriter) {
        let room = line.nameCount &+ line.valueCount &+ HPACKPen.fieldOverheadBytes
        guard writer.reserve(room), let base = writer.buffer.baseAddress else { return }
        var pen = HPACKPen(base + writer.position)
        switch line.rule {
        case .omitted: break
        case .neverIndexed: literal(line, line.staticIndex, bits: 4, pattern: 0x10, huffman, &pen)
        case .literal: literal(line, line.staticIndex, bits: 4, pattern: 0, huffman, &pen)
        case .te, .nameOnly, .latest, .indexed, .unknown: search(line, huffman, &pen)
        }
        writer.position = UnsafeRawPointer(pen.place) - UnsafeRawPointer(base)
    }

    /// Writes a field that the dynamic table may have, or gets.
    @inline(__always)
    private mutating func search(_ line: Line, _ huffman: HPACKHuffman, _ pen: inout HPACKPen) {
        var nameIndex = line.staticIndex
        var valuesLeft = line.rule.valuesMax
        var stepsLeft = Self.stepsMax
        var number = buckets.isEmpty ? 0 : buckets[line.bucket]
        while stepsLeft > 0, let index = table.index(ofNumber: number) {
            let row = table.row(numbered: number)
            if has(row, nameOf: line) {
                if has(row, valueOf: line) {
                    pen.write(HPACKStaticTable.count &+ index, bits: 7, pattern: 0x80)
                    return
                }
                if nameIndex == 0 { nameIndex = HPACKStaticTable.count &+ index }
                valuesLeft &-= 1
                if line.rule == .latest || line.rule == .nameOnly { break }
            }
            number = row.link
            stepsLeft &-= 1
        }
        let size = line.nameCount &+ line.valueCount &+ HPACKDynamicTable.entryOverheadBytes
        // What takes half of the table is not worth what it pushes out.
        guard valuesLeft > 0, size <= table.bytesMax / 2 else {
            return literal(line, nameIndex, bits: 4, pattern: 0, huffman, &pen)
        }
        literal(line, nameIndex, bits: 6, pattern: 0x40, huffman, &pen)
        insert(line)
    }

    @inline(__always)
    private func has(_ row: HPACKDynamicTable.Row, nameOf line: Line) -> Bool {
        guard row.kind == line.kind else { return false }
        guard line.rule == .unknown else { return true }
        return Int(row.nameCount) == line.nameCount
            && table.equalsLowercased(row.position, line.name, count: line.nameCount)
    }

    @inline(__always)
    private func has(_ row: HPACKDynamicTable.Row, valueOf line: Line) -> Bool {
        Int(row.valueCount) == line.valueCount && line.rule != .nameOnly
            && table.equals(row.position &+ row.nameCount, line.value, count: line.valueCount)
    }

    /// Writes a literal field (RFC 7541, section 6.2).
    @inline(__always)
    private func literal(
        _ line: Line, _ nameIndex: Int, bits: UInt8, pattern: UInt8, _ huffman: HPACKHuffman,
        _ pen: inout HPACKPen
    ) {
        pen.write(nameIndex, bits: bits, pattern: pattern)
        if nameIndex == 0 { pen.write(name: line.name, count: line.nameCount, huffman) }
        pen.write(line.value, count: line.valueCount, huffman)
    }

    @inline(never)
    private mutating func insert(_ line: Line) {
        if buckets.isEmpty { buckets = ContiguousArray(repeating: 0, count: Self.bucketCount) }
        var row = HPACKDynamicTable.Row()
        row.kind = line.kind
        row.nameCount = line.kind.keepsName ? UInt32(truncatingIfNeeded: line.nameCount) : 0
        row.valueCount = UInt32(truncatingIfNeeded: line.valueCount)
        row.link = buckets[line.bucket]
        table.insert(row, name: line.name, value: line.value, isLowercasing: true)
        buckets[line.bucket] = table.number
    }
}
