// Names of zones and records: what a client writes, and the one form that is kept.

import FoundationEssentials

/// A domain name in lower case without the dot at its end; international names in their ASCII form (RFC 5891).
package struct DomainName: Sendable, Hashable {
    package let text: String

    static let bytesMax = 253
    static let labelBytesMax = 63

    /// - Parameter allowsWildcard: The first label may be `*` (RFC 4592).
    /// Underscores are allowed: records such as `_dmarc` have them.
    package init?(_ source: String, allowsWildcard: Bool = false) {
        var name = source.lowercased()
        if name.hasSuffix(".") { name.removeLast() }
        guard !name.isEmpty, name.utf8.count <= 4 * Self.bytesMax else { return nil }
        var labels: [String] = []
        for (index, part) in name.split(separator: ".", omittingEmptySubsequences: false).enumerated() {
            if index == 0, part == "*", allowsWildcard {
                labels.append("*")
            } else if let label = Self.label(part) {
                labels.append(label)
            } else {
                return nil
            }
        }
        text = labels.joined(separator: ".")
        guard text.utf8.count <= Self.bytesMax else { return nil }
    }

    private static func label(_ part: Substring) -> String? {
        guard !part.isEmpty, !part.hasPrefix("-"), !part.hasSuffix("-") else { return nil }
        let label = part.utf8.allSatisfy { $0 < 0x80 } ? String(part) : Punycode.encode(part).map { "xn--" + $0 }
        guard let label, label.utf8.count <= labelBytesMax, label.utf8.allSatisfy(isLabelByte) else { return nil }
        return label
    }

    private static func isLabelByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }

    /// Whether it is `zone` or lies below it.
    package func isIn(_ zone: DomainName) -> Bool { text == zone.text || text.hasSuffix("." + zone.text) }

    package var labels: [Substring] { text.split(separator: ".") }
}

/// RFC 3492.
enum Punycode {
    private static let base = 36
    private static let tMin = 1
    private static let tMax = 26
    private static let skew = 38
    private static let damp = 700

    static func encode(_ label: Substring) -> String? {
        let scalars = Array(label.unicodeScalars)
        guard scalars.count <= DomainName.labelBytesMax else { return nil }
        var output = scalars.filter(\.isASCII).map { UInt8(truncatingIfNeeded: $0.value) }
        let basicCount = output.count
        var handled = basicCount
        if basicCount > 0 { output.append(UInt8(ascii: "-")) }
        var point: UInt32 = 128
        var delta = 0
        var bias = 72
        while handled < scalars.count {
            guard let next = scalars.lazy.map(\.value).filter({ $0 >= point }).min() else { return nil }
            delta += Int(next - point) * (handled + 1)
            point = next
            for scalar in scalars {
                if scalar.value < point { delta += 1 }
                guard scalar.value == point else { continue }
                write(delta, bias, into: &output)
                bias = adapt(delta, count: handled + 1, isFirst: handled == basicCount)
                delta = 0
                handled += 1
            }
            delta += 1
            point += 1
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func write(_ delta: Int, _ bias: Int, into output: inout [UInt8]) {
        var rest = delta
        var k = base
        while true {
            let threshold = min(max(k - bias, tMin), tMax)
            guard rest >= threshold else { break }
            output.append(digit(threshold + (rest - threshold) % (base - threshold)))
            rest = (rest - threshold) / (base - threshold)
            k += base
        }
        output.append(digit(rest))
    }

    private static func digit(_ value: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: value < 26 ? value + 97 : value - 26 + 48)
    }

    private static func adapt(_ delta: Int, count: Int, isFirst: Bool) -> Int {
        var delta = isFirst ? delta / damp : delta / 2
        delta += delta / count
        var k = 0
        while delta > (base - tMin) * tMax / 2 {
            delta /= base - tMin
            k += base
        }
        return k + (base - tMin + 1) * delta / (delta + skew)
    }
}
