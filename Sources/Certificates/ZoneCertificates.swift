package import ConfigModel
package import FoundationEssentials
package import NIOSSL
import Synchronization
import X509

/// The certificates of one zone that came from the control plane: those its customer brought, and a leaf of the local
/// authority for the names that none of them covers.
///
/// Contexts are made when the first client of a certificate comes, and go with the zone.
package final class ZoneCertificates: Sendable {
    private struct Given: Sendable {
        let slot: CertificateSlot
        let names: [GeneralName]
    }

    /// Those that live longest first: of two that cover a host, the younger one is given.
    private let given: [Given]
    private let local: CertificateSlot
    private let authority: LocalAuthority?

    fileprivate init(
        given: [(slot: CertificateSlot, loaded: LoadedCertificate)], local: CertificateSlot, authority: LocalAuthority?
    ) {
        self.given = given.sorted { $0.loaded.notAfter > $1.loaded.notAfter }
            .map { Given(slot: $0.slot, names: $0.loaded.names) }
        self.local = local
        self.authority = authority
    }

    /// Which certificate a client that names this host is given.
    ///
    /// - Parameter host: in lower case, without a last dot.
    package func choice(forHost host: String) -> CertificateChoice {
        let slot = given.first { CoveredNames.covers($0.names, host) }?.slot ?? local
        return CertificateChoice(slot: slot, authority: authority)
    }
}

/// One certificate to be given to a client.
package struct CertificateChoice: Sendable {
    fileprivate let slot: CertificateSlot
    fileprivate let authority: LocalAuthority?

    /// The context if it has been made. Never blocks for long: for event loops.
    package var ready: NIOSSLContext? { slot.use() }

    /// The context, made if need be. Blocks on the disk: for a thread pool.
    ///
    /// - Throws: why there is none; the connection is then to be closed with the alert internal_error.
    package func make(now: Date = Date()) throws(CertificateError) -> NIOSSLContext {
        try slot.make(authority, now: now).context
    }
}

/// Makes `ZoneCertificates`, and keeps contexts over changes of a zone that leave a certificate what it was.
package final class CertificateShelf: Sendable {
    private struct Key: Hashable {
        let source: CertificateSlot.Source
        let offersHTTP2: Bool
        let versions: TLSVersions
    }

    private struct Entry {
        weak var slot: CertificateSlot?
    }

    private let authority: LocalAuthority?
    private let entries = Mutex<[Key: Entry]>([:])
    /// For clients that name no host, or one of no zone.
    package let fallback: CertificateChoice

    /// - Parameter data: the directory of the local authority.
    /// - Throws: what is wrong with the local authority's files.
    package init(data: String, offersHTTP2: Bool) throws(CertificateError) {
        let authority = try LocalAuthority.open(data: data)
        self.authority = authority
        fallback = CertificateChoice(
            slot: CertificateSlot(
                source: .local(zone: "*", hostnames: ["*"]), loaded: nil, fingerprints: [], offersHTTP2: offersHTTP2),
            authority: authority)
    }

    /// The file to give to clients for the zones without a certificate of their own.
    package var authorityPath: String? { authority?.certificatePath }

    /// - Parameters:
    ///   - given: PEM texts, a certificate with its chain and its key, each with a name for errors.
    ///   - files: a certificate on this machine's disk.
    ///   - hostnames: what the local authority's leaf is for.
    /// - Throws: what is wrong with a certificate or key.
    package func certificates(
        zone: String, hostnames: [String], given: [(name: String, certificate: [UInt8], key: [UInt8])],
        files: Zone.CertificateFiles?, offersHTTP2: Bool, versions: TLSVersions
    ) throws(CertificateError) -> ZoneCertificates {
        var slots: [(slot: CertificateSlot, loaded: LoadedCertificate)] = []
        for item in given {
            let loaded = try LoadedCertificate.parse(
                certificate: item.certificate, key: item.key,
                .init(certificate: item.name, key: "the key of \(item.name)"))
            let slot = shelved(.given(digest: Array(loaded.digest)), loaded, offersHTTP2, versions)
            slots.append((slot, loaded))
        }
        if let files {
            let loaded = try LoadedCertificate.load(files)
            slots.append((shelved(.given(digest: Array(loaded.digest)), loaded, offersHTTP2, versions), loaded))
        }
        let local = shelved(.local(zone: zone, hostnames: hostnames), nil, offersHTTP2, versions)
        return ZoneCertificates(given: slots, local: local, authority: authority)
    }

    private func shelved(
        _ source: CertificateSlot.Source, _ loaded: LoadedCertificate?, _ offersHTTP2: Bool, _ versions: TLSVersions
    ) -> CertificateSlot {
        let key = Key(source: source, offersHTTP2: offersHTTP2, versions: versions)
        return entries.withLock { entries in
            if let known = entries[key]?.slot { return known }
            let slot = CertificateSlot(
                source: source, loaded: loaded, fingerprints: [], offersHTTP2: offersHTTP2, versions: versions)
            // Those that nobody holds any more are swept out now and then, so that the table is at most twice too large.
            if entries.count >= 64, entries.count.nonzeroBitCount == 1 {
                entries = entries.filter { $0.value.slot != nil }
            }
            entries[key] = Entry(slot: slot)
            return slot
        }
    }
}
