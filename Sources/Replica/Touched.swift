package import ConfigLog

/// What a change of the replica's state touched, for those who hold something derived from it.
package struct Touched: Sendable {
    /// Where the replica stands now.
    package var position: LogPosition
    /// Zones with a changed key `zone/<zone id>/…`, each once.
    package var zones: [ZoneID] = []
    /// Names of changed keys `name/<zone name>`, each once, without `name/`.
    package var names: [String] = []
    /// All other changed keys, whole, each once, in the order of the log.
    package var keys: [String] = []
    /// Everything may have changed: a snapshot came, or another process wrote. The lists are then empty.
    package var isEverything = false

    package init(position: LogPosition) { self.position = position }

    /// Everything, at a position.
    static func everything(_ position: LogPosition) -> Touched {
        var touched = Touched(position: position)
        touched.isEverything = true
        return touched
    }
}

/// Gathers what is touched, each thing once.
struct TouchedCollector {
    private var zones: Set<ZoneID> = []
    private var others: Set<String> = []
    private var touched: Touched

    init(position: LogPosition) { touched = Touched(position: position) }

    mutating func add(_ key: String) {
        if let zone = StateKey.zone(of: key.utf8) {
            if zones.insert(zone).inserted { touched.zones.append(zone) }
        } else if others.insert(key).inserted {
            if key.utf8.starts(with: StateKey.namePrefix) {
                touched.names.append(String(key.dropFirst(StateKey.namePrefix.count)))
            } else {
                touched.keys.append(key)
            }
        }
    }

    func finished(at position: LogPosition) -> Touched {
        var touched = touched
        touched.position = position
        return touched
    }
}

/// The two shapes of keys that the replica knows. What values mean, it does not.
enum StateKey {
    /// `name/<zone name in lower case>`; the value is the zone's id, 16 bytes.
    static let namePrefix = Array("name/".utf8)
    /// `zone/<zone id>/…`: everything of one zone.
    static let zonePrefix = Array("zone/".utf8)

    /// The zone of a key `zone/<32 hex digits>/…`.
    static func zone(of key: some Collection<UInt8>) -> ZoneID? {
        guard key.starts(with: zonePrefix) else { return nil }
        let rest = key.dropFirst(zonePrefix.count)
        guard rest.dropFirst(32).first == UInt8(ascii: "/") else { return nil }
        return ZoneID(hexBytes: rest.prefix(32))
    }

    /// What all keys of a zone begin with.
    static func prefix(of zone: ZoneID) -> [UInt8] { zonePrefix + zone.hexBytes + [UInt8(ascii: "/")] }
}
