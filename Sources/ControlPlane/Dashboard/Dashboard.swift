// The dashboard: a request to a page. It has no socket and no rights: who is signed in has a session, whose token every
// page shows to the API. Nothing here changes anything but through `APIService.answer`.

import JSON
import Limits
import Logging

/// Pages for people, beside the API.
package struct Dashboard: Sendable {
    /// Fields of a request that are looked at, beside the API's.
    static let fields = ["cookie", "origin", "sec-fetch-site", "x-forwarded-proto"]

    let service: APIService
    let sessions: Sessions
    private let now: @Sendable () -> APITime

    package init(_ service: APIService) { self.init(service, sessions: Sessions()) { .now } }

    init(_ service: APIService, sessions: Sessions, now: @escaping @Sendable () -> APITime) {
        self.service = service
        self.sessions = sessions
        self.now = now
    }

    /// The largest body that a request may have; known from its head. Only who is signed in may send much.
    func bodyBytesMax(_ head: APIRequest) -> Int {
        session(head) == nil ? Limits.dashboardSignInBytesMax : Limits.dashboardBodyBytesMax
    }

    /// Answers; never throws, whatever happens.
    func answer(_ request: APIRequest) async -> APIResponse {
        let path = request.target.prefix { $0 != "?" }
        guard path.utf8.count <= Limits.dashboardPathBytesMax else {
            return frame(nil, .failure(404, "There is no such page", "The address is too long to be one of ours."))
        }
        if let asset = Asset.find(path) {
            return request.method == "GET" ? asset : frame(nil, Self.otherMethod)
        }
        if path == SignInPage.path { return await signIn(request) }
        guard let (id, session) = session(request) else {
            return redirect(SignInPage.link(next: request.method == "GET" ? request.target : nil))
        }
        switch PageTable.all.find(request.method, path) {
        case .nothing: return frame(session, Self.noPage)
        case .otherMethod: return frame(session, Self.otherMethod)
        case .page(let route, let parameters): return await answer(request, route, parameters, id, session)
        }
    }

    private static let noPage = Page.failure(
        404, "There is no such page", "It may have been deleted, or the address is not quite right.")
    private static let otherMethod = Page.failure(
        405, "That is not how this page is used", "Open it by a link, or send its form.")

    /// The answer to a form that nobody reads to its end.
    func tooLarge(_ head: APIRequest) -> APIResponse {
        frame(
            session(head)?.session,
            .failure(413, "That is too much at once", "Send less, or use the API, which takes larger bodies."))
    }

    // MARK: Who it is

    private func session(_ request: APIRequest) -> (id: String, session: Session)? {
        guard let id = SessionCookie.read(request.fields["cookie"], isSecure: Self.isSecure(request)),
            let session = sessions.find(id, at: now())
        else { return nil }
        return (id, session)
    }

    /// Whether the browser came over TLS, which whoever stands in front of us ends. A browser that lies about it makes its
    /// own cookie useless and nobody else's.
    private static func isSecure(_ request: APIRequest) -> Bool {
        request.fields["x-forwarded-proto"]?.lowercased() == "https"
    }

    /// Another site's page must not send our forms: neither with a session, which the form's token is for, nor to sign in.
    private static func isFromElsewhere(_ request: APIRequest) -> Bool {
        if let site = request.fields["sec-fetch-site"] { return site != "same-origin" && site != "none" }
        guard let origin = request.fields["origin"], let start = origin.firstRange(of: "://") else {
            return request.fields["origin"] != nil
        }
        return origin[start.upperBound...].lowercased() != (request.fields["host"] ?? "").lowercased()
    }

    private func signIn(_ request: APIRequest) async -> APIResponse {
        let query = (try? Query(parsing: request.target.drop { $0 != "?" }.dropFirst())) ?? .none
        switch request.method {
        case "GET":
            if session(request) != nil { return redirect("/") }
            return frame(nil, SignInPage.page(next: query["next"], isOver: query.has("ended")))
        case "POST":
            guard !Self.isFromElsewhere(request) else { return frame(nil, Self.elsewhere) }
            let form = (try? PageForm(request)) ?? .none
            let address = request.address
            switch await SignInPage.check(form, service, from: address) {
            case .refused(let status, let why):
                return frame(nil, SignInPage.page(next: form["next"], status: status, problem: why))
            case .known(let token, let person, let account):
                let id = sessions.start(token: token, person: person, account: account, at: now())
                // Who signs in again leaves the session before.
                if let (before, _) = session(request) { sessions.end(before) }
                var response = redirect(LinkText.local(form["next"]) ?? "/")
                response.fields.append(("set-cookie", SessionCookie.write(id, isSecure: Self.isSecure(request))))
                return response
            }
        default: return frame(nil, Self.otherMethod)
        }
    }

    private static let elsewhere = Page.failure(
        403, "That form did not come from here",
        "Another site, or a page from before you signed in, sent it. Nothing was changed: open the page again and repeat it."
    )

    private func signOut(_ request: APIRequest, _ id: String) -> APIResponse {
        sessions.end(id)
        var response = redirect(SignInPage.path)
        response.fields.append(("set-cookie", SessionCookie.write(nil, isSecure: Self.isSecure(request))))
        return response
    }

    // MARK: A page

    private func answer(
        _ request: APIRequest, _ route: PageRoute, _ parameters: [String: String], _ id: String, _ session: Session
    ) async -> APIResponse {
        do {
            var form = PageForm.none
            if route.method == "POST" {
                form = try PageForm(request)
                guard !Self.isFromElsewhere(request), Self.isSame(form["csrf"] ?? "", session.formToken) else {
                    return frame(session, Self.elsewhere)
                }
                if route.path == SignInPage.outPath { return signOut(request, id) }
            }
            let now = now()
            let caller = try await service.caller(token: session.token, from: request.address, at: now)
            let visit = Visit(
                service: service, request: request, session: session, caller: caller, parameters: parameters,
                query: try Query(parsing: request.target.drop { $0 != "?" }.dropFirst()), form: form, now: now)
            return show(try await route.handle(visit), visit, id)
        } catch let failure as PageFailure {
            return fail(failure.reply, request, id, session)
        } catch let error as APIError {
            let reply = APIReply(
                APIResponse(
                    status: error.status, type: "application/json", body: Envelope.failure(error).bytes, fields: []))
            return fail(reply, request, id, session)
        } catch {
            service.log.error(
                "a page of the dashboard failed", metadata: ["page": "\(route.path)", "reason": "\(error)"])
            return frame(session, .failure(500, "Something went wrong", "The control plane's log says more."))
        }
    }

    private func show(_ answer: PageAnswer, _ visit: Visit, _ id: String) -> APIResponse {
        switch answer {
        case .page(var page):
            page.notice = page.notice ?? sessions.takeNotice(of: id)
            page.caller = visit.caller
            return frame(visit.session, page)
        case .redirect(let place, let notice):
            if let notice { sessions.leave(notice, in: id) }
            return redirect(place)
        case .file(let bytes, let type, let name):
            let safe = name.filter { $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) }
            return response(
                200, type, bytes, [("content-disposition", "attachment; filename=\"\(safe)\"")])
        case .fragment(let html): return response(200, Self.markup, Array(html.text.utf8), [])
        }
    }

    private func fail(_ reply: APIReply, _ request: APIRequest, _ id: String, _ session: Session) -> APIResponse {
        // The token was revoked, expired or disabled meanwhile: there is nothing left to do with the session.
        if reply.problem?.code == Int64(APIError.invalidToken.code) {
            sessions.end(id)
            var response = redirect(SignInPage.path + "?ended=1")
            response.fields.append(("set-cookie", SessionCookie.write(nil, isSecure: Self.isSecure(request))))
            return response
        }
        return frame(session, .failure(reply))
    }

    /// In time that does not depend on where they differ.
    private static func isSame(_ left: String, _ right: String) -> Bool {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | $1.0 ^ $1.1 } == 0
    }

    // MARK: What goes out

    private static let markup = "text/html; charset=utf-8"
    /// Nothing but our own style and script, nothing inline, in nobody's frame, and forms go nowhere else.
    private static let policy =
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

    private func frame(_ session: Session?, _ page: Page) -> APIResponse {
        response(page.status, Self.markup, Array(Layout.document(page, session).text.utf8), [])
    }

    private func redirect(_ place: String) -> APIResponse { response(303, Self.markup, [], [("location", place)]) }

    private func response(
        _ status: Int, _ type: String, _ body: [UInt8], _ fields: [(name: String, value: String)]
    ) -> APIResponse {
        APIResponse(
            status: status, type: type, body: body,
            fields: [
                ("content-security-policy", Self.policy), ("x-content-type-options", "nosniff"),
                ("referrer-policy", "same-origin"), ("cross-origin-opener-policy", "same-origin"),
                ("cross-origin-resource-policy", "same-origin"), ("x-frame-options", "DENY"),
            ] + fields)
    }
}
