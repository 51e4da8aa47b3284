/// A zone's identifier: 16 bytes, written as 32 hex digits in lower case.
package struct ZoneID: Sendable, Hashable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// - Returns: nil unless there are exactly 16 bytes.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for byte in bytes {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(byte)
        }
        self.init(high: high, low: low)
    }

    /// - Returns: nil unless `hex` is exactly 32 hex digits in lower case: one zone has one spelling.
    package init?(hex: some StringProtocol) {
        guard let id = ZoneID(hexBytes: hex.utf8) else { return nil }
        self = id
    }

    init?(hexBytes: some Collection<UInt8>) {
        guard hexBytes.count == 32 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for byte in hexBytes {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte &- UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte &- UInt8(ascii: "a") &+ 10
            default: return nil
            }
            high = high << 4 | low >> 60
            low = low << 4 | UInt64(digit)
        }
        self.init(high: high, low: low)
    }

    /// The 16 bytes, first one first.
    package var bytes: [UInt8] {
        (0..<16).map { index in
            let half = index < 8 ? high : low
            return UInt8(truncatingIfNeeded: half >> UInt64(56 &- 8 &* (index & 7)))
        }
    }

    package var description: String { String(decoding: hexBytes, as: UTF8.self) }

    /// The 32 hex digits.
    var hexBytes: [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return (0..<32).map { index in
            let half = index < 16 ? high : low
            return digits[Int(half >> UInt64(60 &- 4 &* (index & 15)) & 15)]
        }
    }
}
