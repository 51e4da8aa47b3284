// Reads what a plan is made against, and carries a plan out. Every step is whole in itself: whoever breaks off and runs
// again goes on where it ended.

package import ConfigModel
import JSON
import Limits

/// `apply`, but for the file and the person.
package struct Applier: Sendable {
    private let client: APIClient
    /// The account of zones that are made, where there are several.
    private let account: String?
    private let progress: @Sendable (String) -> Void

    /// - Parameter progress: Tells how far it is, in words.
    package init(
        _ client: APIClient, account: String? = nil, progress: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.client = client
        self.account = account
        self.progress = progress
    }

    /// The plan for a file.
    ///
    /// - Throws: `OperatorProblem`.
    package func plan(_ wanted: [ZoneDocument], prune: Bool) async throws -> ApplyPlan {
        let names = Set(wanted.map(\.name))
        let zones = try await client.list("/zones").compactMap(ZoneReference.init).filter {
            prune || names.contains($0.name)
        }
        var plan = ApplyPlanner.plan(wanted: wanted, existing: try await read(zones), prune: prune)
        for (index, step) in plan.steps.enumerated() where step.action == .delete {
            guard let id = step.id else { continue }
            let records = try await client.list("/zones/\(PercentText.encoded(id))/dns_records")
            plan.steps[index].notes = ["with \(ScreenText.count(records.count, "record"))"]
        }
        return plan
    }

    /// The zones' sites, some at a time.
    private func read(_ zones: [ZoneReference]) async throws -> [AppliedZone] {
        if zones.count > Limits.operatorObjectsPerPage { progress("reading \(zones.count) zones") }
        return try await withThrowingTaskGroup(of: (Int, AppliedZone).self) { group in
            var found: [Int: AppliedZone] = [:]
            for (index, zone) in zones.enumerated() {
                if index >= Limits.operatorReadsAtOnceMax, let (place, zone) = try await group.next() {
                    found[place] = zone
                }
                group.addTask {
                    let site = try await client.result("GET", zone.path("/martlet/site"))
                    return (index, AppliedZone(id: zone.id, name: zone.name, site: site.object))
                }
            }
            for try await (place, zone) in group { found[place] = zone }
            return zones.indices.compactMap { found[$0] }
        }
    }

    /// What came of a plan.
    package struct Outcome: Sendable, Equatable {
        package var doneCount = 0
        /// Zones that the API refused, with its words; the others went on.
        package var failures: [String] = []
        /// Whether it was asked to stop before all was done.
        package var isStopped = false
    }

    /// Carries out the changes of a plan, one after the other.
    ///
    /// - Parameter shouldStop: Asked before each step; a step under way is finished.
    /// - Throws: `OperatorProblem` if nothing more can be done: the API cannot be reached, or lets this token do nothing.
    package func run(_ plan: ApplyPlan, shouldStop: @Sendable () -> Bool = { false }) async throws -> Outcome {
        var outcome = Outcome()
        let changes = plan.changes
        for (index, step) in changes.enumerated() {
            if shouldStop() {
                outcome.isStopped = true
                break
            }
            do {
                try await carryOut(step)
                outcome.doneCount += 1
                progress("[\(index + 1)/\(changes.count)] \(step.action.rawValue) \(step.name)")
            } catch let problem as OperatorProblem where Self.concernsOneZone(problem.kind) {
                outcome.failures.append("\(step.action.rawValue) \(step.name): \(problem.message)")
            } catch let problem as OperatorProblem {
                let done = "\(outcome.doneCount) of \(changes.count) done"
                throw OperatorProblem(
                    problem.kind, "\(problem.message) (at \(step.name); \(done))",
                    help: [problem.help, "run it again to go on"].compactMap { $0 }.joined(separator: "; "))
            }
        }
        return outcome
    }

    private static func concernsOneZone(_ kind: OperatorProblem.Kind) -> Bool {
        switch kind {
        case .refused, .notFound, .input: true
        case .unreachable, .credentials, .unknownToAPI, .answer, .stopped: false
        }
    }

    private func carryOut(_ step: ApplyStep) async throws {
        switch step.action {
        case .unchanged, .keep: return
        case .delete:
            guard let id = step.id else { return }
            _ = try await client.result("DELETE", "/zones/\(PercentText.encoded(id))")
        case .create: try await create(step)
        case .add, .update:
            guard let id = step.id, let site = step.site else { return }
            try await put(site, id)
        }
    }

    private func create(_ step: ApplyStep) async throws {
        guard let site = step.site else { return }
        var body: JSONObject = ["name": .string(step.name), "type": .string(ApplyPlanner.type(step.name))]
        if let account { body["account"] = ["id": .string(account)] }
        let zone = try await client.result("POST", "/zones", body: .json(.object(body)))
        guard let id = zone["id"]?.string else {
            throw OperatorProblem(.answer, "\(client.name) made a zone and did not say which")
        }
        do {
            try await put(site, id)
        } catch let problem as OperatorProblem where problem.kind == .refused || problem.kind == .unknownToAPI {
            // A zone without a site would be taken for somebody else's by the next run.
            _ = try? await client.result("DELETE", "/zones/\(PercentText.encoded(id))")
            throw problem
        }
    }

    private func put(_ site: JSONObject, _ id: String) async throws {
        _ = try await client.result(
            "PUT", "/zones/\(PercentText.encoded(id))/martlet/site", body: .json(.object(site)))
    }
}
