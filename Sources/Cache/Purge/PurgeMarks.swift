internal import Limits

/// The purges of one zone that may still be about something, found by what they are about. Guarded by its `ZonePurges`.
struct PurgeMarks {
    /// The latest purge of either kind; 0: none.
    struct Mark {
        var hard: UInt64 = 0
        var soft: UInt64 = 0

        mutating func note(_ sequence: UInt64, isSoft: Bool) {
            if isSoft { soft = max(soft, sequence) } else { hard = max(hard, sequence) }
        }

        mutating func join(_ other: Mark?) {
            guard let other else { return }
            hard = max(hard, other.hard)
            soft = max(soft, other.soft)
        }
    }

    private var list = PurgeList()
    private var everything = Mark()
    private var urls: [KeyHash: Mark] = [:]
    private var tags: [UInt64: Mark] = [:]
    private var hosts: [PurgeHost: Mark] = [:]
    private var prefixes: [PurgeHost: [(path: [UInt8], mark: Mark)]] = [:]

    /// Oldest first.
    var records: [PurgeRecord] { list.records }

    mutating func add(_ record: PurgeRecord) {
        guard list.add(record) else { return }
        if list.records.count > Limits.cachePurgeRecordsMax {
            fold()
        } else if record.scope == .everything {
            rebuild()
        } else {
            // What it made redundant stays in the index: being older, it says nothing beside it.
            index(record)
        }
    }

    /// Forgets those up to a sequence.
    mutating func drop(upTo sequence: UInt64) {
        if list.removeAll(where: { $0.sequence <= sequence }) { rebuild() }
    }

    /// Gives all records other sequences.
    mutating func resequence(_ next: () -> UInt64) {
        list.replace(with: list.records.map { $0.moved(to: next()) })
        rebuild()
    }

    /// The latest purges that are about what lies under a key.
    func mark(keyBytes: UnsafeRawBufferPointer, urlHash: KeyHash, tags own: [UInt64]) -> Mark {
        var mark = everything
        if !urls.isEmpty { mark.join(urls[urlHash]) }
        if !tags.isEmpty {
            for tag in own { mark.join(tags[tag]) }
        }
        guard !hosts.isEmpty || !prefixes.isEmpty, let parts = KeyParts(keyBytes) else { return mark }
        let name = Array(keyBytes[parts.host])
        for port in [nil, Array(keyBytes[parts.port])] {
            let host = PurgeHost(name: name, port: port)
            mark.join(hosts[host])
            for prefix in prefixes[host] ?? [] where parts.pathBegins(with: prefix.path, keyBytes) {
                mark.join(prefix.mark)
            }
        }
        return mark
    }

    // MARK: The index

    private mutating func index(_ record: PurgeRecord) {
        switch record.scope {
        case .everything: everything.note(record.sequence, isSoft: record.isSoft)
        case .url(let hash): urls[hash, default: Mark()].note(record.sequence, isSoft: record.isSoft)
        case .tag(let tag): tags[tag, default: Mark()].note(record.sequence, isSoft: record.isSoft)
        case .host(let host): hosts[host, default: Mark()].note(record.sequence, isSoft: record.isSoft)
        case .prefix(let host, let path):
            var list = prefixes[host] ?? []
            prefixes[host] = nil
            if let place = list.firstIndex(where: { $0.path == path }) {
                list[place].mark.note(record.sequence, isSoft: record.isSoft)
            } else {
                var mark = Mark()
                mark.note(record.sequence, isSoft: record.isSoft)
                list.append((path, mark))
            }
            prefixes[host] = list
        }
    }

    private mutating func rebuild() {
        everything = Mark()
        urls = [:]
        tags = [:]
        hosts = [:]
        prefixes = [:]
        for record in list.records { index(record) }
    }

    /// Too many: the older half becomes one purge of everything that was there when the last of them came. More is
    /// fetched again than need be, but nothing that was purged is served.
    private mutating func fold() {
        let half = list.records.count / 2
        let folded = list.records.prefix(half)
        let zone = folded.lazy.compactMap(\.zone).first
        var kept: [PurgeRecord] = []
        for isSoft in [false, true] {
            guard let last = folded.last(where: { $0.isSoft == isSoft }) else { continue }
            kept.append(PurgeRecord(sequence: last.sequence, zone: zone, scope: .everything, isSoft: isSoft))
        }
        list.replace(with: kept + list.records.dropFirst(half))
        rebuild()
    }
}
