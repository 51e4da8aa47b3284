/// What came of a trial.
package struct TrialReport: Sendable {
    let processes: Int
    let relays: Int
    let changes: Int
    let seconds: Double
    /// From commit to applied, microseconds, of every change at every edge.
    var propagation: [UInt32] = []
    var violations: [String] = []
    var relayBytes: [UInt64] = []
    let rootBytes: UInt64
    let rootCPU: Double
    let rootResident: Int
    private let cpu: [String: Double]
    private let resident: [String: Int]

    init(_ options: TrialOptions, _ load: ProcessTrial.Load) {
        processes = options.processes
        relays = options.relayCount
        changes = load.committed.count
        seconds = load.seconds
        rootBytes = load.rootBytes
        rootCPU = load.rootCPU
        rootResident = load.rootResident
        cpu = load.cpu
        resident = load.resident
    }

    /// Whether every edge ended where the root did, and had every change.
    package var hasConverged: Bool { violations.isEmpty }

    /// Takes an edge's output: when it applied what, and where it ended.
    mutating func add(_ name: String, _ output: String, _ load: ProcessTrial.Load, expected: TrialEnd) {
        var next = 0
        var end: TrialEnd?
        for line in output.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.first == "end", words.count >= 2 {
                end = TrialEnd(text: String(words[1]))
            } else if words.count == 2, let sequence = UInt64(words[0]), let at = UInt64(words[1]) {
                while next < load.committed.count, load.first + UInt64(next) <= sequence {
                    let committed = load.committed[next]
                    propagation.append(UInt32(clamping: at - min(committed, at)))
                    next += 1
                }
            }
        }
        if next < load.committed.count { violations.append("\(name) lacks \(load.committed.count - next) changes") }
        if end != expected { violations.append("\(name) ended at another state: \(end?.text ?? "none")") }
    }

    mutating func finish() { propagation.sort() }

    private func milliseconds(_ share: Double) -> Double {
        guard !propagation.isEmpty else { return 0 }
        let index = min(propagation.count - 1, Int(Double(propagation.count) * share))
        return Double(propagation[index]) / 1000
    }

    private struct Part {
        var nodes: Int
        var cpuMilliseconds: Double
        var residentBytes: Int
        var bytesOut: UInt64?
    }

    private func part(_ prefix: String, bytes: [UInt64]?) -> Part {
        let cpu = cpu.filter { $0.key.hasPrefix(prefix) }.map(\.value)
        return Part(
            nodes: cpu.count, cpuMilliseconds: cpu.reduce(0, +),
            residentBytes: resident.filter { $0.key.hasPrefix(prefix) }.map(\.value).max() ?? 0,
            bytesOut: bytes.map { $0.reduce(0, +) })
    }

    private var parts: [(name: String, part: Part)] {
        [
            (
                "root",
                Part(nodes: 1, cpuMilliseconds: rootCPU, residentBytes: rootResident, bytesOut: rootBytes)
            ),
            ("relay", part("relay", bytes: relayBytes)), ("edge", part("edge", bytes: nil)),
        ]
    }

    // MARK: For scripts

    /// One JSON object.
    package var json: String {
        let figures = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1)]
            .map { "\"\($0.0)\":\(Self.number(milliseconds($0.1)))" }
        let nodes = parts.map { name, part in
            let bytes = part.bytesOut.map { ",\"bytes_out\":\($0)" } ?? ""
            return "\"\(name)\":{\"nodes\":\(part.nodes),\"cpu_ms\":\(Self.number(part.cpuMilliseconds))\(bytes),"
                + "\"resident_bytes_max\":\(part.residentBytes)}"
        }
        let broken = violations.map { "\"\($0.filter { $0 != "\"" && $0 != "\\" })\"" }
        return
            "{\"processes\":\(processes),\"relays\":\(relays),\"edges\":\(processes - relays),\"changes\":\(changes),"
            + "\"seconds\":\(Self.number(seconds)),\"propagation_ms\":{\(figures.joined(separator: ",")),"
            + "\"pairs\":\(propagation.count)},\(nodes.joined(separator: ",")),"
            + "\"converged\":\(hasConverged),\"violations\":[\(broken.joined(separator: ","))]}"
    }

    // MARK: For people

    /// A table, with what failed behind it.
    package var table: String {
        var lines = [
            "\(processes - relays) edges behind \(relays) relays, each a process on this machine; \(changes) changes in "
                + "\(Self.number(seconds)) s",
            "",
            "commit to applied, of \(propagation.count) changes at edges:  p50 \(Self.number(milliseconds(0.5))) ms"
                + "   p90 \(Self.number(milliseconds(0.9))) ms   p99 \(Self.number(milliseconds(0.99))) ms"
                + "   max \(Self.number(milliseconds(1))) ms",
            "",
            Self.row(["", "nodes", "out, kB/s each", "CPU, ms each", "of a core", "most memory, MiB"]),
        ]
        for (name, part) in parts {
            let nodes = Double(max(1, part.nodes))
            lines.append(
                Self.row([
                    name, "\(part.nodes)",
                    part.bytesOut.map { Self.number(Double($0) / nodes / seconds / 1000) } ?? "-",
                    Self.number(part.cpuMilliseconds / nodes),
                    Self.number(part.cpuMilliseconds / nodes / seconds / 10) + " %",
                    Self.number(Double(part.residentBytes) / 1_048_576),
                ]))
        }
        lines.append("")
        if hasConverged {
            lines.append("every edge ended with the same hash and the same state as the root")
        } else {
            lines += ["BROKEN:"] + violations.map { "  " + $0 }
        }
        return lines.joined(separator: "\n")
    }

    /// With one digit behind the point at most.
    private static func number(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }

    private static func row(_ cells: [String]) -> String {
        cells.enumerated().map { index, cell in
            let padding = String(repeating: " ", count: max(0, (index == 0 ? 6 : 17) - cell.count))
            return index == 0 ? cell + padding : padding + cell
        }.joined()
    }
}
