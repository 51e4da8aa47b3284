import Crypto

/// Identifiers of objects, as the API has them: 32 lower-case hex digits.
package enum StoreID {
    /// A random one: 128 bits.
    package static func make() -> String {
        var generator = SystemRandomNumberGenerator()
        return hex(generator.next(), generator.next())
    }

    /// One that sorts by time, in microseconds, then by the number, and is random beyond that. Rows that only ever come
    /// (audit) go to the end of their index.
    package static func ordered(at microseconds: Int64, number: Int = 0) -> String {
        var generator = SystemRandomNumberGenerator()
        let time = UInt64(clamping: microseconds)
        let place = UInt64(UInt16(clamping: number)) << 48
        return hex((time / 1000) << 16 | (time % 1000) << 6, place | generator.next() >> 16)
    }

    private static func hex(_ high: UInt64, _ low: UInt64) -> String {
        String(unsafeUninitializedCapacity: 32) { buffer in
            for place in 0..<32 {
                let half = place < 16 ? high : low
                let digit = UInt8(truncatingIfNeeded: half >> (60 &- 4 &* UInt64(place & 15))) & 15
                buffer[place] = digit < 10 ? 48 + digit : 87 + digit
            }
            return 32
        }
    }
}

/// API tokens: how they are made, and what of them is kept.
package enum APIToken {
    /// Characters of a token: 240 random bits.
    package static let characterCount = 40

    /// A new token. Whoever asked for it sees it once; the store keeps its hash.
    package static func make() -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<characterCount).map { _ in alphabet[Int(UInt8.random(in: 0...63, using: &generator))] }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What is kept of a token, 32 bytes. A plain SHA-256 serves: 240 bits cannot be guessed, and looking a hash up in
    /// an index tells nothing of use about how many of its bytes were right.
    package static func hash(_ token: String) -> [UInt8] {
        Array(SHA256.hash(data: Array(token.utf8)))
    }
}
