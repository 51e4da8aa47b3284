import ConfigModel
import FoundationEssentials
import NIOSSL
import Synchronization

/// One certificate that the store serves, and the TLS context made of it when a client first asks.
///
/// `making` is held while a context is made, `state` only to look or to set: a thread of an event loop never waits for
/// another that signs or writes.
final class CertificateSlot: Sendable {
    enum Source: Sendable, Hashable {
        /// The operator's files; zones that name the same two share a slot, and so one context.
        case files(Zone.CertificateFiles)
        /// A leaf of the local authority.
        case local(zone: String, hostnames: [String])
        /// What came with the zone itself, by the digest of certificate and key.
        case given(digest: [UInt8])
    }

    private struct State {
        var context: NIOSSLContext?
        /// When a local leaf is to be replaced.
        var renewal: Date?
        /// Whether a handshake took the context since the sweep last came by.
        var isUsed = false
    }

    let source: Source
    /// Set for files, which are read and checked when the configuration is, and for what came with its zone.
    let loaded: LoadedCertificate?
    /// Of the certificate's and the key's file, as they were when last looked at.
    let fingerprints: [FileFingerprint?]
    /// Whether the files as fingerprinted are no good, and `loaded` is what they held before.
    let isOutdated: Bool
    /// What the context offers by ALPN.
    let offersHTTP2: Bool
    let versions: TLSVersions
    private let state: Mutex<State>
    private let making = Mutex(())

    init(
        source: Source, loaded: LoadedCertificate?, fingerprints: [FileFingerprint?], offersHTTP2: Bool,
        versions: TLSVersions = .both
    ) {
        self.offersHTTP2 = offersHTTP2
        self.versions = versions
        self.source = source
        self.loaded = loaded
        self.fingerprints = fingerprints
        isOutdated = false
        state = Mutex(State())
    }

    /// The same certificate, of files that were touched or found wanting since: the context, and with it the key of
    /// the session tickets, goes on.
    init(_ other: CertificateSlot, fingerprints: [FileFingerprint?], isOutdated: Bool) {
        self.isOutdated = isOutdated
        offersHTTP2 = other.offersHTTP2
        versions = other.versions
        source = other.source
        loaded = other.loaded
        self.fingerprints = fingerprints
        state = Mutex(State(context: other.current))
    }

    private var current: NIOSSLContext? { state.withLock { $0.context } }

    /// The context, if there is one, and the note that it was used.
    func use() -> NIOSSLContext? {
        state.withLock { state in
            if state.context != nil { state.isUsed = true }
            return state.context
        }
    }

    var isReady: Bool { state.withLock { $0.context != nil } }

    /// The context, made if need be; `made` tells whether this call made it. Blocks: on the disk for a local leaf, on
    /// another thread that is making the same context.
    func make(_ authority: LocalAuthority?, now: Date) throws(CertificateError) -> (context: NIOSSLContext, made: Bool)
    {
        if let context = use() { return (context, false) }
        return try making.withLock { _ throws(CertificateError) in
            if let context = use() { return (context, false) }
            let certificate: LoadedCertificate
            var renewal: Date?
            switch (source, loaded, authority) {
            case (.files, let loaded?, _), (.given, let loaded?, _):
                certificate = loaded
            case (.local(let zone, let hostnames), _, let authority?):
                certificate = try authority.leaf(zone: zone, hostnames: hostnames, now: now)
                renewal = LocalAuthority.renewal(notBefore: certificate.notBefore, notAfter: certificate.notAfter)
            default:
                throw CertificateError(.authority, "no certificate and no local authority")
            }
            let context = try ServerTLS.context(certificate, offersHTTP2: offersHTTP2, versions: versions)
            state.withLock { $0 = State(context: context, renewal: renewal) }
            return (context, true)
        }
    }

    /// Gives the context up if it was not used since the last call. Connections that have it keep it.
    func dropIfUnused() -> Bool {
        state.withLock { state in
            guard state.isUsed else {
                state.context = nil
                return true
            }
            state.isUsed = false
            return false
        }
    }

    /// Gives up a context whose leaf is due; the next handshake gets a new one.
    func dropIfDue(_ now: Date) -> Bool {
        state.withLock { state in
            guard let renewal = state.renewal, renewal <= now else { return false }
            state.context = nil
            state.renewal = nil
            return true
        }
    }
}
