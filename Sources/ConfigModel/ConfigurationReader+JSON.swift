// Parts of the configuration that come from the control plane: JSON instead of YAML, read by the same words, so that a
// value which `martlet.yaml` would refuse is refused here in the same way.

package import JSON
import Yams

extension Node {
    /// A JSON value as the reader knows values. It has no place in a file: what is wrong with it is told by its key.
    init(_ json: JSONValue) {
        switch json {
        case .null: self = .scalar(Scalar("null", Tag(.str), .plain))
        case .boolean(let value): self = .scalar(Scalar(value ? "true" : "false", Tag(.str), .plain))
        case .number(let number): self = .scalar(Scalar(number.text, Tag(.str), .plain))
        // In quotes: a text stays one, whatever it looks like.
        case .string(let text): self = .scalar(Scalar(text, Tag(.str), .doubleQuoted))
        case .array(let values): self = .sequence(Sequence(values.map { Node($0) }, Tag(.seq), .flow))
        case .object(let object):
            let pairs = object.members.map { (Node(JSONValue.string($0.name)), Node($0.value)) }
            self = .mapping(Mapping(pairs, Tag(.map), .flow))
        }
    }
}

extension Configuration {
    /// The same with what a global object `limits/client` says: an object with `limits`, `timeouts` or both, whose members
    /// are those of `martlet.yaml`. What it does not name stays.
    ///
    /// - Throws: Every problem found.
    package func withClientLimits(_ body: JSONValue) throws(ConfigurationError) -> Configuration {
        let name = "limits/client"
        var reader = ConfigurationReader(source: SourceText(file: name, text: ""), directory: "/", files: .none)
        var changed = self
        if let section = reader.section(Node(body), .globalLimits, subject: "", label: "the object") {
            changed.timeouts = reader.clientTimeouts(
                reader.section(section["timeouts"], .clientTimeouts), over: timeouts)
            changed.limits = reader.clientLimits(reader.section(section["limits"], .clientLimits), over: limits)
        }
        guard reader.errorCount == 0 else {
            let errors = reader.problems.filter { $0.severity == .error }
            throw ConfigurationError(problems: errors, omittedCount: reader.errorCount - errors.count)
        }
        return changed
    }
}

extension ConfigurationTable {
    /// Not a part of the file.
    static let globalLimits = ConfigurationTable(
        title: "limits/client",
        keys: [
            ConfigurationKey("limits", "mapping", "none"), ConfigurationKey("timeouts", "mapping", "none"),
        ])
}
