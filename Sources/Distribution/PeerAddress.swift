import Limits

/// Where a parent listens: a host name or an address, and a port. A name is looked up anew for every connection.
package struct PeerAddress: Sendable, Hashable, CustomStringConvertible {
    package let host: String
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    package var description: String { host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Reads `host`, `host:port`, `[IPv6]` or `[IPv6]:port`. Port 0 lets the kernel choose one to listen on.
    ///
    /// - Throws: `address`, saying what was expected.
    package init(
        parsing text: String, defaultPort: Int? = Limits.distributionPort
    ) throws(DistributionError) {
        func refused(_ what: String) -> DistributionError {
            DistributionError(
                .address, "`\(text.prefix(200))`: \(what); expected host:port, such as control.example.net:7071")
        }
        var host = text[...]
        var portText: Substring?
        if host.first == "[" {
            guard let end = host.firstIndex(of: "]") else { throw refused("`]` is missing") }
            let rest = host[host.index(after: end)...]
            host = host[host.index(after: host.startIndex)..<end]
            guard rest.isEmpty || rest.first == ":" else { throw refused("something stands behind `]`") }
            if !rest.isEmpty { portText = rest.dropFirst() }
        } else if let colon = host.lastIndex(of: ":") {
            portText = host[host.index(after: colon)...]
            host = host[..<colon]
            guard !host.contains(":") else { throw refused("an IPv6 address stands in brackets") }
        }
        guard 1...255 ~= host.utf8.count, host.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), !host.contains("/")
        else { throw refused("the host is missing or no host") }
        self.host = String(host)
        guard let portText else {
            guard let defaultPort else { throw refused("the port is missing") }
            port = defaultPort
            return
        }
        guard portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(portText), port <= 65535 else {
            throw refused("the port is not a number up to 65535")
        }
        self.port = port
    }

    /// Reads a list with commas between its members.
    ///
    /// - Throws: `address` for one that cannot be read, none at all, or too many.
    package static func list(_ text: String) throws(DistributionError) -> [PeerAddress] {
        var addresses: [PeerAddress] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let address = try PeerAddress(parsing: part.filter { $0 != " " })
            guard address.port != 0 else { throw DistributionError(.address, "`\(part)`: port 0 cannot be joined") }
            if !addresses.contains(address) { addresses.append(address) }
        }
        guard addresses.count <= Limits.distributionParentsMax else {
            throw DistributionError(
                .address, "\(addresses.count) addresses: at most \(Limits.distributionParentsMax) are taken")
        }
        return addresses
    }
}
