// rooms: Limits ConnectionWire; corpus: client-hello
// The ClientHello: no trap, in the parser or in what reads from its result, and the same verdict in two parts.

import ConnectionWire
import Limits

private enum Verdict: Equatable {
    case needsMore
    case complete(Int)
    case refused
}

private func verdict(_ bytes: Span<UInt8>, first: Int) -> (Verdict, ClientHello?) {
    var parser = ClientHelloParser()
    do throws(ClientHelloError) {
        if case .complete(let hello) = try parser.parse(bytes.extracting(0..<first)) {
            return (.complete(hello.recordsByteCount), hello)
        }
        switch try parser.parse(bytes) {
        case .needsMore: return (.needsMore, nil)
        case .complete(let hello): return (.complete(hello.recordsByteCount), hello)
        }
    } catch {
        return (.refused, nil)
    }
}

/// What libFuzzer calls with every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = Span(_unsafeElements: UnsafeBufferPointer(start: start, count: count))
    let (whole, hello) = verdict(bytes, first: count)
    precondition(whole == verdict(bytes, first: count / 2).0)
    precondition(
        whole != .needsMore || count < Limits.clientHelloBytesMax + 64, "more is asked for than a hello may have")
    guard let hello else { return 0 }
    precondition(hello.recordsByteCount <= count)
    if let name = hello.serverName(in: bytes) { precondition(!name.isEmpty && name.utf8.count <= 255) }
    _ = hello.offers(protocol: "h2", in: bytes)
    _ = hello.applicationProtocols(in: bytes)
    _ = hello.cipherSuites(in: bytes)
    _ = hello.extensions(in: bytes)
    _ = hello.supportedVersions(in: bytes)
    _ = hello.supportedGroups(in: bytes)
    _ = hello.signatureAlgorithms(in: bytes)
    return 0
}
