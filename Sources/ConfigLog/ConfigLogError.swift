/// What is wrong with bytes that should be a part of the log, or with their place in it.
///
/// Whatever came from outside is refused by one of these; the sender is at fault, and asking another one may help.
package struct ConfigLogError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// The bytes end too early.
        case truncated
        /// A bound of `Limits` is passed.
        case tooLarge
        /// The bytes are none of ours, or were damaged.
        case malformed
        /// A later version of the format or the protocol.
        case unknownVersion
        /// The content does not hash to what it says.
        case wrongHash
        /// Something is missing in between.
        case gap
        /// The same epoch and sequence with another history.
        case forked
        /// Another epoch.
        case otherEpoch
    }

    package let kind: Kind
    /// What was being read.
    package let what: String
    package let expected: String
    package let found: String

    package init(_ kind: Kind, _ what: String, expected: String, found: String) {
        self.kind = kind
        self.what = what
        self.expected = expected
        self.found = found
    }

    package var description: String { "\(what): expected \(expected), found \(found) (\(kind.rawValue))" }
}
