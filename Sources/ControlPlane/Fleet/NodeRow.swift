// A node of the fleet as it is stored: who it is, and what was last heard of it.

import ConfigLog
import Distribution
import JSON
import Limits

struct NodeRow: Sendable {
    enum State: String, Sendable { case enrolled, revoked }

    var name: String
    /// `relay` or `edge`.
    var role: String
    var state: State
    var isCanary: Bool
    /// Of its certificate, and of the one before: the answer to a renewal may have been lost.
    var serial: String
    var previousSerial: String
    var certificateExpires: APITime?
    var enrolledOn: APITime
    // What was last reported.
    var parent = ""
    var version = ""
    var epoch: Int64 = 0
    var sequence: Int64?
    var appliedAt: APITime?
    var lagMilliseconds: Int64 = 0
    var health: JSONValue?
    var isConnected = false
    var seenAt: APITime?

    static let columns = """
        name, role, state, canary, serial, previous_serial, certificate_expires, enrolled_on, parent, version, epoch, \
        sequence, applied_at, lag_ms, health, connected, seen_at
        """

    init(name: String, role: String, enrolledOn: APITime) {
        (self.name, self.role, self.enrolledOn) = (name, role, enrolledOn)
        (state, isCanary, serial, previousSerial) = (.enrolled, false, "", "")
    }

    init(_ row: SQLRow) throws {
        func time(_ column: Int) throws -> APITime? { try row.integerOrNil(column).map { APITime(microseconds: $0) } }
        name = try row.text(0)
        role = try row.text(1)
        state = State(rawValue: try row.text(2)) ?? .revoked
        isCanary = try row.bool(3)
        serial = try row.text(4)
        previousSerial = try row.text(5)
        certificateExpires = try time(6)
        enrolledOn = APITime(microseconds: try row.integer(7))
        parent = try row.text(8)
        version = try row.text(9)
        epoch = try row.integer(10)
        sequence = try row.integerOrNil(11)
        appliedAt = try time(12)
        lagMilliseconds = try row.integer(13)
        health = try row.textOrNil(14).map { text throws(JSONProblem) in try JSONValue(stored: text) }
        isConnected = try row.bool(15)
        seenAt = try time(16)
    }

    static func find(_ name: String, _ transaction: Transaction) throws -> NodeRow? {
        guard isName(name) else { return nil }
        return try transaction.first("SELECT \(columns) FROM nodes WHERE name = ?", [.text(name)]).map {
            try NodeRow($0)
        }
    }

    static func count(_ transaction: Transaction) throws -> Int {
        Int(try transaction.first("SELECT count(*) FROM nodes")?.integer(0) ?? 0)
    }

    static func isName(_ name: String) -> Bool { NodeName(name) != nil }

    /// Names that no token gives away: the control plane's own node, and the edge in its process.
    static let reservedNames: Set<String> = ["local", "root"]

    /// Stores who it is; what was reported of it stays.
    func store(_ transaction: Transaction) throws {
        try transaction.execute(
            """
            INSERT INTO nodes (name, role, state, canary, serial, previous_serial, certificate_expires, enrolled_on)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET role = excluded.role,
                state = excluded.state, canary = excluded.canary, serial = excluded.serial,
                previous_serial = excluded.previous_serial, certificate_expires = excluded.certificate_expires,
                enrolled_on = excluded.enrolled_on
            """,
            [
                .text(name), .text(role), .text(state.rawValue), SQLValue(isCanary), .text(serial),
                .text(previousSerial), SQLValue(certificateExpires), SQLValue(enrolledOn),
            ])
    }

    /// Tells relays and edges who it is: `node/<name>`.
    func publish(_ transaction: Transaction) {
        let value: JSONValue = [
            "role": .string(role), "state": .string(state.rawValue), "canary": .boolean(isCanary),
        ]
        transaction.publish(Change(key: Self.key(name), value: value.bytes))
        if state != .enrolled { transaction.publish(Change(key: Self.secretKey(name), value: nil)) }
    }

    static let keyPrefix = "node/"
    static func key(_ name: String) -> String { keyPrefix + name }
    static func secretKey(_ name: String) -> String { "node-key/" + name }

    /// Whoever reported it may have ended since.
    func isConnected(at now: APITime) -> Bool {
        guard isConnected, let seenAt else { return false }
        return now.microseconds - seenAt.microseconds < Limits.fleetSilentSeconds * 1_000_000
    }

    /// As it is shown.
    func json(at now: APITime, logSequence: Int64) -> JSONObject {
        let behind = sequence.map { JSONValue.number(JSONNumber(max(0, logSequence - $0))) }
        return [
            "name": .string(name), "role": .string(role), "parent": .string(parent), "state": .string(state.rawValue),
            "canary": .boolean(isCanary), "connected": .boolean(isConnected(at: now)),
            "epoch": .number(JSONNumber(epoch)), "sequence": sequence.map { .number(JSONNumber($0)) } ?? .null,
            "behind": behind ?? .null, "lag_ms": .number(JSONNumber(lagMilliseconds)), "version": .string(version),
            "health": health ?? .null, "applied_at": appliedAt?.json ?? .null, "seen_at": seenAt?.json ?? .null,
            "enrolled_on": enrolledOn.json, "certificate_expires_on": certificateExpires?.json ?? .null,
        ]
    }

    /// What an audit row says: without what changes every few seconds.
    var identity: JSONValue {
        [
            "name": .string(name), "role": .string(role), "state": .string(state.rawValue),
            "canary": .boolean(isCanary), "serial": .string(serial),
            "certificate_expires_on": certificateExpires?.json ?? .null,
        ]
    }
}

/// The fleet is the installation's: it belongs to the account that was there first.
enum FleetAccount {
    static func id(_ transaction: Transaction) throws -> String? {
        try transaction.first("SELECT id FROM accounts ORDER BY created_on, id LIMIT 1")?.text(0)
    }

    /// Where its changes lie in the audit log.
    static func scope(_ transaction: Transaction) throws -> String {
        try id(transaction).map { "account/\($0)" } ?? "system"
    }

    /// - Throws: `APIError` for any other account.
    static func check(_ call: APICall) throws {
        let account = try call.theAccount()
        guard try id(call.transaction) == account.id else {
            throw APIError.notFound("fleet of the account", account.id)
        }
    }
}
