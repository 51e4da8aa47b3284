import Glibc
import SwiftASN1
import X509

/// Hostnames of zones against the names of certificates (RFC 9525, section 6.3).
enum CoveredNames {
    /// Whether a certificate with these names is good for every client of `hostname`.
    ///
    /// A certificate's `*` stands for one label; a zone's for one or more. `*.example.test` in a zone therefore counts
    /// as covered by the same text in a certificate, although deeper names will not be.
    static func covers(_ names: [GeneralName], _ hostname: String) -> Bool {
        if let address = address(hostname) {
            return names.contains { name in
                if case .ipAddress(let bytes) = name { return Array(bytes.bytes) == address }
                return false
            }
        }
        let parent = hostname.firstIndex(of: ".").map { "*" + hostname[$0...] }
        return names.contains { name in
            guard case .dnsName(let text) = name else { return false }
            let lowered = text.lowercased()
            return lowered == hostname || (parent == lowered && !hostname.hasPrefix("*"))
        }
    }

    /// The names a local certificate gets for a zone's hostnames, without repetition, in order.
    ///
    /// No certificate can say "every host", so `*` is taken for the names of this machine's own loopback.
    static func names(for hostnames: [String]) -> [GeneralName] {
        var names: [GeneralName] = []
        for hostname in hostnames.flatMap({ $0 == "*" ? ["localhost", "127.0.0.1", "::1"] : [$0] }) {
            let name: GeneralName =
                if let address = address(hostname) {
                    .ipAddress(ASN1OctetString(contentBytes: address[...]))
                } else {
                    .dnsName(hostname)
                }
            if !names.contains(name) { names.append(name) }
        }
        return names
    }

    /// The 4 or 16 bytes of an IP address without brackets; nil for a name.
    static func address(_ text: String) -> [UInt8]? {
        for (family, byteCount) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: byteCount)
            let result = bytes.withUnsafeMutableBytes { buffer in
                inet_pton(family, text, buffer.baseAddress)
            }
            if result == 1 { return bytes }
        }
        return nil
    }
}
