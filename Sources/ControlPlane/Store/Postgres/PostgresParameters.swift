// Values on their way to the server, and texts on their way to C.

import Glibc

/// The values of one statement in one block of memory: numbers and texts in PostgreSQL's text form, bytes as they are.
///
/// The server infers each placeholder's type from where it stands. So an integer fits any column of numbers.
struct PostgresParameters {
    private var block: [UInt8] = []
    private var offsets: [Int?] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []

    init(_ values: [SQLValue]) {
        for value in values {
            var offset: Int? = block.count
            switch value {
            case .null: offset = nil
            case .integer(let integer): block += Array(String(integer).utf8)
            case .real(let real): block += Array(String(real).utf8)
            case .text(let text): block += Array(text.utf8)
            case .blob(let bytes): block += bytes
            }
            offsets.append(offset)
            lengths.append(Int32(clamping: offset.map { block.count - $0 } ?? 0))
            if case .blob = value { formats.append(1) } else { formats.append(0) }
            block.append(0)
        }
    }

    func withPointers<R>(
        _ body: (UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?) -> R
    ) -> R {
        block.withUnsafeBytes { block in
            let pointers = offsets.map { offset -> UnsafePointer<CChar>? in
                guard let offset, let base = block.baseAddress else { return nil }
                return (base + offset).assumingMemoryBound(to: CChar.self)
            }
            return body(pointers, lengths, formats)
        }
    }
}

/// A list of C's texts that ends with nothing, freed with its owner.
final class CStringArray {
    private let storage: [UnsafeMutablePointer<CChar>?]

    init(_ texts: [String]) { storage = texts.map { strdup($0) } + [nil] }

    deinit { for text in storage { free(text) } }

    /// Valid as long as this array.
    var pointers: [UnsafePointer<CChar>?] { storage.map { $0.map { UnsafePointer($0) } } }
}
