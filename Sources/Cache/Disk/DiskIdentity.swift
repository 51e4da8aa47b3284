/// What tells this store from every other: its number, and the key its hashes are made with. A file of 0600, because
/// who knows the key can make keys of the cache collide.
struct DiskIdentity: Equatable {
    static let fileName = "secret"
    let store: UInt64
    let secret: KeySecret

    /// What the directory has; nil if there is none that can be read.
    static func read(_ directory: DiskDirectory) -> DiskIdentity? {
        guard let bytes = directory.contents(fileName, bytesMax: 4096) else { return nil }
        return bytes.withUnsafeBytes { bytes in
            var cursor = DiskCursor(bytes)
            guard bytes.count == 32, cursor.next(UInt32.self) == DiskMagic.secret,
                let checksum = cursor.next(UInt32.self),
                checksum == DiskChecksum.of(UnsafeRawBufferPointer(rebasing: bytes[8...])),
                let store = cursor.next(UInt64.self), let k0 = cursor.next(UInt64.self),
                let k1 = cursor.next(UInt64.self)
            else { return nil }
            return DiskIdentity(store: store, secret: KeySecret(k0: k0, k1: k1))
        }
    }

    /// A new one, put in place.
    ///
    /// - Parameter secret: The key it had before, if that is known: whoever has begun to hash with it may go on.
    static func create(_ directory: DiskDirectory, secret: KeySecret?) throws(DiskError) -> DiskIdentity {
        let identity = DiskIdentity(store: .random(in: 1...(.max)), secret: secret ?? .random())
        var bytes: [UInt8] = []
        bytes.putLittle(DiskMagic.secret)
        bytes.putLittle(UInt32(0))
        bytes.putLittle(identity.store)
        bytes.putLittle(identity.secret.k0)
        bytes.putLittle(identity.secret.k1)
        let checksum = bytes.withUnsafeBytes { DiskChecksum.of(UnsafeRawBufferPointer(rebasing: $0[8...])) }
        bytes.setLittle(checksum, at: 4)
        try directory.put(bytes, at: fileName, mode: 0o600)
        return identity
    }
}
