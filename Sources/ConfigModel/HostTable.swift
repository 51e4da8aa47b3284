// Which zone answers for a host.
//
// Built once from all zones and never changed; read for every request on every event loop, so a lookup makes no
// String, allocates nothing and touches two cache lines for each table that it asks:
//
//     slots   [ hash 8 | name 4 | zone 4 ]  …        open addressing, linear, at most half full
//     names   [ count 1 | bytes, lower case | zeros up to 8n ]  …
//
// Exact names stand in one table. Wildcards (`*.a.b` as `a.b`) stand in another, which is asked only when the first
// knows nothing: once for every label, from the right, as the hash grows with the suffix.
//
// Hosts come from clients and names from customers, and both may mean harm. Hashes are polynomials over the field
// of 2^61 - 1 at a secret random point, which bounds by proof what two names known beforehand can do; a bijection
// with a second secret spreads them over the table.

/// An immutable map from host to zone.
package struct HostTable: Sendable {
    private let exact: Names
    private let wildcards: Names
    /// The zone of `*`, or -1.
    private let everyHost: Int
    private let seed: HostHash

    /// Names longer than DNS allows cannot be asked for and are not kept.
    private static let nameBytesMax = 253

    /// Builds the table for all hostnames of these zones; the first zone that has a name keeps it.
    package init(zones: [Zone]) {
        self.init(hostnames: zones.map(\.hostnames))
    }

    /// Builds the table from the hostnames of each zone, in lower case and without trailing dots.
    package init(hostnames: [[String]]) {
        var generator = SystemRandomNumberGenerator()
        self.init(hostnames: hostnames, seed: HostHash(using: &generator))
    }

    init(hostnames: [[String]], seed: HostHash) {
        var exact = Names.Builder()
        var wildcards = Names.Builder()
        var everyHost = -1
        for (zone, names) in hostnames.enumerated() {
            for name in names {
                let utf8 = name.utf8
                guard utf8.count <= HostTable.nameBytesMax else { continue }
                if name == "*" {
                    if everyHost < 0 { everyHost = zone }
                } else if name.hasPrefix("*.") {
                    wildcards.add(utf8.dropFirst(2), zone: zone)
                } else {
                    exact.add(utf8[...], zone: zone)
                }
            }
        }
        self.exact = exact.build { seed.whole($0.span) }
        self.wildcards = wildcards.build { seed.suffix($0.span) }
        self.everyHost = everyHost
        self.seed = seed
    }

    /// The index of the zone that answers for a host: the one with exactly this name, else the one with the longest
    /// wildcard above it, else the one with `*`; nil if there is none.
    ///
    /// - Parameter bytes: a host without a port, in any case, with or without a trailing dot. Anything may stand in
    ///   it: what is no name matches no name.
    package func zone(forHost bytes: Span<UInt8>) -> Int? {
        var count = bytes.count
        if count > 0, bytes[count - 1] == UInt8(ascii: ".") { count -= 1 }
        if count > 0, count <= HostTable.nameBytesMax {
            let host = bytes.extracting(first: count)
            if exact.hasLength(count) {
                let zone = exact.zone(of: host, hash: seed.whole(host))
                if zone >= 0 { return zone }
            }
            let zone = wildcardZone(of: host)
            if zone >= 0 { return zone }
        }
        return everyHost >= 0 ? everyHost : nil
    }

    /// The zone of the longest wildcard above a host, or -1.
    private func wildcardZone(of host: Span<UInt8>) -> Int {
        guard !wildcards.isEmpty else { return -1 }
        var found = -1
        var suffix = HostHash.Suffix()
        var index = host.count - 1
        // At least one byte stands before the dot: `*.a.b` takes neither `a.b` nor `.a.b`.
        let last = max(1, host.count - 1 - wildcards.longest)
        while index >= last {
            let byte = HostHash.lowercased(host[index])
            let length = host.count - 1 - index
            if byte == UInt8(ascii: "."), wildcards.hasLength(length) {
                let name = host.extracting(last: length)
                let zone = wildcards.zone(of: name, hash: seed.finish(suffix))
                if zone >= 0 { found = zone }
            }
            seed.extend(&suffix, by: byte)
            index -= 1
        }
        return found
    }
}

extension HostTable {
    /// One table of names.
    private struct Names: Sendable {
        struct Slot: Sendable {
            /// 0 marks an empty slot.
            var hash: UInt64
            /// Position in `names`, in units of 8 bytes.
            var name: UInt32
            var zone: UInt32
        }

        private let slots: [Slot]
        private let names: [UInt8]
        private let mask: Int
        /// Bit n is set if a name has n bytes: most questions without an answer end here.
        private let lengths: (UInt64, UInt64, UInt64, UInt64)
        let longest: Int

        var isEmpty: Bool { longest == 0 }

        func hasLength(_ count: Int) -> Bool {
            let bit = UInt64(1) << UInt64(count & 63)
            switch count >> 6 {
            case 0: return lengths.0 & bit != 0
            case 1: return lengths.1 & bit != 0
            case 2: return lengths.2 & bit != 0
            case 3: return lengths.3 & bit != 0
            default: return false
            }
        }

        /// The zone of a name with this hash, or -1.
        func zone(of name: Span<UInt8>, hash: UInt64) -> Int {
            var index = Int(truncatingIfNeeded: hash) & mask
            while true {
                let slot = slots[index]
                if slot.hash == 0 { return -1 }
                if slot.hash == hash, isName(at: Int(slot.name) &* 8, name) { return Int(slot.zone) }
                index = (index &+ 1) & mask
            }
        }

        /// Compares eight bytes at a time; the last step overlaps the one before it.
        private func isName(at position: Int, _ name: Span<UInt8>) -> Bool {
            let count = name.count
            guard Int(names[position]) == count else { return false }
            guard count >= 8 else { return isShortName(at: position &+ 1, name) }
            let known = names.span.extracting(position &+ 1..<position &+ 1 &+ count).bytes
            let asked = name.bytes
            var index = 0
            while index < count {
                let start = min(index, count &- 8)
                let word = asked.unsafeLoadUnaligned(fromByteOffset: start, as: UInt64.self)
                if known.unsafeLoadUnaligned(fromByteOffset: start, as: UInt64.self) != HostHash.lowercased(word) {
                    return false
                }
                index &+= 8
            }
            return true
        }

        private func isShortName(at start: Int, _ name: Span<UInt8>) -> Bool {
            for index in name.indices where names[start &+ index] != HostHash.lowercased(name[index]) { return false }
            return true
        }

        struct Builder {
            private var entries: [(position: Int, zone: Int)] = []
            private var names: [UInt8] = []
            private var lengths: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
            private var longest = 0

            /// At most 253 bytes.
            mutating func add(_ name: Substring.UTF8View, zone: Int) {
                let count = name.count
                guard count > 0, UInt32(exactly: zone) != nil, UInt32(exactly: names.count / 8) != nil else { return }
                entries.append((names.count, zone))
                names.append(UInt8(truncatingIfNeeded: count))
                names.append(contentsOf: name)
                while !names.count.isMultiple(of: 8) { names.append(0) }
                let bit = UInt64(1) << UInt64(count & 63)
                switch count >> 6 {
                case 0: lengths.0 |= bit
                case 1: lengths.1 |= bit
                case 2: lengths.2 |= bit
                default: lengths.3 |= bit
                }
                longest = max(longest, count)
            }

            consuming func build(hash: (ArraySlice<UInt8>) -> UInt64) -> Names {
                var capacity = 8
                while capacity < entries.count * 2 { capacity *= 2 }
                let mask = capacity - 1
                var slots = [Slot](repeating: Slot(hash: 0, name: 0, zone: 0), count: capacity)
                for (position, zone) in entries {
                    let name = names[(position + 1)..<(position + 1 + Int(names[position]))]
                    let hash = hash(name)
                    var index = Int(truncatingIfNeeded: hash) & mask
                    var isKnown = false
                    while slots[index].hash != 0, !isKnown {
                        let other = Int(slots[index].name) * 8
                        isKnown =
                            slots[index].hash == hash && names[other] == names[position]
                            && names[(other + 1)..<(other + 1 + Int(names[other]))] == name
                        if !isKnown { index = (index + 1) & mask }
                    }
                    if isKnown { continue }
                    slots[index] = Slot(
                        hash: hash,
                        name: UInt32(truncatingIfNeeded: position / 8),
                        zone: UInt32(truncatingIfNeeded: zone)
                    )
                }
                return Names(slots: slots, names: names, mask: mask, lengths: lengths, longest: longest)
            }
        }
    }
}
