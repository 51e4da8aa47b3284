// Who is signed in. A session is a random identifier in a cookie, and in this process's memory the token that pages ask
// the API with. A restart ends all sessions; nothing of them is written anywhere.

import Crypto
import Limits
import Synchronization

/// What the next page says once, after a form was taken.
struct Notice: Sendable {
    var text: String
    /// Shown this once, to be copied.
    var secret: String?
}

/// A session as a page sees it.
struct Session: Sendable {
    /// The API token that its pages ask with.
    let token: String
    /// Stands in every form, and must come back with it.
    let formToken: String
    /// Whom the token belongs to, for people.
    let person: String
    let account: (id: String, name: String)?
    let startedAt: Int64
}

/// All sessions, bounded in number and in age.
final class Sessions: Sendable {
    private struct Entry {
        var session: Session
        var usedAt: Int64
        var notice: Notice?
    }

    private let entries = Mutex<[SHA256Digest: Entry]>([:])
    private let sessionsMax: Int

    init(sessionsMax: Int = Limits.dashboardSessionsMax) { self.sessionsMax = sessionsMax }

    var count: Int { entries.withLock { $0.count } }

    /// - Returns: The identifier for the cookie.
    func start(
        token: String, person: String, account: (id: String, name: String)?, at now: APITime
    ) -> String {
        let id = Self.secret()
        let second = now.microseconds / 1_000_000
        let session = Session(
            token: token, formToken: Self.secret(), person: person, account: account, startedAt: second)
        entries.withLock { entries in
            if entries.count >= sessionsMax { Self.makeRoom(&entries, at: second, sessionsMax) }
            entries[Self.place(id)] = Entry(session: session, usedAt: second)
        }
        return id
    }

    /// nil: unknown or over.
    func find(_ id: String, at now: APITime) -> Session? {
        let second = now.microseconds / 1_000_000
        return entries.withLock { entries in
            let place = Self.place(id)
            guard let entry = entries[place] else { return nil }
            guard !Self.isOver(entry.session, at: second) else {
                entries[place] = nil
                return nil
            }
            entries[place]?.usedAt = second
            return entry.session
        }
    }

    func end(_ id: String) { entries.withLock { $0[Self.place(id)] = nil } }

    func leave(_ notice: Notice, in id: String) { entries.withLock { $0[Self.place(id)]?.notice = notice } }

    /// The notice that was left, once.
    func takeNotice(of id: String) -> Notice? {
        entries.withLock { entries in
            let place = Self.place(id)
            guard let notice = entries[place]?.notice else { return nil }
            entries[place]?.notice = nil
            return notice
        }
    }

    /// Found by their hash: how long a search takes says nothing about an identifier.
    private static func place(_ id: String) -> SHA256Digest { SHA256.hash(data: Array(id.utf8)) }

    private static func isOver(_ session: Session, at second: Int64) -> Bool {
        second - session.startedAt >= Limits.dashboardSessionSeconds || second < session.startedAt
    }

    private static func makeRoom(_ entries: inout [SHA256Digest: Entry], at second: Int64, _ sessionsMax: Int) {
        entries = entries.filter { !isOver($0.value.session, at: second) }
        guard entries.count >= sessionsMax else { return }
        if let oldest = entries.min(by: { $0.value.usedAt < $1.value.usedAt })?.key { entries[oldest] = nil }
    }

    private static func secret() -> String {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<Limits.dashboardSecretBytes).map { _ in UInt8.random(in: 0...255, using: &generator) }
        return ObjectID.digits(bytes)
    }
}

/// The cookie that a session is known by.
enum SessionCookie {
    /// With `__Host-` where the browser came over TLS: no other host, no plain HTTP can set it (RFC 6265bis, section 4.1.3).
    private static func name(isSecure: Bool) -> String { isSecure ? "__Host-martlet" : "martlet" }

    /// The session's identifier in a `Cookie` field.
    static func read(_ field: String?, isSecure: Bool) -> String? {
        guard let field, field.utf8.count <= Limits.dashboardCookieBytesMax else { return nil }
        let start = name(isSecure: isSecure) + "="
        for part in field.split(separator: ";") {
            let pair = part.drop { $0 == " " }
            if pair.hasPrefix(start) { return String(pair.dropFirst(start.count)) }
        }
        return nil
    }

    /// A `Set-Cookie` field; without an identifier the cookie goes.
    static func write(_ id: String?, isSecure: Bool) -> String {
        let age = id == nil ? 0 : Limits.dashboardSessionSeconds
        return "\(name(isSecure: isSecure))=\(id ?? ""); Path=/; Max-Age=\(age); HttpOnly; SameSite=Strict"
            + (isSecure ? "; Secure" : "")
    }
}
