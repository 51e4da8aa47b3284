// `/zones/{zone_id}/custom_certificates`: certificates that customers bring. The private key is sealed at rest, is never
// shown again, and travels to edges sealed as well.

import ConfigLog
import Crypto
import FoundationEssentials
import JSON
import Limits
import SwiftASN1
import X509

enum CustomCertificates {
    private static let read = Need.zone(.zone("SSL and Certificates", .read))
    private static let write = Need.zone(.zone("SSL and Certificates", .write))
    private static let root = "/zones/{zone_id}/custom_certificates"
    private static let one = root + "/{custom_certificate_id}"

    private static func shape(isNew: Bool) -> BodySchema {
        .object([
            BodySchema.Member(
                name: "certificate", schema: .string(1...Limits.apiCertificateBytesMax), isRequired: isNew,
                about: "PEM, the leaf first."),
            BodySchema.Member(
                name: "private_key", schema: .string(1...Limits.apiCertificateBytesMax), isRequired: isNew,
                about: "PEM; never shown again."),
            .optional("bundle_method", .choice(["ubiquitous", "optimal", "force"])),
            .optional("type", .choice(["legacy_custom", "sni_custom"])),
            .optional("geo_restrictions", .nullable(.map(.anything))),
            .optional("policy", .nullable(.text(1000))), .readOnly("hosts", .array(.text(253), count: 0...1000)),
            .readOnly("expires_on", .time),
        ])
    }

    static let routes: [Route] = [
        Route(.get, root, "Custom Certificates", "List certificates", needs: read, isPaged: true, handle: list),
        Route(
            .post, root, "Custom Certificates", "Bring a certificate", needs: write, payload: .json(shape(isNew: true)),
            handle: create),
        Route(.get, one, "Custom Certificates", "Show a certificate", needs: read) { .result(try shown(find($0))) },
        Route(
            .patch, one, "Custom Certificates", "Replace a certificate", needs: write,
            payload: .json(shape(isNew: false)), handle: edit),
        Route(.delete, one, "Custom Certificates", "Delete a certificate", needs: write, handle: delete),
    ]

    private static func find(_ call: APICall) throws -> ObjectRow {
        let id = call.parameter("custom_certificate_id")
        guard let row = try ObjectRow.find("certificate", call.theZone().id, id, call.transaction) else {
            throw APIError(404, 1103, "There is no certificate \(id.prefix(64))")
        }
        return row
    }

    private static func shown(_ row: ObjectRow) -> JSONObject {
        var shown: JSONObject = ["id": .string(row.id), "zone_id": .string(row.scopeID), "status": "active"]
        for (name, value) in row.body.members where name != "chain" { shown[name] = value }
        shown["uploaded_on"] = row.createdOn.json
        shown["modified_on"] = row.modifiedOn.json
        shown["priority"] = 0
        return shown
    }

    private static func list(_ call: APICall) throws -> APIAnswer {
        let paging = try call.paging(standard: 20, maximum: 50)
        let (rows, total) = try ObjectRow.page(
            "certificate", call.theZone().id, name: Optional<String>.none, paging, call.transaction)
        return .page(rows.map { .object(shown($0)) }, paging.info(count: rows.count, total: total))
    }

    private static func create(_ call: APICall) throws -> APIAnswer {
        let zone = try call.theZone()
        try ObjectRow.requireRoom(
            Limits.apiCertificatesMax, "certificates", "certificate", zone.id, call.transaction)
        var row = ObjectRow(kind: "certificate", scopeID: zone.id, name: "", body: [:], at: call.now)
        let sealed = try take(call, into: &row)
        try row.insert(call.transaction)
        try publish(row, sealed, call)
        call.audit("create", "certificate", row.id, after: .object(shown(row)))
        return .result(shown(row))
    }

    private static func edit(_ call: APICall) throws -> APIAnswer {
        var row = try find(call)
        let before = shown(row)
        guard (call.body["certificate"] == nil) == (call.body["private_key"] == nil) else {
            throw APIError(400, 1207, "A new certificate comes with its private key")
        }
        for name in ["bundle_method", "geo_restrictions", "policy"] {
            if let value = call.body[name] { row.body[name] = value }
        }
        let sealed = call.body["certificate"] == nil ? try storedKey(row, call) : try take(call, into: &row)
        try row.update(at: call.now, call.transaction)
        try publish(row, sealed, call)
        call.audit("update", "certificate", row.id, before: .object(before), after: .object(shown(row)))
        return .result(shown(row))
    }

    private static func delete(_ call: APICall) throws -> APIAnswer {
        let row = try find(call)
        try row.delete(call.transaction)
        try call.transaction.execute("DELETE FROM secrets WHERE object_id = ?", [.text(row.id)])
        call.transaction.publish(Change(key: try call.theZone().key("certificate/\(row.id)"), value: nil))
        call.audit("delete", "certificate", row.id, before: .object(shown(row)))
        return .result(["id": .string(row.id)])
    }

    // MARK: The key

    private static func storedKey(_ row: ObjectRow, _ call: APICall) throws -> [UInt8] {
        guard let stored = try call.transaction.first("SELECT sealed FROM secrets WHERE object_id = ?", [.text(row.id)])
        else {
            throw StoreError.corrupt("the certificate \(row.id) has lost its key")
        }
        return try stored.blob(0)
    }

    private static func publish(_ row: ObjectRow, _ sealed: [UInt8], _ call: APICall) throws {
        try call.transaction.execute(
            """
            INSERT INTO secrets (object_id, sealed, modified_on) VALUES (?, ?, ?) \
            ON CONFLICT (object_id) DO UPDATE SET sealed = excluded.sealed, modified_on = excluded.modified_on
            """, [.text(row.id), .blob(sealed), .integer(call.now.microseconds)])
        var edge = row.body
        // Edges have a key of their own: what one of them could give away opens nothing in the database.
        let context = "certificate/\(row.id)"
        let key = try call.transaction.open(sealed, for: context)
        edge["sealed_key"] = .string(ObjectID.digits(try call.transaction.sealForEdges(key, for: context)))
        call.transaction.publish(
            Change(key: try call.theZone().key("certificate/\(row.id)"), value: JSONValue.object(edge).bytes))
    }

    // MARK: What comes in

    /// Reads both, holds them against each other, and seals the key.
    private static func take(_ call: APICall, into row: inout ObjectRow) throws -> [UInt8] {
        let (leaf, chain) = try certificates(call.body["certificate"]?.string ?? "")
        let pem = call.body["private_key"]?.string ?? ""
        guard let key = try? Certificate.PrivateKey(pemEncoded: pem) else {
            throw APIError(400, 1209, "Failed to parse the private key: expected PEM of an RSA, ECDSA or Ed25519 key")
        }
        guard key.publicKey == leaf.publicKey else {
            throw APIError(400, 1210, "The private key does not belong to the certificate")
        }
        let expiry = APITime(microseconds: Int64(leaf.notValidAfter.timeIntervalSince1970 * 1_000_000))
        guard expiry > call.now else { throw APIError(400, 1211, "The certificate expired on \(expiry.text)") }
        let hosts = try hosts(leaf)
        row.name = hosts.first ?? row.id
        row.body["hosts"] = .array(hosts.map { .string($0) })
        row.body["issuer"] = .string(leaf.issuer.description)
        row.body["signature"] = .string(leaf.signatureAlgorithm.description)
        row.body["expires_on"] = expiry.json
        row.body["bundle_method"] = call.body["bundle_method"] ?? row.body["bundle_method"] ?? "ubiquitous"
        row.body["type"] = call.body["type"] ?? row.body["type"] ?? "sni_custom"
        row.body["geo_restrictions"] = call.body["geo_restrictions"] ?? row.body["geo_restrictions"] ?? .null
        row.body["chain"] = .string(chain)
        return try call.transaction.seal(Array(pem.utf8), for: "certificate/\(row.id)")
    }

    private static func certificates(_ text: String) throws -> (leaf: Certificate, chain: String) {
        guard let documents = try? PEMDocument.parseMultiple(pemString: text), !documents.isEmpty,
            documents.count <= Limits.apiCertificateChainMax,
            documents.allSatisfy({ $0.discriminator == "CERTIFICATE" })
        else {
            throw APIError(
                400, 1208,
                "Failed to parse the certificate: expected PEM, the leaf first, at most \(Limits.apiCertificateChainMax) in all"
            )
        }
        guard let parsed = try? documents.map({ try Certificate(pemDocument: $0) }), let leaf = parsed.first else {
            throw APIError(400, 1208, "Failed to parse the certificate: what is within the PEM is no X.509 certificate")
        }
        for (issuer, subject) in zip(parsed.dropFirst(), parsed) where subject.issuer != issuer.subject {
            throw APIError(400, 1212, "The chain is broken: \(subject.subject) was not issued by what follows it")
        }
        return (leaf, documents.map { $0.pemString }.joined(separator: "\n"))
    }

    private static func hosts(_ leaf: Certificate) throws -> [String] {
        guard let names = try? leaf.extensions.subjectAlternativeNames else {
            throw APIError(400, 1213, "The certificate names no hosts (subjectAltName)")
        }
        let hosts = names.compactMap { name -> String? in
            if case .dnsName(let host) = name { host.lowercased() } else { nil }
        }
        guard !hosts.isEmpty else { throw APIError(400, 1213, "The certificate names no hosts (subjectAltName)") }
        return hosts
    }
}
