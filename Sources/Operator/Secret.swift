import Limits

/// A token that nobody prints by mistake: whatever shows it shows that it is one.
package struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package let text: String

    /// - Throws: `OperatorProblem` that does not repeat it, if it can be no token.
    package init(_ text: String, from source: String) throws(OperatorProblem) {
        let trimmed = text.drop { $0.isWhitespace }
        let end = trimmed.lastIndex { !$0.isWhitespace }
        let token = end.map { String(trimmed[...$0]) } ?? ""
        guard !token.isEmpty else {
            throw OperatorProblem(.input, "expected a token from \(source), found nothing")
        }
        guard token.utf8.count <= Limits.operatorTokenBytesMax, token.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else {
            throw OperatorProblem(
                .input, "expected one token from \(source), found blanks within it, other characters, or far too many")
        }
        self.text = token
    }

    package var description: String { "(secret)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}
