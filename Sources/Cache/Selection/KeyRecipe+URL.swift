import HTTPWire
import Limits

/// Keys of URLs that operators name.
extension KeyRecipe {
    /// The key that a request for this URL makes. It is read by the parser of requests, so that both agree.
    ///
    /// Custom parts are those of a request without any fields; go by `urlHash` where the zone has some.
    /// - Parameter url: absolute, http or https. A fragment is left out, since clients never send it; blanks and bytes
    ///   beyond ASCII are percent-encoded, as clients send them.
    /// - Returns: nil if it is no such URL, or too long.
    package func key(forURL url: String) -> CacheKey? {
        // HTTP/1.0 needs no Host beside the authority within the target.
        var line = Array("GET ".utf8)
        for byte in url.utf8 {
            if byte == UInt8(ascii: "#") { break }
            // A control byte could end the line.
            guard byte >= 0x20, byte != 0x7F, line.count < Limits.cacheKeyBytesMax else { return nil }
            if byte > 0x20, byte < 0x80 {
                line.append(byte)
            } else {
                line.append(contentsOf: [UInt8(ascii: "%"), Self.hexDigit(byte &>> 4), Self.hexDigit(byte & 0xF)])
            }
        }
        line.append(contentsOf: " HTTP/1.0\r\n\r\n".utf8)
        var parser = RequestHeadParser(
            bounds: HeadBounds(startLineBytesMax: line.count, headBytesMax: line.count, fieldCountMax: 1))
        var request = RequestHead()
        guard case .complete? = try? parser.parse(line.span, into: &request), request.targetForm == .absolute else {
            return nil
        }
        let isSecure = line.span.equalsIgnoringCase(request.scheme, "https")
        return withUnsafeTemporaryAllocation(byteCount: Limits.cacheKeyBytesMax, alignment: 1) { scratch in
            render(request, line.span, isSecure: isSecure, into: scratch)?.stored()
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "A") &+ value &- 10
    }
}
