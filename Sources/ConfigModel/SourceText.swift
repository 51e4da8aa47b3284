// The text of a configuration file as its problems show it.
//
// Lines are looked for only when a problem is made, so that a good file of 64 MiB costs nothing here, and a bad one
// is walked once: every 256th line is remembered. A class for the sake of that memory; it never leaves one call of
// `Configuration.parse`. Everything
// that leaves this file is safe to print: passwords in URLs and key material are masked, control characters (a
// terminal would obey them) are replaced, long lines are cut.

/// Where a piece of the configuration stands.
struct Place: Equatable {
    /// Counted from 1; 0 for the file as a whole.
    var line: Int
    /// Counted from 1, in Unicode scalars.
    var column: Int
    /// Scalars covered, at least 1.
    var count = 1

    static let wholeFile = Place(line: 0, column: 0)
}

/// A configuration file's name and text.
final class SourceText {
    let file: String
    let text: String
    private lazy var milestones = findMilestones()
    private lazy var hasKeyMaterial = SourceText.findsKeyMaterial(in: text)

    /// Scalars of a line, and of a value, that are shown.
    static let lineScalarsMax = 120
    static let valueScalarsMax = 60

    private static let linesPerMilestone = 256

    init(file: String, text: String) {
        self.file = file
        self.text = text
    }

    /// Makes a problem with its line of the text.
    func problem(
        _ severity: ConfigurationProblem.Severity, at place: Place, _ message: String, help: String? = nil
    ) -> ConfigurationProblem {
        ConfigurationProblem(
            severity: severity,
            file: file,
            line: place.line,
            column: place.column,
            message: message,
            help: help,
            excerpt: excerpt(at: place)
        )
    }

    /// The line at a place, counted from 1, without its line break; nil beyond the end.
    func line(_ number: Int) -> Substring? {
        guard number > 0 else { return nil }
        let (milestone, steps) = (number - 1).quotientAndRemainder(dividingBy: SourceText.linesPerMilestone)
        guard milestone < milestones.count else { return nil }
        var rest = text[milestones[milestone]...]
        for _ in 0..<steps {
            guard let lineEnd = rest.utf8.firstIndex(where: { $0 == 0x0A }) else { return nil }
            rest = rest[rest.utf8.index(after: lineEnd)...]
        }
        let line = rest.prefix(upTo: rest.utf8.firstIndex(where: { $0 == 0x0A }) ?? rest.endIndex)
        return line.utf8.last == 0x0D ? Substring(line.unicodeScalars.dropLast()) : line
    }

    /// Where the lines 1, 257, 513, … begin.
    private func findMilestones() -> [String.Index] {
        var milestones = [text.startIndex]
        var lineCount = 0
        for index in text.utf8.indices where text.utf8[index] == 0x0A {
            lineCount += 1
            if lineCount.isMultiple(of: SourceText.linesPerMilestone) {
                milestones.append(text.utf8.index(after: index))
            }
        }
        return milestones
    }

    /// Whether a PEM block begins anywhere. By hand: a generic search takes minutes for 64 MiB.
    private static func findsKeyMaterial(in text: String) -> Bool {
        let needle = Array("-----BEGIN".utf8)
        let found = text.utf8.withContiguousStorageIfAvailable { bytes in
            var matched = 0
            for byte in bytes {
                if byte == needle[matched] {
                    matched += 1
                    if matched == needle.count { return true }
                } else {
                    // Of a longer run of hyphens, the last five count.
                    matched = byte == UInt8(ascii: "-") ? (matched == 5 ? 5 : 1) : 0
                }
            }
            return false
        }
        return found ?? true
    }

    /// Line and column of a byte of the text.
    func place(ofByte offset: Int) -> Place {
        var place = Place(line: 1, column: 1)
        for byte in text.utf8.prefix(max(0, offset)) {
            if byte == 0x0A {
                place.line += 1
                place.column = 1
            } else if byte & 0xC0 != 0x80 {
                place.column += 1
            }
        }
        return place
    }

    private func excerpt(at place: Place) -> ConfigurationProblem.Excerpt? {
        guard let line = line(place.line), !isKeyMaterial(line: place.line, text: line) else { return nil }
        let scalars = Array(SourceText.masked(String(line)).unicodeScalars)
        let caret = min(max(0, place.column - 1), scalars.count)
        // A caret beyond the cut moves the window; the line break itself may be what the caret shows.
        let start = caret > SourceText.lineScalarsMax - 20 ? caret - (SourceText.lineScalarsMax - 20) : 0
        let end = min(scalars.count, start + SourceText.lineScalarsMax)
        var shown = String.UnicodeScalarView()
        shown.append(contentsOf: scalars[start..<end].map(SourceText.printable))
        return ConfigurationProblem.Excerpt(
            text: String(shown),
            caretOffset: caret - start,
            caretCount: max(1, min(place.count, end - caret))
        )
    }

    /// Whether a line lies within a PEM block that someone pasted into the file.
    private func isKeyMaterial(line number: Int, text line: Substring) -> Bool {
        if line.contains("-----BEGIN") || line.contains("-----END") { return true }
        guard hasKeyMaterial else { return false }
        // 400 lines hold an RSA key of 16384 bits many times over.
        for before in stride(from: number - 1, through: max(1, number - 400), by: -1) {
            guard let earlier = self.line(before), !earlier.contains("-----END") else { return false }
            if earlier.contains("-----BEGIN") { return true }
        }
        return false
    }

    /// A value as it may be repeated in a message: quoted, on one line, bounded, without secrets.
    static func quoted(_ value: String) -> String {
        if value.contains("-----BEGIN") || value.unicodeScalars.contains("\n") { return "a block of text" }
        let scalars = masked(value).unicodeScalars
        var shown = String.UnicodeScalarView(scalars.prefix(valueScalarsMax).map(printable))
        if scalars.count > valueScalarsMax { shown.append("…") }
        return "\"\(String(shown))\""
    }

    /// Replaces what stands between `://` and the last `@` before white space, quote or slash: user and password.
    static func masked(_ text: String) -> String {
        guard text.utf8.contains(0x40) else { return text }
        var scalars = Array(text.unicodeScalars)
        var index = 0
        while index + 2 < scalars.count {
            guard scalars[index] == ":", scalars[index + 1] == "/", scalars[index + 2] == "/" else {
                index += 1
                continue
            }
            let start = index + 3
            var end = start
            while end < scalars.count, !" \t\"',]}/".unicodeScalars.contains(scalars[end]) { end += 1 }
            // A password may itself hold one of those, so the last @ of the word counts.
            var word = end
            while word < scalars.count, scalars[word] != " ", scalars[word] != "\t" { word += 1 }
            if let at = scalars[start..<word].lastIndex(of: "@") {
                for position in start..<at { scalars[position] = "*" }
            }
            index = end
        }
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    private static func printable(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar.properties.generalCategory {
        case .control where scalar == "\t": " "
        case .control, .format, .lineSeparator, .paragraphSeparator: "\u{FFFD}"
        default: scalar
        }
    }
}
