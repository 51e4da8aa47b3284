// What the door and its client say to each other about the cache, as JSON (RFC 8259).

import FoundationEssentials

/// The body of `POST /cache/purge`.
package struct CachePurgeMessage: Codable, Sendable {
    package var purge: CachePurge

    package init(_ purge: CachePurge) { self.purge = purge }

    private enum Member: String, CodingKey, CaseIterable {
        case zone, files, hosts, prefixes, tags, everything, soft
        case dryRun = "dry_run"
    }

    /// Any member at all, to find those that nobody knows.
    private struct AnyMember: CodingKey {
        let stringValue: String
        let intValue: Int? = nil
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Strict: a misspelled scope must not purge less, or more, than was meant.
    package init(from decoder: any Decoder) throws {
        for key in try decoder.container(keyedBy: AnyMember.self).allKeys
        where Member(stringValue: key.stringValue) == nil {
            let known = Member.allCases.map(\.rawValue).joined(separator: ", ")
            throw CacheProblem.badRequest("unknown member \"\(PurgeText.shown(key.stringValue))\"; expected: \(known)")
        }
        let container = try decoder.container(keyedBy: Member.self)
        purge = CachePurge()
        purge.zone = try container.decodeIfPresent(String.self, forKey: .zone)
        purge.files = try container.decodeIfPresent([String].self, forKey: .files) ?? []
        purge.hosts = try container.decodeIfPresent([String].self, forKey: .hosts) ?? []
        purge.prefixes = try container.decodeIfPresent([String].self, forKey: .prefixes) ?? []
        purge.tags = try container.decodeIfPresent([String].self, forKey: .tags) ?? []
        purge.everything = try container.decodeIfPresent(Bool.self, forKey: .everything) ?? false
        purge.isSoft = try container.decodeIfPresent(Bool.self, forKey: .soft) ?? false
        purge.isDryRun = try container.decodeIfPresent(Bool.self, forKey: .dryRun) ?? false
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Member.self)
        try container.encodeIfPresent(purge.zone, forKey: .zone)
        let lists = [
            (Member.files, purge.files), (.hosts, purge.hosts), (.prefixes, purge.prefixes), (.tags, purge.tags),
        ]
        for (member, list) in lists where !list.isEmpty { try container.encode(list, forKey: member) }
        let flags = [(Member.everything, purge.everything), (.soft, purge.isSoft), (.dryRun, purge.isDryRun)]
        for (member, flag) in flags where flag { try container.encode(true, forKey: member) }
    }
}

/// The answer to it.
package struct CachePurgeReport: Codable, Sendable, Equatable {
    package var objects: Int
    package var memoryObjects: Int
    package var diskObjects: Int
    /// At most `Limits.cacheZonesShownMax`.
    package var zones: [String]
    package var isSoft: Bool
    package var isDryRun: Bool
    /// Until it was in force and counted.
    package var tookMilliseconds: Double

    enum CodingKeys: String, CodingKey {
        case objects, zones
        case memoryObjects = "in_memory"
        case diskObjects = "on_disk"
        case isSoft = "soft"
        case isDryRun = "dry_run"
        case tookMilliseconds = "took_ms"
    }
}

/// The answer where there is no other.
package struct CacheProblemReport: Codable, Sendable, Equatable {
    /// A word of `CacheProblem.kind`.
    package var error: String
    package var message: String

    init(error: String, message: String) {
        self.error = error
        self.message = message
    }

    init(_ problem: CacheProblem) {
        self.init(error: problem.kind, message: problem.description)
    }
}

/// JSON in one spelling: members in the order of their names.
package enum CacheJSON {
    package static func bytes(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Nothing here holds what JSON cannot: a number that is none.
        return (try? encoder.encode(value)).map { Array($0) + [0x0A] } ?? []
    }

    package static func value<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) -> Value? {
        try? JSONDecoder().decode(type, from: Data(bytes))
    }

    /// The purge that a body asks for, checked.
    ///
    /// - Throws: what is wrong with it, in words.
    static func purge(from bytes: [UInt8]) throws(CacheProblem) -> CachePurge {
        do {
            return try JSONDecoder().decode(CachePurgeMessage.self, from: Data(bytes)).purge.checked()
        } catch let problem as CacheProblem {
            throw problem
        } catch let error as DecodingError {
            throw .badRequest(describe(error))
        } catch {
            throw .badRequest("expected a JSON object")
        }
    }

    private static func describe(_ error: DecodingError) -> String {
        switch error {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context):
            guard let member = context.codingPath.first?.stringValue else { return "expected a JSON object" }
            let form =
                switch member {
                case "everything", "soft", "dry_run": "true or false"
                case "zone": "text"
                default: "a list of texts"
                }
            return "expected \(form) for \"\(member)\""
        default:
            return "expected a JSON object, found something else"
        }
    }
}
