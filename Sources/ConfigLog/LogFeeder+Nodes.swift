import Limits

// What is known of everybody below, for the operator's view and for rollouts: the newest report of each, passed up.
extension LogFeeder {
    struct NodeRecord: Sendable {
        var report: NodeReport
        /// The child that it was heard through.
        var child: UInt64
    }

    mutating func take(_ reports: [NodeReport], from id: UInt64, _ actions: inout [LogAction]) {
        guard children[id]?.role == .relay else {
            return cut(id, PeerMessage.Goodbye(.violation, "a leaf has no descendants"), &actions)
        }
        for report in reports where !report.name.isEmpty { note(report, through: id) }
        if droppedReports > 0 {
            actions.append(.report(.reportsDropped(count: droppedReports)))
            droppedReports = 0
        }
    }

    /// Keeps a report. A node that moved is told to be lost by its old parent perhaps after it was told to be well by its
    /// new one: that counts only of the parent that it is known to follow.
    mutating func note(_ report: NodeReport, through id: UInt64) {
        if let known = nodes[report.name] {
            if !report.isConnected, known.report.isConnected, known.report.parent != report.parent { return }
        } else if nodes.count >= Limits.configNodesMax {
            // Who is gone makes room.
            guard let gone = nodes.first(where: { !$0.value.report.isConnected })?.key else {
                return droppedReports += 1
            }
            nodes[gone] = nil
            freshNodes.remove(gone)
        }
        nodes[report.name] = NodeRecord(report: report, child: id)
        freshNodes.insert(report.name)
    }

    /// A connection is gone: whoever was heard through it is not heard.
    mutating func markLost(through id: UInt64) {
        for name in nodes.keys {
            guard nodes[name]?.child == id, nodes[name]?.report.isConnected == true else { continue }
            nodes[name]?.report.isConnected = false
            freshNodes.insert(name)
        }
    }

    /// What has news for the parent, up to a message's worth.
    mutating func takeFreshReports() -> [NodeReport] {
        var reports: [NodeReport] = []
        for name in freshNodes.sorted().prefix(Limits.configReportsPerMessageMax) {
            freshNodes.remove(name)
            if let report = nodes[name]?.report { reports.append(report) }
        }
        return reports
    }

    /// After a new parent: it knows nothing yet.
    mutating func markAllFresh() { freshNodes = Set(nodes.keys) }
}
