// The key that secrets are sealed with at rest, and how they are sealed.
//
// The key lies in a file of its own, so that a stolen copy of the database gives no private key away. Several control
// processes on one PostgreSQL need the same file; the store notices another (Migrator.checkKey).

import Crypto
import FoundationEssentials
import Glibc
import Limits

/// 256 bits for AES-GCM, from a file that only its owner may read.
package struct SecretKey: Sendable {
    private let key: SymmetricKey

    private static let fileHead = "martlet-key-1 "
    /// First byte of what is sealed, so that another scheme can follow.
    private static let version: UInt8 = 1

    package init(bytes: [UInt8]) { key = SymmetricKey(data: bytes) }
    private init(_ key: SymmetricKey) { self.key = key }

    /// Reads the key, and makes it if there is none: 64 hex digits in a file of mode 0600.
    ///
    /// - Throws: `.other` when others than the owner may read or write the file, `.corrupt` when it holds no key. A file
    ///   that is there is never replaced: what was sealed with it could not be opened any more.
    package static func load(path: String) throws(StoreError) -> SecretKey {
        if let key = try read(path) { return key }
        try make(path)
        guard let key = try read(path) else { throw .other("\(path): expected the key just made, found none") }
        return key
    }

    private static func read(_ path: String) throws(StoreError) -> SecretKey? {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure(path, "cannot be opened")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(path, "cannot be examined") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .other("\(path): expected a regular file") }
        guard status.st_mode & 0o077 == 0 else {
            throw .other(
                "\(path): expected mode 0600, found \(octal(status.st_mode & 0o777)): others may read the key; "
                    + "`chmod 600 \(path)` if nobody has")
        }
        guard status.st_uid == geteuid() || geteuid() == 0 else {
            throw .other("\(path): expected a file of the user \(geteuid()), found one of \(status.st_uid)")
        }
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        guard count >= 0 else { throw failure(path, "cannot be read") }
        guard let bytes = parse(buffer.prefix(count)) else {
            throw .corrupt("\(path): expected \"\(fileHead)\" and 64 hex digits, found something else")
        }
        return SecretKey(bytes: bytes)
    }

    private static func parse(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        let head = Array(fileHead.utf8)
        guard text.starts(with: head) else { return nil }
        let digits = text.dropFirst(head.count).prefix { $0 != UInt8(ascii: "\n") }
        guard digits.count == 64, text.count <= head.count + digits.count + 1 else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in digits {
            guard let value = Character(UnicodeScalar(digit)).hexDigitValue else { return nil }
            if let half = high {
                bytes.append(half << 4 | UInt8(truncatingIfNeeded: value))
                high = nil
            } else {
                high = UInt8(truncatingIfNeeded: value)
            }
        }
        return bytes
    }

    /// Written beside, flushed, then linked into place: it never stands there half, and of two processes that start at
    /// once one wins and the other reads its key.
    private static func make(_ path: String) throws(StoreError) {
        let draft = "\(path).\(getpid()).\(StoreID.make()).tmp"
        let descriptor = Glibc.open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure(path, "cannot be created") }
        defer {
            close(descriptor)
            unlink(draft)
        }
        let digits = SymmetricKey(size: .bits256).withUnsafeBytes { bytes in
            bytes.map { String(UnicodeScalar(hexDigit($0 >> 4))) + String(UnicodeScalar(hexDigit($0 & 15))) }.joined()
        }
        let text = Array((fileHead + digits + "\n").utf8)
        let count = text.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard count == text.count, fchmod(descriptor, 0o600) == 0, fsync(descriptor) == 0 else {
            throw failure(path, "cannot be written")
        }
        guard link(draft, path) == 0 || errno == EEXIST else { throw failure(path, "cannot be put in place") }
        flushDirectory(of: path)
    }

    /// The key that edges are given: it opens what is sealed for them in the log, and nothing else (HKDF, RFC 5869).
    package var edgeKey: SecretKey {
        SecretKey(
            HKDF<SHA256>.deriveKey(inputKeyMaterial: key, info: Array("martlet edge".utf8), outputByteCount: 32))
    }

    /// As it travels to an edge when that enrols.
    package var bytes: [UInt8] { key.withUnsafeBytes { Array($0) } }

    /// The bytes sealed with AES-256-GCM: version, nonce (12 bytes, random), ciphertext, tag (16 bytes).
    func seal(_ plain: [UInt8], for context: String) throws(StoreError) -> [UInt8] {
        do {
            let box = try AES.GCM.seal(plain, using: key, authenticating: Array(context.utf8))
            guard let combined = box.combined else { throw StoreError.other("sealing gave no bytes") }
            return [Self.version] + Array(combined)
        } catch {
            throw error as? StoreError ?? .other("a secret cannot be sealed")
        }
    }

    package func open(_ sealed: [UInt8], for context: String) throws(StoreError) -> [UInt8] {
        guard sealed.first == Self.version,
            let box = try? AES.GCM.SealedBox(combined: sealed.dropFirst()),
            let plain = try? AES.GCM.open(box, using: key, authenticating: Array(context.utf8))
        else {
            throw .corrupt("a sealed secret does not open with this key and context")
        }
        return Array(plain)
    }

    /// What tells another key from this one without giving it away: kept in the database.
    var check: String {
        let code = HMAC<SHA256>.authenticationCode(for: Array("martlet store key".utf8), using: key)
        return code.prefix(16).map {
            String(UnicodeScalar(hexDigit($0 >> 4))) + String(UnicodeScalar(hexDigit($0 & 15)))
        }
        .joined()
    }
}

private func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 87 + value }

private func octal(_ mode: mode_t) -> String { "0" + String(mode, radix: 8) }

private func failure(_ path: String, _ what: String) -> StoreError {
    .other("\(path) \(what): \(String(cString: strerror(errno)))")
}

/// So that a name just made in it outlives a power cut.
func flushDirectory(of path: String) {
    let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    let descriptor = Glibc.open(
        parent.isEmpty ? (path.hasPrefix("/") ? "/" : ".") : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
}
