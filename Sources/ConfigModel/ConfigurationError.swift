// What is said about a configuration file that cannot be used, or that can but should be looked at.
//
// Rendered the way a compiler does it: file, line and column first so that editors can jump there, what was
// expected and what was found, the line itself with a caret, and what to do next. Nothing here may repeat a
// secret: excerpts are cleaned by `SourceText` before they arrive.

/// One thing found in a configuration file.
package struct ConfigurationProblem: Error, Sendable, Equatable {
    package enum Severity: String, Sendable { case error, warning }

    package var severity: Severity
    /// The file as the operator named it.
    package var file: String
    /// Counted from 1; 0 where the file as a whole is meant.
    package var line: Int
    /// Counted from 1, in Unicode scalars.
    package var column: Int
    /// One line: what was expected and what was found.
    package var message: String
    /// One line: what to do next.
    package var help: String?
    /// The line of the file, cleaned of secrets and of what would disturb a terminal.
    package var excerpt: Excerpt?

    package struct Excerpt: Sendable, Equatable {
        package var text: String
        /// Scalars of `text` before the caret.
        package var caretOffset: Int
        /// Scalars that the caret and its tail cover, at least 1.
        package var caretCount: Int
    }

    /// A problem found by somebody else than the reader of the file; line 0 for the file as a whole.
    package init(severity: Severity, file: String, line: Int, column: Int, message: String) {
        self.init(
            severity: severity, file: file, line: line, column: column, message: message, help: nil, excerpt: nil)
    }

    init(
        severity: Severity, file: String, line: Int, column: Int, message: String, help: String?, excerpt: Excerpt?
    ) {
        self.severity = severity
        self.file = file
        self.line = line
        self.column = column
        self.message = message
        self.help = help
        self.excerpt = excerpt
    }
}

extension ConfigurationProblem {
    /// The same without the excerpt, for a log.
    package var oneLine: String {
        let place = line > 0 ? "\(file):\(line):\(column)" : file
        return "\(place): \(severity.rawValue): \(message)" + (help.map { " (\($0))" } ?? "")
    }
}

extension ConfigurationProblem: CustomStringConvertible {
    /// Several lines without a final line break.
    package var description: String {
        var text = file
        if line > 0 { text += ":\(line):\(column)" }
        text += ": \(severity.rawValue): \(message)"
        if let excerpt {
            let number = String(line)
            let margin = String(repeating: " ", count: max(0, 5 - number.count))
            let gutter = String(repeating: " ", count: margin.count + number.count)
            text += "\n\(margin)\(number) | \(excerpt.text)"
            text += "\n\(gutter) | \(String(repeating: " ", count: excerpt.caretOffset))^"
            text += String(repeating: "~", count: max(0, excerpt.caretCount - 1))
        }
        if let help { text += "\n      help: \(help)" }
        return text
    }
}

/// Why a configuration file was refused: every problem found in it, not only the first.
package struct ConfigurationError: Error, Sendable, Equatable {
    /// Errors and warnings in the file's order; at least one error.
    package var problems: [ConfigurationProblem]
    /// Errors beyond the first `problemsMax`, counted and not kept.
    package var omittedCount: Int

    /// Errors, and warnings, kept for one file. A file with more is a file of another kind.
    package static let problemsMax = 100

    package init(problems: [ConfigurationProblem], omittedCount: Int = 0) {
        self.problems = problems
        self.omittedCount = omittedCount
    }

    /// The errors without the warnings.
    package var errors: [ConfigurationProblem] { problems.filter { $0.severity == .error } }
}

extension ConfigurationError: CustomStringConvertible {
    /// Every problem, then a line that counts them.
    package var description: String {
        let errorCount = errors.count + omittedCount
        var text = problems.map(\.description).joined(separator: "\n")
        text += "\n\(errorCount) error\(errorCount == 1 ? "" : "s")"
        let warningCount = problems.count - errors.count
        if warningCount > 0 { text += ", \(warningCount) warning\(warningCount == 1 ? "" : "s")" }
        if omittedCount > 0 { text += " (\(omittedCount) not shown)" }
        return text
    }
}

/// Why a text is not the value it should be; the reader adds where it stands and what was found.
package struct Misread: Error, Sendable, Equatable {
    /// Completes "expected …".
    package var expected: String
    /// What to write instead.
    package var help: String?

    package init(expected: String, help: String? = nil) {
        self.expected = expected
        self.help = help
    }
}
