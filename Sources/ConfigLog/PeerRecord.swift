// How a message lies on a connection. Integers are in network order.
//
//   record      body length 4 | kind 1 | check 3 | body
//
// The check is over the five bytes before it, so that a damaged length is known at once and not waited for. A frame's and
// a chunk's content has its own hash; every other body ends with a check of its own. TLS keeps attackers out; the checks
// find what breaks in memory and between TLS and here.

import Limits

/// A message as bytes. The body is shared by all who are sent the same.
package struct PeerRecord: Sendable, Equatable {
    package let head: [UInt8]
    /// Behind the head: a frame or a chunk; empty for all else.
    package let body: [UInt8]

    package var byteCount: Int { head.count + body.count }
    package var bytes: [UInt8] { head + body }

    static let headerByteCount = 8

    /// Bytes as they are: for who damages them on purpose.
    package init(head: [UInt8], body: [UInt8]) {
        self.head = head
        self.body = body
    }

    package init(_ message: PeerMessage) throws(ConfigLogError) {
        var content: [UInt8] = []
        var shared: [UInt8] = []
        switch message {
        case .frame(let stream, let bytes):
            content.write(stream)
            shared = bytes
        case .chunk(let hash, let bytes):
            content.write(hash)
            shared = bytes
        default:
            try content.write(message)
            content.write(Checksum.of(content[...]))
        }
        let count = content.count + shared.count
        guard count <= RecordReader.bodyBytesMax(message.kind) else {
            throw ConfigLogError(
                .tooLarge, "a message", expected: "at most \(RecordReader.bodyBytesMax(message.kind)) bytes",
                found: "\(count)")
        }
        var head: [UInt8] = []
        head.reserveCapacity(Self.headerByteCount + content.count)
        head.write(UInt32(truncatingIfNeeded: count))
        head.append(message.kind.rawValue)
        let check = Checksum.of(head[...])
        for shift in [16, 8, 0] as [UInt32] { head.append(UInt8(truncatingIfNeeded: check >> shift)) }
        head += content
        self.head = head
        body = shared
    }
}

/// FNV-1a of 32 bits: each step is invertible, so that one damaged byte always shows, in the lower bits too.
enum Checksum {
    static func of(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        var sum: UInt32 = 0x811C_9DC5
        for byte in bytes { sum = (sum ^ UInt32(byte)) &* 0x0100_0193 }
        return sum
    }
}

/// Takes a connection's bytes as they come, and gives whole messages.
package struct RecordReader: Sendable {
    /// The kinds that the other may send now; any other one is an error before its body is waited for.
    package var accepted: Set<PeerMessage.Kind>
    private var buffer: [UInt8] = []
    private var position = 0

    package init(accepting: Set<PeerMessage.Kind>) { accepted = accepting }

    /// Bytes of messages that are not whole yet.
    package var bufferedByteCount: Int { buffer.count - position }

    package static func bodyBytesMax(_ kind: PeerMessage.Kind) -> Int {
        switch kind {
        case .frame: Limits.configFrameBytesMax + 4
        case .chunk: Limits.configChunkBytesMax + 32
        case .offer: Limits.configSnapshotChunksMax * 36 + 64
        case .reports: Limits.configChildMessageBytesMax
        default: Limits.configHelloBytesMax
        }
    }

    package mutating func append(_ bytes: [UInt8]) {
        if position == buffer.count {
            buffer = bytes
            position = 0
            return
        }
        if position > buffer.count / 2 {
            buffer.removeSubrange(0..<position)
            position = 0
        }
        buffer += bytes
    }

    /// The next whole message; nil if more bytes are needed. After an error the connection is of no more use.
    package mutating func next() throws(ConfigLogError) -> PeerMessage? {
        guard bufferedByteCount >= PeerRecord.headerByteCount else { return nil }
        var header = WireReader(buffer, position..<buffer.count, "a message's header")
        let count = Int(try header.integer(UInt32.self, "the length"))
        let raw = try header.integer(UInt8.self, "the kind")
        let check = Checksum.of(buffer[position..<position + 5]) & 0xFF_FFFF
        let found =
            UInt32(try header.integer(UInt8.self, "the check")) << 16
            | UInt32(try header.integer(UInt16.self, "the check"))
        guard found == check else {
            throw header.fail(.malformed, expected: "check \(check)", found: "\(found)")
        }
        guard let kind = PeerMessage.Kind(rawValue: raw), accepted.contains(kind) else {
            let expected = accepted.map { "\($0)" }.sorted().joined(separator: ", ")
            throw header.fail(.malformed, expected: "a message of \(expected)", found: "kind \(raw)")
        }
        guard count <= Self.bodyBytesMax(kind) else {
            throw header.fail(
                .tooLarge, expected: "\(kind) of at most \(Self.bodyBytesMax(kind)) bytes", found: "\(count)")
        }
        guard header.remaining >= count else { return nil }
        let start = header.offset
        position = start + count
        defer { if position == buffer.count { (buffer, position) = ([], 0) } }
        return try Self.message(kind, buffer, start..<start + count)
    }

    private static func message(
        _ kind: PeerMessage.Kind, _ bytes: [UInt8], _ range: Range<Int>
    ) throws(ConfigLogError) -> PeerMessage {
        switch kind {
        case .frame:
            var reader = WireReader(bytes, range, "a frame's message")
            let stream = try reader.integer(UInt32.self, "the stream")
            return .frame(stream: stream, bytes: try reader.array(reader.remaining, "the frame"))
        case .chunk:
            var reader = WireReader(bytes, range, "a chunk's message")
            let hash = try reader.hash("the chunk's hash")
            return .chunk(hash, bytes: try reader.array(reader.remaining, "the chunk"))
        default:
            guard range.count >= 4 else {
                throw ConfigLogError(.truncated, "a message", expected: "a check", found: "\(range.count) bytes")
            }
            let content = range.lowerBound..<range.upperBound - 4
            var tail = WireReader(bytes, content.upperBound..<range.upperBound, "a message")
            let found = try tail.integer(UInt32.self, "the check")
            let check = Checksum.of(bytes[content])
            guard found == check else { throw tail.fail(.malformed, expected: "check \(check)", found: "\(found)") }
            var reader = WireReader(bytes, content, "a message")
            let message = try reader.message(kind)
            try reader.atEnd()
            return message
        }
    }
}
