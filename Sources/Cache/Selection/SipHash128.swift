// SipHash-2-4 with 128 bits of result (Aumasson and Bernstein, 2012): what keys, variants and zones are hashed with.
//
// Keyed with a secret of this installation: who does not know it cannot choose two URLs that collide, nor fill one
// bucket of a table. 128 bits, so that chance does not either.

/// The secret that hashes are keyed with: one for each installation, kept beside what is stored under it.
package struct KeySecret: Sendable, Equatable {
    package let k0: UInt64
    package let k1: UInt64

    package init(k0: UInt64, k1: UInt64) {
        self.k0 = k0
        self.k1 = k1
    }

    /// A new one, from the system's generator.
    package static func random() -> KeySecret {
        var generator = SystemRandomNumberGenerator()
        return KeySecret(k0: generator.next(), k1: generator.next())
    }
}

/// Hashes what comes in pieces. How it is cut does not matter.
package struct SipHasher128: Sendable {
    private var state: SipState
    /// Bytes that make no whole word yet, the first one lowest, and how many of them there are (0 to 7).
    private var pending: UInt64 = 0
    private var pendingBytes: UInt64 = 0
    private var totalBytes: UInt64 = 0

    package init(_ secret: KeySecret) { state = SipState(secret) }

    /// Takes one more byte.
    @inline(__always)
    package mutating func update(byte: UInt8) {
        pending |= UInt64(byte) &<< (pendingBytes &* 8)
        pendingBytes &+= 1
        totalBytes &+= 1
        guard pendingBytes == 8 else { return }
        state.absorb(pending)
        pending = 0
        pendingBytes = 0
    }

    /// Takes more bytes.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        for byte in bytes { update(byte: byte) }
    }

    /// The hash of all that was taken.
    package func finish() -> KeyHash {
        var state = state
        return state.finish(last: pending | totalBytes &<< 56)
    }

    /// The hash of bytes that lie together.
    package static func hash(_ bytes: UnsafeRawBufferPointer, _ secret: KeySecret) -> KeyHash {
        var state = SipState(secret)
        let whole = bytes.count & ~7
        var offset = 0
        while offset < whole {
            state.absorb(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            offset &+= 8
        }
        var last = UInt64(truncatingIfNeeded: bytes.count) &<< 56
        var shift: UInt64 = 0
        while offset < bytes.count {
            last |= UInt64(bytes[offset]) &<< shift
            shift &+= 8
            offset &+= 1
        }
        return state.finish(last: last)
    }
}

extension ZoneTag {
    /// - Parameter name: the zone's name as the configuration has it.
    package init(name: String, _ secret: KeySecret) {
        var name = name
        self.init(name.withUTF8 { SipHasher128.hash(UnsafeRawBufferPointer($0), secret).low })
    }
}

/// The four words that everything is mixed into.
private struct SipState: Sendable {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64

    @inline(__always)
    init(_ secret: KeySecret) {
        v0 = 0x736f_6d65_7073_6575 ^ secret.k0
        // 0xee marks the variant with 128 bits.
        v1 = 0x646f_7261_6e64_6f6d ^ secret.k1 ^ 0xee
        v2 = 0x6c79_6765_6e65_7261 ^ secret.k0
        v3 = 0x7465_6462_7974_6573 ^ secret.k1
    }

    @inline(__always)
    private mutating func round() {
        v0 = v0 &+ v1
        v1 = (v1 &<< 13 | v1 &>> 51) ^ v0
        v0 = v0 &<< 32 | v0 &>> 32
        v2 = v2 &+ v3
        v3 = (v3 &<< 16 | v3 &>> 48) ^ v2
        v0 = v0 &+ v3
        v3 = (v3 &<< 21 | v3 &>> 43) ^ v0
        v2 = v2 &+ v1
        v1 = (v1 &<< 17 | v1 &>> 47) ^ v2
        v2 = v2 &<< 32 | v2 &>> 32
    }

    /// Two rounds for each word of input.
    @inline(__always)
    mutating func absorb(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    /// - Parameter last: the bytes that make no whole word, and the length's lowest byte on top.
    @inline(__always)
    mutating func finish(last: UInt64) -> KeyHash {
        absorb(last)
        v2 ^= 0xee
        for _ in 0..<4 { round() }
        let low = v0 ^ v1 ^ v2 ^ v3
        v1 ^= 0xdd
        for _ in 0..<4 { round() }
        return KeyHash(high: v0 ^ v1 ^ v2 ^ v3, low: low)
    }
}
