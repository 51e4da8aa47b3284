package import HTTPWire
package import NIOCore

/// An IP address as 128 bits; IPv4 in its v4-mapped form (RFC 4291, section 2.5.5.2).
///
/// What a connection keeps of its peer: no `String`, no allocation, comparable with an `AddressBlock`.
package struct IPAddress: Sendable, Hashable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static let unspecified = IPAddress(high: 0, low: 0)

    package var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }

    /// The address of a socket; unspecified for what is not IP.
    package init(_ address: SocketAddress?) {
        self = .unspecified
        guard let address else { return }
        // Read at the offsets of sockaddr_in and sockaddr_in6: the address stands at byte 4 of the one, 8 of the other.
        switch address.protocol {
        case .inet:
            address.withSockAddr { raw, size in
                guard size >= 8 else { return }
                let host = UnsafeRawPointer(raw).loadUnaligned(fromByteOffset: 4, as: UInt32.self)
                low = 0xffff_0000_0000 | UInt64(UInt32(bigEndian: host))
            }
        case .inet6:
            address.withSockAddr { raw, size in
                guard size >= 24 else { return }
                let bytes = UnsafeRawPointer(raw)
                high = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
            }
        default:
            break
        }
    }

    /// Longest text `write` produces.
    package static let textBytesMax = 39

    /// The canonical text (RFC 5952) without brackets, as ASCII.
    package var text: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.textBytesMax)
        appendText { bytes.append($0) }
        return bytes
    }

    /// Calls `put` with each byte of the canonical text.
    @inline(__always)
    package func appendText(_ put: (UInt8) -> Void) {
        if isIPv4 {
            for shift in stride(from: UInt64(24), through: 0, by: -8) {
                let octet = UInt8(truncatingIfNeeded: low >> shift)
                if octet >= 100 { put(48 + octet / 100) }
                if octet >= 10 { put(48 + octet / 10 % 10) }
                put(48 + octet % 10)
                if shift != 0 { put(UInt8(ascii: ".")) }
            }
        } else {
            appendText6(put)
        }
    }

    private func group(_ index: Int) -> UInt16 {
        let half = index < 4 ? high : low
        return UInt16(truncatingIfNeeded: half >> UInt64(48 - 16 * (index & 3)))
    }

    /// RFC 5952: the longest run of two or more zero groups becomes `::`, the first one of equals.
    private func appendText6(_ put: (UInt8) -> Void) {
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, group(end) == 0 { end += 1 }
            if end - start > max(best.count, 1) { best = start..<end }
            start = max(end, start + 1)
        }
        var index = 0
        while index < 8 {
            if index == best.lowerBound, !best.isEmpty {
                put(UInt8(ascii: ":"))
                put(UInt8(ascii: ":"))
                index = best.upperBound
                continue
            }
            if index != 0, index != best.upperBound || best.isEmpty { put(UInt8(ascii: ":")) }
            let value = group(index)
            var started = false
            for shift in stride(from: UInt16(12), through: 0, by: -4) {
                let digit = UInt8(truncatingIfNeeded: value >> shift) & 15
                if digit != 0 || started || shift == 0 {
                    started = true
                    put(digit < 10 ? 48 + digit : 87 + digit)
                }
            }
            index += 1
        }
    }
}

extension IPAddress {
    /// An address as text, perhaps in brackets, perhaps with a port behind it, as X-Forwarded-For has it; nil for what
    /// is none.
    package init?(text: Span<UInt8>, range: ByteRange) {
        guard range.end <= text.count, range.count <= 64 else { return nil }
        var bytes: [UInt8] = range.range.map { text[$0] }
        if bytes.first == UInt8(ascii: "["), let close = bytes.firstIndex(of: UInt8(ascii: "]")) {
            bytes = Array(bytes[1..<close])
        } else if bytes.filter({ $0 == UInt8(ascii: ":") }).count == 1,
            let colon = bytes.firstIndex(of: UInt8(ascii: ":"))
        {
            bytes = Array(bytes[..<colon])
        }
        guard let address = try? SocketAddress(ipAddress: String(decoding: bytes, as: UTF8.self), port: 0) else {
            return nil
        }
        self.init(address)
    }
}
