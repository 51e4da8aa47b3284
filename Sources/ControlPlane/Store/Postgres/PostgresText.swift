/// Statements are written with `?`, PostgreSQL wants `$1`, `$2` and so on.
enum PostgresText {
    /// The statement with numbered placeholders. A `?` within quotes or a comment is none.
    static func numbered(_ sql: String) -> String {
        var out: [UInt8] = []
        let bytes = Array(sql.utf8)
        out.reserveCapacity(bytes.count + 16)
        var number = 0
        var place = 0
        while place < bytes.count {
            let byte = bytes[place]
            let end = endOfQuoted(bytes, at: place)
            if end > place {
                out += bytes[place..<end]
                place = end
                continue
            }
            if byte == UInt8(ascii: "?") {
                number += 1
                out += Array("$\(number)".utf8)
            } else {
                out.append(byte)
            }
            place += 1
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Where what begins here ends, if it is a text, a quoted name or a comment; else the same place.
    private static func endOfQuoted(_ bytes: [UInt8], at place: Int) -> Int {
        let next = place + 1 < bytes.count ? bytes[place + 1] : 0
        switch (bytes[place], next) {
        case (UInt8(ascii: "'"), _), (UInt8(ascii: "\""), _):
            // A doubled quote within ends one text and begins the next, which comes to the same.
            let close = bytes[(place + 1)...].firstIndex(of: bytes[place])
            return close.map { $0 + 1 } ?? bytes.count
        case (UInt8(ascii: "-"), UInt8(ascii: "-")):
            return bytes[place...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
        case (UInt8(ascii: "/"), UInt8(ascii: "*")):
            var end = place + 2
            while end < bytes.count,
                !(bytes[end] == UInt8(ascii: "/") && bytes[end - 1] == UInt8(ascii: "*") && end > place + 2)
            {
                end += 1
            }
            return min(end + 1, bytes.count)
        default:
            return place
        }
    }
}
