import ConnectionWire
import Exchange
import HTTPWire
import NIOCore
import Pipeline

/// WebSocket from a client of HTTP/2 to an origin of HTTP/1.1 (RFC 8441, section 5.1): the two fields that only the
/// older handshake has.
extension Journey {
    /// Makes of an extended CONNECT the upgrade that it is in HTTP/1.1.
    ///
    /// - Parameter name: where the request has the protocol's name.
    func becomeWebSocketUpgrade(_ name: ByteRange) {
        request.method = .get
        request.framing = .none
        request.upgrade = name
        // A key of the client's own has no meaning here (RFC 8441, section 5), and the origin must see one only.
        requestBytes.withBytes { span in
            for index in request.fields.indices
            where span.equalsIgnoringCase(request.fields[index].name, "sec-websocket-key") {
                request.fields[index].isDropped = true
            }
        }
        addRequestField("Sec-WebSocket-Key", WebSocketKey.make())
    }

    /// The head of a 101 without Sec-WebSocket-Accept, if that answers the key (RFC 6455, section 4.1); else nil.
    func acceptedHandshake(_ head: ResponseHead, _ bytes: ByteBuffer) -> ResponseHead? {
        let key = requestBytes.withBytes { span -> [UInt8]? in
            guard let field = request.fields.last(where: { span.equalsIgnoringCase($0.name, "sec-websocket-key") })
            else { return nil }
            return field.value.range.map { span[$0] }
        }
        guard let key else { return nil }
        let wanted = WebSocketKey.accept(for: key)
        return bytes.withBytes { span in
            var head = head
            var isAccepted = false
            for index in head.fields.indices
            where span.equalsIgnoringCase(head.fields[index].name, "sec-websocket-accept") {
                isAccepted = head.fields[index].value.range.map { span[$0] } == wanted
                head.fields[index].isDropped = true
            }
            return isAccepted ? head : nil
        }
    }
}
