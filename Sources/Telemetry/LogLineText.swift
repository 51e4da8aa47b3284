// How one record of the process's own log looks. Records may quote what came from the network, so nothing in them may
// begin a line of its own or speak to a terminal: controls, line separators and direction marks are escaped.
//
//     2026-01-02T03:04:05.678Z info  listener: message key=value other="two words"
//     {"time":"2026-01-02T03:04:05.678Z","level":"info","logger":"listener","message":"message","key":"value"}

import Logging

/// Renders a record as one line, its line feed included.
enum LogLineText {
    /// Longest line; what is beyond it is cut.
    static let lineBytesMax = 8 * 1024
    private static let cutMark = "…"

    static func render(
        _ event: LogEvent, label: String, metadata: Logger.Metadata, format: ProcessLog.Format, unixNanoseconds: UInt64
    ) -> [UInt8] {
        var members = metadata.map { (key: $0.key, value: $0.value.description) }.sorted { $0.key < $1.key }
        if let error = event.error { members.append((key: "error", value: String(describing: error))) }
        let message = event.message.description
        var line: [UInt8] = []
        line.reserveCapacity(256)
        switch format {
        case .text:
            appendTime(unixNanoseconds, to: &line)
            append(" \(padded(event.level.rawValue)) ", to: &line)
            appendPlain(label, to: &line)
            append(": ", to: &line)
            appendPlain(message, to: &line)
            for member in members {
                append(" ", to: &line)
                appendPlain(member.key, to: &line)
                append("=", to: &line)
                appendValue(member.value, to: &line)
            }
            cut(&line, to: lineBytesMax - 1)
        case .json:
            append("{\"time\":\"", to: &line)
            appendTime(unixNanoseconds, to: &line)
            append("\",\"level\":\"\(event.level.rawValue)\"", to: &line)
            appendMember("logger", label, to: &line)
            appendMember("message", message, to: &line)
            // The names above are ours; a member of the same name would make the object ambiguous.
            var taken: Set<String> = ["time", "level", "logger", "message"]
            for member in members where taken.insert(member.key).inserted {
                appendMember(member.key, member.value, to: &line)
            }
            append("}", to: &line)
        }
        line.append(UInt8(ascii: "\n"))
        return line
    }

    private static func padded(_ level: String) -> String {
        level + String(repeating: " ", count: max(5 - level.utf8.count, 0))
    }

    private static func append(_ text: String, to line: inout [UInt8]) {
        line.append(contentsOf: text.utf8)
    }

    private static func appendTime(_ unixNanoseconds: UInt64, to line: inout [UInt8]) {
        var time = TimestampText()
        withUnsafeTemporaryAllocation(byteCount: TimestampText.byteCount, alignment: 8) { buffer in
            guard let start = buffer.baseAddress else { return }
            time.write(unixNanoseconds: unixNanoseconds, to: start)
            line.append(contentsOf: buffer)
        }
    }

    /// A member of a JSON object. A line stays within its bound because each value is cut to what is left of it.
    private static func appendMember(_ key: String, _ value: String, to line: inout [UInt8]) {
        let left = lineBytesMax - line.count - 16
        guard left > 0, (key.utf8.count + 1) * JSONString.expansionMax < left else { return }
        append(",\"", to: &line)
        appendJSON(key, bytesMax: left / JSONString.expansionMax, to: &line)
        append("\":\"", to: &line)
        appendJSON(value, bytesMax: (lineBytesMax - line.count - 16) / JSONString.expansionMax, to: &line)
        append("\"", to: &line)
    }

    private static func appendJSON(_ text: String, bytesMax: Int, to line: inout [UInt8]) {
        var text = text
        text.withUTF8 { utf8 in
            let source = JSONString.prefix(UnsafeRawBufferPointer(utf8), bytesMax: max(bytesMax, 0))
            let capacity = source.count * JSONString.expansionMax + JSONString.slackBytes
            withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 8) { target in
                guard let start = target.baseAddress else { return }
                let end = JSONString.write(source, to: start)
                line.append(contentsOf: UnsafeRawBufferPointer(start: start, count: end - start))
            }
        }
    }

    /// A value of the text format: quoted if it would not be clear where it ends.
    private static func appendValue(_ value: String, to line: inout [UInt8]) {
        let needsQuotes =
            value.isEmpty || value.unicodeScalars.contains { $0 == " " || $0 == "\"" || $0 == "=" || mustEscape($0) }
        guard needsQuotes else { return append(value, to: &line) }
        append("\"", to: &line)
        for scalar in value.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { append("\\", to: &line) }
            appendScalar(scalar, to: &line)
        }
        append("\"", to: &line)
    }

    private static func appendPlain(_ text: String, to line: inout [UInt8]) {
        for scalar in text.unicodeScalars.prefix(lineBytesMax) { appendScalar(scalar, to: &line) }
    }

    private static func appendScalar(_ scalar: Unicode.Scalar, to line: inout [UInt8]) {
        switch scalar {
        case "\n": append("\\n", to: &line)
        case "\r": append("\\r", to: &line)
        case "\t": append("\\t", to: &line)
        case _ where mustEscape(scalar): append("\\u{\(String(scalar.value, radix: 16))}", to: &line)
        default: line.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }

    /// Controls (C0, DEL, C1), line and paragraph separators, and the marks that reorder text on a screen.
    private static func mustEscape(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f...0x9f, 0x2028...0x202e, 0x2066...0x2069, 0x200e, 0x200f, 0x61c: true
        default: false
        }
    }

    private static func cut(_ line: inout [UInt8], to bytesMax: Int) {
        guard line.count > bytesMax else { return }
        let kept = line.withUnsafeBytes { JSONString.prefix($0, bytesMax: bytesMax - cutMark.utf8.count).count }
        line.removeSubrange(kept...)
        append(cutMark, to: &line)
    }
}
