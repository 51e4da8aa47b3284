// Cloudflare's zone settings as far as they concern how requests are served. docs/control-plane.md lists what each one
// does here; those that are kept and do nothing are named there too.

import Certificates
import ConfigModel
import JSON

/// What the settings of a zone come to.
struct ZoneBehaviour {
    /// `ssl`: how origins are reached for requests that came over TLS. Those that came in the clear go to port 80.
    enum OriginSecurity {
        /// By http on port 80.
        case none
        /// By https on port 443, whatever certificate the origin has.
        case unverified
        /// By https on port 443; the certificate must be valid for the host.
        case verified
    }

    var security = OriginSecurity.unverified
    var redirectsToHTTPS = false
    var offersHTTP2 = true
    var versions = TLSVersions.both
    private var cache = CacheSettings()
    private var bodyBytesMax: UInt64 = 100 << 20
    private var firstByteMilliseconds = 100_000
    private var originHTTP2 = Origin.HTTP2Use.auto

    /// - Parameter isCached: false while the cache stands aside: for development, or by a switch of the operator's.
    init(_ settings: [String: JSONValue], isCached: Bool) {
        func isOn(_ name: String, _ standard: Bool = false) -> Bool { settings[name].map { $0 == "on" } ?? standard }
        switch settings["ssl"]?.string {
        case "off", "flexible": security = .none
        case "strict", "origin_pull": security = .verified
        default: security = .unverified
        }
        redirectsToHTTPS = isOn("always_use_https")
        offersHTTP2 = isOn("http2", true)
        if settings["min_tls_version"] == "1.3" {
            versions = .only13
        } else if !isOn("tls_1_3", true) {
            versions = .only12
        }
        cache.isEnabled = isCached
        cache.alwaysOnline = isOn("always_online")
        cache.key.sortsQuery = isOn("sort_query_string_for_cache")
        if settings["cache_level"] == "simplified" { cache.key.query = .none }
        if let size = settings["max_upload"]?.integer, (1...1_000_000).contains(size) {
            bodyBytesMax = UInt64(size) << 20
        }
        if let seconds = settings["proxy_read_timeout"]?.integer, (1...86_400).contains(seconds) {
            firstByteMilliseconds = Int(seconds) * 1000
        }
        if settings["origin_max_http_version"] == "1" { originHTTP2 = .off }
    }

    /// A zone that is served as the settings say.
    func zone(_ name: String, hostnames: [String], origins: [Origin], listensHTTPS: Bool) -> Zone {
        var zone = Zone(name: name, hostnames: hostnames, origins: origins)
        zone.cache = cache
        zone.bodyBytesMax = bodyBytesMax
        zone.timeouts.firstByte = firstByteMilliseconds
        zone.redirectToHTTPS = redirectsToHTTPS && listensHTTPS
        return zone
    }

    /// One origin by host name or address.
    ///
    /// - Parameters:
    ///   - host: what the client asks for: the name that the origin's certificate must have.
    ///   - port: nil: 80 or 443.
    func origin(_ address: String, port: Int?, for host: String, isSecure: Bool) -> Origin {
        let usesTLS = isSecure && security != .none
        var origin = Origin(scheme: usesTLS ? .https : .http, host: address, port: port ?? (usesTLS ? 443 : 80))
        if usesTLS {
            origin.tls.verify = security == .verified
            // A wildcard's hosts are many, and one pool of connections serves them: the name above it stands for them.
            origin.tls.serverName = host.hasPrefix("*.") ? String(host.dropFirst(2)) : host
            origin.http2 = originHTTP2
        }
        return origin
    }
}
