// Literal fields that may not fit the room there is.

extension HPACKDecoder {
    /// Decodes a literal whose coded length does not prove that it fits. One that does not is thrown away, but put into
    /// the table if it belongs there.
    @inline(never)
    mutating func literalWithoutRoom(
        _ literal: HPACKLiteral, _ reader: HPACKReader, to target: UnsafeMutableRawPointer, _ huffman: HPACKHuffman,
        _ output: inout HPACKFields
    ) throws(HPACKError) {
        var nameCount = Int(literal.named.nameCount)
        if let name = literal.name { nameCount = try reader.decodedCount(name, huffman, of: literal.start) }
        let valueCount = try reader.decodedCount(literal.value, huffman, of: literal.start)
        // For all that is known yet, a pseudo-header field's name may have to lie there while it is looked at.
        if output.hasRoom(for: nameCount &+ valueCount) {
            let place = target + output.byteCount
            let row = try decode(literal, reader, to: place, huffman)
            output.listBytes &+= row.size
            if literal.isIndexed { table.insert(row, name: place, value: place + Int(row.nameCount)) }
            output.add(
                nameCount: Int(row.nameCount), valueCount: Int(row.valueCount), row.kind,
                isNeverIndexed: literal.isNeverIndexed, isWellFormed: row.hasGoodName && row.hasGoodValue)
            return
        }
        if literal.name == nil { nameCount &+= literal.named.kind.pseudoNameCount }
        let size = nameCount &+ valueCount &+ HPACKDynamicTable.entryOverheadBytes
        output.listBytes &+= size
        guard literal.isIndexed else { return }
        guard size <= table.bytesMax else {
            table.evict(until: 0)
            return
        }
        let needed = nameCount &+ valueCount &+ HPACKCopy.slackBytes
        if output.scratch.count < needed { output.scratch = ContiguousArray(repeating: 0, count: needed) }
        try output.scratch.withUnsafeMutableBufferPointer { (scratch) throws(HPACKError) in
            guard let place = scratch.baseAddress.map({ UnsafeMutableRawPointer($0) }) else { return }
            let row = try decode(literal, reader, to: place, huffman)
            table.insert(row, name: place, value: place + Int(row.nameCount))
        }
    }
}

extension HPACKFields {
    /// Whether a field of so many bytes is surely kept. Says nothing of one that is not.
    @inline(__always)
    func hasRoomLeft(for count: Int) -> Bool {
        !hasOverflowed && count <= bytesMax &- byteCount && entries.count < fieldsMax
    }

    /// Whether a field of exactly so many bytes is kept. If it is not, none behind it is.
    @inline(__always)
    mutating func hasRoom(for count: Int) -> Bool {
        if !hasRoomLeft(for: count) { hasOverflowed = true }
        return !hasOverflowed
    }

    /// Adds the row of a field whose bytes have been put behind the others.
    @inline(__always)
    mutating func add(nameCount: Int, valueCount: Int, _ kind: Kind, isNeverIndexed: Bool, isWellFormed: Bool) {
        let valueStart = byteCount &+ nameCount
        let end = valueStart &+ valueCount
        entries.append(
            Entry(
                name: ByteRange(byteCount, valueStart), value: ByteRange(valueStart, end), kind: kind,
                isNeverIndexed: isNeverIndexed, isWellFormed: isWellFormed))
        byteCount = end
    }
}
