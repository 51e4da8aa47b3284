// Who is let into the fleet. Everything is decided in one transaction: the token is used up in the one that enrols its
// node, so it serves once, however many control processes are asked at the same time.
//
//     token, open ─────────────────────▶ enrolled, certificate
//     token, used with the same key ───▶ the same once more: the answer was lost on its way
//     token, used / expired / for others ▶ refused
//     certificate of before ───────────▶ a new one, unless the node was revoked or has joined anew since

import ConfigLog
import Distribution
import JSON
import Limits

/// What somebody who wants in shows.
package struct JoinRequest: Sendable {
    package enum Proof: Sendable {
        /// SHA-256 of a join token's secret.
        case token(digest: [UInt8])
        /// The serial number of a certificate whose chain, dates and key were checked.
        case renewal(serial: String)
    }

    package var proof: Proof
    /// Nil: as the token says.
    package var name: String?
    /// `relay` or `edge`.
    package var role: String
    /// SHA-256 of the public key that the certificate is wanted for.
    package var keyDigest: [UInt8]

    package init(proof: Proof, name: String?, role: String, keyDigest: [UInt8]) {
        (self.proof, self.name, self.role, self.keyDigest) = (proof, name, role, keyDigest)
    }
}

/// Why somebody is not let in.
package struct JoinRefusal: Error, Sendable, Equatable {
    package enum Kind: Sendable {
        case unknownToken, expired, used, wrongRole, wrongName, nameNeeded, nameTaken, revoked, malformed
        /// Another try may go well.
        case unavailable
    }
    package var kind: Kind
    /// For the operator of the node; without secrets.
    package var text: String
}

/// What was issued, and what of it the store keeps.
package struct IssuedNode<Certificate: Sendable>: Sendable {
    package var serial: String
    /// Microseconds since 1970.
    package var notAfter: Int64
    package var certificate: Certificate
    /// The key that opens customers' private keys, sealed for this certificate's key; empty: the node needs none.
    package var sealedKey: [UInt8]

    package init(serial: String, notAfter: Int64, certificate: Certificate, sealedKey: [UInt8] = []) {
        (self.serial, self.notAfter, self.certificate) = (serial, notAfter, certificate)
        self.sealedKey = sealedKey
    }

    /// Hands the key over by the log, where no other node can read it: `node-key/<name>`.
    fileprivate func publishKey(of name: String, _ transaction: Transaction) {
        guard !sealedKey.isEmpty else { return }
        transaction.publish(Change(key: NodeRow.secretKey(name), value: sealedKey))
    }
}

/// Lets nodes in.
package struct Enrolment: Sendable {
    private let store: Store
    private let onEnrolled: @Sendable (String, NodeStanding) -> Void

    /// - Parameter desk: Hears of a node at once, so that it is admitted when it comes with its certificate.
    package init(store: Store, desk: NodeDesk) {
        self.store = store
        onEnrolled = { desk.admit($0, $1) }
    }

    /// Checks the request, and issues if it is good.
    ///
    /// - Parameter issue: Makes the certificate for a name. It may be called again if the transaction has to be.
    /// - Returns: The name and what was issued.
    /// - Throws: `JoinRefusal`, also for outages of the store.
    package func admit<Certificate>(
        _ request: JoinRequest, issue: @escaping @Sendable (_ name: String) throws -> IssuedNode<Certificate>
    ) async throws(JoinRefusal) -> (name: String, issued: IssuedNode<Certificate>) {
        let (name, issued, isCanary): (String, IssuedNode<Certificate>, Bool)
        do {
            (name, issued, isCanary) = try await store.write { transaction in
                let now = APITime(microseconds: transaction.now)
                switch request.proof {
                case .token(let digest): return try join(request, digest, at: now, issue, transaction)
                case .renewal(let serial): return try renew(request, serial, at: now, issue, transaction)
                }
            }
        } catch let refusal as JoinRefusal {
            throw refusal
        } catch let error as StoreError where error.isRetryable || error == .unknownOutcome {
            throw JoinRefusal(kind: .unavailable, text: "the configuration store cannot be reached")
        } catch {
            throw JoinRefusal(kind: .unavailable, text: "the certificate could not be issued")
        }
        onEnrolled(name, NodeStanding(role: request.role, isEnrolled: true, isCanary: isCanary))
        return (name, issued)
    }

    private func join<Certificate>(
        _ request: JoinRequest, _ digest: [UInt8], at now: APITime, _ issue: (String) throws -> IssuedNode<Certificate>,
        _ transaction: Transaction
    ) throws -> (String, IssuedNode<Certificate>, Bool) {
        guard let token = try JoinTokenRow.find(digest: digest, transaction) else {
            throw JoinRefusal(
                kind: .unknownToken, text: "this token is not known here; make one with martlet edge token")
        }
        guard token.expiresOn > now else {
            throw JoinRefusal(kind: .expired, text: "the token ended at \(token.expiresOn.text); make another one")
        }
        guard token.role == request.role else {
            throw JoinRefusal(kind: .wrongRole, text: "the token is for a node of role \(token.role)")
        }
        if token.usedOn != nil, token.keyDigest != request.keyDigest {
            throw JoinRefusal(
                kind: .used, text: "the token was used by \(token.usedBy ?? "another node") already; make another one")
        }
        let name = try name(request, token)
        let existing = try NodeRow.find(name, transaction)
        if existing != nil, token.name == nil, token.usedOn == nil {
            throw JoinRefusal(
                kind: .nameTaken,
                text: "there is a node \(name) already; take another name, or a token made for this one")
        }
        if token.usedOn != nil, existing?.state != .enrolled {
            throw JoinRefusal(kind: .revoked, text: "the node was revoked since; it needs a new token")
        }
        if existing == nil, try NodeRow.count(transaction) >= Limits.fleetNodesMax {
            throw JoinRefusal(
                kind: .unavailable, text: "there are \(Limits.fleetNodesMax) nodes already; forget revoked ones")
        }
        let issued = try issue(name)
        var row = existing ?? NodeRow(name: name, role: token.role, enrolledOn: now)
        // Whoever held the name before holds it no longer.
        (row.role, row.state, row.serial, row.previousSerial) = (token.role, .enrolled, issued.serial, "")
        (row.certificateExpires, row.enrolledOn) = (APITime(microseconds: issued.notAfter), now)
        try row.store(transaction)
        row.publish(transaction)
        issued.publishKey(of: name, transaction)
        try token.use(by: name, key: request.keyDigest, at: now, transaction)
        transaction.audit(
            AuditEntry(
                actor: "join_token/\(token.id)", action: "enrol", resource: "node/\(name)",
                scope: try FleetAccount.scope(transaction), before: existing?.identity.text, after: row.identity.text))
        return (name, issued, row.isCanary)
    }

    private func name(_ request: JoinRequest, _ token: JoinTokenRow) throws(JoinRefusal) -> String {
        // A used one is for who used it.
        let bound = token.name ?? token.usedBy
        if let bound {
            guard request.name == nil || request.name == bound else {
                throw JoinRefusal(kind: .wrongName, text: "the token is for the node \(bound)")
            }
            return bound
        }
        guard let name = request.name else {
            throw JoinRefusal(kind: .nameNeeded, text: "the token is for any name: give the node one")
        }
        guard NodeRow.isName(name), !NodeRow.reservedNames.contains(name) else {
            throw JoinRefusal(
                kind: .wrongName, text: "expected \(NodeName.rule), and neither local nor root")
        }
        return name
    }

    private func renew<Certificate>(
        _ request: JoinRequest, _ serial: String, at now: APITime, _ issue: (String) throws -> IssuedNode<Certificate>,
        _ transaction: Transaction
    ) throws -> (String, IssuedNode<Certificate>, Bool) {
        guard let name = request.name, var row = try NodeRow.find(name, transaction), row.state == .enrolled,
            row.role == request.role, !serial.isEmpty, serial == row.serial || serial == row.previousSerial
        else {
            throw JoinRefusal(
                kind: .revoked, text: "the node was revoked, or has joined anew since; it needs a new token")
        }
        let before = row.identity
        let issued = try issue(name)
        (row.previousSerial, row.serial) = (serial, issued.serial)
        row.certificateExpires = APITime(microseconds: issued.notAfter)
        try row.store(transaction)
        issued.publishKey(of: name, transaction)
        transaction.audit(
            AuditEntry(
                actor: "node/\(name)", action: "renew", resource: "node/\(name)",
                scope: try FleetAccount.scope(transaction), before: before.text, after: row.identity.text))
        return (name, issued, row.isCanary)
    }
}
