import Exchange
import HTTPWire
import NIOCore
import Telemetry

/// A response made here rather than by an origin: an error page, a redirect, the answer where forwarding ends.
struct Page {
    var status: Int
    /// Whole field lines, each ended by CRLF.
    var fields: ByteBuffer
    var body: ByteBuffer

    /// The fields every response of our own carries.
    fileprivate init(status: Int, ray: UInt64, contentType: StaticString?, body: ByteBuffer, more: String = "") {
        self.status = status
        self.body = body
        self.fields = ByteBuffer()
        fields.writeHead(capacity: 192 + more.utf8.count) { writer in
            DateField.write(to: &writer)
            writer.write("Martlet-Ray: ")
            writer.write(identifier: ray)
            writer.write("\r\n")
            if let contentType { writer.write(field: "Content-Type", value: contentType) }
            // Nobody shall keep a page that speaks of this moment.
            writer.write("Cache-Control: no-store\r\n")
        }
        fields.writeString(more)
    }
}

// MARK: Errors

extension Page {
    /// The page of a failure, as JSON for who asks for that, else as HTML.
    static func failure(_ failure: Failure, _ journey: Journey) -> Page {
        let wantsJSON = journey.prefersJSON
        let ray = String(journey.ray, radix: 16)
        let paddedRay = String(repeating: "0", count: 16 - ray.count) + ray
        var body = ByteBuffer()
        if wantsJSON {
            body.writeString(
                "{\"status\":\(failure.status),\"error\":\"\(failure.label)\",\"message\":\"\(failure.explanation)\","
                    + "\"side\":\"\(failure.side.label)\",\"ray\":\"\(paddedRay)\"}\n")
        } else {
            body.writeString(html(failure, ray: paddedRay))
        }
        var more = ""
        if failure == .connectRefused { more += "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n" }
        if failure.status == 503 { more += "Retry-After: 5\r\n" }
        return Page(
            status: failure.status, ray: journey.ray,
            contentType: wantsJSON ? "application/json" : "text/html; charset=utf-8", body: body, more: more)
    }

    private static func html(_ failure: Failure, ray: String) -> String {
        let reason = StatusText.reason(failure.status)
        let mark = { (side: FailureSide) in side == failure.side ? " class=\"at\"" : "" }
        return """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="robots" content="noindex">
            <title>\(failure.status) \(reason)</title>
            <style>
            :root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #f7f8fa; --line: #d5dae1; --bad: #b3261e }
            @media (prefers-color-scheme: dark) {
              :root { --ink: #e8ecf2; --soft: #9aa6b5; --paper: #12161c; --line: #333c48; --bad: #ff8a80 }
            }
            body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper);
              color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
            main { max-width: 34rem; padding: 2rem }
            h1 { margin: 0; font-size: 3rem; line-height: 1.1 }
            h1 small { display: block; font-size: 1.25rem; font-weight: 500; color: var(--soft) }
            ol { display: flex; gap: .5rem; list-style: none; margin: 1.5rem 0; padding: 0 }
            li { flex: 1; padding: .4rem .6rem; border-top: 3px solid var(--line); color: var(--soft) }
            li.at { border-color: var(--bad); color: var(--bad); font-weight: 600 }
            code { font: .9em ui-monospace, monospace }
            p.ray { color: var(--soft) }
            </style>
            <main>
            <h1>\(failure.status) <small>\(reason)</small></h1>
            <ol aria-label="Where it went wrong"><li\(mark(.client))>Client</li><li\(mark(.edge))>Edge</li>\
            <li\(mark(.origin))>Origin</li></ol>
            <p>\(failure.explanation)</p>
            <p class="ray">Side: \(failure.side.label) · Reason: <code>\(failure.label)</code> · Ray: <code>\(ray)</code></p>
            </main>
            </html>

            """
    }
}

extension Journey {
    /// Whether Accept prefers JSON to HTML (RFC 9110, section 12.5.1). Where both are as welcome, it is JSON for who
    /// names JSON and not HTML.
    fileprivate var prefersJSON: Bool {
        guard let accept = request.first(.accept), let value = text(accept) else { return false }
        let json = AcceptedQuality(of: "application/json", in: value)
        let html = AcceptedQuality(of: "text/html", in: value)
        guard json.quality > 0 else { return false }
        return json.quality == html.quality ? json.isNamed && !html.isNamed : json.quality > html.quality
    }
}

/// How welcome a media type is by an Accept field: the quality of the most specific range that covers it.
private struct AcceptedQuality {
    /// 0 to 1000.
    var quality = 0
    /// Whether the type itself is named, not only a range that covers it.
    var isNamed = false

    init(of type: String, in accept: String) {
        let family = type.prefix { $0 != "/" } + "/*"
        var specificity = 0
        for member in accept.lowercased().split(separator: ",") {
            let parts = member.split(separator: ";").map { $0.trimming(while: \.isWhitespace) }
            guard let range = parts.first else { continue }
            let rank = range == type ? 3 : range == family ? 2 : range == "*/*" ? 1 : 0
            guard rank > specificity else { continue }
            specificity = rank
            quality = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Self.thousandths($0.dropFirst(2)) } ?? 1000
        }
        isNamed = specificity == 3
    }

    /// `0.5` as 500; what is no number counts as 0.
    private static func thousandths(_ text: Substring) -> Int {
        guard let value = Double(String(text)), value.isFinite else { return 0 }
        return Int(min(max(value, 0), 1) * 1000)
    }
}

extension Substring {
    fileprivate func trimming(while isBlank: (Character) -> Bool) -> Substring {
        var rest = drop(while: isBlank)
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return rest
    }
}

// MARK: Redirects

extension Page {
    /// The same URI under https. 301 for methods that stay what they are anyway, 308 so that the others do too.
    static func redirectToHTTPS(_ journey: Journey) -> Page {
        let isSimple = journey.request.method == .get || journey.request.method == .head
        let host = journey.text(journey.request.host) ?? ""
        let port = journey.serving.httpsPort.flatMap { $0 == 443 ? nil : ":\($0)" } ?? ""
        var target = journey.text(journey.request.target) ?? "/"
        if journey.request.targetForm == .asterisk { target = "/" }
        if journey.request.targetForm == .absolute {
            target = (journey.text(journey.request.path) ?? "/")
            if target.isEmpty { target = "/" }
            if journey.request.hasQuery { target += "?" + (journey.text(journey.request.query) ?? "") }
        }
        return Page(
            status: isSimple ? 301 : 308, ray: journey.ray, contentType: nil, body: ByteBuffer(),
            more: "Location: https://\(host)\(port)\(target)\r\n")
    }
}

// MARK: Max-Forwards

extension Page {
    /// RFC 9110, section 7.6.2: TRACE and OPTIONS with Max-Forwards: 0 are answered by who receives them.
    static func whereForwardingEnds(_ journey: Journey) -> Page? {
        guard journey.request.method == .trace || journey.request.method == .options,
            journey.maxForwards == 0
        else { return nil }
        // TRACE would echo credentials to whoever can make a browser send it: it ends here without an echo.
        return Page(
            status: journey.request.method == .trace ? 405 : 204, ray: journey.ray, contentType: nil,
            body: ByteBuffer(),
            more: "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n")
    }
}
