// The words in which the rest of the reader is written: sections, slots and typed values.
//
// A method that reads a value reports what is wrong and returns nil; its caller keeps the default and goes on, so
// that one run finds every problem. Nothing is thrown once there are nodes.

import Limits
import Yams

/// Reads nodes into a `Configuration` and collects the problems.
struct ConfigurationReader {
    let source: SourceText
    /// Absolute; relative paths count from it.
    let directory: String
    let files: Configuration.FileCheck
    /// At most `ConfigurationError.problemsMax` of each severity.
    var problems: [ConfigurationProblem] = []
    /// All errors, kept or not.
    var errorCount = 0
    private var warningCount = 0
    /// Whether `listen` names an address for https; the zones are read after it.
    var listensHTTPS = false
    /// Whether a file without zones is a mistake: not where the control plane has them.
    var needsZones = true
    /// The cache of the file, nil for none; the zones are read after it.
    var cacheStore: CacheStoreSettings?
    /// Which zone has a hostname, and where it says so.
    var hostnameOwners: [String: (zone: Int, place: Place)] = [:]
    /// What was found out about files, so that a certificate shared by a thousand zones is opened once.
    var certificateChecks: [CertificateFile: CertificateFile.Verdict] = [:]

    init(source: SourceText, directory: String, files: Configuration.FileCheck) {
        self.source = source
        self.directory = directory
        self.files = files
    }

    // MARK: Problems

    mutating func report(_ place: Place, _ message: String, help: String? = nil) {
        errorCount += 1
        guard errorCount <= ConfigurationError.problemsMax else { return }
        problems.append(source.problem(.error, at: place, message, help: help))
    }

    mutating func warn(_ place: Place, _ message: String, help: String? = nil) {
        warningCount += 1
        guard warningCount <= ConfigurationError.problemsMax else { return }
        problems.append(source.problem(.warning, at: place, message, help: help))
    }

    /// "expected … for "key" in …, found …".
    mutating func mismatch(_ slot: Slot, _ expected: String, help: String? = nil) {
        let found = ConfigurationReader.found(slot.node)
        report(Place(slot.node), "expected \(expected) for \(slot.label), found \(found)", help: help)
    }

    static func found(_ node: Node) -> String {
        switch node {
        case .scalar(let scalar): isNothing(scalar) ? "nothing" : SourceText.quoted(scalar.string)
        case .mapping(let mapping): mapping.isEmpty ? "an empty mapping" : "a mapping"
        case .sequence(let sequence): sequence.isEmpty ? "an empty list" : "a list"
        case .alias: "an alias"
        }
    }

    private static func isNothing(_ scalar: Node.Scalar) -> Bool {
        scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    // MARK: Mappings

    /// A value on its way to being read, and what to call it.
    struct Slot {
        let node: Node
        /// As it stands in the file; a list's elements share their list's.
        let key: String
        /// `zone "example.test"`, empty at the top of the file.
        let subject: String

        var label: String { subject.isEmpty ? "\"\(key)\"" : "\"\(key)\" in \(subject)" }
        var place: Place { Place(node) }
    }

    /// A mapping whose keys are all known.
    struct Section {
        let subject: String
        let place: Place
        let table: ConfigurationTable
        fileprivate(set) var slots: [Slot] = []
        fileprivate(set) var keyPlaces: [Place] = []

        /// The value of a key; nil if the file does not give it.
        subscript(key: String) -> Slot? {
            assert(table.keys.contains { $0.name == key }, "\(key) is missing from the table of \(table.title)")
            return slots.first { $0.key == key }
        }

        /// Where a key stands; the section itself if it does not.
        func place(of key: String) -> Place {
            slots.firstIndex { $0.key == key }.map { keyPlaces[$0] } ?? place
        }
    }

    /// Reads a mapping whose keys must come from a table.
    mutating func section(_ node: Node, _ table: ConfigurationTable, subject: String, label: String) -> Section? {
        guard case .mapping(let mapping) = node, isUntagged(node) else {
            if case .mapping = node { return nil }
            report(
                Place(node), "expected a mapping for \(label), found \(ConfigurationReader.found(node))",
                help: "keys of \(table.title): \(table.names.joined(separator: ", "))"
            )
            return nil
        }
        var section = Section(subject: subject, place: Place(node), table: table)
        for (key, value) in mapping {
            guard let name = keyName(key) else { continue }
            guard table.keys.contains(where: { $0.name == name }) else {
                unknownKey(name, at: Place(key), in: section)
                continue
            }
            section.slots.append(Slot(node: value, key: name, subject: subject))
            section.keyPlaces.append(Place(key))
        }
        return section
    }

    mutating func section(_ slot: Slot?, _ table: ConfigurationTable) -> Section? {
        guard let slot else { return nil }
        let subject = slot.subject.isEmpty ? slot.key : "\(slot.key) of \(slot.subject)"
        return section(slot.node, table, subject: subject, label: slot.label)
    }

    /// The text of a key; nil, and reported, for what cannot be one.
    mutating func keyName(_ key: Node) -> String? {
        guard case .scalar(let scalar) = key else {
            report(Place(key), "expected a word as key, found \(ConfigurationReader.found(key))")
            return nil
        }
        if scalar.style == .plain, scalar.string == "<<" {
            report(
                Place(key), "expected a key, found the merge key \"<<\"",
                help: "merging is not read; give each value its own alias, as in health: *health"
            )
            return nil
        }
        return isUntagged(key) ? scalar.string : nil
    }

    private mutating func unknownKey(_ name: String, at place: Place, in section: Section) {
        let owner = section.subject.isEmpty ? "" : " in \(section.subject)"
        var message = "unknown key \(SourceText.quoted(name))\(owner)"
        if let nearest = NearestKey.nearest(to: name, among: section.table.names) {
            message += "; did you mean \"\(nearest)\"?"
        }
        var help = "keys of \(section.table.title): \(section.table.names.joined(separator: ", "))"
        let homes = ConfigurationTable.all.filter { $0.names.contains(name) }.map(\.title)
        if !homes.isEmpty { help = "\"\(name)\" is a key of \(homes.joined(separator: ", of ")); " + help }
        report(place, message, help: help)
    }

    /// Tags (`!!int`, `!x`) would change what a value is behind the reader's back.
    private mutating func isUntagged(_ node: Node) -> Bool {
        let tag = node.tag.rawValue
        if tag.isEmpty || [.str, .seq, .map].contains(Tag.Name(rawValue: tag)) { return true }
        report(Place(node), "expected a value without a tag, found the tag \(SourceText.quoted(tag))")
        return false
    }

    // MARK: Lists

    /// The elements of a list; a single value is a list of one where `single` says so.
    mutating func list(_ slot: Slot, of what: String, single: Bool, countMax: Int) -> [Slot]? {
        guard isUntagged(slot.node) else { return nil }
        if case .sequence(let sequence) = slot.node {
            guard sequence.count <= countMax else {
                report(slot.place, "expected at most \(countMax) \(what) for \(slot.label), found \(sequence.count)")
                return nil
            }
            return sequence.map { Slot(node: $0, key: slot.key, subject: slot.subject) }
        }
        if single, case .scalar(let scalar) = slot.node, !ConfigurationReader.isNothing(scalar) { return [slot] }
        if single, case .mapping = slot.node { return [slot] }
        mismatch(slot, "a list of \(what)", help: "write [a, b], or one per line with a hyphen in front")
        return nil
    }

    // MARK: Scalars

    /// The text of a value that is not a list, a mapping or nothing.
    mutating func text(_ slot: Slot, _ expected: String, help: String? = nil) -> String? {
        guard isUntagged(slot.node) else { return nil }
        guard case .scalar(let scalar) = slot.node, !ConfigurationReader.isNothing(scalar) else {
            let isScalar = slot.node.scalar != nil
            mismatch(slot, expected, help: isScalar ? "give a value, or remove the key to get its default" : help)
            return nil
        }
        return scalar.string
    }

    /// A text that a parser understands.
    mutating func parsed<Value>(
        _ slot: Slot?, _ expected: String, _ parse: (String) throws(Misread) -> Value
    ) -> Value? {
        guard let slot, let text = text(slot, expected) else { return nil }
        do {
            return try parse(text)
        } catch {
            mismatch(slot, error.expected, help: error.help)
            return nil
        }
    }

    /// A duration in milliseconds.
    mutating func duration(_ slot: Slot?, in range: ClosedRange<Int>, orZero: Bool = false) -> Int? {
        let least = DurationText.text(milliseconds: range.lowerBound)
        let most = DurationText.text(milliseconds: range.upperBound)
        let expected = "a duration from \(least) to \(most)\(orZero ? ", or 0," : "")"
        guard let slot, let value = parsed(slot, expected, DurationText.milliseconds) else { return nil }
        if range.contains(value) || (orZero && value == 0) { return value }
        mismatch(slot, expected, help: value > range.upperBound ? "the most is \(most)" : "the least is \(least)")
        return nil
    }

    /// A size in bytes.
    mutating func size(_ slot: Slot?, in range: ClosedRange<Int>) -> Int? {
        let least = SizeText.text(bytes: UInt64(max(0, range.lowerBound)))
        let most = SizeText.text(bytes: UInt64(max(0, range.upperBound)))
        let expected = "a size from \(least) to \(most)"
        guard let slot, let bytes = parsed(slot, expected, SizeText.bytes) else { return nil }
        if let value = Int(exactly: bytes), range.contains(value) { return value }
        mismatch(slot, expected, help: bytes > UInt64(max(0, range.upperBound)) ? "the most is \(most)" : nil)
        return nil
    }

    /// A whole number.
    mutating func number(_ slot: Slot?, in range: ClosedRange<Int>) -> Int? {
        let expected = "a number from \(range.lowerBound) to \(range.upperBound)"
        guard let slot, let text = text(slot, expected) else { return nil }
        if !isQuoted(slot), let value = Int(text), text.utf8.allSatisfy(Quantity.isDigit), range.contains(value) {
            return value
        }
        let isNumber = text.utf8.allSatisfy(Quantity.isDigit)
        mismatch(slot, expected, help: isQuoted(slot) ? "without quotation marks" : isNumber ? nil : "digits only")
        return nil
    }

    /// `true` or `false`.
    mutating func flag(_ slot: Slot?) -> Bool? {
        guard let slot, let text = text(slot, "true or false") else { return nil }
        if !isQuoted(slot), text == "true" { return true }
        if !isQuoted(slot), text == "false" { return false }
        let help: String? =
            switch text.lowercased() {
            case "true", "yes", "on", "y", "1": "write true"
            case "false", "no", "off", "n", "0": "write false"
            default: nil
            }
        mismatch(slot, "true or false", help: help)
        return nil
    }

    /// One of a few words.
    mutating func word<Value>(_ slot: Slot?, among values: [(word: String, value: Value)]) -> Value? {
        let words = values.map(\.word)
        let expected = words.count == 2 ? "\(words[0]) or \(words[1])" : "one of \(words.joined(separator: ", "))"
        guard let slot, let text = text(slot, expected) else { return nil }
        if let match = values.first(where: { $0.word == text }) { return match.value }
        let nearest = NearestKey.nearest(to: text, among: words)
        mismatch(slot, expected, help: nearest.map { "did you mean \"\($0)\"?" })
        return nil
    }

    /// A path made absolute.
    mutating func path(_ slot: Slot?) -> String? {
        guard let slot, let text = text(slot, "a path") else { return nil }
        guard !text.isEmpty, !text.utf8.contains(0) else {
            mismatch(slot, "a path")
            return nil
        }
        if text == "~" || text.hasPrefix("~/") {
            mismatch(slot, "a path", help: "~ is not expanded here; write the directory out")
            return nil
        }
        return absolute(text)
    }

    /// A path counted from the configuration's directory, without empty and `.` components. `..` stays: only the
    /// kernel knows where a link leads.
    func absolute(_ path: String) -> String {
        let whole = path.hasPrefix("/") ? path : "\(directory)/\(path)"
        return "/" + whole.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    /// Whether a value stands in quotation marks, which makes it text whatever it looks like.
    func isQuoted(_ slot: Slot) -> Bool {
        slot.node.scalar.map { $0.style == .singleQuoted || $0.style == .doubleQuoted } ?? false
    }

    /// Whether a value is exactly this word.
    func isWord(_ slot: Slot, _ word: String) -> Bool { slot.node.scalar?.string == word }

    /// Whether a value is one of the words that people write where `off` is meant.
    func meansOff(_ slot: Slot) -> Bool {
        ["no", "false", "none", "disabled", "never"].contains(slot.node.scalar?.string.lowercased() ?? "")
    }

    /// Takes a value if there is one.
    func assign<Value>(_ target: inout Value, _ value: Value?) {
        if let value { target = value }
    }
}

extension Place {
    /// A node's place; it covers a scalar as far as it stands on one line.
    init(_ node: Node) {
        self.init(line: node.mark?.line ?? 0, column: node.mark?.column ?? 0)
        guard case .scalar(let scalar) = node else { return }
        let quotes = scalar.style == .singleQuoted || scalar.style == .doubleQuoted ? 2 : 0
        if scalar.style != .literal, scalar.style != .folded {
            count = max(1, scalar.string.unicodeScalars.prefix { $0 != "\n" }.count + quotes)
        }
    }
}
