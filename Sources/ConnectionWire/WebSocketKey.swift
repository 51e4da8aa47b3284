import Crypto
import FoundationEssentials

/// The two fields by which an HTTP/1.1 handshake of WebSocket proves that the server has understood it (RFC 6455,
/// section 4.1). A client of HTTP/2 has neither (RFC 8441, section 5.1): where its stream goes on to an origin of
/// HTTP/1.1, the key is made, and the answer checked, on its behalf.
package enum WebSocketKey {
    /// A fresh value of Sec-WebSocket-Key: 16 random bytes in base64, 24 characters.
    package static func make() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        return Array(Data(bytes).base64EncodedData())
    }

    /// The value of Sec-WebSocket-Accept that answers the key.
    package static func accept(for key: some Sequence<UInt8>) -> [UInt8] {
        var hash = Insecure.SHA1()
        hash.update(data: Array(key))
        hash.update(data: Array("258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8))
        return Array(Data(hash.finalize()).base64EncodedData())
    }
}
