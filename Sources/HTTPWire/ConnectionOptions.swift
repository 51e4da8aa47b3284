// The Connection field (RFC 9110, section 7.6.1): what it says of the connection, and which fields it takes along.

/// What the Connection fields of one head say.
struct ConnectionOptions: OptionSet, Sendable {
    let rawValue: UInt8

    static let close = ConnectionOptions(rawValue: 1)
    static let keepAlive = ConnectionOptions(rawValue: 2)
    static let upgrade = ConnectionOptions(rawValue: 4)

    /// Options of one head, over all its Connection fields. Real ones have one to three; each may cost a walk over all
    /// fields, so the product has to be bounded.
    static var countMax: Int { 32 }

    /// Reads all Connection fields and marks the fields they nominate as dropped.
    /// - Throws: `badConnection` for an option that is no token, `tooManyConnectionOptions`.
    static func parse(
        _ bytes: Span<UInt8>, fields: inout ContiguousArray<Field>, section: FieldSection
    ) throws(WireError) -> ConnectionOptions {
        var options: ConnectionOptions = []
        guard section.seen & KnownField.connection.bit != 0 else { return options }
        var count = 0
        for index in fields.indices where fields[index].known == .connection {
            // Nearly every Connection field is one of two words.
            let value = fields[index].value
            if KnownField.identify(bytes, value) == .keepAlive {
                options.insert(.keepAlive)
                continue
            }
            var members = ListMembers(value)
            while let option = members.next(in: bytes) {
                count &+= 1
                guard count <= countMax else {
                    throw WireError(.tooManyConnectionOptions, side: section.side, at: Int(option.start))
                }
                guard bytes.endOfToken(from: Int(option.start), limit: option.end) == option.end else {
                    throw WireError(.badConnection, side: section.side, at: Int(option.start))
                }
                options.formUnion(take(option, of: bytes, fields: &fields))
            }
        }
        return options
    }

    /// What one option means by itself; any other is the name of a field to drop.
    private static func take(
        _ option: ByteRange, of bytes: Span<UInt8>, fields: inout ContiguousArray<Field>
    ) -> ConnectionOptions {
        if bytes.equalsIgnoringCase(option, "close") { return .close }
        let known = KnownField.identify(bytes, option)
        switch known {
        case .keepAlive: return .keepAlive
        case .upgrade: return .upgrade
        case .other where !bytes.isProtectedFamily(option):
            for index in fields.indices
            where fields[index].known == .other && bytes.equalsIgnoringCase(fields[index].name, option) {
                fields[index].isDropped = true
            }
        case _ where known != .other && known.mayBeNominated:
            for index in fields.indices where fields[index].known == known { fields[index].isDropped = true }
        default:
            break
        }
        return []
    }
}

extension Span where Element == UInt8 {
    /// Whether a name belongs to the families that only proxies write, and that neither Connection nor a trailer
    /// section may touch: `X-Forwarded-*`, `Martlet-*`, `CF-*`.
    func isProtectedFamily(_ name: ByteRange) -> Bool {
        hasPrefixIgnoringCase(name, "x-forwarded-") || hasPrefixIgnoringCase(name, "martlet-")
            || hasPrefixIgnoringCase(name, "cf-")
    }
}
