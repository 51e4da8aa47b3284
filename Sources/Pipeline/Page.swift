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
    /// Whether Accept asks for JSON and not for HTML (RFC 9110, section 12.5.1; qualities are not weighed).
    fileprivate var prefersJSON: Bool {
        guard let accept = request.first(.accept), let value = text(accept)?.lowercased() else { return false }
        return value.contains("json") && !value.contains("text/html")
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
            let value = journey.request.first(.maxForwards), journey.text(value) == "0"
        else { return nil }
        // TRACE would echo credentials to whoever can make a browser send it: it ends here without an echo.
        return Page(
            status: journey.request.method == .trace ? 405 : 204, ray: journey.ray, contentType: nil, body: ByteBuffer(),
            more: "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n")
    }
}
