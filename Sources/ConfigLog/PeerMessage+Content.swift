// The content of the messages but for frames and chunks, field after field.

import Limits

extension [UInt8] {
    mutating func write(_ message: PeerMessage) throws(ConfigLogError) {
        switch message {
        case .hello(let hello):
            write(hello.version)
            append(hello.role.rawValue)
            write(name: hello.name, bytesMax: Limits.configNameBytesMax)
            write(hello.position)
            write(name: hello.software, bytesMax: Limits.configSoftwareBytesMax)
        case .follow(let follow):
            write(follow.stream)
            write(follow.position)
            append(follow.wantsSnapshot ? 1 : 0)
        case .answer(let answer):
            write(answer.stream)
            append(answer.kind.rawValue)
            write(answer.head)
        case .frame, .chunk: break  // PeerRecord shares their bytes
        case .offer(let stream, let manifest):
            write(stream)
            append(contentsOf: try manifest.encoded())
        case .chunkRequest(let hash), .chunkMissing(let hash): write(hash)
        case .acknowledgement(let acknowledgement):
            write(acknowledgement.stream)
            write(acknowledgement.position)
            write(acknowledgement.appliedAtMilliseconds)
            write(acknowledgement.lagMilliseconds)
            write(acknowledgement.health)
        case .reports(let reports):
            write(UInt16(truncatingIfNeeded: reports.count))
            for report in reports { write(report) }
        case .ping(let ping):
            write(ping.stream)
            write(ping.sentSequence)
            write(ping.head)
            write(ping.stalenessMilliseconds)
        case .goodbye(let goodbye):
            append(goodbye.reason.rawValue)
            write(name: goodbye.text, bytesMax: Limits.configGoodbyeBytesMax)
        }
    }
}

extension WireReader {
    mutating func message(_ kind: PeerMessage.Kind) throws(ConfigLogError) -> PeerMessage {
        switch kind {
        case .hello: return .hello(try hello())
        case .follow:
            return .follow(
                PeerMessage.Follow(
                    stream: try stream(), position: try position(),
                    wantsSnapshot: try integer(UInt8.self, "a flag") & 1 == 1))
        case .answer: return .answer(try answer())
        case .offer: return .offer(stream: try stream(), try manifest())
        case .chunkRequest: return .chunkRequest(try hash("a chunk's hash"))
        case .chunkMissing: return .chunkMissing(try hash("a chunk's hash"))
        case .acknowledgement:
            return .acknowledgement(
                PeerMessage.Acknowledgement(
                    stream: try stream(), position: try position(),
                    appliedAtMilliseconds: try integer(UInt64.self, "a time"),
                    lagMilliseconds: try integer(UInt32.self, "a lag"), health: try health()))
        case .reports: return .reports(try reports())
        case .ping:
            return .ping(
                PeerMessage.Ping(
                    stream: try stream(), sentSequence: try integer(UInt64.self, "a sequence"), head: try position(),
                    stalenessMilliseconds: try integer(UInt32.self, "an age")))
        case .goodbye: return .goodbye(try goodbye())
        case .frame, .chunk: throw fail(.malformed, expected: "a message with a check", found: "\(kind)")
        }
    }

    private mutating func stream() throws(ConfigLogError) -> UInt32 { try integer(UInt32.self, "the stream") }

    private mutating func hello() throws(ConfigLogError) -> PeerMessage.Hello {
        let version = try integer(UInt16.self, "the version")
        guard version >= 1 else { throw fail(.unknownVersion, expected: "a version from 1", found: "\(version)") }
        let role = try role()
        let name = try nodeName()
        guard !name.isEmpty else { throw fail(.malformed, expected: "a node's name", found: "none") }
        var hello = PeerMessage.Hello(
            role: role, name: name, position: try position(), software: try software())
        hello.version = version
        return hello
    }

    private mutating func answer() throws(ConfigLogError) -> PeerMessage.Answer {
        let stream = try stream()
        let raw = try integer(UInt8.self, "an answer")
        guard let kind = PeerMessage.Answer.Kind(rawValue: raw) else {
            throw fail(.malformed, expected: "an answer from 1 to 6", found: "\(raw)")
        }
        return PeerMessage.Answer(stream: stream, kind: kind, head: try position())
    }

    private mutating func reports() throws(ConfigLogError) -> [NodeReport] {
        let count = Int(try integer(UInt16.self, "the number of reports"))
        guard count <= Limits.configReportsPerMessageMax else {
            throw fail(.tooLarge, expected: "at most \(Limits.configReportsPerMessageMax) reports", found: "\(count)")
        }
        var reports: [NodeReport] = []
        for _ in 0..<count { reports.append(try report()) }
        return reports
    }

    private mutating func goodbye() throws(ConfigLogError) -> PeerMessage.Goodbye {
        let raw = try integer(UInt8.self, "a reason")
        guard let reason = PeerMessage.Goodbye.Reason(rawValue: raw) else {
            throw fail(.malformed, expected: "a reason that is known", found: "\(raw)")
        }
        return PeerMessage.Goodbye(reason, try name("a text", bytesMax: Limits.configGoodbyeBytesMax))
    }
}
