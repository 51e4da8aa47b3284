/// Curves as SVG: one panel for each trace, hit ratio over cache size.
struct Chart {
    let results: [Result]
    let shares: [Double]

    private static let colours = ["#0072B2", "#D55E00", "#999999", "#CC79A7", "#009E73"]
    private static let panel = (width: 300, height: 220)
    private static let columns = 4

    func svg() -> String {
        let rows = (results.count + Self.columns - 1) / Self.columns
        let width = Self.columns * Self.panel.width
        let height = rows * Self.panel.height + 40
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(width) \(height)\" "
                + "font-family=\"sans-serif\" font-size=\"11\">",
            "<rect width=\"\(width)\" height=\"\(height)\" fill=\"#ffffff\"/>",
        ]
        lines += legend()
        for (index, result) in results.enumerated() {
            let left = index % Self.columns * Self.panel.width
            let top = index / Self.columns * Self.panel.height + 30
            lines.append("<g transform=\"translate(\(left),\(top))\">")
            lines += curves(result)
            lines.append("</g>")
        }
        lines.append("</svg>")
        return lines.joined(separator: "\n") + "\n"
    }

    private func legend() -> [String] {
        Policies.names.enumerated().flatMap { index, name in
            let left = 50 + index * 110
            return [
                "<line x1=\"\(left)\" y1=\"18\" x2=\"\(left + 24)\" y2=\"18\" stroke=\"\(Self.colours[index])\" "
                    + "stroke-width=\"\(index == 0 ? 3 : 1.5)\"/>",
                "<text x=\"\(left + 30)\" y=\"22\">\(name)</text>",
            ]
        }
    }

    private func curves(_ result: Result) -> [String] {
        let plot = (left: 44, top: 24, width: Self.panel.width - 64, height: Self.panel.height - 64)
        let highest = result.ratios.joined().max() ?? 0
        let top = max(0.1, (highest * 10).rounded(.up) / 10)
        var lines = ["<text x=\"\(plot.left)\" y=\"14\" font-weight=\"bold\">\(result.trace)</text>"]
        for step in 0...4 {
            let y = Double(plot.top) + Double(plot.height) * (1 - Double(step) / 4)
            lines.append(
                "<line x1=\"\(plot.left)\" y1=\"\(round(y))\" x2=\"\(plot.left + plot.width)\" y2=\"\(round(y))\" "
                    + "stroke=\"#dddddd\"/>")
            lines.append(
                "<text x=\"\(plot.left - 6)\" y=\"\(round(y) + 4)\" text-anchor=\"end\">"
                    + "\(percent(top * Double(step) / 4)) %</text>")
        }
        for (index, share) in shares.enumerated() {
            lines.append(
                "<text x=\"\(round(x(index, plot.left, plot.width)))\" y=\"\(plot.top + plot.height + 14)\" "
                    + "text-anchor=\"middle\">\(percent(share)) %</text>")
        }
        // The store's own curve lies on top.
        for policy in Policies.names.indices.reversed() {
            let points = shares.indices.map { index in
                let y = Double(plot.top) + Double(plot.height) * (1 - result.ratios[policy][index] / top)
                return "\(round(x(index, plot.left, plot.width))),\(round(y))"
            }
            lines.append(
                "<polyline fill=\"none\" stroke=\"\(Self.colours[policy])\" "
                    + "stroke-width=\"\(policy == 0 ? 3 : 1.5)\" points=\"\(points.joined(separator: " "))\"/>")
        }
        return lines
    }

    /// Sizes stand at equal distances: each is about twice the one before it.
    private func x(_ index: Int, _ left: Int, _ width: Int) -> Double {
        Double(left) + Double(width) * Double(index) / Double(max(1, shares.count - 1))
    }

    private func round(_ value: Double) -> Double { (value * 10).rounded() / 10 }

    private func percent(_ value: Double) -> String {
        let tenths = Int((value * 1000).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}
