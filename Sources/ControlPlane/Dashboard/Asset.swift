import Crypto

/// What pages are made up with: one style, one script, one icon, all in the binary. Their names change with what is in
/// them, so that browsers may keep them.
struct Asset: Sendable {
    let path: String
    private let type: String
    private let bytes: [UInt8]

    static let style = Asset("style", "css", "text/css; charset=utf-8", Style.text)
    static let script = Asset("script", "js", "text/javascript; charset=utf-8", Script.text)
    static let icon = Asset(
        "icon", "svg", "image/svg+xml",
        """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#17509e"/>\
        <path fill="#fff" d="M5 10c5 0 8 2 11 5 2-4 6-6 12-7-3 2-4 3-5 6 1 5-2 9-8 11 1-2 1-3 1-4-4 0-6-1-8-3 2 0 4 0 5-1\
        -3-1-6-3-8-7z"/></svg>
        """)
    private static let all = [style, script, icon]

    private init(_ name: String, _ ending: String, _ type: String, _ text: String) {
        bytes = Array(text.utf8)
        path = "/assets/\(name)-\(ObjectID.digits(SHA256.hash(data: bytes).prefix(6))).\(ending)"
        self.type = type
    }

    static func find(_ path: Substring) -> APIResponse? {
        guard let asset = all.first(where: { $0.path == path }) else { return nil }
        return APIResponse(
            status: 200, type: asset.type, body: asset.bytes,
            fields: [
                ("cache-control", "public, max-age=31536000, immutable"), ("x-content-type-options", "nosniff"),
                ("content-security-policy", "default-src 'none'"),
                ("cross-origin-resource-policy", "same-origin"),
            ])
    }
}
