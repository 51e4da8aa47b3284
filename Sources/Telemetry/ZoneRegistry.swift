// Which cells a zone counts in. An index is given when a configuration is loaded and kept while the process lives,
// because the loops' counters under it only grow: a zone that leaves and comes back finds its counts again, and one
// that leaves for good keeps its place. After `Limits.zonesMeasuredMax` names, new ones share index 0, `other`.

import Limits
import Synchronization

/// Names and indices of the zones that are measured apart.
package final class ZoneRegistry: Sendable {
    /// Index of all the zones that have no cells of their own.
    package static let other = 0

    private struct State {
        // A zone that is itself named `other` shares the cells of that name: a series must not appear twice.
        var indices = ["other": ZoneRegistry.other]
        var names = ["other"]
    }

    private let state = Mutex(State())
    private let zonesMax: Int

    /// - Parameter zonesMax: Names with cells of their own, at most `Limits.zonesMeasuredMax`.
    package init(zonesMax: Int = Limits.zonesMeasuredMax) {
        self.zonesMax = min(max(zonesMax, 0), Limits.zonesMeasuredMax)
    }

    /// The index of a zone for `LoopMetrics.response`, given now if the name is new. Called at configuration load.
    package func index(of name: String) -> Int {
        state.withLock { state in
            if let index = state.indices[name] { return index }
            guard state.names.count <= zonesMax else { return Self.other }
            let index = state.names.count
            state.indices[name] = index
            state.names.append(name)
            return index
        }
    }

    /// Every name by its index, `other` first: what `PrometheusText.render` asks for.
    package func names() -> [String] {
        state.withLock { $0.names }
    }
}
