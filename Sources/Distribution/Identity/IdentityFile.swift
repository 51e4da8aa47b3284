// Where a node keeps what it is by:
//
//     <data>/identity/           0700
//                     node.pem   0600   key, certificate, authority: replaced as a whole by one rename
//                     draft.pem  0600   the key of an enrolment that is under way
//
// The draft is why a token is not lost with the answer: whoever asks again for the same key with the same token is
// answered again.

import Crypto
import FoundationEssentials
import Glibc
import Limits
import SwiftASN1

extension NodeIdentity {
    /// Reads it. Nil: there is none.
    ///
    /// - Throws: `identity` if it is damaged, expired, or readable by others.
    package static func load(directory: String) throws(DistributionError) -> NodeIdentity? {
        try load(directory: directory, now: Date())
    }

    static func load(directory: String, now: Date) throws(DistributionError) -> NodeIdentity? {
        let path = directory + "/node.pem"
        guard let bytes = try IdentityFile.read(path) else { return nil }
        var (key, certificates): (P256.Signing.PrivateKey?, [[UInt8]]) = (nil, [])
        do {
            for document in try PEMDocument.parseMultiple(pemString: String(decoding: bytes, as: UTF8.self)) {
                switch document.discriminator {
                case "PRIVATE KEY": key = try P256.Signing.PrivateKey(derRepresentation: document.derBytes)
                case "CERTIFICATE": certificates.append(document.derBytes)
                default: break
                }
            }
        } catch {
            // Not the error itself: it may quote what it read.
            throw DistributionError(.identity, "\(path) is damaged: remove it, and join again with a new token")
        }
        guard let key, certificates.count == 2 else {
            throw DistributionError(
                .identity, "\(path): expected a key and two certificates; remove it, and join again with a new token")
        }
        return try NodeIdentity(key: key, certificateDER: certificates[0], authorityDER: certificates[1], now: now)
    }

    /// Keeps it, in the place of any other one.
    ///
    /// - Throws: `identity`.
    package func save(directory: String) throws(DistributionError) {
        let documents = [
            PEMDocument(type: "PRIVATE KEY", derBytes: Array(key.derRepresentation)),
            PEMDocument(type: "CERTIFICATE", derBytes: certificateDER),
            PEMDocument(type: "CERTIFICATE", derBytes: authorityDER),
        ]
        let text = documents.map { $0.pemString + "\n" }.joined()
        try IdentityFile.write(Array(text.utf8), to: "node.pem", in: directory)
    }
}

/// The files of that directory, each written as a whole.
enum IdentityFile {
    /// The key of an enrolment under way, kept until it is done: the one that is there, or a new one.
    static func draftKey(_ directory: String) throws(DistributionError) -> P256.Signing.PrivateKey {
        if let bytes = try read(directory + "/draft.pem"),
            let key = try? P256.Signing.PrivateKey(pemRepresentation: String(decoding: bytes, as: UTF8.self))
        {
            return key
        }
        let key = P256.Signing.PrivateKey()
        try write(Array((key.pemRepresentation + "\n").utf8), to: "draft.pem", in: directory)
        return key
    }

    static func removeDraft(_ directory: String) { unlink(directory + "/draft.pem") }

    /// Nil: there is no such file.
    static func read(_ path: String) throws(DistributionError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw failure(path, "cannot be opened")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(path, "cannot be examined") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw DistributionError(.identity, "\(path): expected a regular file")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw DistributionError(
                .identity,
                "\(path) holds a key, and others than its owner may read or write it (mode "
                    + "\(String(status.st_mode & 0o777, radix: 8))): join again with a new token if somebody may have; "
                    + "chmod 600 mends it otherwise")
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 8 * 1024)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(path, "cannot be read")
            }
            guard count > 0 else { return bytes }
            bytes.append(contentsOf: chunk.prefix(count))
            guard bytes.count <= Limits.nodeIdentityBytesMax else {
                throw DistributionError(.identity, "\(path): expected at most \(Limits.nodeIdentityBytesMax) bytes")
            }
        }
    }

    /// A reader finds the old content or the new one, also after a power cut.
    static func write(_ bytes: [UInt8], to name: String, in directory: String) throws(DistributionError) {
        try makeDirectory(directory)
        let path = directory + "/" + name
        let draft = "\(path).\(getpid()).\(UInt64.random(in: 0...UInt64.max)).tmp"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure(path, "cannot be created") }
        do throws(DistributionError) {
            defer { close(descriptor) }
            try writeAll(bytes, descriptor, path)
            guard fsync(descriptor) == 0 else { throw failure(path, "cannot be flushed") }
        } catch {
            unlink(draft)
            throw error
        }
        guard rename(draft, path) == 0 else {
            let error = failure(path, "cannot be put in place")
            unlink(draft)
            throw error
        }
        let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw failure(directory, "cannot be opened") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw failure(directory, "cannot be flushed") }
    }

    private static func writeAll(_ bytes: [UInt8], _ descriptor: CInt, _ path: String) throws(DistributionError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(path, "cannot be written") }
            rest = rest.dropFirst(count)
        }
    }

    private static func makeDirectory(_ directory: String) throws(DistributionError) {
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw failure(directory, "cannot be made") }
        guard chmod(directory, 0o700) == 0 else { throw failure(directory, "cannot be given mode 0700") }
    }

    private static func failure(_ path: String, _ what: String) -> DistributionError {
        DistributionError(.identity, "\(path) \(what): \(String(cString: strerror(errno)))")
    }
}
