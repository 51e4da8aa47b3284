// Where field blocks become heads: one for all connections of an event loop, for a block is decoded and told of in one
// go. What it holds is good until the next call of a session's `next`, and is copied out by whoever needs it longer.

internal import Limits

/// Decoded bytes, and the head whose ranges point into them.
package final class HTTP2HeadArena {
    var fields: HPACKFields
    /// After `.request`. The shell may swap it for another head, whose memory is then used.
    package var request = RequestHead()
    /// After `.response`.
    package var response = ResponseHead()
    /// After `.trailers`: those that may be passed on (RFC 9110, section 6.5.1).
    package var trailers: ContiguousArray<Field> = []
    /// After `.request` with the method CONNECT: the value of `:protocol` (RFC 8441, section 4).
    package var connectProtocol: ByteRange?
    /// After `.request`: its `priority` field, or what a PRIORITY_UPDATE said before (RFC 9218).
    package var priority = HTTP2Priority()

    /// - Parameters:
    ///   - bytesMax: of names and values; cookies that come in several fields take their bytes twice.
    ///   - fieldsMax: fields of one block, each of those cookies counted.
    package init(bytesMax: Int, fieldsMax: Int) {
        let (listBytesMax, isTooLarge) = bytesMax.multipliedReportingOverflow(by: Limits.http2ListShareMax)
        fields = HPACKFields(
            bytesMax: bytesMax, fieldsMax: fieldsMax, listBytesMax: isTooLarge ? .max : listBytesMax)
    }

    /// Bytes of names and values decoded last: what all ranges lie in.
    package var byteCount: Int { fields.byteCount }

    /// Shows exactly these bytes.
    package func withBytes<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        let bytes = fields.bytes
        return try body(bytes.span.extracting(0..<min(fields.byteCount, bytes.count)))
    }
}

/// What is to be done about a head.
enum HTTP2HeadVerdict: Equatable {
    case good
    /// Malformed (RFC 9113, section 8.1.1): a stream error.
    case faulty
    case tooLarge
    /// Malformed in what it says rather than in how: a client is told by an answer.
    case malformed(WireError)
}

extension KnownField {
    /// The fields that RFC 9113, section 8.2.2, keeps out of HTTP/2.
    static var connectionSpecificBits: UInt64 {
        KnownField.connection.bit | KnownField.proxyConnection.bit | KnownField.keepAlive.bit
            | KnownField.transferEncoding.bit | KnownField.upgrade.bit
    }
}

/// The one length that a head's Content-Length fields say.
struct HTTP2ContentLength {
    private(set) var value: UInt64?
    private var range = ByteRange.empty

    /// False for what is no number, and for a second one that differs (RFC 9110, section 8.6).
    @inline(__always)
    mutating func take(_ bytes: Span<UInt8>, _ text: ByteRange) -> Bool {
        if value != nil { return bytes.equals(range, text) }
        guard let number = MessageFraming.decimal(bytes, text) else { return false }
        value = number
        range = text
        return true
    }
}
