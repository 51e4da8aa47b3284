import ConfigModel
import ControlPlane
import Logging

/// The zones of a martlet.yaml, applied by the control plane of the same process.
struct FileZones: Sendable {
    let path: String
    let log: Logger

    func apply(by service: APIService) async {}
}
