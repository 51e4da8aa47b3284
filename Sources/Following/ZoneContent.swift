// What the control plane says of one zone, as it lies in the replica: `zone/<zone id>/…`, values in JSON.

import JSON
package import Replica

/// Why a zone, or something it needs, cannot be served.
package struct FollowingError: Error, Sendable, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}

/// The entries of one zone, sorted into what they are. Kinds that are not known are for others, or for a later version.
struct ZoneContent {
    struct Record {
        var id: String
        var name: String
        var type: String
        var content: String
    }

    struct Certificate {
        var id: String
        var chain: String
        /// Hexadecimal.
        var sealedKey: String
    }

    var name = ""
    var account = ""
    var isPaused = false
    /// Microseconds since 1970; the cache stands aside until then.
    var developmentUntil: Int64 = 0
    /// Those that are proxied. Others are answered by the name server alone.
    var records: [Record] = []
    var settings: [String: JSONValue] = [:]
    var balancers: [JSONObject] = []
    var certificates: [Certificate] = []
    /// The zone's mapping of martlet.yaml.
    var site: JSONObject?

    /// - Throws: `FollowingError` where a value is not what the control plane publishes.
    init(_ id: ZoneID, _ entries: [ZoneEntry]) throws(FollowingError) {
        let prefix = "zone/\(id)/"
        for entry in entries {
            guard entry.key.hasPrefix(prefix) else { continue }
            let rest = entry.key.dropFirst(prefix.count)
            let kind = rest.prefix { $0 != "/" }
            let object = String(rest.dropFirst(kind.count + 1))
            guard ["meta", "dns", "setting", "load_balancer", "certificate", "site"].contains(kind) else { continue }
            let value: JSONValue
            do { value = try JSONValue(stored: String(decoding: entry.value, as: UTF8.self)) } catch {
                throw FollowingError("\(entry.key): expected JSON: \(error)")
            }
            try take(String(kind), object, value, entry.key)
        }
        guard !name.isEmpty else { throw FollowingError("\(prefix)meta: expected the zone's name, found none") }
    }

    private mutating func take(_ kind: String, _ id: String, _ value: JSONValue, _ key: String) throws(FollowingError) {
        if kind == "setting" {
            settings[id] = value
            return
        }
        guard let object = value.object else {
            throw FollowingError("\(key): expected an object, found \(value.kind)")
        }
        switch kind {
        case "meta":
            name = object["name"]?.string ?? ""
            account = object["account"]?.string ?? ""
            isPaused = object["paused"]?.boolean ?? false
            developmentUntil = object["development_mode_until"]?.integer ?? 0
        case "dns":
            guard object["proxied"]?.boolean == true else { return }
            guard let name = object["name"]?.string, let type = object["type"]?.string,
                let content = object["content"]?.string
            else { throw FollowingError("\(key): expected name, type and content") }
            records.append(Record(id: id, name: name, type: type, content: content))
        case "load_balancer": balancers.append(object)
        case "certificate":
            guard let chain = object["chain"]?.string, let sealedKey = object["sealed_key"]?.string else {
                throw FollowingError("\(key): expected chain and sealed_key")
            }
            certificates.append(Certificate(id: id, chain: chain, sealedKey: sealedKey))
        default: site = object
        }
    }
}
