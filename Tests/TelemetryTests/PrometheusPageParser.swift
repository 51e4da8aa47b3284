// A strict reader of the text format 0.0.4, for the tests: it refuses what a Prometheus server would refuse, and what
// it would take but warn about.

struct PrometheusSample: Equatable {
    var name: String
    var labels: [String: String]
    var value: Double
}

struct PrometheusParseError: Error, CustomStringConvertible {
    var description: String
}

struct PrometheusPageParser {
    private(set) var samples: [PrometheusSample] = []
    private(set) var types: [String: String] = [:]
    private var helps: Set<String> = []
    private var current = ""
    private var seen: Set<String> = []

    init(_ bytes: [UInt8]) throws {
        guard let text = String(validating: bytes, as: UTF8.self), text.hasSuffix("\n") else {
            throw PrometheusParseError(description: "not UTF-8, or no line feed at the end")
        }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            try read(String(line))
        }
    }

    func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        samples.first { $0.name == name && $0.labels == labels }?.value
    }

    private mutating func read(_ line: String) throws {
        if line.hasPrefix("# HELP ") {
            let name = String(line.dropFirst(7).prefix { $0 != " " })
            guard Self.isName(name), helps.insert(name).inserted, line.count > name.count + 8 else { throw fail(line) }
            current = name
        } else if line.hasPrefix("# TYPE ") {
            let parts = line.dropFirst(7).split(separator: " ", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, parts[0] == current, types[current] == nil,
                ["counter", "gauge", "histogram"].contains(parts[1])
            else { throw fail(line) }
            types[current] = parts[1]
        } else {
            try readSample(line)
        }
    }

    private mutating func readSample(_ line: String) throws {
        var rest = Substring(line)
        let name = String(rest.prefix { $0 != "{" && $0 != " " })
        rest = rest.dropFirst(name.count)
        guard Self.isName(name), belongs(name) else { throw fail(line) }
        var labels: [String: String] = [:]
        if rest.first == "{" {
            rest = rest.dropFirst()
            while rest.first != "}" {
                let (key, value) = try readLabel(&rest, line)
                guard labels.updateValue(value, forKey: key) == nil else { throw fail(line) }
                if rest.first == "," { rest = rest.dropFirst() } else if rest.first != "}" { throw fail(line) }
            }
            rest = rest.dropFirst()
        }
        guard rest.first == " ", let value = Double(rest.dropFirst()) else { throw fail(line) }
        let series = name + labels.sorted { $0.key < $1.key }.map { "|\($0.key)=\($0.value)" }.joined()
        guard seen.insert(series).inserted else { throw fail("twice: " + line) }
        samples.append(PrometheusSample(name: name, labels: labels, value: value))
    }

    private func readLabel(_ rest: inout Substring, _ line: String) throws -> (String, String) {
        let key = String(rest.prefix { $0 != "=" })
        rest = rest.dropFirst(key.count)
        guard Self.isName(key), !key.contains(":"), rest.hasPrefix("=\"") else { throw fail(line) }
        rest = rest.dropFirst(2)
        var value = ""
        while let character = rest.unicodeScalars.first, character != "\"" {
            rest = Substring(rest.unicodeScalars.dropFirst())
            guard character == "\\" else {
                value.unicodeScalars.append(character)
                continue
            }
            switch rest.unicodeScalars.first {
            case "\\": value += "\\"
            case "\"": value += "\""
            case "n": value += "\n"
            default: throw fail(line)
            }
            rest = Substring(rest.unicodeScalars.dropFirst())
        }
        guard rest.unicodeScalars.first == "\"" else { throw fail(line) }
        rest = Substring(rest.unicodeScalars.dropFirst())
        return (key, value)
    }

    private func belongs(_ name: String) -> Bool {
        switch types[current] {
        case "histogram": ["_bucket", "_sum", "_count"].contains { name == current + $0 }
        case .some: name == current
        case nil: false
        }
    }

    private static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return text.utf8.allSatisfy {
            (0x61...0x7a).contains($0) || (0x41...0x5a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f
                || $0 == 0x3a
        }
    }

    private func fail(_ line: String) -> PrometheusParseError {
        PrometheusParseError(description: line)
    }
}
