// The keys of a zone, its origins apart (`ConfigurationReader+Origin.swift`).

import Limits
import Yams

extension ConfigurationReader {
    mutating func zones(_ file: Section) -> [Zone] {
        guard let slot = file["zones"] else {
            guard needsZones else { return [] }
            report(
                file.place, "expected \"zones\", found a file without it",
                help: "add zones: { example.test: { origins: [\"http://127.0.0.1:8000\"] } }"
            )
            return []
        }
        if !needsZones, ConfigurationReader.found(slot.node) == "nothing" || slot.node.mapping?.isEmpty == true {
            return []
        }
        guard case .mapping(let mapping) = slot.node, !mapping.isEmpty else {
            mismatch(
                slot, "a mapping of at least one zone",
                help: "example.test: { origins: [\"http://127.0.0.1:8000\"] }"
            )
            return []
        }
        guard mapping.count <= Limits.zonesMax else {
            report(slot.place, "expected at most \(Limits.zonesMax) zones, found \(mapping.count)")
            return []
        }
        var zones: [Zone] = []
        var lines: [String: Int] = [:]
        for (key, value) in mapping {
            guard let written = keyName(key), let name = zoneName(written, at: Place(key)) else { continue }
            if let line = lines[name] {
                report(
                    Place(key), "expected every zone once, found \"\(name)\" again; it was first given in line \(line)"
                )
                continue
            }
            lines[name] = Place(key).line
            if let zone = zone(name: name, key: key, value: value, index: zones.count) { zones.append(zone) }
        }
        return zones
    }

    private mutating func zoneName(_ written: String, at place: Place) -> String? {
        if written == "*" { return written }
        do {
            return try HostName.normalized(written)
        } catch {
            let isWildcard = written.hasPrefix("*.")
            report(
                place, "expected a DNS name or \"*\" as a zone's name, found \(SourceText.quoted(written))",
                help: isWildcard ? "name the zone \"\(written.dropFirst(2))\"; wildcards are hostnames" : error.help
            )
            return nil
        }
    }

    private mutating func zone(name: String, key: Node, value: Node, index: Int) -> Zone? {
        let subject = "zone \"\(name)\""
        guard let section = section(value, .zone, subject: subject, label: subject) else { return nil }
        var zone = Zone(name: name, hostnames: [], origins: [])
        zone.hostnames = hostnames(section, zone: name, zoneKey: Place(key), index: index)
        let zoneHealth = section["health"].flatMap { health($0) }
        zone.origins = origins(section, zoneHealth: zoneHealth)
        zone.tls = zoneTLS(section["tls"])
        assign(&zone.balance, balance(section["balance"]))
        zone.ejection = ejection(section["ejection"])
        assign(&zone.attempts, number(section["attempts"], in: Limits.attemptsRange))
        assign(&zone.redirectToHTTPS, flag(section["redirect_to_https"]))
        zone.timeouts = originTimeouts(self.section(section["timeouts"], .originTimeouts))
        zone.bodyBytesMax = bodyBytesMax(self.section(section["limits"], .zoneLimits))
        zone.pool = pool(self.section(section["pool"], .pool))
        zone.cache = zoneCache(section)
        checkZone(zone, section)
        return zone
    }

    // MARK: Names

    private mutating func hostnames(_ section: Section, zone: String, zoneKey: Place, index: Int) -> [String] {
        guard let slot = section["hostnames"] else {
            // Nothing lies below "*" or below an address.
            let names = zone == "*" || AddressBits(zone) != nil ? [zone] : [zone, "*.\(zone)"]
            return names.filter { claim($0, zone: index, at: zoneKey) }
        }
        let elements = list(slot, of: "host names", single: true, countMax: Limits.hostnamesPerZoneMax) ?? []
        if elements.isEmpty, case .sequence = slot.node {
            mismatch(slot, "at least one host name", help: "remove the key to get the zone's name and all below it")
        }
        var names: [String] = []
        for element in elements {
            let name = parsed(element, "a host name") { text throws(Misread) in try HostName.pattern(text) }
            if let name, claim(name, zone: index, at: element.place) { names.append(name) }
        }
        return names
    }

    /// Notes that a zone answers for a hostname; false, and reported, if it is taken.
    private mutating func claim(_ name: String, zone: Int, at place: Place) -> Bool {
        guard let owner = hostnameOwners.updateValue((zone, place), forKey: name) else { return true }
        hostnameOwners[name] = owner
        if owner.zone == zone {
            warn(place, "\"\(name)\" is given twice in one zone", help: "remove one")
        } else {
            let found = "found \"\(name)\" in two; the other is in line \(owner.place.line)"
            report(
                place, "expected every hostname in one zone, \(found)",
                help: "give hostnames: [...] in both zones so that each name stands in one"
            )
        }
        return false
    }

    // MARK: What is done with requests

    private mutating func balance(_ slot: Slot?) -> Zone.Balance? {
        guard let slot else { return nil }
        if case .mapping = slot.node {
            guard let section = section(slot, .balance) else { return nil }
            let hash = section["hash"].flatMap { hashKey($0) }
            let sticky = section["sticky"].flatMap { token($0, "a cookie name such as origin") }
            if (section["hash"] == nil) == (section["sticky"] == nil) {
                let found = section["hash"] == nil ? "neither" : "both"
                report(slot.place, "expected \"hash\" or \"sticky\" for \(slot.label), found \(found)")
                return nil
            }
            return hash.map { .hash($0) } ?? sticky.map { .sticky(cookie: $0) }
        }
        let words: [(String, Zone.Balance)] = [
            ("round_robin", .roundRobin), ("least_outstanding", .leastOutstanding),
        ]
        guard let written = slot.node.scalar?.string else { return word(slot, among: words) }
        let help: String? =
            switch written {
            case "hash", "ip_hash", "source": "write { hash: client_address }"
            case "sticky", "cookie": "write { sticky: COOKIE_NAME }"
            case "least_conn", "leastconn", "least_connections": "write least_outstanding"
            default: nil
            }
        guard let help else { return word(slot, among: words) }
        mismatch(slot, "round_robin, least_outstanding, { hash: … } or { sticky: … }", help: help)
        return nil
    }

    private mutating func hashKey(_ slot: Slot) -> Zone.HashKey? {
        let expected = "client_address, uri, header:NAME or cookie:NAME"
        return parsed(slot, expected) { text throws(Misread) in
            if text == "client_address" { return .clientAddress }
            if text == "uri" { return .uri }
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, HostName.isToken(String(parts[1])) {
                if parts[0] == "header" { return .header(parts[1].lowercased()) }
                if parts[0] == "cookie" { return .cookie(String(parts[1])) }
            }
            let nearest = NearestKey.nearest(to: text, among: ["client_address", "uri"])
            throw Misread(expected: expected, help: nearest.map { "did you mean \"\($0)\"?" })
        }
    }

    private mutating func token(_ slot: Slot, _ expected: String) -> String? {
        parsed(slot, expected) { text throws(Misread) in
            guard HostName.isToken(text) else {
                throw Misread(expected: expected, help: "letters, digits and any of !#$%&'*+-.^_`|~")
            }
            return text
        }
    }

    static let ejectionFailuresRange = 0...1000

    private mutating func ejection(_ slot: Slot?) -> Zone.Ejection {
        var ejection = Zone.Ejection()
        guard let slot else { return ejection }
        if isWord(slot, "off") {
            ejection.consecutiveFailures = 0
            return ejection
        }
        if meansOff(slot) {
            mismatch(slot, "a mapping or off", help: "write off")
            return ejection
        }
        guard let section = section(slot, .ejection) else { return ejection }
        let failures = number(section["failures"], in: ConfigurationReader.ejectionFailuresRange)
        assign(&ejection.consecutiveFailures, failures)
        assign(&ejection.forMilliseconds, duration(section["for"], in: Limits.timeoutMillisecondsRange))
        let slowStart = duration(section["slow_start"], in: Limits.timeoutMillisecondsRange, orZero: true)
        assign(&ejection.slowStartMilliseconds, slowStart)
        return ejection
    }

    private mutating func originTimeouts(_ section: Section?) -> Zone.OriginTimeouts {
        var timeouts = Zone.OriginTimeouts()
        guard let section else { return timeouts }
        let range = Limits.timeoutMillisecondsRange
        assign(&timeouts.connect, duration(section["connect"], in: range))
        assign(&timeouts.firstByte, duration(section["first_byte"], in: range))
        assign(&timeouts.idle, duration(section["idle"], in: range))
        return timeouts
    }

    private mutating func bodyBytesMax(_ section: Section?) -> UInt64? {
        guard let slot = section?["body"], !isWord(slot, "unlimited") else { return nil }
        let expected = "a size such as 100MiB, or unlimited,"
        guard let bytes = parsed(slot, expected, SizeText.bytes) else { return nil }
        if bytes > 0 { return bytes }
        mismatch(slot, expected, help: "to take bodies of any size, write unlimited")
        return nil
    }

    private mutating func pool(_ section: Section?) -> Zone.Pool {
        var pool = Zone.Pool()
        guard let section else { return pool }
        assign(&pool.connections, number(section["connections"], in: Limits.originConnectionsRange))
        // The default gives way to a smaller pool; what is written must fit it.
        pool.idleConnections = min(pool.idleConnections, pool.connections)
        if let idle = section["idle"] {
            assign(&pool.idleConnections, number(idle, in: Limits.originConnectionsRange))
            if pool.idleConnections > pool.connections {
                mismatch(
                    idle, "at most \"connections\" (\(pool.connections))",
                    help: "an idle connection is one of the pool's connections"
                )
            }
        }
        assign(&pool.keepAlive, duration(section["keep_alive"], in: Limits.timeoutMillisecondsRange))
        assign(&pool.wait, duration(section["wait"], in: Limits.timeoutMillisecondsRange))
        return pool
    }
}
