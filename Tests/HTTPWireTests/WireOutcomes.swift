// Parsing from string literals, for the tables of the tests.

import HTTPWire

let defaultBounds = HeadBounds(startLineBytesMax: 16_384, headBytesMax: 65_536, fieldCountMax: 128)

extension String {
    /// One byte per character up to U+00FF, so that `\u{E9}` means the byte 0xE9.
    var latin1: [UInt8] { unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }
}

/// What became of a request head.
struct RequestOutcome {
    let bytes: [UInt8]
    private(set) var head: RequestHead?
    private(set) var error: WireError?

    init(_ bytes: [UInt8], bounds: HeadBounds = defaultBounds) {
        self.bytes = bytes
        var parser = RequestHeadParser(bounds: bounds)
        var head = RequestHead()
        do {
            if case .complete = try parser.parse(bytes.span, into: &head) { self.head = head }
        } catch {
            self.error = error
        }
    }

    init(_ text: String, bounds: HeadBounds = defaultBounds) { self.init(text.latin1, bounds: bounds) }

    var word: String { head != nil ? "valid" : error != nil ? "attack" : "partial" }
    func text(_ range: ByteRange?) -> String? { range.map { String(decoding: bytes[$0.range], as: UTF8.self) } }

    /// Names of the fields that are passed on, in order.
    var forwarded: [String] { forwardedNames(head?.fields ?? [], bytes) }
}

/// What became of a response head.
struct ResponseOutcome {
    let bytes: [UInt8]
    private(set) var head: ResponseHead?
    private(set) var error: WireError?

    init(_ bytes: [UInt8], answering method: Method = .get, bounds: HeadBounds = defaultBounds) {
        self.bytes = bytes
        var parser = ResponseHeadParser(bounds: bounds)
        var head = ResponseHead()
        do {
            if case .complete = try parser.parse(bytes.span, answering: method, into: &head) { self.head = head }
        } catch {
            self.error = error
        }
    }

    init(_ text: String, answering method: Method = .get, bounds: HeadBounds = defaultBounds) {
        self.init(text.latin1, answering: method, bounds: bounds)
    }

    var word: String { head != nil ? "valid" : error != nil ? "attack" : "partial" }
    func text(_ range: ByteRange?) -> String? { range.map { String(decoding: bytes[$0.range], as: UTF8.self) } }
    var forwarded: [String] { forwardedNames(head?.fields ?? [], bytes) }
}

private func forwardedNames(_ fields: ContiguousArray<Field>, _ bytes: [UInt8]) -> [String] {
    fields.filter { !$0.isDropped }.map { String(decoding: bytes[$0.name.range], as: UTF8.self) }
}
