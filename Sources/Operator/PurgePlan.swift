// What is to be purged, by the zone it lies in.

package import JSON

/// A purge through the API: one request for each zone.
package struct PurgePlan: Sendable {
    package struct Step: Sendable, Equatable {
        package var zone: ZoneReference
        /// For `POST /zones/ID/purge_cache`.
        package var body: JSONObject
        /// `2 files, 1 tag`
        package var words: String
    }

    package var files: [String] = []
    package var hosts: [String] = []
    package var prefixes: [String] = []
    package var tags: [String] = []
    package var isEverything = false
    package var isSoft = false
    /// A zone's name or identifier; without one, URLs, hosts and prefixes say which it is.
    package var zone: String?

    package init() {}

    /// - Throws: `OperatorProblem`, also if it cannot be told which zone is meant.
    package func steps(_ client: APIClient) async throws -> [Step] {
        if let zone {
            return [step(try await client.zone(zone), files: files, hosts: hosts, prefixes: prefixes, tags: tags)]
        }
        guard tags.isEmpty, !isEverything else {
            throw OperatorProblem(
                .input, "expected a zone to purge \(isEverything ? "everything" : "tags") of, found none",
                help: "name it by --zone; there is no purge over all zones")
        }
        var parts: [(zone: ZoneReference, files: [String], hosts: [String], prefixes: [String])] = []
        var known: [String: ZoneReference] = [:]
        func place(_ host: String, _ text: String) async throws -> Int {
            let zone = try await Self.zone(of: host, named: text, client, &known)
            if let place = parts.firstIndex(where: { $0.zone.id == zone.id }) { return place }
            parts.append((zone, [], [], []))
            return parts.count - 1
        }
        for file in files { parts[try await place(Self.host(file), file)].files.append(file) }
        for host in hosts { parts[try await place(Self.host(host), host)].hosts.append(host) }
        for prefix in prefixes { parts[try await place(Self.host(prefix), prefix)].prefixes.append(prefix) }
        return parts.map { step($0.zone, files: $0.files, hosts: $0.hosts, prefixes: $0.prefixes, tags: []) }
    }

    private func step(
        _ zone: ZoneReference, files: [String], hosts: [String], prefixes: [String], tags: [String]
    ) -> Step {
        var body = JSONObject()
        var words: [String] = []
        for (name, list, noun) in [
            ("files", files, "URL"), ("hosts", hosts, "host"), ("prefixes", prefixes, "prefix"), ("tags", tags, "tag"),
        ] where !list.isEmpty {
            body[name] = .array(list.map { .string($0) })
            words.append(
                noun == "prefix" && list.count > 1 ? "\(list.count) prefixes" : ScreenText.count(list.count, noun))
        }
        if isEverything {
            body["purge_everything"] = true
            words = ["everything"]
        }
        if isSoft { body["soft"] = true }
        return Step(zone: zone, body: body, words: words.joined(separator: ", "))
    }

    /// Of `https://host:port/path`, `host:port/path` or `host`.
    static func host(_ text: String) -> String {
        let rest = text.firstRange(of: "://").map { text[$0.upperBound...] } ?? text[...]
        return rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" && $0 != ":" }.lowercased()
    }

    /// The zone with the longest name that a host lies in.
    private static func zone(
        of host: String, named text: String, _ client: APIClient, _ known: inout [String: ZoneReference]
    ) async throws -> ZoneReference {
        if let zone = known[host] { return zone }
        let labels = host.split(separator: ".")
        for start in labels.indices where labels.count - start > 1 {
            let name = labels[start...].joined(separator: ".")
            if let zone = try await client.zoneIfAny(name) {
                known[host] = zone
                return zone
            }
        }
        throw OperatorProblem(
            .notFound, "\(text.prefix(200)) lies in no zone that this token may see",
            help: "name the zone by --zone; martlet zone list shows those there are")
    }
}
