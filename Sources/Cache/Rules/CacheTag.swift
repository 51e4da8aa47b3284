package import HTTPWire
import Limits

/// The tags of Cache-Tag, by which responses are purged. Kept as hashes: two that share one, which has a probability of
/// one in 2⁶⁴, are purged together, and that costs a miss.
package enum CacheTag {
    /// The tag's hash, the same in every process and after every restart; letters of any case are the same.
    package static func hash(_ tag: UnsafeRawBufferPointer) -> UInt64 {
        var state = offset
        for byte in tag { step(&state, byte) }
        return finished(state)
    }

    /// The hash of a tag that an operator named, blanks around it ignored.
    package static func hash(_ tag: String) -> UInt64 {
        var text = tag.utf8[...]
        while let first = text.first, Octet.isBlank(first) { text = text.dropFirst() }
        while let last = text.last, Octet.isBlank(last) { text = text.dropLast() }
        var state = offset
        for byte in text { step(&state, byte) }
        return finished(state)
    }

    /// Hashes of all tags of a response, sorted, each once. Tags are separated by commas or blanks. What is beyond the
    /// bounds of `Limits` is ignored.
    package static func hashes(of response: ResponseHead, _ bytes: Span<UInt8>) -> [UInt64] {
        guard response.has(.cacheTag) else { return [] }
        var hashes: [UInt64] = []
        var bytesLeft = Limits.cacheTagLineBytesMax
        for index in response.fields.indices where response.fields[index].known == .cacheTag {
            let value = response.fields[index].value
            // A tag that the bound cuts in two is not the tag it begins with.
            guard value.end <= bytes.count, Int(value.count) <= bytesLeft else { break }
            bytesLeft -= Int(value.count)
            add(value, bytes, to: &hashes)
        }
        hashes.sort()
        var unique: [UInt64] = []
        unique.reserveCapacity(hashes.count)
        for hash in hashes where unique.last != hash { unique.append(hash) }
        return unique
    }

    private static func add(_ value: ByteRange, _ bytes: Span<UInt8>, to hashes: inout [UInt64]) {
        var position = Int(value.start)
        while position < value.end, hashes.count < Limits.cacheTagsMax {
            if isSeparator(bytes[position]) {
                position &+= 1
                continue
            }
            let start = position
            var state = offset
            while position < value.end, !isSeparator(bytes[position]) {
                step(&state, bytes[position])
                position &+= 1
            }
            if position &- start <= Limits.cacheTagBytesMax { hashes.append(finished(state)) }
        }
    }

    private static func isSeparator(_ byte: UInt8) -> Bool { byte == UInt8(ascii: ",") || Octet.isBlank(byte) }

    // MARK: FNV-1a, and a mix that spreads its weak low bits

    private static var offset: UInt64 { 0xcbf2_9ce4_8422_2325 }

    @inline(__always)
    private static func step(_ state: inout UInt64, _ byte: UInt8) {
        state = (state ^ UInt64(Octet.lowercased(byte))) &* 0x0000_0100_0000_01b3
    }

    private static func finished(_ state: UInt64) -> UInt64 {
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
