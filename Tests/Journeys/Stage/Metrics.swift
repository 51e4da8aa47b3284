/// A page in Prometheus' text format 0.0.4, every line of which must be understood.
struct Metrics {
    struct Sample {
        let name: String
        /// As written between the braces, without them.
        let labels: String
        let value: Double
    }

    struct Malformed: Error { let line: String }

    var samples: [Sample] = []
    /// Type by metric name.
    var types: [String: String] = [:]

    init(text: String) throws {
        for line in text.split(separator: "\n") {
            if line.hasPrefix("# TYPE ") {
                let words = line.split(separator: " ")
                guard words.count == 4, ["counter", "gauge", "histogram", "summary", "untyped"].contains(words[3]),
                    types.updateValue(String(words[3]), forKey: String(words[2])) == nil
                else { throw Malformed(line: String(line)) }
            } else if !line.hasPrefix("#") {
                samples.append(try Self.sample(String(line)))
            }
        }
    }

    private static func sample(_ line: String) throws -> Sample {
        guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
            throw Malformed(line: line)
        }
        let series = line[..<space]
        guard let brace = series.firstIndex(of: "{") else {
            guard isName(series) else { throw Malformed(line: line) }
            return Sample(name: String(series), labels: "", value: value)
        }
        let labels = series[series.index(after: brace)...].dropLast()
        guard isName(series[..<brace]), series.last == "}", labels.isEmpty || labels.hasSuffix("\"") else {
            throw Malformed(line: line)
        }
        return Sample(name: String(series[..<brace]), labels: String(labels), value: value)
    }

    private static func isName(_ text: Substring) -> Bool {
        guard let first = text.first, !first.isNumber else { return false }
        return text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ":") }
    }
}
