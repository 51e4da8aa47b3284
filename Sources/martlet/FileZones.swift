import ConfigModel
import ControlPlane
import JSON
import Logging
import Operator

/// The zones of a martlet.yaml, applied by the control plane of the same process as `martlet apply` would. A zone that goes
/// from the file stays: `martlet apply --prune` or `martlet zone delete` takes it away.
struct FileZones: Sendable {
    let path: String
    let log: Logger

    /// Never throws: what cannot be applied is told in the log, and the control plane keeps what it has.
    func apply(by service: APIService) async {
        do {
            let wanted = try ZoneDocument.load(path: path).zones
            guard !wanted.isEmpty else { return }
            let applier = Applier(Self.client(service))
            let plan = try await applier.plan(wanted, prune: false)
            for reason in plan.refused {
                log.error("a zone of the file cannot be applied", metadata: ["reason": "\(reason)"])
            }
            let outcome = try await applier.run(plan)
            for failure in outcome.failures {
                log.error("a zone of the file is refused", metadata: ["reason": "\(failure)"])
            }
            guard outcome.doneCount > 0 else { return }
            let names = plan.changes.prefix(5).map(\.name).joined(separator: " ")
            log.notice(
                "zones of the file applied", metadata: ["zones": "\(outcome.doneCount)", "among them": "\(names)"])
        } catch {
            log.error("the zones of the file are not applied", metadata: ["reason": "\(error)"])
        }
    }

    private static func client(_ service: APIService) -> APIClient {
        APIClient(name: "this process's control plane") { method, path, query, body in
            let words = query.map { "\(PercentText.encoded($0.name))=\(PercentText.encoded($0.value))" }
            let target = APIService.root + path + (words.isEmpty ? "" : "?" + words.joined(separator: "&"))
            let answer = await service.answer(
                APIRequest(method: method, target: target, body: body.isNull ? [] : body.bytes), as: "martlet.yaml")
            return (answer.status, try JSONValue(parsing: answer.body))
        }
    }
}
