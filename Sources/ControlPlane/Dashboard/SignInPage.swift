// Signing in and out: a token for a session.

import JSON

enum SignInPage {
    static let path = "/sign-in"
    static let outPath = "/sign-out"

    enum Outcome: Sendable {
        case known(token: String, person: String, account: (id: String, name: String)?)
        case refused(Int, String)
    }

    static func link(next: String?) -> String {
        path + LinkText.query([("next", next == "/" ? nil : LinkText.local(next))])
    }

    /// Asks the API whether the token is good; attempts count against its rates, failed ones by address.
    static func check(_ form: PageForm, _ service: APIService, from address: String?) async -> Outcome {
        let token = form.text("token")
        guard !token.isEmpty else { return .refused(400, "Enter a token.") }
        func ask(_ path: String) async -> APIReply {
            var fields = APIFields()
            fields["authorization"] = "Bearer \(token)"
            return APIReply(
                await service.answer(
                    APIRequest(method: "GET", target: APIService.root + path, fields: fields, address: address)))
        }
        let verified = await ask("/user/tokens/verify")
        if let problem = verified.problem {
            switch verified.status {
            case 429: return .refused(429, "Too many attempts. Wait a few minutes, then try again.")
            case 500...: return .refused(verified.status, problem.message + ".")
            default:
                return .refused(
                    403,
                    "This token is not accepted: it is unknown, expired or disabled, or not meant for your address."
                )
            }
        }
        let account = (await ask("/accounts?per_page=1")).list.first
        let person = (await ask("/user")).result["email"]?.string
        return .known(
            token: token, person: person ?? "Account token",
            account: account.flatMap { account in
                account["id"]?.string.map { ($0, account["name"]?.string ?? $0) }
            })
    }

    static func page(
        next: String?, status: Int = 200, problem: String? = nil, isOver: Bool = false
    ) -> Page {
        let field = Field.input(
            "token", "API token", "", type: "password",
            hint: "The first one is in the control plane’s data directory, in the file admin-token.", problem: problem,
            extra: "autocomplete=\"current-password\" required spellcheck=\"false\" autocapitalize=\"none\" autofocus")
        let ended: HTML = .when(isOver) {
            "<p class=\"notice\" role=\"status\">You were signed out: your token was revoked, has expired or was changed.</p>"
        }
        return Page(
            title: "Sign in", status: status, isBare: true,
            body: """
                <div class="door">\(Layout.mark)<h1>Sign in to Martlet</h1>\(ended)
                <form method="post" action="\(path)" class="stack">
                <input type="hidden" name="next" value="\(LinkText.local(next) ?? "/")">
                <input type="text" name="username" value="martlet" autocomplete="username" hidden>\(field)
                <button class="button primary wide" type="submit">Sign in</button></form>
                <p class="hint">A session lasts twelve hours at most and ends with this browser’s sign-out. The token stays \
                on the server.</p></div>
                """)
    }
}
