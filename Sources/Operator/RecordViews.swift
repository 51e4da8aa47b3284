// DNS records: for people, and from what people type.

package import JSON

package enum RecordViews {
    package static func table(_ records: [JSONValue]) -> TextTable {
        var table = TextTable([
            .left("name"), .left("type"), .left("content"), .right("ttl"), .left("proxied"), .optional("comment"),
            .whole("id"),
        ])
        for record in records {
            table.add([
                record.text("name"), record.text("type"), content(record), ttl(record),
                record["proxied"]?.boolean == true ? "yes" : "no", record.text("comment"), record.text("id"),
            ])
        }
        return table
    }

    /// One line: what a record says.
    package static func line(_ record: JSONValue) -> String {
        ScreenText.plain("\(record.text("name")) \(ttl(record)) \(record.text("type")) \(content(record))")
            + (record["proxied"]?.boolean == true ? " (proxied)" : "")
    }

    /// With the priority in front, as in a zone file.
    private static func content(_ record: JSONValue) -> String {
        guard let priority = record["priority"]?.integer else { return record.text("content") }
        return "\(priority) \(record.text("content"))"
    }

    private static func ttl(_ record: JSONValue) -> String {
        let seconds = record["ttl"]?.integer ?? 1
        return seconds == 1 ? "auto" : "\(seconds)"
    }
}

/// What somebody wants a record to be; nil: not said.
package struct RecordWish: Sendable {
    package var name: String?
    package var type: String?
    package var content: String?
    package var ttl: String?
    package var priority: Int?
    package var isProxied: Bool?
    package var comment: String?

    package init() {}

    /// The body for POST and PATCH.
    ///
    /// - Throws: `OperatorProblem` for a time that is none.
    package func body() throws(OperatorProblem) -> JSONObject {
        var body = JSONObject()
        if let name { body["name"] = .string(name) }
        if let type { body["type"] = .string(type.uppercased()) }
        if let content { body["content"] = .string(content) }
        if let ttl { body["ttl"] = .number(JSONNumber(try Self.seconds(ttl))) }
        if let priority { body["priority"] = .number(JSONNumber(priority)) }
        if let isProxied { body["proxied"] = .boolean(isProxied) }
        if let comment { body["comment"] = .string(comment) }
        return body
    }

    private static func seconds(_ text: String) throws(OperatorProblem) -> Int {
        if text == "auto" { return 1 }
        guard let milliseconds = try? DurationWords.milliseconds(text), milliseconds % 1000 == 0 else {
            throw OperatorProblem(
                .input, "expected auto or a time of whole seconds for --ttl, found \(text.prefix(40))",
                help: "such as 300, 5m or 1h")
        }
        return milliseconds / 1000
    }
}

/// `POST /zones/ID/dns_records/import` takes a form (RFC 7578): the file and whether its records are proxied.
package enum ImportForm {
    /// - Returns: The body, and its type with a boundary that does not stand in the file.
    package static func body(_ file: [UInt8], isProxied: Bool) -> APIQuestion.Body {
        var boundary = "martlet"
        let text = String(decoding: file, as: UTF8.self)
        while text.contains("--\(boundary)") { boundary += String(UInt32.random(in: 0...UInt32.max), radix: 36) }
        let head = { (name: String, more: String) in
            Array("--\(boundary)\r\nContent-Disposition: form-data; name=\"\(name)\"\(more)\r\n\r\n".utf8)
        }
        var body = head("proxied", "") + Array("\(isProxied)\r\n".utf8)
        body += head("file", "; filename=\"zone.txt\"\r\nContent-Type: text/plain") + file
        body += Array("\r\n--\(boundary)--\r\n".utf8)
        return .bytes(body, type: "multipart/form-data; boundary=\(boundary)")
    }
}
