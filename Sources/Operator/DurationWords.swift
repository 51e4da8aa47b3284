// Times that people type, by the configuration's rules.

import ConfigModel
import Glibc

/// Durations and points in time.
package enum DurationWords {
    /// `90s`, `5m`, `30d`.
    static func milliseconds(_ text: String) throws(OperatorProblem) -> Int {
        do { return try DurationText.milliseconds(text) } catch {
            throw OperatorProblem(.input, "expected \(error.expected), found \(text.prefix(40))", help: error.help)
        }
    }

    /// Whole seconds, at least one.
    package static func seconds(_ text: String, for option: String) throws(OperatorProblem) -> Int {
        let milliseconds = try milliseconds(text)
        guard milliseconds >= 1000 else {
            throw OperatorProblem(.input, "expected at least a second for \(option), found \(text.prefix(40))")
        }
        return milliseconds / 1000
    }

    /// RFC 3339 in UTC, so long from now.
    package static func time(in seconds: Int, from now: Int = Glibc.time(nil)) -> String {
        var point = now.addingReportingOverflow(seconds).partialValue
        var parts = tm()
        guard gmtime_r(&point, &parts) != nil, (0...8099).contains(parts.tm_year) else { return "9999-12-31T23:59:59Z" }
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(Int(parts.tm_year) + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
            + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
    }
}
