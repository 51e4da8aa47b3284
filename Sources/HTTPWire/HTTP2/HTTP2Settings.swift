// SETTINGS (RFC 9113, section 6.5): what the peer has said, and what we say.

/// The identifiers of settings (RFC 9113, section 6.5.2; RFC 8441, section 3; RFC 9218, section 2.1).
package enum HTTP2Setting: UInt16, CaseIterable, Sendable {
    case headerTableSize = 0x1
    case enablePush = 0x2
    case maxConcurrentStreams = 0x3
    case initialWindowSize = 0x4
    case maxFrameSize = 0x5
    case maxHeaderListSize = 0x6
    case enableConnectProtocol = 0x8
    case noRFC7540Priorities = 0x9
}

/// What windows can be at most, and what they are before anything is said (RFC 9113, sections 6.9.1 and 6.9.2).
enum HTTP2Window {
    static var bytesMax: Int { 0x7FFF_FFFF }
    static var initialBytes: Int { 65_535 }
}

/// The peer's settings, as they hold.
struct HTTP2PeerSettings: Sendable {
    /// At least one SETTINGS frame has come.
    var hasCome = false
    var streamsMax = Int(UInt32.max)
    var initialWindowBytes = HTTP2Window.initialBytes
    var headBytesMax = Int(UInt32.max)
    var enablesConnect = false
    /// 0 or 1, which the first SETTINGS decide for good; 2 before them.
    private var noPriorities: UInt8 = 2

    /// What one SETTINGS frame changes beyond these.
    struct Change {
        /// The largest window that any of its entries asked for, since each holds for a moment.
        var highestWindowBytes: Int
        var encoderTableBytes: Int?
        /// The smallest of several: the table must shrink to it in between (RFC 7541, section 4.2).
        var smallestTableBytes: Int?
    }

    /// Takes over the entries in `range`, whose size is a multiple of 6. Unknown ones are ignored.
    mutating func take(
        _ bytes: Span<UInt8>, _ range: Range<Int>, fromServer isServer: Bool
    ) throws(HTTP2Fault) -> Change {
        var change = Change(highestWindowBytes: initialWindowBytes)
        let priorities = noPriorities
        var position = range.lowerBound
        while position &+ 6 <= range.upperBound {
            let value = bytes.integer32(at: position &+ 2)
            switch HTTP2Setting(rawValue: bytes.integer16(at: position)) {
            case .headerTableSize:
                let size = Int(value)
                change.encoderTableBytes = size
                change.smallestTableBytes = min(change.smallestTableBytes ?? size, size)
            case .enablePush:
                guard value <= (isServer ? 0 : 1) else { throw HTTP2Fault(.enablePush) }
            case .maxConcurrentStreams: streamsMax = Int(value)
            case .initialWindowSize:
                guard value <= HTTP2Window.bytesMax else { throw HTTP2Fault(.initialWindow) }
                initialWindowBytes = Int(value)
                change.highestWindowBytes = max(change.highestWindowBytes, initialWindowBytes)
            case .maxFrameSize:
                guard 0x4000...0xFF_FFFF ~= value else { throw HTTP2Fault(.maxFrameSize) }
            case .maxHeaderListSize: headBytesMax = Int(value)
            case .enableConnectProtocol:
                guard value <= 1, value == 1 || !enablesConnect else { throw HTTP2Fault(.enableConnect) }
                enablesConnect = value == 1
            case .noRFC7540Priorities:
                guard value <= 1, priorities == 2 || UInt32(priorities) == value else {
                    throw HTTP2Fault(.noPriorities)
                }
                noPriorities = UInt8(truncatingIfNeeded: value)
            case nil: break
            }
            position &+= 6
        }
        if noPriorities == 2 { noPriorities = 0 }
        hasCome = true
        return change
    }
}

extension HTTP2Bounds {
    /// The entries of our own SETTINGS, one after the other.
    func forEachSetting(ofServer isServer: Bool, _ body: (HTTP2Setting, Int) -> Void) {
        if decoderTableBytesMax != 4096 { body(.headerTableSize, decoderTableBytesMax) }
        if isServer {
            body(.maxConcurrentStreams, streamsMax)
            body(.enableConnectProtocol, 1)
        } else {
            body(.enablePush, 0)
        }
        if streamWindowBytes != HTTP2Window.initialBytes { body(.initialWindowSize, streamWindowBytes) }
        body(.maxHeaderListSize, headBytesMax)
        body(.noRFC7540Priorities, 1)
    }
}
