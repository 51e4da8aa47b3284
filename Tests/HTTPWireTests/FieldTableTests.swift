// The tables: known fields, classes of bytes, tokens and values, kinds of errors.

import HTTPWire
import Testing

@Suite("Tables")
struct FieldTableTests {
    private func identify(_ name: String, padding: String = "") -> KnownField {
        let bytes = (padding + name + padding).latin1
        let range = ByteRange(start: UInt32(padding.utf8.count), count: UInt32(name.utf8.count))
        return KnownField.identify(bytes.span, range)
    }

    @Test("every known field is found by its name in any case, and by no other name", arguments: KnownField.allCases)
    func identify(_ field: KnownField) {
        let name = "\(field.name)"
        guard field != .other else {
            #expect(identify("") == .other)
            return
        }
        for padding in ["", "x", "0123456789abcdef"] {
            #expect(identify(name, padding: padding) == field)
            #expect(identify(name.lowercased(), padding: padding) == field)
            #expect(identify(name.uppercased(), padding: padding) == field)
            #expect(identify(String(name.dropLast()), padding: padding) == .other)
            #expect(identify(name + "s", padding: padding) == .other)
        }
        // Every single-bit change of every byte but the one that changes a letter's case is another name.
        let bytes = name.latin1
        for index in bytes.indices {
            for bit in UInt8(0)..<8 {
                var changed = bytes
                changed[index] ^= 1 << bit
                let found = KnownField.identify(changed.span, ByteRange(start: 0, count: UInt32(changed.count)))
                let isLetter = bytes[index] & 0x40 != 0
                #expect((found == field) == (bit == 5 && isLetter), "\(name) \(index) \(bit)")
            }
        }
    }

    @Test("known fields have distinct names, and distinct bits, but for the rare ones behind the first 64")
    func rows() {
        let tracked = KnownField.allCases.filter { $0.rawValue < 64 }
        #expect(Set(tracked.map(\.rawValue)).count == 64)
        #expect(KnownField.allCases.filter(\.isTracked).count == 64)
        #expect(Set(KnownField.allCases.map { "\($0.name)".lowercased() }).count == KnownField.allCases.count)
        #expect(KnownField.identify([UInt8]().span, ByteRange(start: 4, count: 4)) == .other)
    }

    @Test("what may be nominated is dropped anyway, but for Trailer and unknown fields")
    func nominations() {
        for field in KnownField.allCases where field.mayBeNominated {
            #expect(field.isDropped || field == .trailer || field == .other)
        }
        for field in [KnownField.host, .contentLength, .transferEncoding, .authorization, .cookie, .via] {
            #expect(!field.mayBeNominated)
            #expect(field.isForbiddenTrailer)
        }
    }

    @Test("classes of bytes are those of the RFCs")
    func classes() {
        let alphanumeric = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)
        for byte in UInt8.min...UInt8.max {
            #expect(CharacterClass.token.contains(byte) == alphanumeric.union("!#$%&'*+-.^_`|~".utf8).contains(byte))
            #expect(CharacterClass.hostName.contains(byte) == alphanumeric.union("-._~".utf8).contains(byte))
            #expect(CharacterClass.hexDigit.contains(byte) == "0123456789abcdefABCDEF".utf8.contains(byte))
            #expect(CharacterClass.target.contains(byte) == (byte > 32 && byte < 127 && byte != 35))
        }
    }

    @Test("tokens and field values of a configuration")
    func configured() {
        for text in ["a", "X-Forwarded-For", "!#$%&'*+-.^_`|~09"] { #expect(isToken(text.utf8)) }
        for text in ["", "a b", "a:", "é", "a\n", "(a)", "a\0"] { #expect(!isToken(text.utf8)) }
        for text in ["", "a", "a b\tc", "é", "\"x\"; y"] { #expect(isFieldValue(text.utf8)) }
        for text in [" a", "a ", "\ta", " ", "a\nb", "a\rb", "a\0", "\u{7F}", "a\u{1F}b"] {
            #expect(!isFieldValue(text.utf8))
        }
    }

    @Test("every error has a text and a status that fits", arguments: WireError.Kind.allCases)
    func errors(_ kind: WireError.Kind) {
        let error = WireError(kind, side: .request, at: 7)
        #expect([400, 414, 417, 431, 501, 505].contains(error.status))
        #expect("\(error.text)".hasPrefix("expected "))
        #expect("\(error)".hasSuffix("(byte 7 of the request)"))
        #expect(WireError(kind, side: .response, at: 7).status == 502)
        #expect(error != WireError(kind, side: .request, at: 8))
    }
}
