// rooms: Limits HTTPWire; corpus: HPACK
// HPACK: the blocks of one connection. No trap, no range beyond what was decoded; the verdict and the table do not depend
// on how much room there is; what was decoded and is well formed comes back the same through the encoder.
//
// The first byte says what table size is announced. Then blocks, each behind a byte with its length; 255 stands for all
// that is left.

import HTTPWire

private let tableSizes = [4096, 256, 0, 65_536]
private let listBytesMax = 1 << 20

/// Memory that is used for input after input.
private struct Memory {
    var roomy = HPACKFields(bytesMax: listBytesMax, fieldsMax: 1 << 16, listBytesMax: listBytesMax)
    var narrow = HPACKFields(bytesMax: 50, fieldsMax: 4, listBytesMax: listBytesMax)
    var other = HPACKFields(bytesMax: listBytesMax, fieldsMax: 1 << 16, listBytesMax: listBytesMax)
    var written: [UInt8] = []
}
// nonisolated(unsafe): libFuzzer calls from one thread.
nonisolated(unsafe) private var memory = Memory()

private func read(_ block: Span<UInt8>, _ decoder: inout HPACKDecoder, _ fields: inout HPACKFields) -> HPACKError? {
    fields.clear()
    var fault: HPACKError?
    do throws(HPACKError) {
        try decoder.decode(block, into: &fields)
    } catch {
        precondition(error.position < block.count)
        fault = error
    }
    for entry in fields.entries {
        precondition(entry.name.end <= fields.byteCount && entry.value.end <= fields.byteCount)
    }
    return fault
}

/// The fields of the dynamic table, found by asking for each.
private func table(_ decoder: HPACKDecoder) -> [[UInt8]] {
    var decoder = decoder
    var found: [[UInt8]] = []
    var index = 62
    while true {
        let rest = index - 127
        let block =
            rest < 0
            ? [UInt8(0x80 | index)]
            : rest < 128 ? [0xFF, UInt8(rest)] : [0xFF, UInt8(rest & 127 | 128), UInt8(rest >> 7)]
        if let error = read(block.span, &decoder, &memory.other) {
            precondition(error.kind == .indexBeyondTable)
            return found
        }
        let size = memory.other.listBytes
        found.append([UInt8(size & 255), UInt8(size >> 8 & 255)] + memory.other.bytes[..<memory.other.byteCount])
        index += 1
    }
}

/// The fields that may be written as lines, with those left out that the encoder leaves out.
private func lines(_ fields: HPACKFields) -> (text: [UInt8], kept: [HPACKFields.Entry]) {
    var text: [UInt8] = []
    var kept: [HPACKFields.Entry] = []
    for entry in fields.entries {
        guard case .field(let known) = entry.kind, entry.isWellFormed else { continue }
        text += fields.bytes[entry.name.range]
        text += ": ".utf8
        text += fields.bytes[entry.value.range]
        text += "\r\n".utf8
        switch known {
        case .host, .transferEncoding, .connection, .upgrade, .keepAlive, .proxyConnection, .http2Settings: continue
        case .te where !fields.bytes.span.equalsIgnoringCase(entry.value, "trailers"): continue
        default: kept.append(entry)
        }
    }
    return (text, kept)
}

/// Through the encoder and back.
private func roundTrip(_ encoder: inout HPACKEncoder, _ decoder: inout HPACKDecoder) {
    let (text, kept) = lines(memory.roomy)
    let bound = HPACKEncoder.boundBytes(lineBytes: text.count, fieldCount: memory.roomy.entries.count)
    if memory.written.count < bound { memory.written = [UInt8](repeating: 0, count: bound) }
    var count = 0
    memory.written.withUnsafeMutableBytes { bytes in
        var writer = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: bytes.prefix(bound)))
        encoder.begin(to: &writer)
        precondition(encoder.encode(lines: text.span, to: &writer) == text.count)
        precondition(!writer.hasOverflowed)
        count = writer.count
    }
    let block = Array(memory.written[..<count])
    precondition(read(block.span, &decoder, &memory.other) == nil)
    precondition(memory.other.entries.count == kept.count && !memory.other.hasOverflowed)
    for (entry, field) in zip(memory.other.entries, kept) {
        precondition(memory.other.bytes[entry.name.range] == memory.roomy.bytes[field.name.range])
        precondition(memory.other.bytes[entry.value.range] == memory.roomy.bytes[field.value.range])
    }
}

/// What libFuzzer calls with every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let tableBytes = tableSizes[Int(bytes.first ?? 0) % 4]
    var roomy = HPACKDecoder(tableBytesMax: tableBytes)
    var narrow = HPACKDecoder(tableBytesMax: tableBytes)
    var encoder = HPACKEncoder(tableBytesMax: 300, isShared: count % 2 == 1)
    var decoder = HPACKDecoder(tableBytesMax: 4096)
    var position = 1
    while position < bytes.count {
        let length = Int(bytes[position])
        let end = length == 255 ? bytes.count : min(bytes.count, position + 1 + length)
        let block = bytes.span.extracting(position + 1..<end)
        position = end
        let error = read(block, &roomy, &memory.roomy)
        precondition(error == read(block, &narrow, &memory.narrow))
        precondition(memory.roomy.listBytes == memory.narrow.listBytes && !memory.roomy.hasOverflowed)
        precondition(memory.narrow.byteCount <= 50 && memory.narrow.entries.count <= 4)
        precondition(memory.roomy.entries.starts(with: memory.narrow.entries))
        precondition(memory.roomy.bytes.starts(with: memory.narrow.bytes[..<memory.narrow.byteCount]))
        if error != nil { return 0 }
        roundTrip(&encoder, &decoder)
    }
    precondition(table(roomy) == table(narrow))
    return 0
}
