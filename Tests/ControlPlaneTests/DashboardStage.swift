// The dashboard without a socket or a browser: requests in, pages out.

import Foundation
import JSON
import Synchronization
import Testing

@testable import ControlPlane

/// What somebody at a browser sees.
struct PageSeen: Sendable {
    var status: Int
    var text: String
    var fields: [(name: String, value: String)]

    func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }
    var location: String? { field("location") }
    /// Of the forms on it.
    var formToken: String? { value(of: "csrf") }

    /// Of a control by its name.
    func value(of name: String) -> String? {
        guard let start = text.firstRange(of: "name=\"\(name)\" value=\"") else { return nil }
        return String(text[start.upperBound...].prefix { $0 != "\"" })
    }
}

/// A browser, as far as the dashboard can tell: it keeps a cookie and sends forms.
final class Visitor: Sendable {
    let dashboard: Dashboard
    private let cookies = Mutex<[String: String]>([:])
    private let formToken = Mutex("")

    init(_ dashboard: Dashboard) { self.dashboard = dashboard }

    var cookie: String? {
        cookies.withLock { $0.isEmpty ? nil : $0.map { "\($0)=\($1)" }.sorted().joined(separator: "; ") }
    }

    func forgetCookies() { cookies.withLock { $0 = [:] } }

    @discardableResult
    func send(
        _ method: String, _ target: String, _ body: String = "", fields: [String: String] = [:],
        from address: String = "192.0.2.1"
    ) async -> PageSeen {
        var head = APIFields()
        head["host"] = "dash.example"
        head["content-type"] = "application/x-www-form-urlencoded"
        head["cookie"] = cookie
        for (name, value) in fields { head[name] = value }
        let answer = await dashboard.answer(
            APIRequest(method: method, target: target, fields: head, body: Array(body.utf8), address: address))
        let seen = PageSeen(
            status: answer.status, text: String(decoding: answer.body, as: UTF8.self), fields: answer.fields)
        if let set = seen.field("set-cookie"), let pair = set.split(separator: ";").first {
            let sides = pair.split(separator: "=", omittingEmptySubsequences: false)
            cookies.withLock { $0[String(sides[0])] = sides[1].isEmpty ? nil : String(sides[1]) }
        }
        if let token = seen.formToken { formToken.withLock { $0 = token } }
        return seen
    }

    func get(_ target: String) async -> PageSeen { await send("GET", target) }

    /// With the token of the page that was seen last.
    func post(_ target: String, _ items: [(String, String)], fields: [String: String] = [:]) async -> PageSeen {
        let all = [("csrf", formToken.withLock { $0 })] + items
        return await send("POST", target, Self.form(all), fields: fields)
    }

    static func form(_ items: [(String, String)]) -> String {
        items.map { "\(LinkText.encode($0.0))=\(LinkText.encode($0.1))" }.joined(separator: "&")
    }

    @discardableResult
    func signIn(_ token: String, next: String = "/", fields: [String: String] = [:]) async -> PageSeen {
        let answer = await send("POST", "/sign-in", Self.form([("token", token), ("next", next)]), fields: fields)
        if answer.status == 303 { _ = await get("/zones") }
        return answer
    }
}

struct DashboardStage: Sendable {
    let api: APIStage
    let dashboard: Dashboard
    /// Seconds that the dashboard's clock is ahead.
    let ahead: Ahead

    final class Ahead: Sendable {
        let seconds = Mutex<Int64>(0)
    }

    /// Somebody who is signed in.
    func visitor(_ token: String? = nil) async -> Visitor {
        let visitor = Visitor(dashboard)
        await visitor.signIn(token ?? api.root)
        return visitor
    }
}

/// - Parameter routes: Beside the API's own, or in their place.
func withDashboard(
    rate: Int = 0, sessionsMax: Int = 100, routes: [Route] = [], _ body: (DashboardStage) async throws -> Void
) async throws {
    try await withStore(.sqlite) { store, stage in
        let secret = try #require(try await Bootstrap.run(store, tokenPath: stage.folder + "/admin-token"))
        let known = Set(routes.map { $0.method.rawValue + $0.path })
        let service = APIService(
            store: store, rateRequests: rate,
            routes: routes + APIRoutes.all.filter { !known.contains($0.method.rawValue + $0.path) }, log: stage.log)
        let ahead = DashboardStage.Ahead()
        let dashboard = Dashboard(service, sessions: Sessions(sessionsMax: sessionsMax)) {
            APITime(microseconds: APITime.now.microseconds + ahead.seconds.withLock { $0 } * 1_000_000)
        }
        try await body(
            DashboardStage(
                api: APIStage(service: service, store: store, root: secret), dashboard: dashboard, ahead: ahead))
    }
}
