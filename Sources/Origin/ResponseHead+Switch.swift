import HTTPWire
import NIOCore

extension ResponseHead {
    /// Makes of the answer to an extended CONNECT the 101 that an upgrade has in HTTP/1.1, with what proves there that
    /// the origin understood (RFC 6455, section 4.2.2; RFC 8441, section 5).
    ///
    /// - Parameters:
    ///   - bytes: of the head; what is added goes behind them.
    ///   - answer: the value of Sec-WebSocket-Accept.
    mutating func becomeSwitch(_ bytes: inout ByteBuffer, accepting answer: [UInt8]) {
        func append(_ text: some Sequence<UInt8>) -> ByteRange {
            let start = bytes.readableBytes
            bytes.writeBytes(text)
            return ByteRange(start: UInt32(clamping: start), count: UInt32(clamping: bytes.readableBytes - start))
        }
        status = 101
        framing = .none
        contentLength = nil
        keepAlive = false
        upgrade = append("websocket".utf8)
        let name = append("sec-websocket-accept".utf8)
        fields.append(Field(name: name, value: append(answer), known: .other, isDropped: false))
    }
}
