// Which API, and the token for it, as `martlet login` keeps them: one file that only its owner can read.

import Glibc
import JSON
import Limits

/// An API and the token that was given for it.
package struct Credentials: Sendable, Equatable {
    package var address: APIAddress
    package var token: Secret
    /// A file of certificates that are trusted instead of the system's.
    package var authorities: String?

    package init(address: APIAddress, token: Secret, authorities: String? = nil) {
        self.address = address
        self.token = token
        self.authorities = authorities
    }
}

/// The file of credentials.
package struct CredentialsFile: Sendable {
    package let path: String

    /// In `XDG_CONFIG_HOME`, or in `.config` of the home directory.
    ///
    /// - Throws: `OperatorProblem` if the environment names neither.
    package init(environment: [String: String]) throws(OperatorProblem) {
        // Relative paths there are to be ignored (XDG Base Directory Specification, "Environment variables").
        if let place = environment["XDG_CONFIG_HOME"], place.hasPrefix("/") {
            path = "\(place)/martlet/credentials"
        } else if let home = environment["HOME"], home.hasPrefix("/") {
            path = "\(home)/.config/martlet/credentials"
        } else {
            throw OperatorProblem(
                .input, "expected a home directory to keep credentials in, found neither HOME nor XDG_CONFIG_HOME",
                help: "give MARTLET_API and MARTLET_TOKEN instead")
        }
    }

    package init(path: String) { self.path = path }

    /// nil where there is none.
    ///
    /// - Throws: `OperatorProblem` if others could read or write it, or it is not what `save` writes.
    package func load() throws(OperatorProblem) -> Credentials? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw problem("cannot be read: \(Self.reason)")
        }
        defer { close(descriptor) }
        try checkOwner(descriptor)
        guard let bytes = InputFile.read(descriptor, bytesMax: Limits.operatorCredentialsBytesMax) else {
            throw problem("cannot be read, or is too large")
        }
        guard let text = String(validating: bytes, as: UTF8.self), let value = try? JSONValue(parsing: text),
            let address = value["api"]?.string, let token = value["token"]?.string
        else { throw problem("is not what martlet login writes") }
        return Credentials(
            address: try APIAddress(parsing: address), token: try Secret(token, from: path),
            authorities: value["ca"]?.string)
    }

    private func checkOwner(_ descriptor: Int32) throws(OperatorProblem) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw problem("is no regular file")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else { throw problem("belongs to another user") }
        guard status.st_mode & 0o077 == 0 else {
            throw OperatorProblem(
                .input, "\(path) can be read or written by others; the token in it may be known to them",
                help: "chmod 600 \(path), and better roll the token")
        }
    }

    /// Writes it whole or not at all, for its owner alone.
    package func save(_ credentials: Credentials) throws(OperatorProblem) {
        try makeDirectories()
        var value: JSONObject = [
            "api": .string(credentials.address.description), "token": .string(credentials.token.text),
        ]
        if let authorities = credentials.authorities { value["ca"] = .string(authorities) }
        let draft = "\(path).\(getpid())"
        unlink(draft)
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw problem("cannot be written: \(Self.reason)") }
        let isWritten = OutputFile.write(Array((value.text + "\n").utf8), to: descriptor) && fsync(descriptor) == 0
        let reason = Self.reason
        close(descriptor)
        guard isWritten, rename(draft, path) == 0 else {
            unlink(draft)
            throw problem("cannot be written: \(reason)")
        }
    }

    /// Whether there was one.
    package func remove() throws(OperatorProblem) -> Bool {
        if unlink(path) == 0 { return true }
        guard errno == ENOENT || errno == ENOTDIR else { throw problem("cannot be removed: \(Self.reason)") }
        return false
    }

    private func makeDirectories() throws(OperatorProblem) {
        let parts = path.split(separator: "/").dropLast()
        var directory = ""
        for part in parts {
            directory += "/\(part)"
            guard mkdir(directory, 0o700) == 0 || errno == EEXIST || access(directory, F_OK) == 0 else {
                throw OperatorProblem(.input, "the directory \(directory) cannot be made: \(Self.reason)")
            }
        }
    }

    private func problem(_ what: String) -> OperatorProblem {
        OperatorProblem(.input, "\(path) \(what)", help: "martlet login URL writes it anew")
    }

    private static var reason: String { String(cString: strerror(errno)) }
}
