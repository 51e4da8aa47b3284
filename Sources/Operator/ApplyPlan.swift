// What has to be done so that the control plane keeps what a file says: pure, so that the plan that was shown is the one
// that is carried out.

package import ConfigModel
package import JSON

/// A zone of the control plane as `apply` sees it.
package struct AppliedZone: Sendable, Equatable {
    package var id: String
    package var name: String
    /// Nil where the zone has none.
    package var site: JSONObject?

    package init(id: String, name: String, site: JSONObject?) {
        self.id = id
        self.name = name
        self.site = site
    }

    /// Marks a site whose zone `apply` made: it may take it away again.
    static let mark: (name: String, value: JSONValue) = ("managed_by", "apply")

    var isOurs: Bool { site?[Self.mark.name] == Self.mark.value }

    /// What the site says, without whose it is.
    var content: JSONObject? {
        guard var content = site else { return nil }
        content[Self.mark.name] = nil
        return content
    }
}

/// One zone's part of a plan.
package struct ApplyStep: Sendable, Equatable {
    package enum Action: String, Sendable {
        /// The zone and its site.
        case create
        /// The site of a zone that was made by others: it stays theirs.
        case add
        case update
        /// The zone with all that is in it.
        case delete
        case unchanged
        /// Not in the file, and not to be taken away.
        case keep
    }

    package var action: Action
    package var name: String
    /// Nil of a zone that is yet to be made.
    package var id: String?
    /// What is to be put; nil where nothing is.
    package var site: JSONObject?
    /// What changes, or why nothing does, in words.
    package var notes: [String] = []

    package var isChange: Bool { action != .unchanged && action != .keep }
}

/// The steps from what is to what shall be.
package struct ApplyPlan: Sendable, Equatable {
    /// In the file's order; what the file does not name comes behind, by name.
    package var steps: [ApplyStep]
    /// Zones of the file that no control plane can keep, each with the reason.
    package var refused: [String]

    package var changes: [ApplyStep] { steps.filter(\.isChange) }

    package func count(_ action: ApplyStep.Action) -> Int { steps.count { $0.action == action } }
}

package enum ApplyPlanner {
    /// - Parameters:
    ///   - wanted: What the file says.
    ///   - existing: Zones of the control plane: at least those that the file names; for `prune`, all.
    ///   - prune: Whether zones that an earlier `apply` made are deleted where the file no longer names them.
    package static func plan(wanted: [ZoneDocument], existing: [AppliedZone], prune: Bool) -> ApplyPlan {
        let present = Dictionary(existing.map { ($0.name, $0) }) { first, _ in first }
        var plan = ApplyPlan(steps: [], refused: [])
        for zone in wanted {
            if let reason = refusal(zone.name) {
                plan.refused.append("the zone \"\(zone.name)\": \(reason)")
            } else {
                plan.steps.append(step(zone, present[zone.name]))
            }
        }
        guard prune else { return plan }
        let names = Set(wanted.map(\.name))
        for zone in existing.sorted(by: { $0.name < $1.name }) where !names.contains(zone.name) {
            guard zone.site != nil else { continue }
            plan.steps.append(
                ApplyStep(
                    action: zone.isOurs ? .delete : .keep, name: zone.name, id: zone.id,
                    notes: zone.isOurs ? [] : ["not in the file, and not made by apply"]))
        }
        return plan
    }

    private static func step(_ wanted: ZoneDocument, _ present: AppliedZone?) -> ApplyStep {
        var site = wanted.site
        // Whoever made the zone decides about it.
        site[AppliedZone.mark.name] = nil
        guard let present else {
            site[AppliedZone.mark.name] = AppliedZone.mark.value
            return ApplyStep(
                action: .create, name: wanted.name, site: site, notes: [ZoneViews.origins(.object(wanted.site))])
        }
        let content = present.content
        if content == site { return ApplyStep(action: .unchanged, name: wanted.name, id: present.id) }
        var put = site
        if present.isOurs { put[AppliedZone.mark.name] = AppliedZone.mark.value }
        guard let content else {
            return ApplyStep(
                action: .add, name: wanted.name, id: present.id, site: put,
                notes: [ZoneViews.origins(.object(wanted.site))])
        }
        return ApplyStep(
            action: .update, name: wanted.name, id: present.id, site: put,
            notes: JSONDifference.lines(from: .object(content), to: .object(site)))
    }

    /// Why a control plane cannot keep a zone of that name; nil if it can.
    private static func refusal(_ name: String) -> String? {
        name.contains(":") ? "the control plane takes no IPv6 address as a name" : nil
    }

    /// The type of a zone that is made: what no name server can answer for is `internal`.
    static func type(_ name: String) -> String {
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        // The last label of a domain is never a number (RFC 3696, section 2): this is an address.
        return labels.count < 2 || labels.last?.allSatisfy(\.isNumber) == true ? "internal" : "full"
    }
}
