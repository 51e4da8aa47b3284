// A plan, for people and for scripts.

package import JSON
import Limits

extension ApplyPlan {
    /// A line or more for each change, and one that counts them.
    package var text: String {
        var lines: [String] = []
        let shown = steps.filter { $0.action != .unchanged }
        for step in shown.prefix(Limits.operatorPlanStepsShown) {
            lines.append("\(Self.sign(step.action)) \(ScreenText.plain(step.name))\(Self.beside(step))")
            if step.action == .update { lines += step.notes.map { "    \($0)" } }
        }
        if shown.count > Limits.operatorPlanStepsShown {
            lines.append("and \(ScreenText.count(shown.count - Limits.operatorPlanStepsShown, "zone")) more")
        }
        lines.append(summary)
        return lines.joined(separator: "\n")
    }

    /// `2 to create, 1 to change, 12 unchanged`
    package var summary: String {
        let parts: [(Int, String)] = [
            (count(.create), "to create"), (count(.add), "to get a site"), (count(.update), "to change"),
            (count(.delete), "to delete"), (count(.keep), "kept"), (count(.unchanged), "unchanged"),
        ]
        let words = parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
        return changes.isEmpty ? "nothing to do" + (words.isEmpty ? "" : ": \(words)") : words
    }

    private static func sign(_ action: ApplyStep.Action) -> String {
        switch action {
        case .create: "+ create"
        case .add: "+ add site to"
        case .update: "~ update"
        case .delete: "- delete"
        case .unchanged: "="
        case .keep: "= keep"
        }
    }

    private static func beside(_ step: ApplyStep) -> String {
        guard step.action != .update, !step.notes.isEmpty else { return "" }
        return ScreenText.plain("  (\(step.notes.joined(separator: "; ")))")
    }

    /// For scripts.
    ///
    /// - Parameter isApplied: Whether it was carried out.
    package func json(isApplied: Bool) -> JSONValue {
        let shown = steps.filter { $0.action != .unchanged }.map { step -> JSONValue in
            [
                "zone": .string(step.name), "action": .string(step.action.rawValue),
                "notes": .array(step.notes.map { .string($0) }),
            ]
        }
        return [
            "steps": .array(shown), "changes": .number(JSONNumber(changes.count)),
            "unchanged": .number(JSONNumber(count(.unchanged))), "applied": .boolean(isApplied),
        ]
    }
}
