// Why a command could not do what it was told, in words for whoever typed it.

/// What went wrong, and what to do next.
package struct OperatorProblem: Error, Sendable, Equatable {
    /// Whose side it is on, which decides the exit status.
    package enum Kind: Sendable, Equatable {
        /// What was typed, or a file that was named.
        case input
        /// Nobody answers, or not in time: another attempt may succeed.
        case unreachable
        /// The token is missing, void, or not allowed to do this.
        case credentials
        /// The API knows no such endpoint: it is older than this command.
        case unknownToAPI
        /// The API knows no such object.
        case notFound
        /// The API answered no, for another reason.
        case refused
        /// What answered is no control plane's API, or does not keep to its shapes.
        case answer
        /// Somebody asked it to stop.
        case stopped
    }

    package var kind: Kind
    /// One line: what was expected and what was found.
    package var message: String
    /// One line: what to do next.
    package var help: String?

    package init(_ kind: Kind, _ message: String, help: String? = nil) {
        self.kind = kind
        self.message = message
        self.help = help
    }
}

extension OperatorProblem: CustomStringConvertible {
    /// Message and help, each on a line of its own, without what a terminal would obey.
    package var description: String {
        ScreenText.plain(message) + (help.map { "\n  help: \(ScreenText.plain($0))" } ?? "")
    }
}
