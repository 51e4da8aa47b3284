/// What kept two nodes from each other, or a node from starting.
package struct DistributionError: Error, Sendable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        /// An address that cannot be read.
        case address
        /// A join token that cannot be read.
        case token
        /// The node's own certificate or key.
        case identity
        /// The installation's authority.
        case authority
        /// The control plane refused an enrolment: see `EnrolmentRefusal.Kind.isFinal` whether trying again may help.
        case enrolment(EnrolmentRefusal.Kind)
        /// Nobody answered.
        case unreachable
        /// The address to listen on is not to be had.
        case listen
        /// The replica is not fit for what was asked.
        case replica
        /// The node was stopped.
        case stopped
    }

    package let kind: Kind
    package let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
