import Foundation
import Testing

/// Bodies of any length in which every byte follows from the URL and its place, so that a byte of another object,
/// another place or another time is seen.
///
/// Noise that all bodies share, begun at a place that the name decides, with a stamp of name and place every 4 KiB.
enum MarkedBody {
    private static let noiseBytes = 1 << 20
    private static let stampBytes = 4096

    private static let noise: [UInt8] = {
        var words = [UInt64](repeating: 0, count: noiseBytes * 2 / 8)
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        for index in 0..<noiseBytes / 8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            words[index] = state ^ (state >> 29)
            // Twice in a row, so that any place of it can be read on for its whole length.
            words[index + noiseBytes / 8] = words[index]
        }
        return words.withUnsafeBytes { Array($0) }
    }()

    /// FNV-1a.
    private static func seed(_ name: String) -> UInt64 {
        name.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    /// What stands at these offsets of the body of that name.
    static func bytes(_ name: String, _ range: Range<Int>) -> [UInt8] {
        let seed = seed(name)
        let start = range.lowerBound / stampBytes * stampBytes
        var body = [UInt8]()
        body.reserveCapacity(range.upperBound - start)
        while start + body.count < range.upperBound {
            let place = (Int(seed % 65_521) + start + body.count) % noiseBytes
            body += noise[place..<place + min(noiseBytes, range.upperBound - start - body.count)]
        }
        body.withUnsafeMutableBytes { bytes in
            for place in stride(from: 0, to: bytes.count, by: stampBytes) {
                let stamp = (seed &+ UInt64(start + place)) &* 0x9E37_79B9_7F4A_7C15
                withUnsafeBytes(of: stamp.littleEndian) { stamp in
                    for index in 0..<min(8, bytes.count - place) { bytes[place + index] = stamp[index] }
                }
            }
        }
        return start == range.lowerBound ? body : Array(body[(range.lowerBound - start)...])
    }

    static func bytes(_ name: String, count: Int) -> [UInt8] { bytes(name, 0..<count) }

    /// What is wrong with bytes that should stand from an offset on; nil when nothing is.
    static func fault(_ bytes: [UInt8], of name: String, from offset: Int = 0) -> String? {
        let wanted = Self.bytes(name, offset..<offset + bytes.count)
        guard bytes != wanted else { return nil }
        // In steps first: a debug build takes long over every byte.
        var place = 0
        while bytes[place..<min(place + 4096, bytes.count)] == wanted[place..<min(place + 4096, bytes.count)] {
            place += 4096
        }
        while bytes[place] == wanted[place] { place += 1 }
        return "\(name): byte \(offset + place) is wrong in \(bytes.count) from \(offset)"
    }
}

extension Resource {
    /// A body of this many bytes by its name, which is its target; ranges are not understood.
    ///
    /// - Parameters:
    ///   - isChunked: else it has a Content-Length.
    ///   - pieces: called with each piece's offset before it goes out, to hold it back.
    static func large(
        _ count: Int, _ fields: String..., isChunked: Bool = false, on stage: CacheStage,
        pieces: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws -> Resource {
        try Resource(
            playing: { connection, request, _ in
                let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(count)"
                let head = ["HTTP/1.1 200 OK", framing] + fields
                try connection.send(head.joined(separator: "\r\n") + "\r\n\r\n")
                var offset = 0
                while offset < count {
                    pieces(offset)
                    let piece = MarkedBody.bytes(request.target, offset..<min(offset + 1 << 18, count))
                    if isChunked { try connection.send("\(String(piece.count, radix: 16))\r\n") }
                    try connection.wire.send(piece)
                    if isChunked { try connection.send("\r\n") }
                    offset += piece.count
                }
                if isChunked { try connection.send("0\r\n\r\n") }
            }, on: stage)
    }

    /// Asks until the answer is a hit. A large object is one once the disk has all of it; until then those who ask share
    /// the fetch.
    func settle(sourceLocation: SourceLocation = #_sourceLocation) throws {
        _ = try get()
        let isHit = try eventually {
            let answer = try get()
            #expect(answer.cache.isShared, "\(answer.head)", sourceLocation: sourceLocation)
            return answer.cache.isHit
        }
        #expect(isHit, sourceLocation: sourceLocation)
    }

    /// What is wrong with an answer to a request for all of it.
    func fault(in answer: Message, count: Int) -> String? {
        guard answer.status == 200, answer.ending != .cut, answer.body.count == count else {
            return "\(answer.startLine), \(answer.body.count) of \(count) bytes, \(answer.ending)"
        }
        return MarkedBody.fault(answer.body, of: path)
    }
}
