// A roll-out as it is kept, so that another control process can go on with it.

import JSON
import Limits

extension Rollout {
    var json: JSONValue {
        var baselines = JSONObject()
        for (name, health) in baseline.sorted(by: { $0.key < $1.key }) { baselines[name] = health.json }
        var gone = JSONObject()
        for (name, since) in goneSince.sorted(by: { $0.key < $1.key }) { gone[name] = .number(JSONNumber(since)) }
        return [
            "salt": .string(salt), "soak_ms": .number(JSONNumber(soakMilliseconds)), "state": .string(state.rawValue),
            "stage": stage.map { .string($0.rawValue) } ?? .null, "started_at": .number(JSONNumber(startedAt)),
            "soaked_from": soakedFrom.map { .number(JSONNumber($0)) } ?? .null, "reason": .string(reason),
            "baseline": .object(baselines), "gone": .object(gone),
        ]
    }

    /// - Throws: `StoreError.corrupt`.
    init(stored json: JSONValue) throws(StoreError) {
        guard let salt = json["salt"]?.string, let soak = json["soak_ms"]?.integer,
            let state = json["state"]?.string.flatMap(State.init(rawValue:)), let started = json["started_at"]?.integer,
            let reason = json["reason"]?.string
        else { throw .corrupt("a roll-out") }
        self.init(
            salt: salt, soakMilliseconds: soak, state: state,
            stage: json["stage"]?.string.flatMap(Stage.init(rawValue:)),
            startedAt: started, soakedFrom: json["soaked_from"]?.integer, reason: reason,
            baseline: Dictionary(
                (json["baseline"]?.object?.members ?? []).map { ($0.name, RolloutEdge.Health($0.value)) }
            ) { first, _ in first },
            goneSince: Dictionary(
                (json["gone"]?.object?.members ?? []).map { ($0.name, $0.value.integer ?? 0) }
            ) { first, _ in first })
    }
}

extension RolloutEdge.Health {
    /// Of a node's report, as `nodes` keeps it.
    init(_ json: JSONValue) {
        func count(_ name: String) -> UInt64 { UInt64(clamping: json[name]?.integer ?? 0) }
        self.init(
            requests: count("requests"), serverErrors: count("server_errors"), latencyMicroseconds: count("p99_us"),
            crashes: count("crashes"), refusals: count("refused_objects"))
    }

    var json: JSONValue {
        func number(_ value: UInt64) -> JSONValue { .number(JSONNumber(Int64(clamping: value))) }
        return [
            "requests": number(requests), "server_errors": number(serverErrors), "p99_us": number(latencyMicroseconds),
            "crashes": number(crashes), "refused_objects": number(refusals),
        ]
    }
}
