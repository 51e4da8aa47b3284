// Markup that cannot be forgotten to be escaped: what a literal says is markup, whatever is put into it is text.

import Limits

/// A piece of HTML.
///
///     let row: HTML = "<td class=\"name\">\(zone.name)</td>"
///
/// escapes the name. Attributes stand in double quotes everywhere, so the same escaping serves both places.
struct HTML: Sendable, Equatable, ExpressibleByStringInterpolation {
    private(set) var text: String

    static let none: HTML = ""

    init(stringLiteral value: String) { text = value }
    init(stringInterpolation: Interpolation) { text = stringInterpolation.text }

    struct Interpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        init(literalCapacity: Int, interpolationCount: Int) {
            text.reserveCapacity(literalCapacity + interpolationCount * 24)
        }
        mutating func appendLiteral(_ literal: String) { text += literal }
        mutating func appendInterpolation(_ value: String) { HTML.escape(value, into: &text) }
        mutating func appendInterpolation(_ value: Int) { text += String(value) }
        mutating func appendInterpolation(_ value: Int64) { text += String(value) }
        mutating func appendInterpolation(_ value: HTML) { text += value.text }
        mutating func appendInterpolation(_ values: [HTML]) { for value in values { text += value.text } }
    }

    static func += (left: inout HTML, right: HTML) { left.text += right.text }
    static func + (left: HTML, right: HTML) -> HTML {
        var sum = left
        sum += right
        return sum
    }

    /// The markup if the condition holds.
    static func when(_ condition: Bool, _ markup: () -> HTML) -> HTML { condition ? markup() : .none }

    /// Text, by the rules of HTML's text and of its attributes in double quotes. What no text has (C0 without tab and line
    /// ends, DEL) becomes U+FFFD.
    private static func escape(_ value: String, into text: inout String) {
        for scalar in value.unicodeScalars {
            switch scalar {
            case "&": text += "&amp;"
            case "<": text += "&lt;"
            case ">": text += "&gt;"
            case "\"": text += "&quot;"
            case "'": text += "&#39;"
            case "\t", "\n", "\r": text.unicodeScalars.append(scalar)
            case "\u{0}"..."\u{1f}", "\u{7f}": text += "\u{fffd}"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}

/// Paths and queries of links.
enum LinkText {
    /// One part of a path, or one side of a query's item: everything but unreserved characters in percent-encoding
    /// (RFC 3986, section 2.3).
    static func encode(_ text: String) -> String {
        var encoded = ""
        encoded.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default: encoded += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
            }
        }
        return encoded
    }

    /// With the question mark; items without a value are left out.
    static func query(_ items: [(name: String, value: String?)]) -> String {
        let parts = items.compactMap { item in
            item.value.flatMap { $0.isEmpty ? nil : "\(encode(item.name))=\(encode($0))" }
        }
        return parts.isEmpty ? "" : "?" + parts.joined(separator: "&")
    }

    /// A place on this dashboard to go on to: nil for anything that could lead elsewhere.
    static func local(_ text: String?) -> String? {
        guard let text, text.hasPrefix("/"), !text.hasPrefix("//"), text.utf8.count <= Limits.dashboardPathBytesMax,
            text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\\") })
        else { return nil }
        return text
    }
}
