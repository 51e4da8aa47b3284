// Lines over the last hour, as SVG in the page: no script draws them, and the picture has a text for those who cannot
// see it. Labels stand beside the picture, not in it, so that they keep their size in every window.

/// One line over time.
struct Graph: Sendable {
    let title: String
    /// What a value is in words: `12.5 %`.
    let format: @Sendable (Double) -> String
    /// Seconds before now (0…3600) and value, oldest first.
    let points: [(age: Double, value: Double)]
    /// The top of the scale, if it is fixed.
    var top: Double?
    var kind = ""

    private static let seconds: Double = 3600
    private static let width: Double = 720
    private static let height: Double = 120
    /// Points further apart than this are not joined.
    private static let gapSeconds: Double = 45

    var html: HTML {
        let most = points.map(\.value).max() ?? 0
        let top = max(top ?? Self.rounded(most), .leastNormalMagnitude)
        let now = points.last { $0.age <= Self.gapSeconds * 2 }?.value
        let shown = now.map(format) ?? "–"
        let text =
            points.isEmpty
            ? "\(title), last hour: nothing was measured"
            : "\(title), last hour: now \(now.map(format) ?? "unknown"), at most \(format(most))"
        let runs = runs(top)
        return """
            <figure class="graph \(kind)"><figcaption>\(title) <strong>\(shown)</strong></figcaption><div class="plot">\
            <svg viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" preserveAspectRatio="none" role="img" \
            aria-label="\(text)"><path class="grid" d="M0 \(Int(Self.height / 2))H\(Int(Self.width))"/>\
            <path class="area" d="\(runs.map(area).joined())"/><path class="line" d="\(runs.map(line).joined())"/></svg>\
            <span class="scale" aria-hidden="true">\(format(top))</span></div>\
            <div class="times" aria-hidden="true"><span>1 hour ago</span><span>30 min</span><span>now</span></div></figure>
            """
    }

    /// A round number, not below the value.
    static func rounded(_ value: Double) -> Double {
        guard value.isFinite, value > 0 else { return 1 }
        var power = 1.0
        while power * 10 <= value, power < 1e15 { power *= 10 }
        while power > value, power > 1e-9 { power /= 10 }
        return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map { $0 * power }.first { $0 >= value } ?? power * 10
    }

    /// Places in the picture, cut where nothing was measured.
    private func runs(_ top: Double) -> [[(x: Double, y: Double)]] {
        var runs: [[(x: Double, y: Double)]] = []
        var lastAge: Double?
        for point in points where (0...Self.seconds).contains(point.age) && point.value.isFinite {
            let place = (
                x: Self.width * (1 - point.age / Self.seconds),
                y: Self.height - 1 - (Self.height - 4) * min(max(point.value / top, 0), 1)
            )
            if let lastAge, lastAge - point.age <= Self.gapSeconds, !runs.isEmpty {
                runs[runs.count - 1].append(place)
            } else {
                runs.append([place])
            }
            lastAge = point.age
        }
        return runs
    }

    private func line(_ run: [(x: Double, y: Double)]) -> String {
        guard let first = run.first else { return "" }
        // A single point is a short line, or nobody would see it.
        let rest = run.count > 1 ? run.dropFirst().map { "L\(Self.shown($0.x)) \(Self.shown($0.y))" }.joined() : "h2"
        return "M\(Self.shown(first.x)) \(Self.shown(first.y))\(rest)"
    }

    private func area(_ run: [(x: Double, y: Double)]) -> String {
        guard run.count > 1, let first = run.first, let last = run.last else { return "" }
        return line(run) + "L\(Self.shown(last.x)) \(Int(Self.height))L\(Self.shown(first.x)) \(Int(Self.height))Z"
    }

    private static func shown(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}

/// Numbers for people.
enum Figures {
    /// Three digits at most: `1.25`, `12.5`, `125`, `12.5 k`.
    static func short(_ value: Double) -> String {
        guard value.isFinite else { return "–" }
        switch abs(value) {
        case 1e6...: return digits(value / 1e6) + " M"
        case 1e4...: return digits(value / 1e3) + " k"
        default: return digits(value)
        }
    }

    static func share(_ value: Double) -> String { digits(value * 100) + " %" }

    static func milliseconds(_ value: Double) -> String {
        value >= 10_000 ? digits(value / 1000) + " s" : digits(value) + " ms"
    }

    private static func digits(_ value: Double) -> String {
        let step: Double = abs(value) >= 100 ? 1 : abs(value) >= 10 ? 10 : 100
        let rounded = (value * step).rounded() / step
        return Int64(exactly: rounded).map { "\($0)" } ?? "\(rounded)"
    }
}
