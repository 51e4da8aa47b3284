// Tables for people: columns as wide as what stands in them, cut only where a terminal would wrap them.

import Limits

/// Rows of cells below titles.
package struct TextTable: Sendable {
    package struct Column: Sendable {
        var title: String
        var isRight: Bool
        /// Whether its cells may be cut; identifiers may not: somebody will want to copy them.
        var isCuttable: Bool
        /// Whether it is left out where no row has anything in it.
        var isOptional = false
        /// Whether a narrow terminal may do without it.
        var isMinor = false

        /// The same, left out where a terminal is too narrow for all.
        package var minor: Column {
            var column = self
            column.isMinor = true
            return column
        }
        package static func left(_ title: String) -> Column {
            Column(title: title, isRight: false, isCuttable: true)
        }
        package static func optional(_ title: String) -> Column {
            Column(title: title, isRight: false, isCuttable: true, isOptional: true)
        }
        package static func right(_ title: String) -> Column {
            Column(title: title, isRight: true, isCuttable: false)
        }
        package static func whole(_ title: String) -> Column {
            Column(title: title, isRight: false, isCuttable: false)
        }
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    package init(_ columns: [Column]) { self.columns = columns }

    package mutating func add(_ cells: [String]) { rows.append(cells.map(ScreenText.plain)) }

    /// - Parameter widthMax: Of a line, in columns of the terminal; nil: whole cells, for files and pipes.
    /// - Returns: Lines without blanks at their ends, without a line break behind the last.
    package func text(widthMax: Int? = nil) -> String {
        let kept = columns.indices.filter { index in
            !columns[index].isOptional || rows.contains { index < $0.count && !$0[index].isEmpty }
        }
        guard kept.count == columns.count else { return keeping(kept).text(widthMax: widthMax) }
        let widths = widths(widthMax)
        if let widthMax, Self.width(widths) > widthMax, let minor = columns.lastIndex(where: \.isMinor) {
            return keeping(columns.indices.filter { $0 != minor }).text(widthMax: widthMax)
        }
        let lines = [columns.map(\.title)] + rows
        return lines.map { line(of: $0, widths) }.joined(separator: "\n")
    }

    private func keeping(_ kept: [Int]) -> TextTable {
        var smaller = TextTable(kept.map { columns[$0] })
        smaller.rows = rows.map { row in kept.map { $0 < row.count ? row[$0] : "" } }
        return smaller
    }

    /// Of a line.
    private static func width(_ widths: [Int]) -> Int { widths.reduce(0, +) + 2 * max(0, widths.count - 1) }

    private func widths(_ widthMax: Int?) -> [Int] {
        var widths = columns.indices.map { index in
            rows.reduce(ScreenText.width(columns[index].title)) { most, row in
                max(most, index < row.count ? ScreenText.width(row[index]) : 0)
            }
        }
        guard let widthMax else { return widths }
        // The widest gives way first, until the line fits or nothing more may be cut.
        var excess = Self.width(widths) - widthMax
        while excess > 0 {
            let candidates = columns.indices.filter { columns[$0].isCuttable }
            guard let widest = candidates.max(by: { widths[$0] < widths[$1] }),
                widths[widest] > Limits.operatorColumnWidthMin
            else { break }
            let next = candidates.filter { $0 != widest }.map { widths[$0] }.max() ?? 0
            let step = min(excess, max(1, widths[widest] - max(next, Limits.operatorColumnWidthMin)))
            widths[widest] -= step
            excess -= step
        }
        return widths
    }

    private func line(of row: [String], _ widths: [Int]) -> String {
        var line = ""
        for (index, column) in columns.enumerated() {
            let cell = ScreenText.cut(index < row.count ? row[index] : "", to: widths[index])
            let padding = String(repeating: " ", count: max(0, widths[index] - ScreenText.width(cell)))
            line += (index == 0 ? "" : "  ") + (column.isRight ? padding + cell : cell + padding)
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}

/// What one object is made of, a line each: names flush left, values behind them.
package struct FactList: Sendable {
    private var facts: [(name: String, value: String)] = []

    package init() {}

    /// Nothing is added for nil.
    package mutating func add(_ name: String, _ value: String?) {
        if let value { facts.append((name, ScreenText.plain(value))) }
    }

    package var text: String {
        let width = facts.reduce(0) { max($0, ScreenText.width($1.name)) }
        return facts.map { fact in
            fact.name + String(repeating: " ", count: width - ScreenText.width(fact.name) + 2) + fact.value
        }.joined(separator: "\n")
    }
}
