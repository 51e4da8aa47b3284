package import ConfigLog
package import FoundationEssentials
import Synchronization

/// How a node does, for pages and metrics.
package struct NodeStatus: Sendable {
    package let name: NodeName
    package let role: NodeRole
    /// The newest that was verified.
    package internal(set) var position: LogPosition
    /// What the replica holds.
    package internal(set) var applied: LogPosition
    /// From the commit of the newest group to its being applied here.
    package internal(set) var lagMilliseconds: UInt32 = 0
    /// How long ago the root was known to be reachable, when this was asked for.
    package internal(set) var stalenessMilliseconds: UInt32 = 0
    /// Whether it follows a parent; a root: always.
    package internal(set) var isConnected = false
    /// The address of the parent that is followed or tried.
    package internal(set) var parent = ""
    package internal(set) var childCount = 0
    /// Of the log's protocol, without TLS's own.
    package internal(set) var bytesReceived: UInt64 = 0
    package internal(set) var bytesSent: UInt64 = 0
    package internal(set) var certificateSerial: String
    package internal(set) var certificateNotAfter: Date
    /// Why the last attempt to reach a parent failed; nil: it did not.
    package internal(set) var parentProblem: String?
    package internal(set) var replicaProblem: String?
    /// The port it listens on; nil: on none.
    package internal(set) var port: Int?
}
