// One zone's mapping of martlet.yaml as an object of its own: how the control plane keeps and distributes it.

package import JSON
import Limits

extension Zone {
    /// Reads a zone's mapping, in JSON, with the reader that reads it in martlet.yaml: what one takes, the other takes.
    ///
    /// - Parameters:
    ///   - name: a DNS name, an address, or `*`.
    ///   - checking: whether the files it names must be there. At a control plane they need not be.
    /// - Throws: every problem found. JSON is read as YAML, of which it is a part; lines and columns mean nothing.
    package static func parse(
        site: JSONObject, named name: String, checking: Configuration.FileCheck = .none
    ) throws(ConfigurationError) -> Zone {
        var own = site
        own["managed_by"] = nil
        let file: JSONValue = [
            "listen": ["http": ["127.0.0.1:1"], "https": ["127.0.0.1:2"]], "zones": .object([name: .object(own)]),
        ]
        let loaded = try Configuration.parse(text: file.text, path: "site", directory: "/", checking: checking)
        guard let zone = loaded.configuration.zones.first else {
            throw ConfigurationError(problems: [
                ConfigurationProblem(
                    severity: .error, file: "site", line: 0, column: 0, message: "expected a zone, found none")
            ])
        }
        return zone
    }
}
