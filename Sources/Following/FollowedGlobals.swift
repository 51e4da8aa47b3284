// What the control plane says to every edge: `global/…`, `switch/…`. Each edge decides by its name whether a version is
// meant for it by now. One that cannot be read changes nothing, and is counted, so that the roll-out stops.

package import ConfigModel
import JSON
package import Logging
package import Replica

/// What holds on this edge now.
package struct FollowedGlobals: Sendable, Equatable {
    package var cacheIsOn = true
    package var http2IsOn = true
    /// In the place of the configuration's own `limits` and `timeouts`; nil: those hold.
    package var clientLimits: JSONValueBox?
    /// Objects that could not be read or do not hold.
    package var refusedCount = 0

    package init() {}

    /// Reads them all. Blocks on the disk.
    ///
    /// - Parameters:
    ///   - node: this edge's name.
    ///   - isCanary: whether it is one whatever the control plane says: the only edge of a machine.
    ///   - configuration: what the limits are laid over; they are refused if the result is none.
    ///   - last: what held until now, and holds on where an object is no good.
    package init(
        replica: Replica, node: String, isCanary: Bool, configuration: Configuration, last: FollowedGlobals, log: Logger
    ) {
        self = last
        refusedCount = 0
        let isCanary = isCanary || Self.isCanary(replica, node)
        for item in GlobalSwitch.allCases {
            guard let object = object(replica, item.key, log) else { continue }
            let isOn = object.map { GlobalSwitch.isOn($0) } ?? true
            switch item {
            case .cache: cacheIsOn = isOn
            case .http2: http2IsOn = isOn
            }
        }
        for id in GlobalKind.limits.ids {
            let key = GlobalKind.limits.key(id)
            guard let object = object(replica, key, log) else { continue }
            guard let body = object?.effective(node: node, isCanary: isCanary) else {
                clientLimits = nil
                continue
            }
            do {
                _ = try configuration.withClientLimits(body)
                clientLimits = JSONValueBox(value: body)
            } catch {
                refuse(key, "\(error)", log)
            }
        }
    }

    /// Nil: it is there and cannot be read; nil within: there is none.
    private mutating func object(_ replica: Replica, _ key: String, _ log: Logger) -> GlobalObject?? {
        do {
            guard let bytes = try replica.value(key) else { return .some(nil) }
            return .some(try GlobalObject(decoding: bytes))
        } catch {
            refuse(key, "\(error)", log)
            return nil
        }
    }

    private mutating func refuse(_ key: String, _ reason: String, _ log: Logger) {
        refusedCount += 1
        log.error(
            "a global object is refused: the last good one holds", metadata: ["key": "\(key)", "reason": "\(reason)"])
    }

    private static func isCanary(_ replica: Replica, _ node: String) -> Bool {
        guard let bytes = try? replica.value("node/\(node)"),
            let value = try? JSONValue(stored: String(decoding: bytes, as: UTF8.self))
        else { return false }
        return value["canary"]?.boolean ?? false
    }

    /// A configuration as it is meant to be on this edge.
    package func applied(to configuration: Configuration) -> Configuration {
        guard let clientLimits else { return configuration }
        return (try? configuration.withClientLimits(clientLimits.value)) ?? configuration
    }
}

/// A JSON value that others need not look into.
package struct JSONValueBox: Sendable, Equatable {
    let value: JSONValue
}
