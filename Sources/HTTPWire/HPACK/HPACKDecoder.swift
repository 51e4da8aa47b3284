// Decoding field blocks (RFC 7541, section 3).
//
// A block is read representation by representation. What it says goes to `HPACKFields` in one copy: from the static
// table, from the dynamic table, or out of the block. A literal that is to be indexed is then copied from there into the
// table. `HPACKDecoder+Overflow.swift` has what happens where the fields have no more room.
//
// Raw pointers are used for as long as one call of `decode` lasts. Reads of the block are bounded by `HPACKReader`, each
// write by a comparison with the room there is, in `emit` and `literal`.

/// The decoding end of one direction of a connection: its dynamic table.
package struct HPACKDecoder: Sendable {
    var table: HPACKDynamicTable
    /// What we announced, and what holds: they differ until the peer has acknowledged it.
    private let announcedBytes: Int
    private var limitBytes: Int
    /// The limit has fallen below the table's size: the next block must begin with an update (RFC 7541, section 4.2).
    private var awaitsSizeUpdate = false

    /// `tableBytesMax`: what we announce as SETTINGS_HEADER_TABLE_SIZE (RFC 9113, section 6.5.2). Until the peer
    /// acknowledges that, its default of 4,096 bytes holds, if that is more.
    package init(tableBytesMax: Int) {
        announcedBytes = min(max(0, tableBytesMax), HPACKDynamicTable.bytesMaxMax)
        limitBytes = max(announcedBytes, HPACKDynamicTable.initialBytes)
        table = HPACKDynamicTable(bytesMax: HPACKDynamicTable.initialBytes)
    }

    /// The peer has acknowledged our SETTINGS: from the next block on, what we announced holds.
    package mutating func announcementAcknowledged() {
        limitBytes = announcedBytes
        awaitsSizeUpdate = table.bytesMax > limitBytes
    }

    /// Decodes one whole block, all its fragments joined, and puts its fields behind those in `output`. Fields that find
    /// no room there are decoded nevertheless (see `HPACKFields.hasOverflowed`), for the table must stay in step with the
    /// peer's. After an error neither this decoder nor the fields are of any use: the connection must end.
    package mutating func decode(_ block: Span<UInt8>, into output: inout HPACKFields) throws(HPACKError) {
        // Out of `output` while they are written through pointers, so that both can be changed side by side.
        var bytes = ContiguousArray<UInt8>()
        swap(&bytes, &output.bytes)
        defer { swap(&bytes, &output.bytes) }
        try block.withUnsafeBytes { (source) throws(HPACKError) in
            guard let base = source.baseAddress else { return }
            try bytes.withUnsafeMutableBufferPointer { (target) throws(HPACKError) in
                guard let start = target.baseAddress.map({ UnsafeMutableRawPointer($0) }) else { return }
                var reader = HPACKReader(base: base, count: source.count)
                try sizeUpdates(&reader)
                try fields(&reader, to: start, &output)
            }
        }
    }

    /// The size updates that a block may begin with (RFC 7541, sections 4.2 and 6.3).
    @inline(__always)
    private mutating func sizeUpdates(_ reader: inout HPACKReader) throws(HPACKError) {
        while reader.position < reader.count, reader.byte & 0xE0 == 0x20 {
            let start = reader.position
            let bytes = try reader.integer(bits: 5, of: start)
            guard bytes <= limitBytes else { throw HPACKError(.sizeUpdateTooLarge, at: start) }
            table.resize(to: bytes)
            awaitsSizeUpdate = false
        }
        if awaitsSizeUpdate, reader.position < reader.count {
            throw HPACKError(.sizeUpdateMissing, at: reader.position)
        }
    }

    private mutating func fields(
        _ reader: inout HPACKReader, to target: UnsafeMutableRawPointer, _ output: inout HPACKFields
    ) throws(HPACKError) {
        let staticTable = HPACKStaticTable.shared
        let huffman = HPACKHuffman.shared
        while reader.position < reader.count {
            let start = reader.position
            let byte = reader.byte
            if byte & 0x80 != 0 {
                let index = try reader.integer(bits: 7, of: start)
                guard index > 0 else { throw HPACKError(.indexZero, at: start) }
                if index <= HPACKStaticTable.count {
                    emit(staticTable, staticTable.rows[index], to: target, &output)
                } else if let row = table.row(at: index &- HPACKStaticTable.count) {
                    emit(row, to: target, &output)
                } else {
                    throw HPACKError(.indexBeyondTable, at: start)
                }
            } else if byte & 0xE0 == 0x20 {
                throw HPACKError(.sizeUpdateLate, at: start)
            } else {
                try literal(&reader, to: target, staticTable, huffman, &output)
            }
            if output.listBytes > output.listBytesMax { throw HPACKError(.listTooLarge, at: start) }
        }
    }

    // MARK: Indexed fields

    /// An indexed field of the static table (RFC 7541, section 6.1).
    @inline(__always)
    private func emit(
        _ staticTable: HPACKStaticTable, _ row: HPACKStaticTable.Row, to target: UnsafeMutableRawPointer,
        _ output: inout HPACKFields
    ) {
        let (nameCount, valueCount) = (Int(row.nameCount), Int(row.valueCount))
        output.listBytes &+= Int(row.size)
        guard output.hasRoom(for: nameCount &+ valueCount) else { return }
        HPACKCopy.short(
            staticTable.bytes + Int(row.position), to: target + output.byteCount, count: nameCount &+ valueCount)
        output.add(nameCount: nameCount, valueCount: valueCount, row.kind, isNeverIndexed: false, isWellFormed: true)
    }

    /// An indexed field of the dynamic table (RFC 7541, section 6.1).
    @inline(__always)
    private func emit(
        _ row: HPACKDynamicTable.Row, to target: UnsafeMutableRawPointer, _ output: inout HPACKFields
    ) {
        output.listBytes &+= row.size
        guard output.hasRoom(for: row.storedCount) else { return }
        table.copy(from: row.position, count: row.storedCount, to: target + output.byteCount)
        output.add(
            nameCount: Int(row.nameCount), valueCount: Int(row.valueCount), row.kind, isNeverIndexed: false,
            isWellFormed: row.hasGoodName && row.hasGoodValue)
    }

    // MARK: Literal fields

    /// A literal field (RFC 7541, section 6.2).
    @inline(__always)
    private mutating func literal(
        _ reader: inout HPACKReader, to target: UnsafeMutableRawPointer, _ staticTable: HPACKStaticTable,
        _ huffman: HPACKHuffman, _ output: inout HPACKFields
    ) throws(HPACKError) {
        let literal = try HPACKLiteral(&reader, table, staticTable)
        guard output.hasRoomLeft(for: literal.decodedCountMax) else {
            return try literalWithoutRoom(literal, reader, to: target, huffman, &output)
        }
        let place = target + output.byteCount
        let row = try decode(literal, reader, to: place, huffman)
        output.listBytes &+= row.size
        if literal.isIndexed { table.insert(row, name: place, value: place + Int(row.nameCount)) }
        output.add(
            nameCount: Int(row.nameCount), valueCount: Int(row.valueCount), row.kind,
            isNeverIndexed: literal.isNeverIndexed, isWellFormed: row.hasGoodName && row.hasGoodValue)
    }

    /// Puts name and value at `place`, which has room for `literal.decodedCountMax` bytes or for what they were found to
    /// have, and judges them.
    @inline(__always)
    func decode(
        _ literal: HPACKLiteral, _ reader: HPACKReader, to place: UnsafeMutableRawPointer, _ huffman: HPACKHuffman
    ) throws(HPACKError) -> HPACKDynamicTable.Row {
        var row = HPACKDynamicTable.Row()
        if let name = literal.name {
            let count = try reader.decode(name, into: place, huffman, of: literal.start)
            row.kind = HPACKFields.Kind(place, count: count)
            row.nameCount = row.kind.keepsName ? UInt32(truncatingIfNeeded: count) : 0
            row.hasGoodName = row.kind.isGoodName(place, count: count)
        } else {
            row = literal.named
            switch literal.nameSource {
            case .staticTable(let bytes): HPACKCopy.short(bytes, to: place, count: Int(row.nameCount))
            case .dynamicTable: table.copy(from: row.position, count: Int(row.nameCount), to: place)
            }
        }
        let valuePlace = place + Int(row.nameCount)
        let count = try reader.decode(literal.value, into: valuePlace, huffman, of: literal.start)
        row.valueCount = UInt32(truncatingIfNeeded: count)
        row.hasGoodValue = HPACKFields.isGoodValue(valuePlace, count: count)
        return row
    }
}
