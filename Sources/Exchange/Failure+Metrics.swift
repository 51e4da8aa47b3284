package import Telemetry
extension LoopMetrics {
    package func failure(_ failure: Failure) { if failure.side == .origin { originError(.other) } else { clientError(.other) } }
}
