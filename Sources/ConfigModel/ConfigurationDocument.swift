// From text to YAML nodes: everything that can be wrong before a single key is looked at.
//
// Yams does the parsing. What it leaves open is closed here: size, encoding, control characters, second documents,
// aliases that multiply (`AliasBounds`), and messages that an operator can act on.

import Limits
import Yams

/// One YAML document, composed into nodes that know their place.
enum ConfigurationDocument {
    /// - Throws: the one problem that kept the text from being YAML of the kind read here.
    static func compose(_ source: SourceText) throws(ConfigurationProblem) -> Node {
        try checkCharacters(source)
        if let problem = AliasBounds.problem(in: source) { throw problem }
        do {
            if let node = try parser(source.text).singleRoot() { return node }
        } catch let error as YamlError {
            throw describe(error, in: source)
        } catch {
            throw source.problem(.error, at: .wholeFile, "expected YAML, found something unreadable")
        }
        throw source.problem(
            .error,
            at: .wholeFile,
            "expected a configuration, found an empty file",
            help: "the least is a listener and a zone; see docs/configuration.md"
        )
    }

    /// Without the resolver's rules: `off` and `1` stay the words they are, and nothing is matched against patterns
    /// for every one of a million keys.
    static func parser(_ text: String) throws -> Parser {
        try Parser(yaml: text, resolver: .basic, constructor: .default, encoding: .utf8)
    }

    private static func checkCharacters(_ source: SourceText) throws(ConfigurationProblem) {
        let size = source.text.utf8.count
        guard size <= Limits.configurationFileBytesMax else { throw tooLarge(source) }
        let wrong = source.text.utf8.firstIndex { byte in
            byte < 0x20 ? byte != 0x09 && byte != 0x0A && byte != 0x0D : byte == 0x7F
        }
        guard let wrong else { return }
        let offset = source.text.utf8.distance(from: source.text.startIndex, to: wrong)
        throw source.problem(
            .error,
            at: source.place(ofByte: offset),
            "expected text, found the control character with code \(source.text.utf8[wrong])",
            help: "remove it; in double quotes it can be written as \\xHH"
        )
    }

    static func tooLarge(_ source: SourceText) -> ConfigurationProblem {
        let most = SizeText.text(bytes: UInt64(Limits.configurationFileBytesMax))
        return source.problem(
            .error,
            at: .wholeFile,
            "expected a file of at most \(most), found a larger one",
            help: "is this the right file?"
        )
    }

    // MARK: What Yams says, said better

    static func describe(_ error: YamlError, in source: SourceText) -> ConfigurationProblem {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _):
            return syntaxProblem(context: context, problem: problem, mark: mark, in: source)
        case .composer(_, let problem, let mark, _):
            if problem.contains("another document") {
                return source.problem(
                    .error,
                    at: Place(line: mark.line, column: mark.column),
                    "expected one document, found a second",
                    help: "remove the line --- and what follows it, or give it a file of its own"
                )
            }
            return syntaxProblem(context: nil, problem: problem, mark: mark, in: source)
        case .duplicatedKeysInMapping(let duplicates, let context):
            return duplicateProblem(duplicates, first: context.mark, in: source)
        case .reader(let problem, let offset, _, _):
            let index = offset.flatMap {
                source.text.index(source.text.startIndex, offsetBy: $0, limitedBy: source.text.endIndex)
            }
            let bytes = index.map { source.text.utf8.distance(from: source.text.startIndex, to: $0) }
            return source.problem(
                .error,
                at: bytes.map(source.place(ofByte:)) ?? .wholeFile,
                "expected YAML, found a character that may not stand in it: \(problem)"
            )
        default:
            return source.problem(.error, at: .wholeFile, "expected YAML, found something unreadable")
        }
    }

    private static func syntaxProblem(
        context: YamlError.Context?, problem: String, mark: Mark, in source: SourceText
    ) -> ConfigurationProblem {
        let place = Place(line: mark.line, column: mark.column)
        let line = source.line(mark.line) ?? ""
        let begun = context.map { "\($0.text) " } ?? ""
        var message = "expected YAML, but \(begun)\(problem)"
        if let start = context?.mark, start.line < mark.line { message += " (begun in line \(start.line))" }
        return source.problem(.error, at: place, message, help: hint(begun + problem, line: line))
    }

    private static func hint(_ problem: String, line: Substring) -> String {
        if line.prefix(while: { $0 == " " || $0 == "\t" }).contains("\t") || problem.contains("tab") {
            return "indent with spaces; YAML allows no tabs there"
        }
        if problem.contains("alias") || line.contains(": *") || line.drop(while: { $0 == " " }).hasPrefix("*") {
            return "text that begins with * stands in quotes: \"*\", \"*:443\", \"*.example.test\""
        }
        if problem.contains("block sequence entries") { return "a hyphen that means itself stands in quotes: \"-\"" }
        if problem.contains("mapping values are not allowed") {
            return "look at the indentation, and put text that holds a colon and a space in quotes"
        }
        if problem.contains("quoted scalar") { return "a quotation mark is missing" }
        if problem.contains("flow sequence") { return "a ] or a comma is missing" }
        if problem.contains("flow mapping") { return "a } or a comma is missing" }
        if problem.contains("cannot start any token") { return "put text that begins with this character in quotes" }
        if problem.contains("block mapping") || problem.contains("simple key") || problem.contains("block collection") {
            return "keys of one mapping begin in the same column, each followed by a colon and a space"
        }
        return "look at the indentation, the quotation marks and the brackets around this place"
    }

    // MARK: A key given twice

    /// Yams names the first place of a key given twice; the second is the one to remove, so it is looked for.
    private static func duplicateProblem(
        _ duplicates: [String], first: Mark, in source: SourceText
    ) -> ConfigurationProblem {
        let key = duplicates.min() ?? ""
        let second = secondPlace(of: key, after: first, in: source)
        let earlier = second == nil ? "" : "; it was first given in line \(first.line)"
        return source.problem(
            .error,
            at: second ?? Place(line: first.line, column: first.column, count: key.unicodeScalars.count),
            "expected every key once, found \(SourceText.quoted(key)) twice in one mapping\(earlier)",
            help: "merge the two or remove one; other problems show once this is done"
        )
    }

    private static func secondPlace(of key: String, after first: Mark, in source: SourceText) -> Place? {
        let indent = first.column - 1
        var number = first.line
        for line in source.text.split(separator: "\n", omittingEmptySubsequences: false).dropFirst(first.line) {
            number += 1
            let body = line.drop { $0 == " " }
            if body.isEmpty || body == "\r" || body.hasPrefix("#") { continue }
            let depth = line.utf8.count - body.utf8.count
            if depth < indent { return nil }
            guard depth == indent else { continue }
            for written in [key, "\"\(key)\"", "'\(key)'"] where body.hasPrefix(written) {
                if body.dropFirst(written.count).drop(while: { $0 == " " }).hasPrefix(":") {
                    return Place(line: number, column: first.column, count: written.unicodeScalars.count)
                }
            }
        }
        return nil
    }
}
