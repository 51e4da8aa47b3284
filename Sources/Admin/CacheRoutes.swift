import Limits

/// The paths below `/cache`: purging it and looking into it.
package enum CacheRoutes {
    /// - Parameter operations: nil where nothing is cached.
    /// - Returns: nil for a path that is none of these.
    package static func answer(
        _ request: AdminServer.Request, _ operations: CacheOperations?
    ) async -> AdminServer.Answer? {
        let allowed: AdminServer.Verb
        switch request.path {
        case "/cache/purge": allowed = .post
        case "/cache/inspect", "/cache/stats": allowed = .get
        default: return nil
        }
        guard request.verb == allowed else { return .wrongMethod(allowed: allowed) }
        guard let operations else {
            return json(
                404,
                CacheProblemReport(error: "cache_off", message: "nothing is cached: the configuration has `cache: off`")
            )
        }
        do throws(CacheProblem) {
            switch request.path {
            case "/cache/purge": return try await purge(request, operations)
            case "/cache/inspect": return try await inspect(request, operations)
            default: return json(200, await operations.statistics())
            }
        } catch {
            return json(error.status, CacheProblemReport(error))
        }
    }

    private static func purge(
        _ request: AdminServer.Request, _ operations: CacheOperations
    ) async throws(CacheProblem) -> AdminServer.Answer {
        // A page in the operator's browser can send requests here. One that it may send unasked is not of this type,
        // and whatever it sends has an Origin field.
        guard !request.hasOrigin else {
            return json(
                403, CacheProblemReport(error: "browser", message: "a request with an Origin field may not purge"))
        }
        guard isJSON(request.contentType) else {
            return json(
                415,
                CacheProblemReport(
                    error: "content_type", message: "expected a body with Content-Type: application/json"))
        }
        let wanted = try CacheJSON.purge(from: request.body)
        let start = ContinuousClock.now
        let answer = try await operations.purge(wanted)
        let microseconds = (ContinuousClock.now - start) / .microseconds(1)
        return json(
            200,
            CachePurgeReport(
                objects: answer.objects, memoryObjects: answer.memoryObjects, diskObjects: answer.diskObjects,
                zones: Array(answer.zones.prefix(Limits.cacheZonesShownMax)), isSoft: wanted.isSoft,
                isDryRun: wanted.isDryRun,
                tookMilliseconds: microseconds.rounded() / 1000))
    }

    private static func inspect(
        _ request: AdminServer.Request, _ operations: CacheOperations
    ) async throws(CacheProblem) -> AdminServer.Answer {
        guard let parameters = QueryParameters(request.query) else {
            throw .badRequest("expected a query in percent-encoded UTF-8")
        }
        guard let url = parameters["url"] else { throw .badRequest("expected /cache/inspect?url=URL, found no url") }
        let zone = try parameters["zone"].map { name throws(CacheProblem) in try PurgeText.zone(name) }
        return json(200, try await operations.inspect(try PurgeText.url(url), zone))
    }

    /// The media type without its parameters (RFC 9110, section 8.3.1).
    private static func isJSON(_ contentType: String) -> Bool {
        let type = contentType.prefix { $0 != ";" }
        let word = type.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
        return word.lowercased() == "application/json"
    }

    private static func json(_ status: Int, _ value: some Encodable) -> AdminServer.Answer {
        AdminServer.Answer(status: status, contentType: "application/json", body: CacheJSON.bytes(value))
    }
}

/// `name=value&…` with percent-encoding. A `+` is a plus: URLs are full of them.
struct QueryParameters {
    private var pairs: [(name: String, value: String)] = []

    /// nil for an escape that is none, and for what is not UTF-8.
    init?(_ query: String) {
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(parts.first ?? ""), let value = Self.decoded(parts.count > 1 ? parts[1] : "")
            else { return nil }
            pairs.append((name, value))
        }
    }

    /// The first of this name.
    subscript(name: String) -> String? { pairs.first { $0.name == name }?.value }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        Character(Unicode.Scalar(byte)).hexDigitValue.flatMap { UInt8(exactly: $0) }
    }
}
