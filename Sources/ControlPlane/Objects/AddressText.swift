import Glibc

/// IP addresses in text.
enum AddressText {
    /// The canonical text of an IPv4 address, nil if it is none.
    static func version4(_ text: String) -> String? { canonical(text, AF_INET, bytes: 4) }

    /// The canonical text of an IPv6 address (RFC 5952), nil if it is none.
    static func version6(_ text: String) -> String? { canonical(text, AF_INET6, bytes: 16) }

    /// An address, or one with the length of a prefix.
    static func isBlock(_ text: String) -> Bool {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let bits = version4(parts[0]) != nil ? 32 : version6(parts[0]) != nil ? 128 : -1
        guard bits > 0 else { return false }
        guard parts.count == 2 else { return true }
        return Int(parts[1]).map { (0...bits).contains($0) } ?? false
    }

    /// Whether an address lies in a block of its own version. Text that is neither lies nowhere.
    static func block(_ block: String, contains address: String) -> Bool {
        let parts = block.split(separator: "/", maxSplits: 1).map(String.init)
        guard let network = parts.first.flatMap(bytes), let host = bytes(address), network.count == host.count else {
            return false
        }
        var bits = parts.count == 2 ? Int(parts[1]) ?? -1 : network.count * 8
        // `::ffff:192.0.2.0/120` is `192.0.2.0/24`.
        if network.count == 4, parts[0].contains(":"), parts.count == 2 { bits -= 96 }
        guard (0...network.count * 8).contains(bits) else { return false }
        for (index, pair) in zip(network, host).enumerated() {
            let bitsHere = min(max(bits - index * 8, 0), 8)
            let mask = UInt8(truncatingIfNeeded: 0xff00 >> bitsHere)
            if (pair.0 ^ pair.1) & mask != 0 { return false }
        }
        return true
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var address = [UInt8](repeating: 0, count: count)
            guard !text.utf8.contains(0), inet_pton(family, text, &address) == 1 else { continue }
            // A socket of both families gives IPv4 peers in this form (RFC 4291, section 2.5.5.2).
            let isMapped =
                count == 16 && address[..<10].allSatisfy { $0 == 0 } && address[10] == 0xff && address[11] == 0xff
            return isMapped ? Array(address[12...]) : address
        }
        return nil
    }

    private static func canonical(_ text: String, _ family: Int32, bytes: Int) -> String? {
        guard text.utf8.count <= Int(INET6_ADDRSTRLEN), !text.utf8.contains(0) else { return nil }
        var address = [UInt8](repeating: 0, count: bytes)
        guard inet_pton(family, text, &address) == 1 else { return nil }
        var target = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN) + 1)
        guard inet_ntop(family, &address, &target, socklen_t(target.count)) != nil else { return nil }
        return String(decoding: target.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
