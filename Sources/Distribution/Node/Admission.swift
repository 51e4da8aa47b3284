import ConfigLog
import JSON
import Replica

/// What the replica says of a node: `node/<name>`, {"role", "state"}.
enum NodeRecord: Equatable {
    case unknown
    case enrolled(NodeRole)
    case revoked

    static let keyPrefix = "node/"

    init(_ name: NodeName, in replica: Replica) {
        guard let bytes = try? replica.value(Self.keyPrefix + name.text), let value = try? JSONValue(parsing: bytes),
            let word = value["role"]?.string, let role = NodeRole(word: word)
        else {
            self = .unknown
            return
        }
        switch value["state"]?.string {
        case "enrolled": self = .enrolled(role)
        case "revoked": self = .revoked
        default: self = .unknown
        }
    }
}
