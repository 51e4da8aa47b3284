// A slow and simple reading of messages that were accepted, to compare the parsers with. It knows nothing of the
// parsers' methods: lines are split at CRLF, fields at the first colon, and the rules are asked one by one.

import HTTPWire

/// The lines of a head as a plain reading finds them.
struct HeadReference {
    struct Line: Equatable {
        var name: String
        var value: [UInt8]
    }

    let bytes: [UInt8]
    private(set) var startLine: [UInt8] = []
    private(set) var lines: [Line] = []
    /// Every CR is followed by LF and every LF preceded by CR, there is no other control byte, and the head ends in an
    /// empty line which is the first one.
    private(set) var isWellFormed = true

    init(_ input: [UInt8], byteCount: Int) {
        bytes = Array(input.prefix(byteCount))
        var texts: [[UInt8]] = [[]]
        var index = 0
        while index < bytes.count {
            if bytes[index] == 13, index + 1 < bytes.count, bytes[index + 1] == 10 {
                texts.append([])
                index += 2
                continue
            }
            if bytes[index] < 32 && bytes[index] != 9 || bytes[index] == 127 { isWellFormed = false }
            texts[texts.count - 1].append(bytes[index])
            index += 1
        }
        if texts.first?.isEmpty == true { texts.removeFirst() }
        guard texts.count >= 3, texts.removeLast().isEmpty, texts.removeLast().isEmpty else {
            isWellFormed = false
            return
        }
        startLine = texts.removeFirst()
        for text in texts {
            guard let colon = text.firstIndex(of: 58), isToken(text[..<colon]) else {
                isWellFormed = false
                return
            }
            var value = text[(colon + 1)...]
            while let first = value.first, first == 32 || first == 9 { value.removeFirst() }
            while let last = value.last, last == 32 || last == 9 { value.removeLast() }
            lines.append(Line(name: String(decoding: text[..<colon], as: UTF8.self), value: Array(value)))
        }
    }

    func values(_ name: String) -> [String] {
        lines.filter { $0.name.lowercased() == name }.map { String(decoding: $0.value, as: UTF8.self) }
    }

    func text(_ range: ByteRange) -> String? {
        range.end <= bytes.count ? String(decoding: bytes[range.range], as: UTF8.self) : nil
    }

    /// The fields are these lines, each recognised by its name, and dropped when the table says so.
    func compare(_ fields: ContiguousArray<Field>) -> String? {
        guard isWellFormed else { return "accepted a malformed head" }
        guard fields.count == lines.count else { return "\(fields.count) fields in \(lines.count) lines" }
        for (field, line) in zip(fields, lines) {
            guard text(field.name) == line.name else { return "\(field) is not called \(line.name)" }
            guard field.value.end <= bytes.count, Array(bytes[field.value.range]) == line.value else {
                return "\(line.name) has another value"
            }
            let known = KnownField.allCases.first { "\($0.name)".lowercased() == line.name.lowercased() } ?? .other
            guard field.known == known else { return "\(line.name) was taken for \(field.known)" }
            if known.isDropped && !field.isDropped { return "\(line.name) is not dropped" }
            if field.isDropped && !known.isDropped {
                let options = values("connection").joined(separator: ",").lowercased()
                guard known.mayBeNominated, options.contains(line.name.lowercased()) else {
                    return "\(line.name) is dropped"
                }
            }
        }
        return nil
    }

    /// Which framing these lines leave, nil if they contradict themselves and must not be accepted.
    func framing(oldVersion: Bool) -> (length: UInt64?, isChunked: Bool)? {
        let lengths = values("content-length")
        let codings = values("transfer-encoding")
        if !lengths.isEmpty && !codings.isEmpty { return nil }
        if let coding = codings.first {
            return codings.count == 1 && coding.lowercased() == "chunked" && !oldVersion ? (nil, true) : nil
        }
        guard let first = lengths.first else { return (nil, false) }
        guard lengths.allSatisfy({ $0 == first }), first.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }),
            let number = UInt64(first), number <= UInt64(Int64.max)
        else { return nil }
        return (number, false)
    }

    func compare(_ head: RequestHead) -> String? {
        if let violation = compare(head.fields) { return violation }
        guard let method = text(head.methodRange), let target = text(head.target), isToken(method.utf8) else {
            return "the method or the target lies outside"
        }
        let line = String(decoding: startLine, as: UTF8.self)
        guard line.hasPrefix("\(method) \(target) HTTP/1."),
            line.utf8.count == method.utf8.count + target.utf8.count + 10
        else { return "the request line is \(line)" }
        guard target.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != 35 }) else { return "the target is \(target)" }
        guard head.method == .other || "\(head.method.name)" == method else { return "\(method) was misread" }
        guard (head.minorVersion == 0) == line.hasSuffix("0") else { return "the version was misread" }
        guard let framing = framing(oldVersion: head.minorVersion == 0) else { return "accepted contradictory framing" }
        let expected: BodyFraming = framing.isChunked ? .chunked : framing.length.map { .length($0) } ?? .none
        guard head.framing == expected, head.contentLength == framing.length else { return "framing \(head.framing)" }
        let hosts = values("host")
        guard hosts.count == 1 || hosts.isEmpty && head.minorVersion == 0 else { return "\(hosts.count) hosts" }
        let hasAuthority = !target.hasPrefix("/") && target != "*"
        guard let host = text(head.host), host.isEmpty == (hosts.isEmpty && !hasAuthority) else {
            return "the host is missing"
        }
        for byte in host.utf8 where ",@/\\%# \t\"".utf8.contains(byte) { return "the host is \(host)" }
        if let port = head.port, port == 0 { return "port 0" }
        let rebuilt: String? =
            switch head.targetForm {
            case .origin, .absolute: text(head.path).map { $0 + (head.hasQuery ? "?" + (text(head.query) ?? "!") : "") }
            case .asterisk: "*"
            case .authority: target
            }
        guard let rebuilt, head.targetForm == .absolute ? target.hasSuffix(rebuilt) : target == rebuilt else {
            return "the target \(target) was taken apart wrongly"
        }
        let options = values("connection").joined(separator: ",").lowercased()
        if head.keepAlive && head.minorVersion == 0 && !options.contains("keep-alive") { return "keeps HTTP/1.0 alive" }
        if !head.keepAlive && head.minorVersion == 1 && !options.contains("close") { return "closes without reason" }
        if head.upgrade != nil, head.minorVersion == 0 || !options.contains("upgrade") { return "upgrades unasked" }
        if head.expectsContinue, values("expect").isEmpty || head.framing == .none { return "continues unasked" }
        return nil
    }

    func compare(_ head: ResponseHead, answering method: Method) -> String? {
        if let violation = compare(head.fields) { return violation }
        let line = String(decoding: startLine, as: UTF8.self)
        guard line.hasPrefix("HTTP/1."), line.dropFirst(9).hasPrefix("\(head.status)"),
            (100...599).contains(head.status)
        else { return "the status line is \(line)" }
        guard head.reason.end <= bytes.count else { return "the reason lies outside" }
        guard let framing = framing(oldVersion: head.minorVersion == 0) else { return "accepted contradictory framing" }
        guard head.contentLength == framing.length else { return "length \(String(describing: head.contentLength))" }
        let expected: BodyFraming
        if head.status < 200 || head.status == 204 || head.status == 304 || method == .head
            || method == .connect && (200...299).contains(head.status)
        {
            expected = .none
        } else {
            expected = framing.isChunked ? .chunked : framing.length.map { .length($0) } ?? .untilClose
        }
        guard head.framing == expected else { return "framing \(head.framing), expected \(expected)" }
        if head.keepAlive && (expected == .untilClose || head.status == 101) { return "keeps a lost connection" }
        return nil
    }
}

/// Chunked bodies without trailers' meaning: sizes and data only.
enum ChunkedReference {
    /// The body and where the message ended; nil for what must not be accepted.
    static func decode(_ bytes: [UInt8]) -> (body: [UInt8], end: Int)? {
        var body: [UInt8] = []
        var rest = bytes[...]
        while let line = takeLine(&rest) {
            let digits = line.prefix { $0 != 59 }
            guard let size = UInt64(String(decoding: digits, as: UTF8.self), radix: 16), digits.first != 43 else {
                return nil
            }
            if size == 0 {
                while let trailer = takeLine(&rest) {
                    if trailer.isEmpty { return (body, rest.startIndex) }
                }
                return nil
            }
            guard size <= UInt64(rest.count) else { return nil }
            body += rest.prefix(Int(size))
            rest = rest.dropFirst(Int(size))
            guard takeLine(&rest)?.isEmpty == true else { return nil }
        }
        return nil
    }

    private static func takeLine(_ rest: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        var index = rest.startIndex
        while index + 1 < rest.endIndex {
            if rest[index] == 13, rest[index + 1] == 10 {
                let line = rest[..<index]
                rest = rest[(index + 2)...]
                return line
            }
            index += 1
        }
        return nil
    }
}
