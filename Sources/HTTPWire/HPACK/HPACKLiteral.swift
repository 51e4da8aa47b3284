// The parts of a literal field (RFC 7541, section 6.2), found but not yet decoded: what it may come to in bytes is known
// before the first of them is written.

struct HPACKLiteral {
    /// Where a name that is not in the block comes from.
    enum NameSource {
        case staticTable(UnsafeRawPointer)
        case dynamicTable
    }

    /// Where the field begins in the block.
    let start: Int
    /// It enters the dynamic table (section 6.2.1).
    let isIndexed: Bool
    /// It must never enter one (section 6.2.3).
    let isNeverIndexed: Bool
    /// The name, if it stands in the block; otherwise `named` is the entry that has it.
    private(set) var name: HPACKReader.Text?
    private(set) var named = HPACKDynamicTable.Row()
    private(set) var nameSource = NameSource.dynamicTable
    let value: HPACKReader.Text

    /// Reads the field at the reader's position, whose first byte says that it is a literal, and moves behind it.
    @inline(__always)
    init(
        _ reader: inout HPACKReader, _ table: borrowing HPACKDynamicTable, _ staticTable: HPACKStaticTable
    ) throws(HPACKError) {
        start = reader.position
        let byte = reader.byte
        isIndexed = byte & 0x40 != 0
        isNeverIndexed = byte & 0xF0 == 0x10
        let index = try reader.integer(bits: isIndexed ? 6 : 4, of: start)
        if index == 0 {
            name = try reader.text(of: start)
        } else if index <= HPACKStaticTable.count {
            let row = staticTable.rows[index]
            named.nameCount = UInt32(row.nameCount)
            named.kind = row.kind
            named.hasGoodName = true
            nameSource = .staticTable(staticTable.bytes + Int(row.position))
        } else if let row = table.row(at: index &- HPACKStaticTable.count) {
            named = row
        } else {
            throw HPACKError(.indexBeyondTable, at: start)
        }
        value = try reader.text(of: start)
    }

    /// Most bytes that name and value can have.
    @inline(__always)
    var decodedCountMax: Int {
        (name?.decodedCountMax ?? Int(named.nameCount)) &+ value.decodedCountMax
    }
}

// MARK: Judging names and values

extension HPACKFields {
    /// Whether `count` bytes may stand as a field value (RFC 9113, section 8.2.1; RFC 9110, section 5.5). Up to seven
    /// bytes behind them are read.
    @inline(__always)
    static func isGoodValue(_ value: UnsafeRawPointer, count: Int) -> Bool {
        guard count > 0 else { return true }
        let first = value.load(as: UInt8.self)
        let last = value.load(fromByteOffset: count &- 1, as: UInt8.self)
        guard !ASCII.isBlank(first), !ASCII.isBlank(last) else { return false }
        var offset = 0
        while offset < count {
            let word = UInt64(littleEndian: value.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            var matches = ByteWord.bytes(word, below: 0x20) | ByteWord.zeroBytes(word ^ ByteWord.deletes)
            let left = count &- offset
            if left < 8 { matches &= (1 &<< UInt64(truncatingIfNeeded: left &* 8)) &- 1 }
            if matches != 0 { return isGoodSlowly(value, from: offset, count: count) }
            offset &+= 8
        }
        return true
    }

    @inline(never)
    private static func isGoodSlowly(_ value: UnsafeRawPointer, from start: Int, count: Int) -> Bool {
        for offset in start..<count {
            let byte = value.load(fromByteOffset: offset, as: UInt8.self)
            if byte < 0x20 && byte != ASCII.tab || byte == ASCII.delete { return false }
        }
        return true
    }
}

extension HPACKFields.Kind {
    /// What the `count` bytes at `name` name. Up to eight bytes behind them are read.
    @inline(__always)
    init(_ name: UnsafeRawPointer, count: Int) {
        // The words in which names are compared may reach beyond the end of a short one.
        let bytes = UnsafeRawBufferPointer(start: name, count: count &+ 8)
        self.init(Span(_unsafeBytes: bytes), count: count)
    }

    /// Whether a name of this kind is spelt as it must be (RFC 9113, section 8.2.1).
    @inline(__always)
    func isGoodName(_ name: UnsafeRawPointer, count: Int) -> Bool {
        switch self {
        case .method, .path, .scheme, .authority, .status, .protocol: return true
        case .otherPseudo: return Self.isLowercaseToken(name + 1, count: count &- 1)
        case .field: return Self.isLowercaseToken(name, count: count)
        }
    }

    @inline(__always)
    private static func isLowercaseToken(_ name: UnsafeRawPointer, count: Int) -> Bool {
        var offset = 0
        while offset < count, CharacterClass.lowercaseToken.contains(name.load(fromByteOffset: offset, as: UInt8.self))
        {
            offset &+= 1
        }
        return offset == count && count > 0
    }
}

extension CharacterClass {
    /// `tchar` without upper-case letters: what field names are made of (RFC 9113, section 8.2.1).
    static var lowercaseToken: CharacterClass {
        CharacterClass(low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C000_0000)
    }
}
