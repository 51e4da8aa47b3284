// The fields behind a chunked body (RFC 9112, section 7.1.2), copied out of the stream and held within their bounds.
//
// Fields that must not come in a trailer (RFC 9110, section 6.5.1) are left out of `fields`: nothing that frames,
// routes, authenticates or steers a message can arrive behind it.

internal import Limits

/// A trailer section: its own bytes, and the fields as ranges into them.
package struct TrailerSection: Sendable {
    /// What the ranges of `fields` point into.
    package private(set) var bytes: ContiguousArray<UInt8> = []
    /// The trailer fields that may be passed on. Complete once the decoder says `end`.
    package private(set) var fields: ContiguousArray<Field> = []

    private var section: FieldSection
    private var position = 0

    init(side: WireError.Side) {
        section = FieldSection(side: side, countMax: Limits.trailerFieldCountMax, tooMany: .tooManyTrailers)
    }

    /// Takes lines from `input[index]` on. Returns true behind the empty line that ends the section. The position of an
    /// error counts within the section.
    mutating func append(_ input: Span<UInt8>, _ index: inout Int) throws(WireError) -> Bool {
        while index < input.count {
            let room = Limits.trailerBytesMax - bytes.count
            let limit = min(input.count, index + max(room, 0))
            let lineFeed = input.firstIndex(of: ASCII.lineFeed, from: index, limit: limit)
            let end = min(lineFeed &+ 1, limit)
            for position in index..<end { bytes.append(input.byte(at: position)) }
            index = end
            let isFull = bytes.count >= Limits.trailerBytesMax
            guard lineFeed < limit || isFull else { return false }
            let lines = bytes
            if try section.parse(lines.span, from: &position, limit: lines.count, into: &fields) {
                removeForbidden()
                return true
            }
            guard !isFull else { throw WireError(.trailersTooLong, side: section.side, at: bytes.count) }
        }
        return false
    }

    private mutating func removeForbidden() {
        let lines = bytes
        let input = lines.span
        var kept = 0
        for index in fields.indices {
            let field = fields[index]
            if field.known.isForbiddenTrailer || input.isProtectedFamily(field.name) { continue }
            fields[kept] = field
            kept += 1
        }
        fields.removeLast(fields.count - kept)
    }
}
