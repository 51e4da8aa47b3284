// JSON values to bytes.

/// Writes JSON text (RFC 8259) without blanks.
struct JSONText {
    private(set) var bytes: [UInt8] = []

    mutating func write(_ value: JSONValue) {
        switch value {
        case .null: append("null")
        case .boolean(let value): append(value ? "true" : "false")
        case .number(let number): append(number.text)
        case .string(let text): write(text)
        case .array(let values): list(values, "[", "]") { $0.write($1) }
        case .object(let object):
            list(object.members, "{", "}") { writer, member in
                writer.write(member.name)
                writer.append(":")
                writer.write(member.value)
            }
        }
    }

    private mutating func list<Element>(
        _ elements: [Element], _ open: String, _ close: String, _ write: (inout JSONText, Element) -> Void
    ) {
        append(open)
        var isFirst = true
        for element in elements {
            if !isFirst { append(",") }
            isFirst = false
            write(&self, element)
        }
        append(close)
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func write(_ text: String) {
        append("\"")
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): append("\\\"")
            case UInt8(ascii: "\\"): append("\\\\")
            case 0x0a: append("\\n")
            case 0x0d: append("\\r")
            case 0x09: append("\\t")
            case 0..<0x10: append("\\u000" + String(byte, radix: 16))
            case 0x10..<0x20, 0x7f: append("\\u00" + String(byte, radix: 16))
            default: bytes.append(byte)
            }
        }
        append("\"")
    }
}

extension JSONValue {
    /// Compact JSON text.
    package var bytes: [UInt8] {
        var text = JSONText()
        text.write(self)
        return text.bytes
    }
    package var text: String { String(decoding: bytes, as: UTF8.self) }
}

extension JSONObject {
    package var text: String { JSONValue.object(self).text }
}
