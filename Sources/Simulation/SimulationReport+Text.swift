// The report for scripts and for people.
extension SimulationReport {
    /// One JSON object. Without the processor's time it is the same for the same options, byte for byte.
    package func json(withCPU: Bool = true) -> String {
        var members = [
            ("edges", "\(edges)"), ("relays", "\(relays)"), ("changes", "\(changes)"),
            ("changes_per_second", Self.number(changesPerSecond)), ("seconds", Self.number(seconds)),
            ("seed", "\(seed)"),
            ("faults", "[" + faults.map { Self.text($0.rawValue) }.joined(separator: ",") + "]"),
            (
                "propagation_ms",
                Self.object([
                    ("p50", Self.number(propagationP50)), ("p90", Self.number(propagationP90)),
                    ("p99", Self.number(propagationP99)), ("max", Self.number(propagationMax)),
                    ("pairs", "\(pairs)"),
                ])
            ),
            ("root", Self.json(root)), ("relay", Self.json(relay)), ("edge", Self.json(edge)),
            ("counts", Self.object(counts.map { ($0.name, "\($0.count)") })),
            ("converged", hasConverged ? "true" : "false"),
            ("violations", "[" + violations.map(Self.text).joined(separator: ",") + "]"),
        ]
        if withCPU {
            let cpu = [
                ("root", Self.number(cpuMilliseconds.root)), ("relays", Self.number(cpuMilliseconds.relays)),
                ("edges", Self.number(cpuMilliseconds.edges)),
            ]
            members.append(("cpu_ms", Self.object(cpu)))
        }
        return Self.object(members)
    }

    private static func json(_ part: Part) -> String {
        object([
            ("nodes", "\(part.nodes)"), ("bytes_out", "\(part.bytesOut)"), ("bytes_out_max", "\(part.bytesOutMax)"),
            ("messages_out", "\(part.messagesOut)"), ("messages_in", "\(part.messagesIn)"),
        ])
    }

    private static func object(_ members: [(String, String)]) -> String {
        "{" + members.map { "\(text($0.0)):\($0.1)" }.joined(separator: ",") + "}"
    }

    /// With one digit behind the point at most.
    private static func number(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }

    private static func text(_ value: String) -> String {
        var out = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    // MARK: For people

    /// A table, with what failed behind it.
    package var table: String {
        let wrong = faults.isEmpty ? "nothing" : faults.map(\.rawValue).joined(separator: ", ")
        var lines = [
            "\(edges) edges behind \(relays) relays; \(changes) changes in \(Self.number(seconds)) s of virtual time;"
                + " what goes wrong: \(wrong); seed \(seed)",
            "",
            "commit to applied, of \(pairs) changes at edges:  p50 \(Self.number(propagationP50)) ms"
                + "   p90 \(Self.number(propagationP90)) ms   p99 \(Self.number(propagationP99)) ms"
                + "   max \(Self.number(propagationMax)) ms",
            "",
            Self.row(["", "nodes", "out, kB/s each", "most, kB/s", "messages out", "in", "CPU, ms each", "of a core"]),
            row("root", root, cpuMilliseconds.root),
            row("relay", relay, cpuMilliseconds.relays),
            row("edge", edge, cpuMilliseconds.edges),
            "",
            counts.filter { $0.count > 0 }
                .map { "\($0.name.map { $0 == "_" ? " " : String($0) }.joined()): \($0.count)" }
                .joined(separator: "; "),
        ]
        if hasConverged {
            lines.append("every node ended with the same hash and the same state; no invariant was broken")
        } else {
            lines += ["", "BROKEN:"] + violations.map { "  " + $0 }
        }
        return lines.joined(separator: "\n")
    }

    private func row(_ name: String, _ part: Part, _ cpu: Double) -> String {
        let nodes = Double(max(1, part.nodes))
        return Self.row([
            name, "\(part.nodes)", Self.number(Double(part.bytesOut) / nodes / seconds / 1000),
            Self.number(Double(part.bytesOutMax) / seconds / 1000),
            Self.number(Double(part.messagesOut) / nodes), Self.number(Double(part.messagesIn) / nodes),
            Self.number(cpu / nodes), Self.number(cpu / nodes / seconds / 10) + " %",
        ])
    }

    private static func row(_ cells: [String]) -> String {
        cells.enumerated().map { index, cell in
            let padding = String(repeating: " ", count: max(0, (index == 0 ? 6 : 15) - cell.count))
            return index == 0 ? cell + padding : padding + cell
        }.joined()
    }
}
