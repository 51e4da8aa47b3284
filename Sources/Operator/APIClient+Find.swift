// Names that people type, as the objects that they mean.

package import JSON

/// A zone by its two names.
package struct ZoneReference: Sendable, Equatable {
    package var id: String
    package var name: String
    /// As the API shows it.
    package var value: JSONValue

    init?(_ value: JSONValue) {
        guard let id = value["id"]?.string, let name = value["name"]?.string else { return nil }
        self.id = id
        self.name = name
        self.value = value
    }

    /// The path of the zone, or of what lies below it.
    package func path(_ rest: String = "") -> String { "/zones/\(PercentText.encoded(id))\(rest)" }

    /// The complete name of `@`, `www`, `www.example.com` or `www.example.com.` in the zone `example.com`.
    package func recordName(_ text: String) -> String {
        let typed = text.lowercased()
        if typed == "@" || typed.isEmpty { return name }
        if typed.hasSuffix(".") { return String(typed.dropLast()) }
        return typed == name || typed.hasSuffix(".\(name)") ? typed : "\(typed).\(name)"
    }
}

extension APIClient {
    /// Whether a text is an identifier: 32 hexadecimal digits.
    package static func isIdentifier(_ text: String) -> Bool {
        text.utf8.count == 32
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

    /// A zone by its name or its identifier.
    ///
    /// - Throws: `OperatorProblem`, also if there is no such zone, or none that the token may see.
    package func zone(_ text: String) async throws -> ZoneReference {
        if Self.isIdentifier(text) {
            let value = try await result("GET", "/zones/\(text)")
            guard let zone = ZoneReference(value) else { throw missing("zone", text) }
            return zone
        }
        guard let zone = try await zoneIfAny(text) else { throw missing("zone", text) }
        return zone
    }

    /// The zone of a name, if there is one that the token may see.
    package func zoneIfAny(_ name: String) async throws -> ZoneReference? {
        var wanted = name.lowercased()
        if wanted.hasSuffix(".") { wanted.removeLast() }
        let found = try await list("/zones", query: [("name", wanted)])
        return found.lazy.compactMap(ZoneReference.init).first { $0.name == wanted }
    }

    private func missing(_ kind: String, _ text: String) -> OperatorProblem {
        OperatorProblem(
            .notFound, "there is no \(kind) \(text.prefix(253)) at \(name), or none that this token may see",
            help: kind == "zone"
                ? "martlet zone list shows those it may read, others go by their identifier; "
                    + "martlet zone create \(text.prefix(253)) makes it" : nil)
    }

    /// An account by its name or its identifier; without either, the only one there is.
    ///
    /// - Returns: Its identifier.
    package func account(_ text: String?) async throws -> String {
        if let text, Self.isIdentifier(text) { return text }
        let accounts = try await list("/accounts")
        let fitting = accounts.filter { text == nil || $0["name"]?.string == text }
        guard fitting.count == 1, let id = fitting.first?["id"]?.string else {
            let names = accounts.compactMap { $0["name"]?.string }.prefix(5).joined(separator: ", ")
            let found = text == nil ? "\(accounts.count) that this token reaches" : "\(fitting.count) of that name"
            throw OperatorProblem(
                .notFound, "expected one account, found \(found)",
                help: accounts.isEmpty ? nil : "name one by --account: \(names)")
        }
        return PercentText.encoded(id)
    }

    /// A record of a zone by its identifier or its name, complete or below the zone.
    ///
    /// - Parameter type: Of records of that name, the ones of this type.
    package func record(_ text: String, type: String?, in zone: ZoneReference) async throws -> JSONValue {
        let path = zone.path("/dns_records")
        if Self.isIdentifier(text) { return try await result("GET", "\(path)/\(text)") }
        let name = zone.recordName(text)
        var query = [("name.exact", name)]
        if let type { query.append(("type", type.uppercased())) }
        let found = try await list(path, query: query)
        guard let first = found.first else {
            throw OperatorProblem(
                .notFound,
                "there is no \(type.map { "\($0.uppercased()) " } ?? "")record \(name.prefix(253)) in \(zone.name)",
                help: "martlet dns list \(zone.name) shows those there are")
        }
        guard found.count == 1 else {
            let shown = found.prefix(5).map { record in
                "\(record["id"]?.string ?? "?") (\(record["type"]?.string ?? "?") \(record["content"]?.string ?? ""))"
            }.joined(separator: ", ")
            throw OperatorProblem(
                .input, "expected one record, found \(found.count) of the name \(name.prefix(253))",
                help: "name it by its identifier, or its type by --type: \(shown)")
        }
        return first
    }
}
