// What can be wrong with a compressed field block. One row per kind in `section` and `text`.
//
// After any of these the two ends' tables differ, so that no later block of the connection can be read: the connection
// ends with COMPRESSION_ERROR (RFC 9113, section 4.3). `listTooLarge` is no fault of the coding but a bound on the work
// that few bytes can ask for (RFC 7541, section 7.3); it leaves the table as unusable as the others do.

/// A field block that cannot be decoded. Two errors are equal when kind and position are.
package struct HPACKError: Error, Equatable, Sendable {
    package enum Kind: UInt8, Sendable, CaseIterable {
        // Lengths and integers.
        case truncated, integerTooLarge, stringBeyondBlock
        // Indexes.
        case indexZero, indexBeyondTable
        // Size updates.
        case sizeUpdateTooLarge, sizeUpdateLate, sizeUpdateMissing
        // The Huffman code.
        case huffmanPadding, huffmanEOS
        // Work.
        case listTooLarge
    }

    package let kind: Kind
    /// Where in the block the representation at fault begins.
    package let position: Int

    package init(_ kind: Kind, at position: Int) {
        self.kind = kind
        self.position = position
    }

    /// The section whose rule was broken.
    package var section: StaticString {
        switch kind {
        case .truncated: "RFC 7541, 5.1"
        case .integerTooLarge: "RFC 7541, 5.1"
        case .stringBeyondBlock: "RFC 7541, 5.2"
        case .indexZero: "RFC 7541, 6.1"
        case .indexBeyondTable: "RFC 7541, 2.3.3"
        case .sizeUpdateTooLarge: "RFC 7541, 6.3"
        case .sizeUpdateLate: "RFC 7541, 4.2"
        case .sizeUpdateMissing: "RFC 7541, 4.2"
        case .huffmanPadding: "RFC 7541, 5.2"
        case .huffmanEOS: "RFC 7541, 5.2"
        case .listTooLarge: "RFC 7541, 7.3"
        }
    }

    /// What was expected and what was found instead, for a log line or the debug data of GOAWAY.
    package var text: StaticString {
        switch kind {
        case .truncated: "expected the block to go on, found its end within a field"
        case .integerTooLarge: "expected an integer below 2^32 in at most 6 bytes, found a larger one"
        case .stringBeyondBlock: "expected a string within the block, found a length beyond its end"
        case .indexZero: "expected an index from 1 on, found 0"
        case .indexBeyondTable: "expected an index within the tables, found a larger one"
        case .sizeUpdateTooLarge: "expected a table size within SETTINGS_HEADER_TABLE_SIZE, found a larger one"
        case .sizeUpdateLate: "expected table size updates at the start of a block, found one behind a field"
        case .sizeUpdateMissing: "expected a table size update behind a lowered setting, found none"
        case .huffmanPadding: "expected at most 7 one bits behind the last symbol, found other padding"
        case .huffmanEOS: "expected no EOS within a string, found one"
        case .listTooLarge: "expected a field list within the bound, found many times that from few bytes"
        }
    }
}

extension HPACKError: CustomStringConvertible {
    package var description: String { "\(text) (\(section), byte \(position) of the block)" }
}
