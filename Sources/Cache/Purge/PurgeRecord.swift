// One purge as it is kept, and as the disk's journal has it:
//
//     │ version 1 │ kind 1 │ flags 1 │ sequence 8 │ zone 8 │ what the kind needs │      integers little-endian
//
//     url: hash 16    tag: 8    everything: nothing    host: name length 2, port length 1 + 1 (0: every port), both
//     prefix: as host, and the path up to the end
//
// Whoever stores it frames and checks it; still nothing in it is trusted to fit.

/// A purge, and its place among all others.
package struct PurgeRecord: Sendable, Equatable {
    /// Higher than that of every purge before it, in any zone.
    package let sequence: UInt64
    /// nil: every zone. The scope is `.everything` then.
    package let zone: ZoneTag?
    package let scope: PurgeScope
    /// Objects become stale instead of being removed.
    package let isSoft: Bool

    package init(sequence: UInt64, zone: ZoneTag?, scope: PurgeScope, isSoft: Bool) {
        self.sequence = sequence
        self.zone = zone
        self.scope = scope
        self.isSoft = isSoft
    }

    /// The same purge at another place.
    func moved(to sequence: UInt64) -> PurgeRecord {
        PurgeRecord(sequence: sequence, zone: zone, scope: scope, isSoft: isSoft)
    }

    private static let version: UInt8 = 1
    private static let softFlag: UInt8 = 1
    private static let everyZoneFlag: UInt8 = 2

    private enum Kind: UInt8 {
        case url = 1
        case host
        case prefix
        case tag
        case everything
    }

    /// Appends it in the form that `init(decoding:)` reads.
    package func encode(into bytes: inout [UInt8]) {
        let kind: Kind =
            switch scope {
            case .url: .url
            case .host: .host
            case .prefix: .prefix
            case .tag: .tag
            case .everything: .everything
            }
        let flags = (isSoft ? Self.softFlag : 0) | (zone == nil ? Self.everyZoneFlag : 0)
        bytes.append(contentsOf: [Self.version, kind.rawValue, flags])
        Self.append(sequence, &bytes)
        Self.append(zone?.value ?? 0, &bytes)
        switch scope {
        case .url(let hash):
            Self.append(hash.high, &bytes)
            Self.append(hash.low, &bytes)
        case .tag(let tag): Self.append(tag, &bytes)
        case .everything: break
        case .host(let host): Self.append(host, &bytes)
        case .prefix(let host, let path):
            Self.append(host, &bytes)
            bytes.append(contentsOf: path)
        }
    }

    /// Reads a record that takes up all of `bytes`; nil if they are none.
    package init?(decoding bytes: UnsafeRawBufferPointer) {
        var reader = Reader(rest: bytes[...])
        guard reader.byte() == Self.version, let kind = reader.byte().flatMap(Kind.init(rawValue:)),
            let flags = reader.byte(), flags & ~(Self.softFlag | Self.everyZoneFlag) == 0,
            let sequence = reader.word(), let zone = reader.word()
        else { return nil }
        let isEveryZone = flags & Self.everyZoneFlag != 0
        guard !isEveryZone || kind == .everything && zone == 0, let scope = reader.scope(kind), reader.rest.isEmpty
        else { return nil }
        self.init(
            sequence: sequence, zone: isEveryZone ? nil : ZoneTag(zone), scope: scope,
            isSoft: flags & Self.softFlag != 0
        )
    }

    private static func append(_ word: UInt64, _ bytes: inout [UInt8]) {
        withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private static func append(_ host: PurgeHost, _ bytes: inout [UInt8]) {
        let name = host.name.prefix(Int(UInt16.max))
        let port = host.port?.prefix(Int(UInt8.max) &- 1)
        bytes.append(UInt8(truncatingIfNeeded: name.count))
        bytes.append(UInt8(truncatingIfNeeded: name.count &>> 8))
        bytes.append(port.map { UInt8(truncatingIfNeeded: $0.count &+ 1) } ?? 0)
        bytes.append(contentsOf: name)
        if let port { bytes.append(contentsOf: port) }
    }

    /// What is left to read.
    private struct Reader {
        var rest: Slice<UnsafeRawBufferPointer>

        mutating func byte() -> UInt8? { rest.popFirst() }

        mutating func word() -> UInt64? {
            guard rest.count >= 8 else { return nil }
            var value: UInt64 = 0
            for shift in UInt64(0)..<8 {
                guard let byte = byte() else { return nil }
                value |= UInt64(byte) &<< (shift &* 8)
            }
            return value
        }

        mutating func bytes(_ count: Int) -> [UInt8]? {
            guard rest.count >= count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }

        mutating func host() -> PurgeHost? {
            guard let low = byte(), let high = byte(), let portCount = byte(),
                let name = bytes(Int(low) | Int(high) &<< 8)
            else { return nil }
            if portCount == 0 { return PurgeHost(name: name, port: nil) }
            return bytes(Int(portCount) &- 1).map { PurgeHost(name: name, port: $0) }
        }

        mutating func scope(_ kind: Kind) -> PurgeScope? {
            switch kind {
            case .url:
                guard let high = word(), let low = word() else { return nil }
                return .url(KeyHash(high: high, low: low))
            case .tag: return word().map(PurgeScope.tag)
            case .everything: return .everything
            case .host: return host().map(PurgeScope.host)
            case .prefix:
                guard let host = host(), let path = bytes(rest.count) else { return nil }
                return .prefix(host, path: path)
            }
        }
    }
}
