package import ConfigLog

/// What goes wrong during a run.
package enum SimulationFault: String, Sendable, CaseIterable {
    /// A relay dies when it has sent a part of a frame to one child and nothing to the next; it comes back later.
    case relayKilled = "relay-killed"
    /// A relay and its edges are cut off from the rest for ten minutes, the root included.
    case partition
    /// An edge's line carries a fraction of what is sent to it, for a while.
    case slowLeaf = "slow-leaf"
    /// Bytes are damaged on the way: of frames, again and again on one connection, and of a message's header.
    case corruptByte = "corrupt-byte"
    /// A second root goes on from an older place of the log under the same epoch, and a relay comes to it.
    case forkedEpoch = "forked-epoch"
    /// Edges lose their replicas and get everything anew, while changes go on.
    case snapshotDuringWrites = "snapshot-during-writes"
}

/// What is simulated. The same options give the same run.
package struct SimulationOptions: Sendable {
    package var edges = 330
    /// Nil: the square root of the edges, so that the root has as many children as each relay.
    package var relays: Int?
    package var changesPerSecond = 300.0
    /// For how long there are changes, in virtual time; longer if a fault lasts longer.
    package var seconds = 60.0
    package var seed: UInt64 = 1
    package var faults: Set<SimulationFault> = []
    /// Bytes of the values of one change: it sets two keys.
    package var valueBytes = 1000
    /// The share of packets that are lost; each costs a retransmission timeout.
    package var lossRate = 0.0002
    /// What a node can send in a second.
    package var linkMegabitsPerSecond = 1000.0
    /// Pairs of keys that are changed over and over.
    package var keyPairs = 2048
    package var partitionSeconds = 600.0
    package var bounds = LogBounds()

    package init() {}
}

/// Options that cannot be simulated.
package struct SimulationOptionError: Error, Sendable, CustomStringConvertible {
    package let description: String
}

extension SimulationOptions {
    var relayCount: Int {
        if let relays { return relays }
        return max(1, Int(Double(edges).squareRoot().rounded()))
    }

    /// Bounds that make the faults show within a short run.
    var effectiveBounds: LogBounds {
        var bounds = bounds
        if faults.contains(.slowLeaf) {
            bounds.inFlightBytesMax = min(bounds.inFlightBytesMax, 256 * 1024)
            bounds.childQueueBytesMax = min(bounds.childQueueBytesMax, 512 * 1024)
        }
        if faults.contains(.snapshotDuringWrites) {
            bounds.windowBytesMax = min(bounds.windowBytesMax, 1024 * 1024)
            bounds.windowFramesMax = min(bounds.windowFramesMax, 256)
        }
        return bounds
    }

    func check() throws(SimulationOptionError) {
        func expect(_ holds: Bool, _ text: String) throws(SimulationOptionError) {
            if !holds { throw SimulationOptionError(description: text) }
        }
        try expect(1...10_000 ~= edges, "expected 1 to 10000 edges, found \(edges)")
        try expect(1...1000 ~= relayCount, "expected 1 to 1000 relays, found \(relayCount)")
        try expect(relayCount <= edges, "expected at most as many relays as edges, found \(relayCount)")
        try expect(
            changesPerSecond > 0 && changesPerSecond <= 100_000,
            "expected more than 0 and at most 100000 changes a second, found \(changesPerSecond)")
        try expect(
            seconds > 0 && seconds <= 86_400, "expected more than 0 and at most 86400 seconds, found \(seconds)")
        try expect(64...1_000_000 ~= valueBytes, "expected values of 64 to 1000000 bytes, found \(valueBytes)")
        try expect(0...0.2 ~= lossRate, "expected a loss of 0 to 0.2, found \(lossRate)")
        try expect(
            linkMegabitsPerSecond >= 1 && linkMegabitsPerSecond <= 1_000_000,
            "expected links of 1 to 1000000 Mbit/s, found \(linkMegabitsPerSecond)")
        try expect(64...1_000_000 ~= keyPairs, "expected 64 to 1000000 pairs of keys, found \(keyPairs)")
        try expect(
            partitionSeconds > 0 && partitionSeconds <= 86_400,
            "expected a partition of at most 86400 seconds, found \(partitionSeconds)")
        if faults.contains(.relayKilled) || faults.contains(.partition) || faults.contains(.forkedEpoch) {
            try expect(relayCount >= 2, "expected at least 2 relays for such a fault, found \(relayCount)")
        }
    }
}
