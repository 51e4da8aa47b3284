// Keeps aliases from multiplying ("billion laughs").
//
// Yams shares what an alias stands for, but hashes whole subtrees where one serves as a key, and whoever walks the
// nodes afterwards walks every copy. So a text that may hold aliases is first composed with its aliases turned into
// plain words and its anchors into tags of the same width: the same structure, every place unchanged, no sharing.
// On that tree the expanded size is a sum. Words in comments and quotes that merely look like aliases are taken for
// some; that can only overstate the size, and by one node each.

import Yams

/// Computes how many nodes a text has once its aliases are expanded, before anyone expands them.
struct AliasBounds {
    /// Nodes that aliases may add to a file.
    static let aliasNodesMax = 1_000_000
    /// Stands for the `*` of an alias: a private-use character that YAML takes as text.
    private static let mark = "\u{E000}"

    private var sizes: [String: Int] = [:]
    private var problem: ConfigurationProblem?
    private let source: SourceText

    private init(source: SourceText) {
        self.source = source
    }

    /// The problem with the text's aliases, or with its syntax where that is seen first; nil when all is well.
    static func problem(in source: SourceText) -> ConfigurationProblem? {
        guard let plain = withoutAliases(source.text) else { return nil }
        do {
            guard let root = try ConfigurationDocument.parser(plain).singleRoot() else { return nil }
            var bounds = AliasBounds(source: source)
            _ = bounds.size(of: root)
            return bounds.problem
        } catch let error as YamlError {
            return ConfigurationDocument.describe(error, in: source)
        } catch {
            return source.problem(.error, at: .wholeFile, "expected YAML, found something unreadable")
        }
    }

    /// The text with `*name` and `&name` replaced wherever they could begin a token; nil if there is no alias.
    private static func withoutAliases(_ text: String) -> String? {
        var plain: [UInt8] = []
        var copied = 0
        var hasAlias = false
        let bytes = Array(text.utf8)
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "*") || byte == UInt8(ascii: "&") {
            guard index + 1 < bytes.count, isNameByte(bytes[index + 1]) else { continue }
            guard index == 0 || !isTextByte(bytes[index - 1]) else { continue }
            plain.append(contentsOf: bytes[copied..<index])
            plain.append(contentsOf: byte == UInt8(ascii: "*") ? Array(mark.utf8) : [UInt8(ascii: "!")])
            copied = index + 1
            hasAlias = hasAlias || byte == UInt8(ascii: "*")
        }
        guard hasAlias else { return nil }
        plain.append(contentsOf: bytes[copied...])
        return String(decoding: plain, as: UTF8.self)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        HostName.isLetterOrDigit(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }

    /// Whether a token cannot begin right after this byte.
    private static func isTextByte(_ byte: UInt8) -> Bool {
        isNameByte(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "*")
    }

    private mutating func size(of node: Node) -> Int {
        var size = 1
        switch node {
        case .scalar(let scalar):
            if scalar.style == .plain, scalar.string.hasPrefix(AliasBounds.mark) {
                size = sizes[String(scalar.string.dropFirst())] ?? 1
            }
        case .sequence(let sequence):
            for element in sequence { size = added(size, self.size(of: element), at: element) }
        case .mapping(let mapping):
            for (key, value) in mapping {
                checkKey(key)
                size = added(size, self.size(of: key), at: key)
                size = added(size, self.size(of: value), at: value)
            }
        case .alias:
            break
        }
        let tag = node.tag.rawValue
        if tag.hasPrefix("!") { sizes[String(tag.dropFirst())] = size }
        return size
    }

    private mutating func checkKey(_ key: Node) {
        guard problem == nil else { return }
        if case .scalar(let scalar) = key, !scalar.string.hasPrefix(AliasBounds.mark) || scalar.style != .plain {
            return
        }
        problem = source.problem(
            .error, at: Place(key), "expected a word as key, found an alias, a list or a mapping",
            help: "aliases may stand for values only"
        )
    }

    private mutating func added(_ size: Int, _ more: Int, at node: Node) -> Int {
        let (sum, overflow) = size.addingReportingOverflow(more)
        let most = source.text.utf8.count + AliasBounds.aliasNodesMax
        guard problem == nil, overflow || sum > most else { return overflow ? .max : sum }
        problem = source.problem(
            .error, at: Place(node),
            "expected aliases that add at most \(AliasBounds.aliasNodesMax) values, found more",
            help: "aliases within aliases multiply; write the values out"
        )
        return sum
    }
}
