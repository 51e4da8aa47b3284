// The zones of a configuration file as values that can be sent elsewhere: what the operator wrote, not what it means. The
// defaults stay out, so that a later version's defaults hold for them as for the file.

package import JSON
import Yams

/// One zone as the file has it.
package struct ZoneDocument: Sendable, Equatable {
    /// In lower case, without a dot at its end; `*` for every host.
    package var name: String
    /// The zone's mapping: numbers and `true` and `false` as such, all other values as text, paths of files absolute.
    package var site: JSONObject

    package init(name: String, site: JSONObject) {
        self.name = name
        self.site = site
    }

    /// Zones in the file's order, and what should be looked at nevertheless.
    package struct Loaded: Sendable {
        package var zones: [ZoneDocument]
        package var warnings: [ConfigurationProblem]
    }

    /// Reads and checks a configuration file, which may have nothing but `zones`. Files that it names are not opened: they
    /// are for the machines that will serve.
    ///
    /// - Parameter path: the file; `/dev/stdin` works.
    /// - Throws: every problem found.
    package static func load(path: String) throws(ConfigurationError) -> Loaded {
        try parse(
            text: Configuration.text(ofFile: path, option: "-f FILE"), path: path,
            directory: Configuration.directory(of: path))
    }

    /// The same of a file's text.
    ///
    /// - Parameters:
    ///   - path: the name that problems carry.
    ///   - directory: absolute; relative paths count from it.
    /// - Throws: every problem found.
    package static func parse(text: String, path: String, directory: String) throws(ConfigurationError) -> Loaded {
        let source = SourceText(file: path, text: Configuration.withoutMark(text))
        var reader = ConfigurationReader(source: source, directory: directory, files: .none)
        var zones: [ZoneDocument] = []
        do {
            let root = try ConfigurationDocument.compose(source)
            if root.mapping?["listen"] == nil { reader.readZonesAlone(root) } else { _ = reader.read(root) }
            if reader.errorCount == 0 { zones = reader.documents(root) }
        } catch {
            throw ConfigurationError(problems: [error])
        }
        let problems = reader.problems.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
        guard reader.errorCount == 0 else {
            let kept = problems.count { $0.severity == .error }
            throw ConfigurationError(problems: problems, omittedCount: reader.errorCount - kept)
        }
        return Loaded(zones: zones, warnings: problems)
    }
}

extension ConfigurationReader {
    /// A file without `listen`: whoever serves its zones has listeners of their own.
    fileprivate mutating func readZonesAlone(_ root: Node) {
        guard let file = section(root, .file, subject: "", label: "the file") else { return }
        listensHTTPS = true
        cacheStore = cacheStore(file, data: absolute("var"))
        _ = zones(file)
    }

    /// Of a file that was read without an error.
    fileprivate func documents(_ root: Node) -> [ZoneDocument] {
        guard let zones = root.mapping?["zones"]?.mapping else { return [] }
        return zones.compactMap { key, value in
            guard let written = key.scalar?.string, case .object(let site) = json(value, key: "", below: "") else {
                return nil
            }
            let name = written == "*" ? written : (try? HostName.normalized(written)) ?? written
            return ZoneDocument(name: name, site: site)
        }
    }

    /// - Parameters:
    ///   - key: The key that the value stands behind, itself or in a list.
    ///   - above: The key that the mapping of that key stands behind.
    private func json(_ node: Node, key: String, below above: String) -> JSONValue {
        switch node {
        case .scalar(let scalar): return json(scalar, isPath: above == "tls" && Self.pathKeys.contains(key))
        case .sequence(let sequence): return .array(sequence.map { json($0, key: key, below: above) })
        case .mapping(let mapping):
            var object = JSONObject()
            for (name, value) in mapping {
                guard let name = name.scalar?.string else { continue }
                object[name] = json(value, key: name, below: key)
            }
            return .object(object)
        case .alias: return .null
        }
    }

    /// Of `tls`, the zone's and an origin's.
    private static let pathKeys = ["certificate", "key", "ca"]

    private func json(_ scalar: Node.Scalar, isPath: Bool) -> JSONValue {
        let text = scalar.string
        if isPath { return .string(absolute(text)) }
        // Quotation marks make text of anything; a word that stands alone is what it looks like.
        guard scalar.style == .plain else { return .string(text) }
        if text == "true" || text == "false" { return .boolean(text == "true") }
        if let number = Int64(text), "\(number)" == text, number >= 0 { return .number(JSONNumber(number)) }
        return .string(text)
    }
}
