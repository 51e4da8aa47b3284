// rooms: Limits ConnectionWire; corpus: proxy-protocol
// PROXY protocol headers: no trap, and a verdict once reached does not change when more bytes follow.

import ConnectionWire
import Limits

/// The header's length, 0 for more to come, -1 for refused.
private func verdict(_ bytes: Span<UInt8>) -> Int {
    do throws(ProxyProtocolError) {
        switch try ProxyProtocolParser.parse(bytes) {
        case .needsMore: return 0
        case .complete(let header): return header.byteCount
        }
    } catch {
        return -1
    }
}

/// What libFuzzer calls with every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = Span(_unsafeElements: UnsafeBufferPointer(start: start, count: count))
    let whole = verdict(bytes)
    precondition(whole <= count)
    let bound = max(Limits.proxyProtocolV1BytesMax, Limits.proxyProtocolV2BytesMax)
    precondition(whole != 0 || count < bound, "more is asked for than a header may have")
    if count > 0 {
        let shorter = verdict(bytes.extracting(0..<count / 2))
        precondition(shorter == 0 || shorter == whole, "\(shorter) for half of it, \(whole) for all")
    }
    return 0
}
