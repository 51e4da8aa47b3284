internal import Limits

/// What a connection is held to. See `Limits`, part HTTP/2.
package struct HTTP2Bounds: Sendable, Equatable {
    /// Streams at a time: those the peer may open, or those we open.
    package var streamsMax: Int
    /// What the peer may send on one stream, and on all together, before it is told of more. Bytes.
    package var streamWindowBytes: Int
    package var connectionWindowBytes: Int
    /// The size of a head's field list as RFC 9113, section 10.5.1, counts it: names, values and 32 bytes a field.
    package var headBytesMax: Int
    /// Fields of a head, pseudo-header fields not counted, cookies counted once.
    package var fieldCountMax: Int
    /// Bytes of `:path`. Beyond it: 414.
    package var requestLineBytesMax: Int
    /// Bytes of the dynamic tables. The decoder's is announced; the encoder's is at most what the peer allows.
    package var decoderTableBytesMax: Int
    package var encoderTableBytesMax: Int

    /// Of a server, towards clients.
    package init() {
        streamsMax = Limits.http2StreamsPerConnectionDefault
        streamWindowBytes = Limits.http2StreamWindowBytes
        connectionWindowBytes = Limits.http2ConnectionWindowBytes
        headBytesMax = Limits.headBytesDefault
        fieldCountMax = Limits.fieldCountDefault
        requestLineBytesMax = Limits.requestLineBytesDefault
        decoderTableBytesMax = Limits.http2DecoderTableBytesMax
        encoderTableBytesMax = Limits.http2EncoderTableBytesMax
    }

    /// Of a client, towards origins.
    package static var origin: HTTP2Bounds {
        var bounds = HTTP2Bounds()
        bounds.streamsMax = Limits.http2OriginStreamsMax
        bounds.streamWindowBytes = Limits.http2OriginStreamWindowBytes
        bounds.connectionWindowBytes = Limits.http2OriginConnectionWindowBytes
        bounds.headBytesMax = Limits.responseHeadBytesMax
        bounds.fieldCountMax = Limits.responseFieldCountMax
        return bounds
    }
}
