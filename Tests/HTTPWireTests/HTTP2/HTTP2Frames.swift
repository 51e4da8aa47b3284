// Frames as tests write them, byte by byte and without the codec under test, and as tests read them.

import HTTPWire

/// Frames on their way to a session.
enum Frames {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    static func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16 & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF), type, flags]
            + number(stream) + payload
    }

    static func number(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 0xFF), UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)]
    }

    // MARK: By type

    static func data(_ stream: UInt32, _ count: Int, ends: Bool = false, padding: Int? = nil) -> [UInt8] {
        let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ Int(stream)) }
        guard let padding else { return frame(0, ends ? 1 : 0, stream, body) }
        return frame(0, ends ? 9 : 8, stream, [UInt8(padding)] + body + [UInt8](repeating: 0, count: padding))
    }

    static func headers(
        _ stream: UInt32, _ block: [UInt8], ends: Bool = true, endsBlock: Bool = true, padding: Int? = nil,
        priority: [UInt8]? = nil
    ) -> [UInt8] {
        var flags: UInt8 = (ends ? 1 : 0) | (endsBlock ? 4 : 0)
        var payload = block
        if let priority {
            flags |= 0x20
            payload = priority + payload
        }
        if let padding {
            flags |= 8
            payload = [UInt8(padding)] + payload + [UInt8](repeating: 0, count: padding)
        }
        return frame(1, flags, stream, payload)
    }

    static func continuation(_ stream: UInt32, _ block: [UInt8], endsBlock: Bool = true) -> [UInt8] {
        frame(9, endsBlock ? 4 : 0, stream, block)
    }

    static func priority(_ stream: UInt32, count: Int = 5) -> [UInt8] {
        frame(2, 0, stream, [UInt8](repeating: 0, count: count))
    }

    static func reset(_ stream: UInt32, _ code: UInt32 = 8) -> [UInt8] { frame(3, 0, stream, number(code)) }

    static func settings(_ entries: [(UInt16, UInt32)] = []) -> [UInt8] {
        frame(4, 0, 0, entries.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 0xFF)] + number($0.1) })
    }

    static let settingsAck = frame(4, 1, 0)

    static func ping(_ byte: UInt8 = 7, isAck: Bool = false) -> [UInt8] {
        frame(6, isAck ? 1 : 0, 0, [UInt8](repeating: byte, count: 8))
    }

    static func goAway(_ lastID: UInt32, _ code: UInt32 = 0, text: String = "") -> [UInt8] {
        frame(7, 0, 0, number(lastID) + number(code) + Array(text.utf8))
    }

    static func windowUpdate(_ stream: UInt32, _ bytes: UInt32) -> [UInt8] { frame(8, 0, stream, number(bytes)) }

    static func priorityUpdate(_ stream: UInt32, _ text: String) -> [UInt8] {
        frame(16, 0, 0, number(stream) + Array(text.utf8))
    }

    // MARK: Heads

    /// A block of literals that enter no table (RFC 7541, section 6.2.2), whatever their names and values are.
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        fields.flatMap { [0] + text($0.0) + text($0.1) }
    }

    /// A string without Huffman coding (RFC 7541, section 5.2).
    static func text(_ string: String) -> [UInt8] {
        let bytes = Array(string.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
        guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
        var prefix: [UInt8] = [127]
        var rest = bytes.count - 127
        while rest >= 128 {
            prefix.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return prefix + [UInt8(rest)] + bytes
    }

    static let requestFields = [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")]

    /// A request's fields with some of them changed, or left out where the new value is nil, and others behind them.
    static func request(
        _ changes: [String: String?] = [:], _ more: [(String, String)] = []
    ) -> [UInt8] {
        var fields: [(String, String)] = []
        for (name, value) in requestFields {
            guard let change = changes[name] else {
                fields.append((name, value))
                continue
            }
            if let change { fields.append((name, change)) }
        }
        return block(fields + more)
    }

    static func get(_ stream: UInt32, _ more: [(String, String)] = []) -> [UInt8] {
        headers(stream, request([:], more))
    }

    static func post(_ stream: UInt32, _ more: [(String, String)] = []) -> [UInt8] {
        headers(stream, request([":method": "POST"], more), ends: false)
    }

    static func response(_ status: Int, _ more: [(String, String)] = []) -> [UInt8] {
        block([(":status", "\(status)")] + more)
    }

    static func ok(_ stream: UInt32, _ more: [(String, String)] = [], ends: Bool = false) -> [UInt8] {
        headers(stream, response(200, more), ends: ends)
    }
}

/// A frame that a session has written.
struct SeenFrame: Equatable {
    var type: UInt8
    var flags: UInt8
    var stream: UInt32
    var payload: [UInt8]

    /// All frames of `bytes`, which hold nothing but whole ones behind a preface.
    static func all(_ bytes: [UInt8]) -> [SeenFrame]? {
        var frames: [SeenFrame] = []
        var position = bytes.starts(with: Frames.preface) ? Frames.preface.count : 0
        while position < bytes.count {
            guard position + 9 <= bytes.count else { return nil }
            let length = Int(bytes[position]) << 16 | Int(bytes[position + 1]) << 8 | Int(bytes[position + 2])
            guard position + 9 + length <= bytes.count, length <= 16_384 else { return nil }
            frames.append(
                SeenFrame(
                    type: bytes[position + 3], flags: bytes[position + 4], stream: number(bytes, position + 5),
                    payload: Array(bytes[position + 9..<position + 9 + length])))
            position += 9 + length
        }
        return frames
    }

    static func number(_ bytes: [UInt8], _ position: Int) -> UInt32 {
        bytes[position..<position + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// What must not be written, whatever it means: flags without a meaning for the type, a reserved bit, padding, a push
    /// (RFC 9113, sections 4.1, 6 and 8.4).
    var fault: String? {
        let known: UInt8? =
            switch type {
            case 0, 4, 6: 1
            case 1: 5
            case 9: 4
            case 3, 7, 8: 0
            default: nil
            }
        guard let known, flags & ~known == 0 else { return "a frame of type \(type) with flags \(flags)" }
        let hasNumber = type == 7 || type == 8
        let number = hasNumber && payload.count >= 4 ? Self.number(payload, 0) : 0
        return stream >> 31 == 0 && number >> 31 == 0 ? nil : "a reserved bit in \(text)"
    }

    /// `DATA 1 5 END`, `RST_STREAM 3 PROTOCOL_ERROR`, `SETTINGS ACK`, `GOAWAY 1 NO_ERROR`, …
    var text: String {
        switch type {
        case 0: "DATA \(stream) \(payload.count)" + (flags & 1 != 0 ? " END" : "")
        case 1: "HEADERS \(stream)" + (flags & 4 == 0 ? " MORE" : "") + (flags & 1 != 0 ? " END" : "")
        case 3: "RST_STREAM \(stream) \(HTTP2ErrorCode(rawValue: Self.number(payload, 0)).label)"
        case 4: flags & 1 != 0 ? "SETTINGS ACK" : "SETTINGS \(entries)"
        case 6: (flags & 1 != 0 ? "PING ACK " : "PING ") + "\(payload[0])"
        case 7:
            "GOAWAY \(Self.number(payload, 0)) \(HTTP2ErrorCode(rawValue: Self.number(payload, 4)).label)"
        case 8: "WINDOW_UPDATE \(stream) \(Self.number(payload, 0))"
        case 9: "CONTINUATION \(stream)" + (flags & 4 == 0 ? " MORE" : "")
        default: "frame \(type)"
        }
    }

    private var entries: String {
        stride(from: 0, to: payload.count - 5, by: 6).map {
            "\(UInt16(payload[$0]) << 8 | UInt16(payload[$0 + 1]))=\(Self.number(payload, $0 + 2))"
        }.joined(separator: " ")
    }
}
