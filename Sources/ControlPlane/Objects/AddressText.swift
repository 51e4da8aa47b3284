import ConfigModel

/// IP addresses and CIDR blocks in the API's text, read as the configuration's are. Unlike there, bits beyond a block's
/// prefix are no error: Cloudflare takes them too.
enum AddressText {
    /// The canonical text of an IPv4 address, nil if it is none.
    static func version4(_ text: String) -> String? { AddressBits(text).flatMap { $0.isIPv4 ? $0.text : nil } }

    /// The canonical text of an IPv6 address (RFC 5952), nil if it is none.
    static func version6(_ text: String) -> String? { AddressBits(text).flatMap { $0.isIPv4 ? nil : $0.text } }

    /// An address, or one with the length of a prefix; nil if it is neither.
    static func block(_ text: String) -> AddressBlock? {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let bits = AddressBits(parts[0]) else { return nil }
        let width = bits.isIPv4 ? 32 : 128
        guard let length = parts.count == 2 ? Int(parts[1]) : width, (0...width).contains(length) else { return nil }
        return AddressBlock(high: bits.high, low: bits.low, prefixBits: length + 128 - width)
    }

    /// Whether an address lies in a block. IPv4 lies in no block of IPv6, but for those within `::ffff:0:0/96`: that is
    /// what a socket of both families calls it (RFC 4291, section 2.5.5.2).
    static func block(_ text: String, contains address: String) -> Bool {
        guard let block = block(text), let bits = AddressBits(address) else { return false }
        let isIPv4 = bits.high == 0 && bits.low >> 32 == 0xffff
        return (block.prefixBits >= 96 || !isIPv4) && block.contains(high: bits.high, low: bits.low)
    }
}
