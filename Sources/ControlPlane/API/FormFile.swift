import Limits

/// The file in a request: the part named `file` of a form (RFC 7578), or the whole body; and the form's other parts.
struct FormFile: Sendable {
    var file: [UInt8] = []
    private var texts: [String: String] = [:]

    /// A part of the form beside the file.
    subscript(_ name: String) -> String? { texts[name] }

    init() {}

    init(_ request: APIRequest) throws(APIError) {
        let type = request.fields["content-type"] ?? ""
        guard type.lowercased().hasPrefix("multipart/form-data") else {
            file = request.body
            return
        }
        guard let boundary = Self.boundary(type) else {
            throw .invalid(
                "Content-Type", "multipart/form-data with a boundary of 1 to 70 characters (RFC 2046, section 5.1.1)")
        }
        var hasFile = false
        for part in Self.parts(request.body[...], boundary) {
            if part.name == "file" {
                file = Array(part.body)
                hasFile = true
            } else {
                texts[part.name] = String(decoding: part.body.prefix(Limits.apiFormTextBytesMax), as: UTF8.self)
            }
        }
        guard hasFile else { throw .invalid("file", "a form with a part of this name", found: "none") }
    }

    static func boundary(_ type: String) -> [UInt8]? {
        for parameter in type.split(separator: ";").dropFirst() {
            let sides = parameter.split(separator: "=", maxSplits: 1)
            guard sides.count == 2, sides[0].drop(while: { $0 == " " }).lowercased() == "boundary" else { continue }
            let value = sides[1].filter { $0 != "\"" }
            return (1...70).contains(value.utf8.count) ? Array("--\(value)".utf8) : nil
        }
        return nil
    }

    static func parts(_ body: ArraySlice<UInt8>, _ boundary: [UInt8]) -> [(
        name: String, body: ArraySlice<UInt8>
    )] {
        var parts: [(name: String, body: ArraySlice<UInt8>)] = []
        guard var start = find(boundary, in: body)?.upperBound else { return [] }
        let delimiter = Array("\r\n".utf8) + boundary
        while let end = find(delimiter, in: body[start...]) {
            let part = body[start..<end.lowerBound]
            start = end.upperBound
            guard let blank = find(Array("\r\n\r\n".utf8), in: part) else { continue }
            // Names of fields are ASCII; anything else in the head matters to nobody here.
            let head = String(decoding: part[..<blank.lowerBound], as: UTF8.self)
            parts.append((name(head), part[blank.upperBound...]))
        }
        return parts
    }

    private static func name(_ head: String) -> String {
        for line in head.split(whereSeparator: \.isNewline) where line.lowercased().hasPrefix("content-disposition:") {
            for parameter in line.split(separator: ";").dropFirst() {
                let sides = parameter.split(separator: "=", maxSplits: 1)
                guard sides.count == 2, sides[0].drop(while: { $0 == " " }) == "name" else { continue }
                return sides[1].filter { $0 != "\"" && $0 != "\r" }
            }
        }
        return ""
    }

    private static func find(_ pattern: [UInt8], in bytes: ArraySlice<UInt8>) -> Range<Int>? {
        guard let first = pattern.first else { return nil }
        var position = bytes.startIndex
        while position + pattern.count <= bytes.endIndex {
            guard let next = bytes[position...].firstIndex(of: first), next + pattern.count <= bytes.endIndex else {
                return nil
            }
            if bytes[next..<next + pattern.count].elementsEqual(pattern) { return next..<next + pattern.count }
            position = next + 1
        }
        return nil
    }
}
