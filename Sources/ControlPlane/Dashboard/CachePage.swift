// Purging a zone's cache.

import JSON
import Limits

enum CachePage {
    static let routes: [PageRoute] = [
        .get("/zones/{zone}/cache") { .page(form($0, try await $0.zone(), .none)) },
        .post("/zones/{zone}/cache", purge),
        .get("/zones/{zone}/cache/everything", confirm), .post("/zones/{zone}/cache/everything", purgeEverything),
    ]

    private static let write = Permission.zone("Cache Purge", .write)

    private static let kinds: [(value: String, text: String)] = [
        ("files", "URLs"), ("prefixes", "Prefixes"), ("hosts", "Hosts"), ("tags", "Cache tags"),
    ]

    private static func form(_ visit: Visit, _ zone: ZoneSummary, _ problem: FormProblem) -> Page {
        guard visit.may(write, zone: zone) else {
            return .zone(
                zone, .cache, "Cache",
                body: Parts.empty(
                    "Nothing to do here", "Your token cannot purge the cache: that needs the permission \(write.name).")
            )
        }
        let kind = visit.form["kind"] ?? "files"
        let fields: HTML = """
            \(Field.select("kind", "By", kind, kinds))\
            \(Field.area(
                "items", "What to purge", visit.form["items"] ?? "", rows: 6,
                hint: """
                    One a line, at most \(Limits.apiPurgeItemsMax). URLs: <code>https://\(zone.name)/logo.svg</code>. Prefixes: \
                    <code>\(zone.name)/images</code>. Hosts: <code>www.\(zone.name)</code>. Tags: as in Cache-Tag.
                    """, problem: problem["items"], extra: "required"))\
            \(Field.check(
                "soft", "Only mark it stale", isOn: visit.form.has("soft"),
                hint: "Edges ask the origin whether it has changed, and may answer with what they have meanwhile."))\
            \(Field.buttons("Purge"))
            """
        let all: HTML = """
            <div class="row"><p>Forget everything that is cached for \(zone.name). Origins get every request until the cache \
            is warm again.</p><a class="button dangerous-quiet" href="\(zone.link)/cache/everything">Purge everything…</a></div>
            """
        return .zone(
            zone, .cache, "Cache", status: problem.status,
            body: problem.banner(fields: ["items"])
                + Parts.card(
                    "Purge some of it", Field.form(visit, zone.link + "/cache", fields),
                    note: "In force on an edge as soon as it hears of it, whatever else is being fetched.")
                + Parts.card("Purge all of it", all))
    }

    private static func purge(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let kind = visit.form["kind"] ?? ""
        let items = visit.form.lines("items")
        guard kinds.contains(where: { $0.value == kind }), !items.isEmpty else {
            return .page(form(visit, zone, FormProblem(field: "items", "Write at least one line.")))
        }
        let reply = await visit.ask(
            "POST", zone.path + "/purge_cache",
            .object([kind: .array(items.map { .string($0) }), "soft": .boolean(visit.form.has("soft"))]))
        if let problem = reply.problem {
            return .page(
                form(visit, zone, FormProblem(problem, codes: [1012: "items", 1017: "items"], names: [kind: "items"])))
        }
        return .redirect(
            zone.link + "/cache",
            Notice(text: items.count == 1 ? "1 item is purged." : "\(items.count) items are purged."))
    }

    private static func confirm(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let soft = Field.check(
            "soft", "Only mark it stale", isOn: false,
            hint: "Kinder to origins: edges ask whether things have changed instead of fetching them anew.")
        return .page(
            .zone(
                zone, .cache, "Purge everything?", crumbs: [("Cache", zone.link + "/cache")],
                body: Parts.confirm(
                    visit,
                    """
                    Every edge forgets all it has cached for <strong>\(zone.name)</strong>. Until it is fetched again, origins \
                    get all requests.
                    """, zone.link + "/cache/everything", button: "Purge everything", back: zone.link + "/cache",
                    fields: soft)))
    }

    private static func purgeEverything(_ visit: Visit) async throws -> PageAnswer {
        let zone = try await visit.zone()
        let reply = await visit.ask(
            "POST", zone.path + "/purge_cache",
            ["purge_everything": true, "soft": .boolean(visit.form.has("soft"))])
        guard reply.problem == nil else { throw PageFailure(reply: reply) }
        return .redirect(zone.link + "/cache", Notice(text: "Everything cached for \(zone.name) is purged."))
    }
}
