extension StoredFacts.Flags {
    /// s-maxage, with windows named beside it: served stale within those, and never otherwise (RFC 9111, section
    /// 5.2.2.10, forbids it; RFC 5861 lets the origin allow it).
    package static let staleOnlyByOrigin = Self(rawValue: 1024)
    /// Governed by Martlet-CDN-Cache-Control, which is not among the stored fields.
    package static let isTargeted = Self(rawValue: 2048)
}
