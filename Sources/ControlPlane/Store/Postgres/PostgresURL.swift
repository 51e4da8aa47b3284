// A PostgreSQL URL in libpq's own parts, and what of it may be shown.

import CPostgres
import Limits

/// The parameters of a connection. libpq reads the URL, so all that it understands is understood here: several hosts,
/// sockets, `sslmode`, `sslrootcert` and so on.
struct PostgresURL: CustomStringConvertible {
    private var parameters: [(name: String, value: String)] = []

    init(_ text: String) throws(StoreError) {
        // libpq quotes the whole URL, password and all, in its own complaint: it is not passed on.
        guard !text.utf8.contains(0), let options = PQconninfoParse(text, nil) else {
            throw .other(
                "expected postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…, found a URL that libpq does not understand"
            )
        }
        defer { PQconninfoFree(options) }
        var option = options
        while let name = option.pointee.keyword {
            if let value = option.pointee.val {
                parameters.append((String(cString: name), String(cString: value)))
            }
            option += 1
        }
        // libpq looks at the port only when it connects, and then tries again and again.
        let ports = (self["port"] ?? "").split(separator: ",")
        guard ports.allSatisfy({ port in Int(port).map { (1...65_535).contains($0) } ?? false }) else {
            throw .other("expected a port of 1 to 65535 in the store's URL, found something else")
        }
    }

    subscript(_ name: String) -> String? { parameters.first { $0.name == name }?.value }

    /// Without password, and without parameters that may hold one.
    var description: String {
        let host = self["host"] ?? self["hostaddr"] ?? "localhost"
        let place = host.hasPrefix("/") ? "[\(host)]" : host
        let user = self["user"].map { $0 + "@" } ?? ""
        let port = self["port"].map { ":" + $0 } ?? ""
        return "postgres://\(user)\(place)\(port)/\(self["dbname"] ?? "")"
    }

    /// Whether what is sent could be read on the way: a host that is not this machine, and TLS left to chance.
    var isExposed: Bool {
        guard let host = self["host"] ?? self["hostaddr"], !host.hasPrefix("/"), !host.hasPrefix("@") else {
            return false
        }
        guard !["localhost", "127.0.0.1", "::1"].contains(host) else { return false }
        return ["disable", "allow", "prefer"].contains(self["sslmode"] ?? "prefer")
    }

    /// What is given to libpq: the URL's parameters, and ours where it says nothing.
    var connectionParameters: [(name: String, value: String)] {
        let answerMilliseconds = Limits.storeStatementMilliseconds + Limits.storeAnswerGraceMilliseconds
        let ours = [
            ("application_name", "martlet"),
            ("connect_timeout", String(Limits.storePostgresConnectSeconds)),
            // A peer that is gone without a word is noticed within the time that an answer may take.
            ("keepalives_idle", "5"), ("keepalives_interval", "2"), ("keepalives_count", "3"),
            ("tcp_user_timeout", String(answerMilliseconds)),
        ]
        let missing = ours.filter { self[$0.0] == nil }.map { (name: $0.0, value: $0.1) }
        return parameters.filter { $0.name != "client_encoding" } + missing + [("client_encoding", "UTF8")]
    }

    /// A text of libpq's without the password, should it ever be in one.
    func withoutSecrets(_ text: String) -> String {
        var clean = text
        for name in ["password", "sslpassword"] {
            guard let secret = self[name], !secret.isEmpty else { continue }
            clean.replace(secret, with: "***")
        }
        return clean.split(whereSeparator: \.isNewline).joined(separator: "; ")
    }
}
