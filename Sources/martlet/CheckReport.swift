import Certificates
import ConfigModel

/// The result of `martlet check --json`.
enum CheckReport {
    static func json(_ problems: [ConfigurationProblem], file: String) -> String {
        let isValid = !problems.contains { $0.severity == .error }
        let list = problems.map { problem in
            "{\"severity\":\(quoted(problem.severity.rawValue)),\"file\":\(quoted(problem.file)),\"line\":\(problem.line),"
                + "\"column\":\(problem.column),\"message\":\(quoted(problem.message))"
                + (problem.help.map { ",\"help\":\(quoted($0))" } ?? "") + "}"
        }
        return "{\"file\":\(quoted(file)),\"valid\":\(isValid),\"problems\":[\(list.joined(separator: ","))]}"
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}

/// What `martlet check` finds in the certificates that a configuration names.
enum CertificateCheck {
    static func problems(of configuration: Configuration, file: String) -> [ConfigurationProblem] {
        configuration.zones.flatMap { zone -> [ConfigurationProblem] in
            guard let files = zone.tls else { return [] }
            do {
                let loaded = try LoadedCertificate.load(files)
                return loaded.warnings(zone: zone.name, path: files.certificate, hostnames: zone.hostnames).map {
                    problem(.warning, "\($0)", file)
                }
            } catch {
                return [problem(.error, "\(error)", file)]
            }
        }
    }

    private static func problem(
        _ severity: ConfigurationProblem.Severity, _ message: String, _ file: String
    ) -> ConfigurationProblem {
        ConfigurationProblem(severity: severity, file: file, line: 0, column: 0, message: message)
    }
}
