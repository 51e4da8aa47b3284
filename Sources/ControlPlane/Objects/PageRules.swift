// `/zones/{zone_id}/pagerules`: what happens to URLs that match. Shape is checked; actions are kept as they are written.

import JSON

enum PageRules {
    static let routes = kind.routes

    private static let target = BodySchema.object([
        .required("target", .choice(["url"])),
        .required(
            "constraint",
            .object([.required("operator", .choice(["matches"])), .required("value", .string(1...2048))])),
    ])

    private static let kind = ObjectKind(
        kind: "pagerule", title: "page rule", tag: "Page Rules", path: "/zones/{zone_id}/pagerules",
        variable: "pagerule_id", read: .zone("Page Rules", .read), write: .zone("Page Rules", .write),
        members: [
            .required("targets", .array(target, count: 1...1)),
            .required(
                "actions",
                .array(.object([.required("id", .string(1...64)), .optional("value", .anything)]), count: 1...32)),
            .optional("priority", .integer(1...1_000_000)), .optional("status", .choice(["active", "disabled"])),
        ], standards: ["priority": 1, "status": "disabled"], hasUniqueNames: false, filters: ["status"])
}
