// What must hold for any bytes whatever, checked by the unit tests over the corpus and by the fuzzers of FuzzTesting/.
//
// Each check returns nil, or a sentence that says what was violated. Beside not trapping:
// - bytes that drip in one by one, or in two parts, end in the same head or the same error as all at once. A fault in
//   a line that came in pieces may be reported later, but not later than with the line's LF;
// - what is accepted is what a slow reference reading of the same bytes finds.

import HTTPWire

/// How one parser judged one input.
enum Verdict<Value: Equatable>: Equatable {
    case complete(Value)
    case needsMore
    case failed(WireError)
}

enum WireProperties {
    /// Bounds as configured by default, and bounds small enough that short inputs reach them.
    static let boundsChecked = [
        HeadBounds(startLineBytesMax: 16_384, headBytesMax: 65_536, fieldCountMax: 128),
        HeadBounds(startLineBytesMax: 40, headBytesMax: 160, fieldCountMax: 4),
    ]

    /// Prefix lengths at which dripped bytes are shown to a parser: all of them while that is affordable.
    static func dripLengths(_ count: Int) -> some Sequence<Int> {
        stride(from: 1, to: count, by: count <= 4096 ? 1 : 61)
    }

    // MARK: Heads

    static func requestHead(_ bytes: [UInt8]) -> String? {
        let terminated = bytes + [10]
        for bounds in boundsChecked {
            var parser = RequestHeadParser(bounds: bounds)
            var head = RequestHead()
            func judge(_ count: Int) -> Verdict<RequestHead> {
                do {
                    let progress = try parser.parse(terminated.span.extracting(0..<count), into: &head)
                    guard case .complete(let byteCount) = progress else { return .needsMore }
                    return byteCount == head.byteCount ? .complete(head) : .needsMore
                } catch {
                    return .failed(error)
                }
            }
            let whole = judge(bytes.count)
            let violation = comparePieces(whole: whole, count: bytes.count, reset: { parser.reset() }, judge: judge)
            if let violation { return violation }
            if case .complete(let head) = whole {
                if let violation = HeadReference(bytes, byteCount: head.byteCount).compare(head) { return violation }
            }
        }
        return nil
    }

    static func responseHead(_ bytes: [UInt8]) -> String? {
        let terminated = bytes + [10]
        for (bounds, method) in zip(boundsChecked + boundsChecked, [.get, .head, .connect, .get] as [Method]) {
            var parser = ResponseHeadParser(bounds: bounds)
            var head = ResponseHead()
            func judge(_ count: Int) -> Verdict<ResponseHead> {
                do {
                    let span = terminated.span.extracting(0..<count)
                    let progress = try parser.parse(span, answering: method, into: &head)
                    guard case .complete(let byteCount) = progress else { return .needsMore }
                    return byteCount == head.byteCount ? .complete(head) : .needsMore
                } catch {
                    return .failed(error)
                }
            }
            let whole = judge(bytes.count)
            let violation = comparePieces(whole: whole, count: bytes.count, reset: { parser.reset() }, judge: judge)
            if let violation { return violation }
            if case .complete(let head) = whole {
                let reference = HeadReference(bytes, byteCount: head.byteCount)
                if let violation = reference.compare(head, answering: method) { return violation }
            }
        }
        return nil
    }

    /// Shows an input in pieces and compares the outcome with that of the whole. `judge` sees prefixes of the input and
    /// one LF that was put behind it.
    private static func comparePieces<Value>(
        whole: Verdict<Value>, count: Int, reset: () -> Void, judge: (Int) -> Verdict<Value>
    ) -> String? {
        func verdict(_ lengths: some Sequence<Int>) -> Verdict<Value> {
            reset()
            for length in lengths {
                let verdict = judge(length)
                if verdict != .needsMore { return verdict }
            }
            let verdict = judge(count)
            guard verdict == .needsMore, case .failed = whole else { return verdict }
            return judge(count + 1)
        }
        let dripped = verdict(dripLengths(count))
        if dripped != whole { return "dripped: \(dripped), whole: \(whole)" }
        guard count > 1 else { return nil }
        for cut in [count / 2, count / 3, count - 1] {
            let parts = verdict([cut])
            if parts != whole { return "cut at \(cut): \(parts), whole: \(whole)" }
        }
        return nil
    }

    // MARK: Bodies

    /// What a chunked body decodes to.
    struct Decoded: Equatable {
        var body: [UInt8] = []
        var end = 0
        var trailerBytes: [UInt8] = []
        var trailerFields: [Field] = []
    }

    static func chunked(_ bytes: [UInt8]) -> String? {
        let whole = decode(bytes, lengths: [])
        let dripped = decode(bytes, lengths: Array(dripLengths(bytes.count)))
        if whole != dripped { return "dripped: \(dripped), whole: \(whole)" }
        let halves = decode(bytes, lengths: [bytes.count / 2])
        if whole != halves { return "halves: \(halves), whole: \(whole)" }
        guard case .complete(let decoded) = whole else { return nil }
        if let expected = ChunkedReference.decode(bytes), expected.body == decoded.body, expected.end == decoded.end {
            for field in decoded.trailerFields {
                if field.value.end > decoded.trailerBytes.count || field.isDropped { return "trailer \(field)" }
            }
            return nil
        }
        return "the reference does not agree with \(decoded)"
    }

    /// Decodes `bytes`, shown first up to each of `lengths` and then as a whole.
    static func decode(_ bytes: [UInt8], lengths: [Int]) -> Verdict<Decoded> {
        var decoder = ChunkedDecoder(side: .request)
        var decoded = Decoded()
        var offset = 0
        do {
            for length in lengths + [bytes.count] {
                let span = bytes.span.extracting(0..<length)
                steps: while true {
                    switch try decoder.next(span, from: offset) {
                    case .needsMore(let consumed):
                        offset = consumed
                        break steps
                    case .data(let range):
                        decoded.body += bytes[range]
                        offset = range.upperBound
                    case .end(let upTo):
                        decoded.end = upTo
                        decoded.trailerBytes = Array(decoder.trailers?.bytes ?? [])
                        decoded.trailerFields = Array(decoder.trailers?.fields ?? [])
                        return .complete(decoded)
                    }
                }
            }
            return .needsMore
        } catch {
            return .failed(error)
        }
    }

    // MARK: Dates

    static func date(_ bytes: [UInt8]) -> String? {
        let range = ByteRange(start: 0, count: UInt32(bytes.count))
        guard let seconds = HTTPDate.parse(bytes.span, range, now: 1_700_000_000) else { return nil }
        guard HTTPDate.secondsRange.contains(seconds) else { return "\(seconds) is out of range" }
        let written = writeDate(seconds)
        let again = HTTPDate.parse(written.span, ByteRange(start: 0, count: 29), now: 0)
        return again == seconds ? nil : "\(seconds) was written as \(String(decoding: written, as: UTF8.self))"
    }

    static func writeDate(_ seconds: Int64) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 64) { buffer, count in
            var writer = ByteWriter(UnsafeMutableRawBufferPointer(buffer))
            HTTPDate.write(seconds, to: &writer)
            count = writer.count
        }
    }
}
