// IP addresses, socket addresses and CIDR blocks as they are written in the configuration file.
//
// inet_pton decides what an address is, so that what passes here is what the kernel takes: no octal, no short
// forms, no names.

import Glibc

/// An IP address as 128 bits, IPv4 in its v4-mapped form.
package struct AddressBits: Sendable, Hashable {
    package var high: UInt64
    package var low: UInt64
    package var isIPv4: Bool

    /// Reads `192.0.2.1` or `2001:db8::1`, without brackets; nil for anything else.
    package init?(_ text: String) {
        guard !text.utf8.contains(0) else { return nil }
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            high = 0
            low = 0x0000_FFFF_0000_0000 | UInt64(UInt32(bigEndian: four.s_addr))
            isIPv4 = true
            return
        }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        let words = withUnsafeBytes(of: six) { bytes in
            (
                bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
                bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            )
        }
        high = UInt64(bigEndian: words.0)
        low = UInt64(bigEndian: words.1)
        isIPv4 = false
    }

    init(high: UInt64, low: UInt64, isIPv4: Bool) {
        self.high = high
        self.low = low
        self.isIPv4 = isIPv4
    }

    /// The address in canonical text (RFC 5952), without brackets.
    package var text: String {
        if isIPv4 {
            return "\((low >> 24) & 255).\((low >> 16) & 255).\((low >> 8) & 255).\(low & 255)"
        }
        var six = in6_addr()
        withUnsafeMutableBytes(of: &six) { bytes in
            bytes.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
            bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, &six, &buffer, socklen_t(buffer.count)) != nil else { return "::" }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// 127.0.0.0/8 or ::1.
    package var isLoopback: Bool { isIPv4 ? (low >> 24) & 255 == 127 : high == 0 && low == 1 }
}

extension SocketAddressText {
    private static let expected = "an address such as 127.0.0.1:8080, [::1]:8080 or *:8080"

    /// Reads `127.0.0.1:8080`, `[::1]:8080` or `*:8080`. Port 0 lets the system choose one.
    /// - Throws: `Misread` with a suggestion where one is likely.
    package init(parsing text: String) throws(Misread) {
        guard let colon = text.lastIndex(of: ":") else {
            if SocketAddressText.port(text[...]) != nil {
                throw Misread(expected: SocketAddressText.expected, help: "for every address, write \"*:\(text)\"")
            }
            if text == "*" || AddressBits(text) != nil {
                throw Misread(expected: SocketAddressText.expected, help: "add a port, as in \"\(text):8080\"")
            }
            throw Misread(expected: SocketAddressText.expected, help: "an IP address, a colon and a port")
        }
        let written = text[..<colon]
        if AddressBits(text)?.isIPv4 == false {
            let isPort =
                SocketAddressText.port(text[text.index(after: colon)...]) != nil && AddressBits(String(written)) != nil
            let meant = isPort ? "[\(written)]\(text[colon...])" : "[\(text)]:8080"
            throw Misread(expected: SocketAddressText.expected, help: "put brackets around it: \"\(meant)\"")
        }
        guard let port = SocketAddressText.port(text[text.index(after: colon)...]) else {
            throw Misread(expected: SocketAddressText.expected, help: "a port is a number from 0 to 65535")
        }
        try self.init(host: SocketAddressText.host(written, port: port), port: port)
    }

    private static func host(_ written: Substring, port: Int) throws(Misread) -> String {
        if written == "*" { return "::" }
        if written.isEmpty { throw Misread(expected: expected, help: "for every address, write \"*:\(port)\"") }
        if written.hasPrefix("["), written.hasSuffix("]") {
            let inner = String(written.dropFirst().dropLast())
            if let bits = AddressBits(inner), !bits.isIPv4 { return bits.text }
            if AddressBits(inner) != nil {
                throw Misread(expected: expected, help: "brackets are for IPv6: \"\(inner):\(port)\"")
            }
            throw Misread(expected: expected, help: "between the brackets stands an IPv6 address, without a zone id")
        }
        if let bits = AddressBits(String(written)) {
            if bits.isIPv4 { return bits.text }
            throw Misread(expected: expected, help: "put brackets around it: \"[\(bits.text)]:\(port)\"")
        }
        if written.lowercased() == "localhost" {
            throw Misread(expected: expected, help: "write \"127.0.0.1:\(port)\" or \"[::1]:\(port)\"")
        }
        throw Misread(expected: expected, help: "an IP address of this machine, or * for every address; not a name")
    }

    /// A port, digits only.
    static func port(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 5, text.utf8.allSatisfy(Quantity.isDigit) else { return nil }
        return Int(text).flatMap { $0 <= 65_535 ? $0 : nil }
    }
}

extension AddressBlock {
    private static let expected = "an address or a block such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32"

    /// Reads a CIDR block or a single address of either family.
    /// - Throws: `Misread`; bits beyond the prefix are an error, with the block that was probably meant.
    package init(parsing text: String) throws(Misread) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let bits = AddressBits(String(first)) else {
            throw Misread(expected: AddressBlock.expected, help: "names are not looked up; write addresses")
        }
        let width = bits.isIPv4 ? 32 : 128
        guard parts.count == 2 else {
            self.init(high: bits.high, low: bits.low, prefixBits: 128)
            return
        }
        guard let length = SocketAddressText.port(parts[1]), length <= width else {
            throw Misread(
                expected: AddressBlock.expected,
                help: "after the slash stands a number from 0 to \(width)"
            )
        }
        let prefix = length + 128 - width
        let highMask = prefix == 0 ? 0 : ~UInt64(0) << UInt64(64 - min(prefix, 64))
        let lowMask = prefix <= 64 ? 0 : ~UInt64(0) << UInt64(128 - prefix)
        let network = AddressBits(high: bits.high & highMask, low: bits.low & lowMask, isIPv4: bits.isIPv4)
        guard network.high == bits.high, network.low == bits.low else {
            throw Misread(
                expected: "a block without bits beyond its prefix",
                help: "write \"\(network.text)/\(length)\" for the block or \"\(bits.text)\" for the one address"
            )
        }
        self.init(high: bits.high, low: bits.low, prefixBits: prefix)
    }

    /// Whether every IPv4 or every IPv6 address lies in the block.
    var isEverything: Bool { prefixBits == 0 || (prefixBits == 96 && high == 0 && low == 0x0000_FFFF_0000_0000) }
}
