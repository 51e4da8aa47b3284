// The types of DNS records that the API takes, and how the content of each is made of parts.

import JSON

/// A record type.
struct RecordType: Sendable {
    /// What one part of a structured content is.
    enum Part: Sendable {
        case integer(ClosedRange<Int64>)
        case number(ClosedRange<Double>)
        /// A domain name, `.` for the root.
        case name
        /// One of these words.
        case choice([String])
        /// Text that stands in quotes in a zone file.
        case quoted
        /// Letters and digits without blanks.
        case token
        case hexadecimal
        case base64
        /// All that is left of the line.
        case rest
    }

    /// What the content is as a whole.
    enum Shape: Sendable {
        case address4
        case address6
        case name
        case text
        case base64
        /// Parts in the order of a zone file, which the API also has as members of `data`.
        case parts([(name: String, part: Part)])
    }

    let name: String
    let shape: Shape
    /// The first part, or a number in front of the content, is shown as `priority`, outside of the content.
    var hasPriority = false
    var mayBeProxied = false

    private static let byte = Part.integer(0...255)
    private static let short = Part.integer(0...65_535)

    static let all: [RecordType] = [
        RecordType(name: "A", shape: .address4, mayBeProxied: true),
        RecordType(name: "AAAA", shape: .address6, mayBeProxied: true),
        RecordType(name: "CNAME", shape: .name, mayBeProxied: true),
        RecordType(name: "MX", shape: .name, hasPriority: true), RecordType(name: "NS", shape: .name),
        RecordType(name: "PTR", shape: .name), RecordType(name: "TXT", shape: .text),
        RecordType(name: "OPENPGPKEY", shape: .base64),
        RecordType(name: "CAA", shape: .parts([("flags", byte), ("tag", .token), ("value", .quoted)])),
        RecordType(
            name: "CERT",
            shape: .parts([("type", short), ("key_tag", short), ("algorithm", byte), ("certificate", .base64)])),
        RecordType(
            name: "DNSKEY",
            shape: .parts([("flags", short), ("protocol", byte), ("algorithm", byte), ("public_key", .base64)])),
        RecordType(
            name: "DS",
            shape: .parts([("key_tag", short), ("algorithm", byte), ("digest_type", byte), ("digest", .hexadecimal)])),
        RecordType(name: "HTTPS", shape: .parts([("priority", short), ("target", .name), ("value", .rest)])),
        RecordType(name: "SVCB", shape: .parts([("priority", short), ("target", .name), ("value", .rest)])),
        RecordType(name: "LOC", shape: .parts(location)),
        RecordType(
            name: "NAPTR",
            shape: .parts([
                ("order", short), ("preference", short), ("flags", .quoted), ("service", .quoted), ("regex", .quoted),
                ("replacement", .name),
            ])),
        RecordType(name: "SMIMEA", shape: .parts(association)), RecordType(name: "TLSA", shape: .parts(association)),
        RecordType(
            name: "SRV", shape: .parts([("priority", short), ("weight", short), ("port", short), ("target", .name)]),
            hasPriority: true),
        RecordType(
            name: "SSHFP", shape: .parts([("algorithm", byte), ("type", byte), ("fingerprint", .hexadecimal)])),
        RecordType(
            name: "URI", shape: .parts([("priority", short), ("weight", short), ("target", .quoted)]), hasPriority: true
        ),
    ]
    private static let byName = Dictionary(all.map { ($0.name, $0) }) { first, _ in first }

    static func find(_ name: String) -> RecordType? { byName[name.uppercased()] }

    private static let association: [(name: String, part: Part)] = [
        ("usage", byte), ("selector", byte), ("matching_type", byte), ("certificate", .hexadecimal),
    ]
    /// RFC 1876, in metres and degrees.
    private static let location: [(name: String, part: Part)] = [
        ("lat_degrees", .integer(0...90)), ("lat_minutes", .integer(0...59)), ("lat_seconds", .number(0...59.999)),
        ("lat_direction", .choice(["N", "S"])), ("long_degrees", .integer(0...180)), ("long_minutes", .integer(0...59)),
        ("long_seconds", .number(0...59.999)), ("long_direction", .choice(["E", "W"])),
        ("altitude", .number(-100_000...42_849_672.95)), ("size", .number(0...90_000_000)),
        ("precision_horz", .number(0...90_000_000)), ("precision_vert", .number(0...90_000_000)),
    ]

    /// Parts that may be left out, with what they are then.
    static let standardParts: [String: JSONValue] = [
        "lat_minutes": 0, "lat_seconds": 0, "long_minutes": 0, "long_seconds": 0, "size": 1, "precision_horz": 10_000,
        "precision_vert": 10, "value": "",
    ]
}
