import ArgumentParser
import ConfigLog
import Distribution
import Glibc
import Logging

/// How a relay or an edge comes into the installation: the same options for both.
struct JoinOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Whom to follow: a control plane or relays, the preferred one first, with commas between them.",
            valueName: "host:port,…"))
    var join: String
    @Option(
        help: ArgumentHelp(
            "The one-time token, for the first start only. Others on this machine can see it: better a file.",
            valueName: "token"))
    var token: String?
    @Option(
        help: ArgumentHelp(
            "A file with the token; `-` for standard input. MARTLET_JOIN_TOKEN in the environment does as well.",
            valueName: "file"))
    var tokenFile: String?
    @Option(help: ArgumentHelp("What it is to be called, if the token does not say.", valueName: "name"))
    var name: String?
    @Option(help: ArgumentHelp("The directory of everything it writes.", valueName: "dir")) var data = "./var"

    func validate() throws {
        do {
            _ = try parents
        } catch {
            throw ValidationError("--join: \(error)")
        }
        if let name, NodeName(name) == nil {
            throw ValidationError("--name: expected \(NodeName.rule), found \(name)")
        }
        if token != nil, tokenFile != nil { throw ValidationError("--token and --token-file exclude each other") }
        if let token { do { _ = try JoinToken(parsing: token) } catch { throw ValidationError("--token: \(error)") } }
        guard !data.isEmpty else { throw ValidationError("--data: expected a directory, found nothing") }
    }

    var parents: [PeerAddress] { get throws(DistributionError) { try PeerAddress.list(join) } }

    var identityDirectory: String { data + "/identity" }

    /// Makes the data directory, and has it for this process alone.
    ///
    /// - Throws: `StartFailure`.
    func openData() throws {
        guard mkdir(data, 0o750) == 0 || errno == EEXIST else {
            throw StartFailure("cannot create the data directory \(data): \(String(cString: strerror(errno)))")
        }
        try DataLock.take(data, isSuccessor: false)
    }

    /// The certificate that is kept; at the first start, the one that the token is good for.
    ///
    /// - Throws: `DistributionError`, `StartFailure` for a file that cannot be read.
    func identity(_ role: NodeRole, _ log: Logger) async throws -> NodeIdentity {
        try await NodeIdentity.loadOrEnrol(
            directory: identityDirectory, role: role, name: name.flatMap(NodeName.init), parents: parents,
            token: try readToken(), log: log)
    }

    func readToken() throws -> JoinToken? {
        var text = token ?? getenv("MARTLET_JOIN_TOKEN").map { String(cString: $0) }
        // A file that was used up and removed is no reason not to start again.
        if let tokenFile { text = try Self.contents(of: tokenFile) }
        guard let text, !text.allSatisfy(\.isWhitespace) else { return nil }
        return try JoinToken(parsing: text.filter { !$0.isWhitespace })
    }

    /// Nil: there is none.
    private static func contents(of path: String) throws -> String? {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw StartFailure("cannot read the token from \(path): \(String(cString: strerror(errno)))")
        }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        var buffer = [UInt8](repeating: 0, count: 4096)
        var bytes: [UInt8] = []
        while bytes.count < buffer.count {
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw StartFailure("cannot read the token from \(path): \(String(cString: strerror(errno)))")
            }
            guard count > 0 else { break }
            bytes += buffer.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What the process ends with: a certificate or token that is refused is not mended by starting again.
    static func exitCode(_ error: any Error) -> Int32 {
        switch (error as? DistributionError)?.kind {
        case .token, .identity, .enrolment: ExitStatus.configuration
        default: ExitStatus.failure
        }
    }
}
