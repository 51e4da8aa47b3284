/// What a load balancer in front of us says about the connection it relays: the PROXY protocol's nouns.
///
/// The parser is `ProxyProtocolParser`. Nothing here decides whether a peer may be believed: whoever calls it has
/// checked the peer against `trusted_proxies` first, because anyone can write such a header (specification,
/// section 5: never guess from the bytes whether a header is there).

/// An IP address and port. IPv4 is kept in its v4-mapped IPv6 form (`::ffff:a.b.c.d`), as `AddressBlock` keeps it.
package struct IPEndpoint: Sendable, Hashable {
    /// The first and last 64 bits of the address, in host order.
    package var high: UInt64
    package var low: UInt64
    package var port: UInt16

    package init(high: UInt64, low: UInt64, port: UInt16) {
        self.high = high
        self.low = low
        self.port = port
    }

    /// The v4-mapped form of an IPv4 address given as its 32 bits in host order.
    package init(ipv4: UInt32, port: UInt16) {
        self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(ipv4), port: port)
    }

    /// Whether the address is a v4-mapped one.
    package var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }
}

/// A PROXY protocol header, complete and checked.
package struct ProxyHeader: Sendable, Equatable {
    /// The two ends of the relayed connection, always of one address family.
    package struct Relay: Sendable, Equatable {
        /// The client, as the balancer saw it.
        package var source: IPEndpoint
        /// The address the client connected to.
        package var destination: IPEndpoint

        package init(source: IPEndpoint, destination: IPEndpoint) {
            self.source = source
            self.destination = destination
        }
    }

    /// Bytes the header took; what follows belongs to the connection it describes.
    package var byteCount: Int
    /// 1 or 2.
    package var version: Int
    /// nil: keep the socket's own addresses. So it is for a balancer's own connection (v2 LOCAL, a health check),
    /// for `UNKNOWN` (v1), for an unspecified family, and for UNIX sockets and datagrams, which have no place here
    /// but are to be accepted as if unspecified (section 2.2).
    package var relay: Relay?

    package init(byteCount: Int, version: Int, relay: Relay?) {
        self.byteCount = byteCount
        self.version = version
        self.relay = relay
    }
}

/// What the parser says after it has seen some bytes.
package enum ProxyProtocolProgress: Sendable, Equatable {
    /// So far this is a header, and it goes on beyond the bytes given.
    case needsMore
    case complete(ProxyHeader)
}

/// Why the bytes are no PROXY protocol header. It is always the peer's fault, nothing may be answered, and the
/// connection is to be closed at once (specification, sections 2.1 and 2.2).
package enum ProxyProtocolError: Error, Sendable, Equatable {
    /// The first bytes are neither `PROXY ` nor the signature of version 2.
    case notProxyProtocol
    /// No CRLF within the 107 bytes of version 1, or a version 2 block above `Limits.proxyProtocolV2BytesMax`.
    case tooLong
    /// A bare CR or a bare LF in a version 1 line.
    case badLineEnd
    /// A version 1 line with a transport other than TCP4, TCP6 and UNKNOWN.
    case badTransport
    /// A version 1 address or port that is not in canonical form, or not of the family named.
    case badAddress
    /// A version 2 header with a version other than 2.
    case badVersion
    /// A version 2 command other than LOCAL and PROXY.
    case badCommand
    /// A version 2 family or transport that the specification does not know.
    case badFamily
    /// A version 2 block shorter than its family's addresses.
    case badLength
    /// A TLV that runs over the end of the block, or a checksum TLV that is not 4 bytes long or comes twice.
    case badTLV
    /// The CRC32C TLV does not match the header.
    case badChecksum
}

extension ProxyProtocolError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notProxyProtocol: "expected a PROXY protocol header, found other bytes"
        case .tooLong: "PROXY protocol header too long"
        case .badLineEnd: "PROXY protocol line must end in CRLF"
        case .badTransport: "PROXY protocol transport must be TCP4, TCP6 or UNKNOWN"
        case .badAddress: "PROXY protocol address or port is not in canonical form"
        case .badVersion: "PROXY protocol version must be 1 or 2"
        case .badCommand: "PROXY protocol command must be LOCAL or PROXY"
        case .badFamily: "PROXY protocol address family or transport is unknown"
        case .badLength: "PROXY protocol block is shorter than its addresses"
        case .badTLV: "PROXY protocol TLV is malformed"
        case .badChecksum: "PROXY protocol checksum does not match"
        }
    }
}
