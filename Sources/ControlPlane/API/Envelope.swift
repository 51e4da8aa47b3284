// `{"success", "errors", "messages", "result", "result_info"}`: the shape of every JSON answer.

package import JSON

/// What a handler answers.
package struct APIAnswer: Sendable {
    package enum Body: Sendable {
        /// In the envelope.
        case result(JSONValue, info: JSONValue?)
        /// As it is, with its media type.
        case raw([UInt8], type: String)
    }

    package var status = 200
    package var body: Body

    package static func result(_ value: JSONValue, status: Int = 200) -> APIAnswer {
        APIAnswer(status: status, body: .result(value, info: nil))
    }

    /// The same of an object. A literal is taken for the value above.
    @_disfavoredOverload
    package static func result(_ object: JSONObject, status: Int = 200) -> APIAnswer {
        result(.object(object), status: status)
    }

    package static func page(_ values: [JSONValue], _ info: PageInfo) -> APIAnswer {
        APIAnswer(body: .result(.array(values), info: info.json))
    }

    /// A part of a list that is walked through by cursors.
    package static func cursor(_ values: [JSONValue], _ info: JSONValue) -> APIAnswer {
        APIAnswer(body: .result(.array(values), info: info))
    }

    package static func raw(_ text: String, type: String) -> APIAnswer {
        APIAnswer(body: .raw(Array(text.utf8), type: type))
    }
}

/// `result_info`.
package struct PageInfo: Sendable, Equatable {
    /// From 1.
    package var page: Int
    package var perPage: Int
    /// Items of this page.
    package var count: Int
    /// Items of all pages.
    package var totalCount: Int

    package var totalPages: Int { perPage > 0 ? (totalCount + perPage - 1) / perPage : 0 }

    var json: JSONValue {
        [
            "page": .number(JSONNumber(page)), "per_page": .number(JSONNumber(perPage)),
            "count": .number(JSONNumber(count)), "total_count": .number(JSONNumber(totalCount)),
            "total_pages": .number(JSONNumber(totalPages)),
        ]
    }
}

enum Envelope {
    static func success(_ result: JSONValue, _ info: JSONValue?) -> JSONValue {
        var envelope: JSONObject = ["success": true, "errors": [], "messages": [], "result": result]
        if let info { envelope["result_info"] = info }
        return .object(envelope)
    }

    static func failure(_ error: APIError) -> JSONValue {
        var shown: JSONObject = ["code": .number(JSONNumber(error.code)), "message": .string(error.message)]
        if !error.chain.isEmpty {
            shown["error_chain"] = .array(
                error.chain.map { ["code": .number(JSONNumber($0.code)), "message": .string($0.message)] })
        }
        return ["success": false, "errors": [.object(shown)], "messages": [], "result": nil]
    }
}
