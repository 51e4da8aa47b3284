package import ConfigModel
package import FoundationEssentials

/// Sees certificate files change, and leaves of the local authority grow old, while the configuration stays the same.
///
/// Owned by whoever polls, once in `Limits.configurationPollMilliseconds`, on a thread that may block. A file is read
/// only after it has looked the same in two polls: certificate and key are two files, and nobody replaces both at once.
/// A pair that is no good leaves the old certificate in service; it is reported once, and tried again when it changes.
package struct CertificateWatch: Sendable {
    /// What a poll found.
    package struct Refresh: Sendable {
        /// To be used from now on instead of the store polled.
        package let store: CertificateStore
        /// Files now served in a new version.
        package let replaced: [Zone.CertificateFiles]
        /// Files that were to be, and are not.
        package let problems: [CertificateError]
        /// What is to be said of the new versions; see `CertificateStore.warnings`.
        package let warnings: [CertificateWarning]
    }

    /// Slots looked at in one poll: a hundred thousand files must not mean a hundred thousand calls a second.
    private static let slotsPerPoll = 1024
    private var position = 0
    /// Changes seen once, by the files' place in the store polled.
    private var pending: [Zone.CertificateFiles: [FileFingerprint?]] = [:]

    package init() {}

    /// Looks at the next files. Returns nil while there is nothing to do.
    package mutating func poll(_ store: CertificateStore, now: Date = Date()) -> Refresh? {
        store.dropDue(now)
        // Files that went with an older configuration are not kept in mind for ever.
        if pending.count > store.slots.count { pending.removeAll() }
        var replacing: [Int: CertificateSlot] = [:]
        var replaced: [Zone.CertificateFiles] = []
        var problems: [CertificateError] = []
        for _ in 0..<min(Self.slotsPerPoll, store.slots.count) {
            if position >= store.slots.count { position = 0 }
            defer { position += 1 }
            let slot = store.slots[position]
            guard case .files(let files) = slot.source else { continue }
            let fingerprints = CertificateStore.fingerprints(files)
            guard fingerprints != slot.fingerprints else {
                pending[files] = nil
                continue
            }
            guard pending[files] == fingerprints else {
                pending[files] = fingerprints
                continue
            }
            pending[files] = nil
            do {
                let new = try CertificateStore.load(files, slot, offersHTTP2: slot.offersHTTP2)
                replacing[position] = new
                if new.loaded?.digest != slot.loaded?.digest { replaced.append(files) }
            } catch {
                replacing[position] = CertificateSlot(slot, fingerprints: fingerprints, isOutdated: true)
                problems.append(error)
            }
        }
        guard !replacing.isEmpty else { return nil }
        let new = CertificateStore(store, replacing: replacing, now: now)
        let paths = Set(replaced.map(\.certificate))
        return Refresh(
            store: new, replaced: replaced, problems: problems,
            warnings: new.warnings.filter { paths.contains($0.path) }
        )
    }
}
