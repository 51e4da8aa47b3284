// Which API is asked with which token. A token is only ever sent to the address it was given for, or to one that was named
// together with it.

import Limits

/// What the command line and the environment say, and where the answer is looked for.
package struct CredentialSearch: Sendable {
    /// `--api`
    package var api: String?
    /// `--token-file`
    package var tokenFile: String?
    /// `--data`: the directory of a control process on this machine.
    package var data: String?
    /// `--ca`
    package var authorities: String?
    package var environment: [String: String]

    package init(
        api: String? = nil, tokenFile: String? = nil, data: String? = nil, authorities: String? = nil,
        environment: [String: String]
    ) {
        self.api = api
        self.tokenFile = tokenFile
        self.data = data
        self.authorities = authorities
        self.environment = environment
    }

    /// Credentials, and where the token came from, in words.
    package struct Found: Sendable {
        package var credentials: Credentials
        package var tokenSource: String
    }

    /// An empty variable counts as none.
    private func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// Looks, in this order, at: the token that was named, `MARTLET_TOKEN`, `CLOUDFLARE_API_TOKEN` (for
    /// `CLOUDFLARE_BASE_URL` alone), and what `martlet login` kept (for its address alone).
    ///
    /// - Throws: `OperatorProblem` that says what is missing.
    package func find() throws(OperatorProblem) -> Found {
        var named: APIAddress?
        if let text = api ?? variable("MARTLET_API") { named = try APIAddress(parsing: text) }
        if let (token, source) = try given() {
            // A data directory is this machine's, whatever was kept for another.
            let kept = data == nil && named == nil ? try kept()?.credentials.address : nil
            let address = named ?? kept ?? .standard
            return Found(
                credentials: Credentials(address: address, token: token, authorities: authority(for: address)),
                tokenSource: source)
        }
        if let found = try cloudflare(named) { return found }
        guard var found = try kept() else {
            throw OperatorProblem(
                .credentials, "expected an API and a token, found none",
                help: "martlet login URL keeps them; MARTLET_API and MARTLET_TOKEN, or --data DIR of a control process "
                    + "on this machine, serve as well")
        }
        if let named, named != found.credentials.address {
            throw OperatorProblem(
                .credentials,
                "there is no token for \(named): the one in \(found.tokenSource) is for "
                    + "\(found.credentials.address)",
                help: "martlet login \(named), or name its token by --token-file or MARTLET_TOKEN")
        }
        found.credentials.authorities = authority(for: found.credentials.address)
        return found
    }

    /// What this search says of an address without a token: for `login`.
    package func authority(for address: APIAddress) -> String? {
        if let named = authorities ?? variable("MARTLET_CA") { return named }
        // What was kept for an address holds for it alone.
        guard let kept = try? kept()?.credentials, kept.address == address else { return nil }
        return kept.authorities
    }

    /// A token that was named, or lies in the data directory that was named.
    private func given() throws(OperatorProblem) -> (Secret, String)? {
        if let tokenFile { return (try Self.secret(tokenFile), tokenFile == "-" ? "standard input" : tokenFile) }
        if let data {
            let path = "\(data)/admin-token"
            do {
                return (try Self.secret(path), path)
            } catch {
                throw OperatorProblem(
                    .credentials, error.message,
                    help: "--data names the data directory of a control process on this machine; its user may read it")
            }
        }
        guard let text = variable("MARTLET_TOKEN") else { return nil }
        return (try Secret(text, from: "MARTLET_TOKEN"), "MARTLET_TOKEN")
    }

    /// Cloudflare's own token must not go anywhere by accident: only to the address beside it.
    private func cloudflare(_ named: APIAddress?) throws(OperatorProblem) -> Found? {
        guard let base = variable("CLOUDFLARE_BASE_URL"), let text = variable("CLOUDFLARE_API_TOKEN") else {
            return nil
        }
        let address = try APIAddress(parsing: base)
        guard named == nil || named == address else { return nil }
        let token = try Secret(text, from: "CLOUDFLARE_API_TOKEN")
        return Found(
            credentials: Credentials(address: address, token: token, authorities: authority(for: address)),
            tokenSource: "CLOUDFLARE_API_TOKEN")
    }

    private func kept() throws(OperatorProblem) -> Found? {
        let file: CredentialsFile
        do { file = try CredentialsFile(environment: environment) } catch { return nil }
        return try file.load().map { Found(credentials: $0, tokenSource: file.path) }
    }

    /// A token out of a file; `-` is standard input.
    package static func secret(_ path: String) throws(OperatorProblem) -> Secret {
        try Secret(
            InputFile.text(path, bytesMax: Limits.operatorCredentialsBytesMax),
            from: path == "-" ? "standard input" : path)
    }
}
