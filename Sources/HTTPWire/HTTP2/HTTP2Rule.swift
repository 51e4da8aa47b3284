// The rules whose breach ends the connection, one row each: the error code, the section, and what is said of it.
//
// What ends one stream alone has no row here: it is told by its error code (RFC 9113, section 5.4.2).

/// A rule of the connection.
package enum HTTP2Rule: UInt8, CaseIterable, Sendable {
    // The beginning.
    case preface, settingsFirst
    // Lengths.
    case frameTooLarge, headersTooShort, priorityLength, resetLength, settingsLength, settingsAckLength, pingLength
    case goAwayLength, windowUpdateLength, priorityUpdateLength, padding
    // Which stream.
    case dataOnConnection, headersOnConnection, priorityOnConnection, resetOnConnection, continuationOnConnection
    case settingsOnStream, pingOnStream, goAwayOnStream, priorityUpdateOnStream, priorityUpdateOfConnection
    // Blocks in pieces.
    case blockInterrupted, continuationAlone, compression
    // States.
    case streamIdle, streamEnded, streamNumber, streamReused, pushRefused, priorityUpdateByServer
    // Settings.
    case enablePush, initialWindow, maxFrameSize, enableConnect, noPriorities
    // Windows.
    case windowExceeded, windowOverflow, windowOverflowBySettings, emptyWindowUpdate
    // Ours.
    case calm, noRoom

    /// What GOAWAY says.
    package var code: HTTP2ErrorCode {
        switch self {
        case .frameTooLarge, .headersTooShort, .priorityLength, .resetLength, .settingsLength, .settingsAckLength,
            .pingLength, .goAwayLength, .windowUpdateLength, .priorityUpdateLength:
            .frameSizeError
        case .streamEnded: .streamClosed
        case .initialWindow, .windowExceeded, .windowOverflow, .windowOverflowBySettings: .flowControlError
        case .compression: .compressionError
        case .calm: .enhanceYourCalm
        case .noRoom: .internalError
        default: .protocolError
        }
    }

    /// The section whose rule it is.
    package var section: StaticString {
        switch self {
        case .preface, .settingsFirst: "RFC 9113, 3.4"
        case .frameTooLarge: "RFC 9113, 4.2"
        case .headersTooShort, .headersOnConnection: "RFC 9113, 6.2"
        case .priorityLength, .priorityOnConnection: "RFC 9113, 6.3"
        case .resetLength, .resetOnConnection: "RFC 9113, 6.4"
        case .settingsLength, .settingsAckLength, .settingsOnStream: "RFC 9113, 6.5"
        case .enablePush, .initialWindow, .maxFrameSize: "RFC 9113, 6.5.2"
        case .pingLength, .pingOnStream: "RFC 9113, 6.7"
        case .goAwayLength, .goAwayOnStream: "RFC 9113, 6.8"
        case .windowUpdateLength, .emptyWindowUpdate: "RFC 9113, 6.9"
        case .windowExceeded, .windowOverflow: "RFC 9113, 6.9.1"
        case .windowOverflowBySettings: "RFC 9113, 6.9.2"
        case .priorityUpdateLength, .priorityUpdateOnStream, .priorityUpdateOfConnection, .priorityUpdateByServer:
            "RFC 9218, 7.1"
        case .padding, .dataOnConnection: "RFC 9113, 6.1"
        case .continuationOnConnection, .continuationAlone, .blockInterrupted: "RFC 9113, 6.10"
        case .compression: "RFC 9113, 4.3"
        case .streamIdle, .streamEnded: "RFC 9113, 5.1"
        case .streamNumber, .streamReused: "RFC 9113, 5.1.1"
        case .pushRefused: "RFC 9113, 8.4"
        case .enableConnect: "RFC 8441, 3"
        case .noPriorities: "RFC 9218, 2.1"
        case .calm: "RFC 9113, 10.5"
        case .noRoom: "RFC 9113, 5.4.1"
        }
    }

    /// What was expected and what was found instead.
    package var text: StaticString {
        switch self {
        case .preface: "expected the connection preface, found other bytes"
        case .settingsFirst: "expected SETTINGS as the first frame, found another"
        case .frameTooLarge: "expected a frame within SETTINGS_MAX_FRAME_SIZE, found a larger one"
        case .headersTooShort: "expected HEADERS to have room for what its flags say, found fewer bytes"
        case .priorityLength: "expected 5 bytes of PRIORITY, found another number"
        case .resetLength: "expected 4 bytes of RST_STREAM, found another number"
        case .settingsLength: "expected SETTINGS in entries of 6 bytes, found a part of one"
        case .settingsAckLength: "expected an acknowledgment of SETTINGS without a payload, found one with"
        case .pingLength: "expected 8 bytes of PING, found another number"
        case .goAwayLength: "expected at least 8 bytes of GOAWAY, found fewer"
        case .windowUpdateLength: "expected 4 bytes of WINDOW_UPDATE, found another number"
        case .priorityUpdateLength: "expected at least 4 bytes of PRIORITY_UPDATE, found fewer"
        case .padding: "expected padding within its frame, found more"
        case .dataOnConnection: "expected DATA on a stream, found stream 0"
        case .headersOnConnection: "expected HEADERS on a stream, found stream 0"
        case .priorityOnConnection: "expected PRIORITY on a stream, found stream 0"
        case .resetOnConnection: "expected RST_STREAM on a stream, found stream 0"
        case .continuationOnConnection: "expected CONTINUATION on a stream, found stream 0"
        case .settingsOnStream: "expected SETTINGS on stream 0, found a stream"
        case .pingOnStream: "expected PING on stream 0, found a stream"
        case .goAwayOnStream: "expected GOAWAY on stream 0, found a stream"
        case .priorityUpdateOnStream: "expected PRIORITY_UPDATE on stream 0, found a stream"
        case .priorityUpdateOfConnection: "expected PRIORITY_UPDATE of a stream, found stream 0"
        case .blockInterrupted: "expected CONTINUATION of the block that was begun, found another frame"
        case .continuationAlone: "expected no CONTINUATION without a block that was begun, found one"
        case .compression: "expected a field block that can be decoded, found another"
        case .streamIdle: "expected HEADERS to open a stream, found another frame on one that is idle"
        case .streamEnded: "expected nothing behind END_STREAM, found a frame on a stream that is over"
        case .streamNumber: "expected a stream identifier of the peer's own kind, found one of ours"
        case .streamReused: "expected a stream identifier above those before it, found a lower one"
        case .pushRefused: "expected no push, found PUSH_PROMISE"
        case .priorityUpdateByServer: "expected PRIORITY_UPDATE from clients alone, found a server's"
        case .enablePush: "expected 0 or 1, of a server 0, as SETTINGS_ENABLE_PUSH, found another value"
        case .initialWindow: "expected at most 2^31-1 as SETTINGS_INITIAL_WINDOW_SIZE, found more"
        case .maxFrameSize: "expected 2^14 to 2^24-1 as SETTINGS_MAX_FRAME_SIZE, found another value"
        case .enableConnect: "expected 0 or 1, and no return to 0, as SETTINGS_ENABLE_CONNECT_PROTOCOL"
        case .noPriorities: "expected 0 or 1, and no change, as SETTINGS_NO_RFC7540_PRIORITIES"
        case .windowExceeded: "expected DATA within the connection's window, found more"
        case .windowOverflow: "expected the connection's window to stay below 2^31, found it larger"
        case .windowOverflowBySettings: "expected every stream's window to stay below 2^31, found one larger"
        case .emptyWindowUpdate: "expected an increment of at least 1, found 0"
        case .calm: "expected less of what is allowed in small numbers"
        case .noRoom: "a field block did not fit its buffer"
        }
    }
}
