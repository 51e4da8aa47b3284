// Writes lines of the Prometheus text format: escaping, numbers, bucket bounds. What is printed is decided by
// `PrometheusText`.

/// A growing page of metrics.
struct PrometheusPage {
    typealias Label = (key: StaticString, value: String)

    private(set) var bytes: [UInt8] = []

    init() {
        bytes.reserveCapacity(64 * 1024)
    }

    /// The HELP and TYPE lines that open a family.
    mutating func header(_ name: StaticString, _ help: StaticString, type: StaticString) {
        append("# HELP ")
        append(name)
        append(" ")
        // In HELP only the backslash and the line feed are escaped.
        appendEscaped(help.description, quotes: false)
        append("\n# TYPE ")
        append(name)
        append(" ")
        append(type)
        append("\n")
    }

    /// A sample with labels whose values may hold anything.
    mutating func sample(_ name: StaticString, _ labels: [Label], _ value: UInt64) {
        append(name)
        open(labels)
        appendDecimal(value)
        append("\n")
    }

    /// A sample with labels that are written out already.
    mutating func sample(_ name: StaticString, fixedLabels: StaticString, _ value: UInt64) {
        append(name)
        if fixedLabels.utf8CodeUnitCount > 0 {
            append("{")
            append(fixedLabels)
            append("}")
        }
        append(" ")
        appendDecimal(value)
        append("\n")
    }

    /// A sample without labels.
    mutating func sample(_ name: StaticString, suffix: StaticString = "", _ value: UInt64) {
        append(name)
        append(suffix)
        append(" ")
        appendDecimal(value)
        append("\n")
    }

    /// A sample that may be negative.
    mutating func sample(_ name: StaticString, signed value: Int) {
        append(name)
        append(value < 0 ? " -" : " ")
        appendDecimal(UInt64(value.magnitude))
        append("\n")
    }

    /// A duration, printed in seconds.
    mutating func seconds(_ name: StaticString, suffix: StaticString = "", nanoseconds: UInt64) {
        append(name)
        append(suffix)
        append(" ")
        appendSeconds(nanoseconds)
        append("\n")
    }

    /// One bucket of a histogram; no bound is +Inf. The value is cumulative.
    mutating func bucket(_ name: StaticString, bound: UInt64?, _ value: UInt64) {
        append(name)
        append("_bucket{le=\"")
        if let bound { appendSeconds(bound) } else { append("+Inf") }
        append("\"} ")
        appendDecimal(value)
        append("\n")
    }

    private mutating func open(_ labels: [Label]) {
        append("{")
        for (index, label) in labels.enumerated() {
            if index > 0 { append(",") }
            append(label.key)
            append("=\"")
            appendEscaped(label.value, quotes: true)
            append("\"")
        }
        append("} ")
    }

    private mutating func append(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func appendEscaped(_ text: String, quotes: Bool) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): append("\\\\")
            case UInt8(ascii: "\n"): append("\\n")
            case UInt8(ascii: "\"") where quotes: append("\\\"")
            default: bytes.append(byte)
            }
        }
    }

    private mutating func appendDecimal(_ value: UInt64) {
        bytes.append(contentsOf: String(value).utf8)
    }

    /// Nanoseconds as seconds, exactly, without trailing zeros.
    private mutating func appendSeconds(_ nanoseconds: UInt64) {
        appendDecimal(nanoseconds / 1_000_000_000)
        var rest = nanoseconds % 1_000_000_000
        guard rest > 0 else { return }
        append(".")
        var place: UInt64 = 100_000_000
        while rest > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest / place))
            rest %= place
            place /= 10
        }
    }
}
