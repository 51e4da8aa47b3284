import Limits

/// Finds the ClientHello in the first bytes of a TLS connection, before the TLS engine gets them.
///
/// Layout (RFC 8446, sections 5.1 and 4):
///
///     | 22 | 3 x | length |  1 | length | body ...            first record
///     | 22 | 3 x | length |  ... body                         more records, if the client split the message
///
/// `bytes` always start at the connection's first byte and only grow between calls. Whole records already seen are
/// not looked at again, so a hello dripped in byte by byte costs time linear in its size. Nothing is copied unless
/// the message is spread over several records.
package struct ClientHelloParser: Sendable {
    /// Where the first record that is not complete yet begins.
    private var recordStart = 0
    /// Bytes of the handshake message in the records before it.
    private var gathered = 0
    /// The handshake header's bytes so far, the first the highest.
    private var header: UInt32 = 0

    private static let recordHeaderByteCount = 5
    private static let messageHeaderByteCount = 4
    private static let recordPayloadBytesMax = 1 << 14

    package init() {}

    /// What the parser says after it has seen some bytes.
    package enum Progress: Sendable {
        case needsMore
        case complete(ClientHello)
    }

    /// Parses as far as `bytes` go. After an error or a complete hello the parser has done its duty.
    ///
    /// - Throws: why this is no ClientHello; `alert` of the error is what to send before closing.
    package mutating func parse(_ bytes: Span<UInt8>) throws(ClientHelloError) -> Progress {
        while true {
            try checkRecordHeader(bytes)
            let payloadStart = recordStart + Self.recordHeaderByteCount
            guard bytes.count >= payloadStart else { return .needsMore }
            let payloadByteCount = Int(bytes[recordStart + 3]) << 8 | Int(bytes[recordStart + 4])
            try readMessageHeader(bytes, payloadStart, payloadByteCount)
            let recordEnd = payloadStart + payloadByteCount
            guard recordEnd <= Limits.clientHelloBytesMax else { throw .tooLarge }
            guard bytes.count >= recordEnd else { return .needsMore }
            if let messageByteCount, gathered + payloadByteCount >= messageByteCount {
                return .complete(try hello(bytes, messageByteCount, payloadStart, recordEnd))
            }
            gathered += payloadByteCount
            recordStart = recordEnd
        }
    }

    /// The length of the whole message, header included, once that much is known.
    private var messageByteCount: Int? {
        gatheredHeader >= Self.messageHeaderByteCount
            ? Int(header & 0xFF_FFFF) + Self.messageHeaderByteCount : nil
    }

    /// How many bytes `header` has.
    private var gatheredHeader = 0

    /// Refuses what cannot be a handshake record as soon as the telling byte is there.
    private func checkRecordHeader(_ bytes: Span<UInt8>) throws(ClientHelloError) {
        guard bytes.count > recordStart else { return }
        let type = bytes[recordStart]
        if type != 22 {
            guard recordStart == 0 else { throw .unexpectedRecord }
            switch type {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): throw .plainHTTP
            case 20, 21, 23: throw .unexpectedRecord
            default: throw .notTLS
            }
        }
        // The minor version is to be ignored (RFC 8446, section 5.1); no TLS ever had another major one.
        guard bytes.count > recordStart + 1 else { return }
        guard bytes[recordStart + 1] == 3 else { throw .notTLS }
        guard bytes.count >= recordStart + Self.recordHeaderByteCount else { return }
        let payloadByteCount = Int(bytes[recordStart + 3]) << 8 | Int(bytes[recordStart + 4])
        guard (1...Self.recordPayloadBytesMax).contains(payloadByteCount) else { throw .badRecordLength }
    }

    /// Takes the type and length of the message from however much of the record has come.
    private mutating func readMessageHeader(
        _ bytes: Span<UInt8>, _ payloadStart: Int, _ payloadByteCount: Int
    ) throws(ClientHelloError) {
        while gatheredHeader < Self.messageHeaderByteCount {
            let index = payloadStart + gatheredHeader - gathered
            guard index < min(bytes.count, payloadStart + payloadByteCount) else { return }
            if gatheredHeader == 0 {
                guard bytes[index] == 1 else { throw .unexpectedMessage }
            }
            header = header << 8 | UInt32(bytes[index])
            gatheredHeader += 1
        }
        guard let messageByteCount, messageByteCount <= Limits.clientHelloBytesMax else { throw .tooLarge }
    }

    /// Reads the body: in place if one record holds it, else from a copy without the record headers.
    private func hello(
        _ bytes: Span<UInt8>, _ messageByteCount: Int, _ payloadStart: Int, _ recordEnd: Int
    ) throws(ClientHelloError) -> ClientHello {
        if recordStart == 0 {
            let bodyStart = payloadStart + Self.messageHeaderByteCount
            var hello = ClientHello(recordsByteCount: recordEnd)
            try hello.read(bytes, from: bodyStart, to: payloadStart + messageByteCount)
            return hello
        }
        var message: [UInt8] = []
        message.reserveCapacity(messageByteCount)
        var record = 0
        while record < recordEnd, message.count < messageByteCount {
            let start = record + Self.recordHeaderByteCount
            let end = start + (Int(bytes[record + 3]) << 8 | Int(bytes[record + 4]))
            var index = start
            while index < min(end, bytes.count), message.count < messageByteCount {
                message.append(bytes[index])
                index += 1
            }
            record = end
        }
        guard message.count == messageByteCount else { throw .malformed }
        var hello = ClientHello(recordsByteCount: recordEnd)
        try hello.read(message.span, from: Self.messageHeaderByteCount, to: messageByteCount)
        hello.reassembled = message
        return hello
    }
}
