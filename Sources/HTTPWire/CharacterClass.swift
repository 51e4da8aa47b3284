// The sets of bytes that RFC 9110 and RFC 9112 speak of, each as two 64-bit masks over ASCII.
//
// A membership test is a shift and an AND on constants: no table to load, nothing to initialise at run time. Bytes of
// 0x80 and above are in none of these sets. `CharacterClassTests` compares each mask with the RFC's own wording.

/// A set of ASCII bytes.
package struct CharacterClass: Sendable {
    @usableFromInline let low: UInt64
    @usableFromInline let high: UInt64

    @inlinable init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// Whether `byte` is in the set.
    @inlinable package func contains(_ byte: UInt8) -> Bool {
        let half = byte & 0x40 == 0 ? low : high
        return byte < 0x80 && (half &>> UInt64(byte & 0x3F)) & 1 == 1
    }

    /// `tchar` (RFC 9110, section 5.6.2): what methods and field names are made of.
    @inlinable package static var token: CharacterClass {
        CharacterClass(low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C7FF_FFFE)
    }

    /// What a request target may hold: visible ASCII without `#`. RFC 3986 would also refuse ``"<>\^`{|}``, which
    /// browsers do send (WHATWG URL); none of them can end a line or a word, so they pass through untouched.
    @inlinable package static var target: CharacterClass {
        CharacterClass(low: 0xFFFF_FFF6_0000_0000, high: 0x7FFF_FFFF_FFFF_FFFF)
    }

    /// `unreserved` (RFC 3986, section 2.3): what a host name may hold here, see `Authority`.
    @inlinable package static var hostName: CharacterClass {
        CharacterClass(low: 0x03FF_6000_0000_0000, high: 0x47FF_FFFE_87FF_FFFE)
    }

    /// `HEXDIG` in either case (RFC 5234, appendix B.1).
    @inlinable package static var hexDigit: CharacterClass {
        CharacterClass(low: 0x03FF_0000_0000_0000, high: 0x0000_007E_0000_007E)
    }
}

/// Names for the bytes that HTTP/1.1 gives a meaning to.
@usableFromInline
enum ASCII {
    @usableFromInline static var tab: UInt8 { 0x09 }
    @usableFromInline static var lineFeed: UInt8 { 0x0A }
    @usableFromInline static var carriageReturn: UInt8 { 0x0D }
    @usableFromInline static var space: UInt8 { 0x20 }
    @usableFromInline static var delete: UInt8 { 0x7F }

    static var asterisk: UInt8 { UInt8(ascii: "*") }
    static var colon: UInt8 { UInt8(ascii: ":") }
    static var comma: UInt8 { UInt8(ascii: ",") }
    static var dot: UInt8 { UInt8(ascii: ".") }
    static var question: UInt8 { UInt8(ascii: "?") }
    static var slash: UInt8 { UInt8(ascii: "/") }
    static var zero: UInt8 { UInt8(ascii: "0") }

    @inlinable static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
    @inlinable static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    /// ASCII letters in lower case, every other byte as it is.
    @inlinable static func lowercased(_ byte: UInt8) -> UInt8 {
        byte &- 0x41 < 26 ? byte | 0x20 : byte
    }
}

/// Whether `text` is a token (RFC 9110, section 5.6.2): a possible field name, method or cookie name.
package func isToken(_ text: some Sequence<UInt8>) -> Bool {
    var isEmpty = true
    for byte in text {
        guard CharacterClass.token.contains(byte) else { return false }
        isEmpty = false
    }
    return !isEmpty
}

/// Whether `text` may stand as a field value (RFC 9110, section 5.5): no control byte but HTAB, and no white space at
/// either end. The empty value is one. For configured values; received ones are checked while they are parsed.
package func isFieldValue(_ text: some Sequence<UInt8>) -> Bool {
    var first: UInt8?
    var last: UInt8 = 0
    for byte in text {
        guard byte >= ASCII.space || byte == ASCII.tab, byte != ASCII.delete else { return false }
        if first == nil { first = byte }
        last = byte
    }
    guard let first else { return true }
    return !ASCII.isBlank(first) && !ASCII.isBlank(last)
}
