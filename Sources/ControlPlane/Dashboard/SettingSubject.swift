/// What a setting is called for people.
struct SettingText: Sendable {
    let id: String
    let label: String
    let hint: String
    var unit: String?

    init(_ id: String, _ label: String, _ hint: String, unit: String? = nil) {
        self.id = id
        self.label = label
        self.hint = hint
        self.unit = unit
    }

    /// `under_attack` to `Under attack`.
    static func words(_ id: String) -> String {
        let words = id.split(separator: "_").joined(separator: " ")
        return words.prefix(1).uppercased() + words.dropFirst()
    }
}

/// Settings that belong together.
struct SettingSubject: Sendable {
    let id: String
    let title: String
    let settings: [SettingText]

    /// Whatever setting is in none of them stands in the last.
    static let all = (named + [rest]).filter { !$0.settings.isEmpty }

    private static let named = [
        SettingSubject(id: "tls", title: "TLS", settings: tls),
        SettingSubject(id: "cache", title: "Caching", settings: cache),
        SettingSubject(id: "network", title: "Network", settings: network),
        SettingSubject(id: "security", title: "Security", settings: security),
        SettingSubject(id: "speed", title: "Speed", settings: speed),
    ]

    /// What a setting is called.
    static func label(_ id: String) -> String? {
        all.lazy.flatMap(\.settings).first { $0.id == id }?.label
    }

    private static let tls = [
        SettingText("ssl", "Encryption to the origin", "How edges reach the origin when the client came over HTTPS."),
        SettingText("always_use_https", "Always use HTTPS", "Plain HTTP is redirected."),
        SettingText("min_tls_version", "Oldest TLS version", "Clients that know only older ones are turned away."),
        SettingText("tls_1_3", "TLS 1.3", ""),
        SettingText("0rtt", "0-RTT", "Returning clients send their first request at once; it may be replayed."),
        SettingText("opportunistic_encryption", "Opportunistic encryption", ""),
        SettingText("automatic_https_rewrites", "Rewrite links to HTTPS", ""),
        SettingText("tls_client_auth", "Client certificate to the origin", "The origin can tell that the edge asks."),
        SettingText("ciphers", "Cipher suites", "One a line, for TLS 1.2 and older. Empty: the standard ones."),
        SettingText(
            "security_header", "HTTP Strict Transport Security",
            "Browsers refuse plain HTTP for as long as they remember it."),
    ]
    private static let cache = [
        SettingText(
            "cache_level", "Level", "Which URLs count as one: with their query string, without, or in any order."),
        SettingText("browser_cache_ttl", "Browsers keep it for", "0: as the origin says.", unit: "seconds"),
        SettingText("development_mode", "Development mode", "The cache stands aside for three hours."),
        SettingText("always_online", "Always online", "Serve what is cached while the origin is away."),
        SettingText(
            "sort_query_string_for_cache", "Sort the query string", "Parameters in another order are the same URL."),
        SettingText("prefetch_preload", "Prefetch what is linked", ""),
    ]
    private static let network = [
        SettingText("http2", "HTTP/2", ""), SettingText("http3", "HTTP/3", ""),
        SettingText("h2_prioritization", "HTTP/2 priorities", ""), SettingText("ipv6", "IPv6", ""),
        SettingText("websockets", "WebSockets", ""),
        SettingText("pseudo_ipv4", "Pseudo IPv4", "For origins that cannot read IPv6 addresses."),
        SettingText("ip_geolocation", "Country of the client", "Sent to the origin as CF-IPCountry."),
        SettingText("true_client_ip_header", "True-Client-IP", "Sent to the origin."),
        SettingText("origin_max_http_version", "Newest HTTP version to the origin", ""),
        SettingText("max_upload", "Largest upload", "", unit: "MB"),
        SettingText("proxy_read_timeout", "Wait for the origin", "Between two pieces of its answer.", unit: "seconds"),
        SettingText("response_buffering", "Buffer answers", ""),
        SettingText("origin_error_page_pass_thru", "Pass on the origin’s error pages", ""),
    ]
    private static let security = [
        SettingText("security_level", "Level", "How suspicious a client must look to be challenged."),
        SettingText("challenge_ttl", "A passed challenge counts for", "", unit: "seconds"),
        SettingText("browser_check", "Check browsers", "Requests without what every browser sends are refused."),
        SettingText("waf", "Web application firewall", ""),
        SettingText("hotlink_protection", "Hotlink protection", "Images are not shown on other sites."),
        SettingText("email_obfuscation", "Hide e-mail addresses", ""),
        SettingText("server_side_exclude", "Server-side excludes", ""),
        SettingText("privacy_pass", "Privacy Pass", ""), SettingText("opportunistic_onion", "Onion routing", ""),
        SettingText("replace_insecure_js", "Replace insecure libraries", ""),
    ]
    private static let speed = [
        SettingText("brotli", "Brotli", "Text is compressed for clients that understand it."),
        SettingText("early_hints", "Early hints", "Links are announced while the origin still thinks (status 103)."),
        SettingText("polish", "Smaller images", ""), SettingText("webp", "WebP", "For clients that understand it."),
        SettingText("rocket_loader", "Load scripts late", ""),
    ]

    private static let rest: SettingSubject = {
        let known = Set(named.flatMap { $0.settings.map(\.id) })
        return SettingSubject(
            id: "other", title: "Other",
            settings: ZoneSetting.all.filter { !known.contains($0.id) }.map {
                SettingText($0.id, SettingText.words($0.id), "")
            })
    }()
}
