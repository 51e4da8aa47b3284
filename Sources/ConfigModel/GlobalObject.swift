// What the control plane says to every edge at once: limits, switches. An object that is wrong would be wrong everywhere, so
// a new version comes beside the one before it, and says for which edges it is meant by now.
//
//     canaries ──▶ 1 % ──▶ 10 % ──▶ 50 % ──▶ 100 %          each edge decides for itself, by its name and the salt
//
// Pure: the control plane moves the stage, an edge asks `effective`.

package import JSON
import Limits

/// One version of a global object, as it is published under `global/<kind>/<id>` or `switch/<name>`.
package struct GlobalObject: Sendable, Equatable {
    /// How far a version has come.
    package struct Stage: Sendable, Equatable {
        /// Whether edges that are marked as canaries have it.
        package var hasCanaries: Bool
        /// Of all edges, 0...100.
        package var percent: Int

        package init(hasCanaries: Bool, percent: Int) {
            self.hasCanaries = hasCanaries
            self.percent = min(max(percent, 0), 100)
        }

        package static let nobody = Stage(hasCanaries: false, percent: 0)
        package static let everybody = Stage(hasCanaries: true, percent: 100)
    }

    /// Counted up with every change of the body.
    package var version: Int64
    /// What edges of the stage hold to. Nil: nothing, as if the object were not there.
    package var body: JSONValue?
    /// What all others hold to.
    package var previous: JSONValue?
    package var stage: Stage
    /// Another one with each version, so that not always the same edges come first.
    package var salt: String

    package init(version: Int64, body: JSONValue?, previous: JSONValue? = nil, stage: Stage, salt: String = "") {
        self.version = version
        self.body = body
        self.previous = previous
        self.stage = stage
        self.salt = salt
    }

    /// What holds on a node.
    ///
    /// - Parameters:
    ///   - node: The node's name.
    ///   - isCanary: As `node/<name>` says.
    /// - Returns: The body, the one before it, or nil for neither.
    package func effective(node: String, isCanary: Bool) -> JSONValue? {
        reaches(node: node, isCanary: isCanary) ? body : previous
    }

    /// Whether a node belongs to the stage. Who belongs to one stays in all that come after it.
    package func reaches(node: String, isCanary: Bool) -> Bool {
        stage.hasCanaries && isCanary || GlobalObject.place(of: node, salt: salt) < UInt64(stage.percent) * 100
    }

    /// Where a node stands in line, 0..<10,000: the same on every machine and in every version of this program.
    ///
    /// FNV-1a over salt, a NUL and the name, then the finish of SplitMix64, since FNV's upper bits hardly depend on the
    /// last bytes.
    package static func place(of node: String, salt: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        salt.utf8.forEach(add)
        add(0)
        node.utf8.forEach(add)
        hash = (hash ^ hash >> 30) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ hash >> 27) &* 0x94d0_49bb_1331_11eb
        return (hash ^ hash >> 31) % 10_000
    }
}

/// Why bytes are no global object.
package struct GlobalObjectProblem: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
}

extension GlobalObject {
    /// As it is published: JSON.
    package var encoded: [UInt8] {
        let json: JSONValue = [
            "version": .number(JSONNumber(version)), "body": body ?? .null, "previous": previous ?? .null,
            "stage": ["canary": .boolean(stage.hasCanaries), "percent": .number(JSONNumber(stage.percent))],
            "salt": .string(salt),
        ]
        return json.bytes
    }

    /// Reads what was published. Members that a later version added are passed over.
    ///
    /// - Throws: What was expected and what was found.
    package init(decoding bytes: [UInt8]) throws(GlobalObjectProblem) {
        guard bytes.count <= Limits.globalObjectBytesMax else {
            throw GlobalObjectProblem(
                description: "expected at most \(Limits.globalObjectBytesMax) bytes, found \(bytes.count)")
        }
        let json: JSONValue
        do {
            json = try JSONValue(stored: String(decoding: bytes, as: UTF8.self))
        } catch {
            throw GlobalObjectProblem(description: error.description)
        }
        guard let version = json["version"]?.integer, version > 0 else {
            throw GlobalObjectProblem(
                description: "version: expected a whole number from 1, found \(Self.kind(json["version"]))")
        }
        guard let stage = json["stage"], let hasCanaries = stage["canary"]?.boolean,
            let percent = stage["percent"]?.integer, (0...100).contains(percent)
        else {
            throw GlobalObjectProblem(
                description:
                    "stage: expected canary, true or false, and percent, 0 to 100, found \(Self.kind(json["stage"]))")
        }
        guard let salt = json["salt"]?.string else {
            throw GlobalObjectProblem(description: "salt: expected a string, found \(Self.kind(json["salt"]))")
        }
        self.init(
            version: version, body: Self.value(json["body"]), previous: Self.value(json["previous"]),
            stage: Stage(hasCanaries: hasCanaries, percent: Int(percent)), salt: salt)
    }

    private static func value(_ json: JSONValue?) -> JSONValue? {
        // A bare nil would be JSON's null.
        guard let json, !json.isNull else { return Optional<JSONValue>.none }
        return json
    }
    private static func kind(_ json: JSONValue?) -> String { json?.kind ?? "nothing" }
}

/// What can be turned off everywhere at once, without a roll-out. What nobody turned off is on.
package enum GlobalSwitch: String, Sendable, CaseIterable {
    /// Nothing is answered from the cache, and nothing is kept.
    case cache
    /// Clients get HTTP/1.1 alone.
    case http2

    package var key: String { "switch/\(rawValue)" }

    /// As it is published.
    package static func object(isEnabled: Bool, version: Int64) -> GlobalObject {
        GlobalObject(version: version, body: ["enabled": .boolean(isEnabled)], stage: .everybody)
    }

    /// Whether an object leaves the switch on; anything but a clear no does.
    package static func isOn(_ object: GlobalObject) -> Bool { object.body?["enabled"]?.boolean != false }
}

/// What global objects there may be.
package enum GlobalKind: String, Sendable, CaseIterable {
    /// `limits/client`: members `limits` and `timeouts`, as in `martlet.yaml`.
    case limits

    /// Identifiers that the kind has.
    package var ids: [String] {
        switch self {
        case .limits: ["client"]
        }
    }

    package func key(_ id: String) -> String { "global/\(rawValue)/\(id)" }

    /// Holds a body against what an edge will read.
    ///
    /// - Throws: Every problem found.
    package func check(_ body: JSONValue) throws(ConfigurationError) {
        switch self {
        case .limits: _ = try Configuration().withClientLimits(body)
        }
    }
}
