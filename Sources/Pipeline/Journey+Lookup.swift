import Exchange
import HTTPWire
import NIOCore
import Origin

/// Reading single values out of the request's head.
extension Journey {
    /// The value of the first field of that name (lower case).
    func fieldValue(named name: String) -> ByteRange? {
        requestBytes.withBytes { bytes in
            var name = name
            return name.withUTF8 { wanted in
                for field in request.fields where Int(field.name.count) == wanted.count {
                    guard field.name.end <= bytes.count else { continue }
                    var isEqual = true
                    for offset in 0..<wanted.count where isEqual {
                        let byte = bytes[Int(field.name.start) + offset]
                        let lower = byte >= 65 && byte <= 90 ? byte | 0x20 : byte
                        isEqual = lower == wanted[offset]
                    }
                    if isEqual { return field.value }
                }
                return nil
            }
        }
    }

    /// The value of a cookie (RFC 6265, section 5.4): pairs are separated by semicolons, names compared exactly.
    func cookie(named name: String) -> ByteRange? {
        guard request.has(.cookie) else { return nil }
        return requestBytes.withBytes { bytes in
            var name = name
            return name.withUTF8 { wanted in
                for field in request.fields where field.known == .cookie {
                    if let value = Self.cookie(wanted, in: field.value, bytes) { return value }
                }
                return nil
            }
        }
    }

    private static func cookie(
        _ wanted: UnsafeBufferPointer<UInt8>, in value: ByteRange, _ bytes: Span<UInt8>
    ) -> ByteRange? {
        var position = Int(value.start)
        let end = min(value.end, bytes.count)
        while position < end {
            while position < end, bytes[position] == UInt8(ascii: " ") { position += 1 }
            let start = position
            while position < end, bytes[position] != UInt8(ascii: ";") { position += 1 }
            let valueStart = start + wanted.count + 1
            if valueStart <= position, bytes[valueStart - 1] == UInt8(ascii: "="),
                (0..<wanted.count).allSatisfy({ bytes[start + $0] == wanted[$0] })
            {
                return ByteRange(
                    start: UInt32(truncatingIfNeeded: valueStart),
                    count: UInt32(truncatingIfNeeded: position - valueStart))
            }
            position += 1
        }
        return nil
    }

    func hashHint(of range: ByteRange) -> Balancer.Hint {
        requestBytes.withBytes { bytes in
            range.end <= bytes.count ? .hash(Balancer.hash(bytes.extracting(range.range))) : .none
        }
    }

    /// 16 hex digits as a number.
    func identifier(_ range: ByteRange) -> UInt64? {
        guard range.count == 16, let text = text(range) else { return nil }
        return UInt64(text, radix: 16)
    }

    /// The bytes of a range as text, for what is not on the hot path.
    func text(_ range: ByteRange) -> String? {
        requestBytes.getString(at: requestBytes.readerIndex + Int(range.start), length: Int(range.count))
    }
}
