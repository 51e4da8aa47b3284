// Structured fields (RFC 9651): a table by type, the corpus of the fuzzer, and a property over mutations of it: what
// was read and is written down again in the canonical form is read as the same, and written the same.

import Foundation
import HTTPWire
import Testing

@Suite("Structured fields")
struct StructuredFieldTests {
    @Test(
        "items",
        arguments: [
            ("1", "1"), ("-0", "0"), ("999999999999999", "999999999999999"), ("-42", "-42"), ("00042", "42"),
            ("1.5", "1.5"), ("-0.001", "-0.001"), ("123456789012.125", "123456789012.125"), ("1.500", "1.5"),
            ("\"a b\"", "\"a b\""), ("\"\"", "\"\""), (#""a\"b\\c""#, #""a\"b\\c""#),
            ("token", "token"), ("*a/b:c", "*a/b:c"), ("A", "A"),
            (":aGk=:", ":aGk=:"), ("::", "::"), (":aGk:", ":aGk:"),
            ("?0", "?0"), ("?1", "?1"), ("@1659578233", "@1659578233"), ("@-1", "@-1"),
            ("%\"caf%c3%a9\"", "%\"caf%c3%a9\""), ("%\"\"", "%\"\""),
            ("  1  ", "1"), ("a;b;c=1; d=\"x\";e=?0", "a;b;c=1;d=\"x\";e=?0"), ("1;*a._-9=b", "1;*a._-9=b"),
        ])
    func items(_ text: String, _ canonical: String) {
        #expect(StructuredText.item(Array(text.utf8)) == canonical)
    }

    @Test(
        "no items",
        arguments: [
            "", " ", "1000000000000000", "-", "--1", "1.", "1.2345", "1234567890123.1", ".1", "+1", "1 2", "1,2",
            "\"a", "\"a\\b\"", "\"a\u{7F}\"", "\"é\"", "'a'", "a b", "(1)", ":a", ":a!:", ":a:", ":aGk==:", ":a=b:",
            "?2", "?", "?true", "@", "@1.5", "@a", "%", "%\"a", "%\"%C3%A9\"", "%\"%c3\"", "%\"%ed%a0%80\"",
            "%\"%f4%90%80%80\"", "%\"%c0%80\"", "%\"%e0%80%80\"", "%\"%4\"", "a;", "a;B", "a; ;b", "a ;b", "a;b=",
            "a;b=(1)",
            "\t1", "1\t", "{}", "!", "1;a=1;b=\"",
        ])
    func noItems(_ text: String) { #expect(StructuredText.item(Array(text.utf8)) == nil) }

    @Test(
        "lists",
        arguments: [
            ("", ""), ("  ", ""), ("1", "1"), ("1, 2 ,\t3", "1, 2, 3"), ("a;x,b;y=1", "a;x, b;y=1"),
            ("()", "()"), ("( 1  2 );a", "(1 2);a"), ("(a;b c;d), ( )", "(a;b c;d), ()"), ("\"a,b\", c", "\"a,b\", c"),
        ])
    func lists(_ text: String, _ canonical: String) { #expect(StructuredText.list(Array(text.utf8)) == canonical) }

    @Test(
        "no lists",
        arguments: [",", "1,", ",1", "1,,2", "1 2", "(1", "1)", "(1,2)", "((1))", "(1\t2)", "(\"a\"b)", "a=1"])
    func noLists(_ text: String) { #expect(StructuredText.list(Array(text.utf8)) == nil) }

    @Test(
        "dictionaries",
        arguments: [
            ("", ""), ("a=1", "a=1"), ("a, b;x, c=?0", "a, b;x, c=?0"), ("a=?1", "a"), ("a=(1 2);x", "a=(1 2);x"),
            ("a=1, a=2", "a=1, a=2"), ("*k-._9=t ,  z", "*k-._9=t, z"), ("a;b=2", "a;b=2"),
        ])
    func dictionaries(_ text: String, _ canonical: String) {
        #expect(StructuredText.dictionary(Array(text.utf8)) == canonical)
    }

    @Test(
        "no dictionaries",
        arguments: [
            ",", "a,", "a=", "a =1", "a= 1", "A=1", "=1", "1=a", "a=1 b=2", "a=1,,b=2", "-a", "é", "max-age=1, &&&&&",
        ])
    func noDictionaries(_ text: String) { #expect(StructuredText.dictionary(Array(text.utf8)) == nil) }

    @Test("exact values")
    func values() throws {
        func value(_ text: String) throws -> StructuredValue {
            let bytes = Array(text.utf8)
            return try StructuredItem.parse(bytes.span, ByteRange(start: 0, count: UInt32(bytes.count))).value
        }
        #expect(try value("-7.25") == .decimal(thousandths: -7250))
        #expect(try value("-7") == .integer(-7))
        #expect(try value("\"ab\"") == .string(ByteRange(start: 1, count: 2)))
        #expect(try value("@5") == .date(5))
        #expect(try value(":ab:") == .byteSequence(ByteRange(start: 1, count: 2)))
        #expect(try value("%\"ab\"") == .displayString(ByteRange(start: 2, count: 2)))
    }

    @Test("a range that is not within the bytes is no field, and no trap")
    func outside() {
        let bytes = Array("a=1".utf8)
        var dictionary = StructuredDictionary(ByteRange(start: 2, count: 900))
        #expect(throws: StructuredFieldError.self) { try dictionary.next(in: bytes.span) }
        var beyond = StructuredList(ByteRange(start: 900, count: 5))
        #expect(throws: Never.self) {
            let member = try beyond.next(in: bytes.span)
            #expect(member == nil)
        }
    }

    // MARK: The fuzzer's corpus

    private func seeds() throws -> [(name: String, bytes: [UInt8])] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let folder = root.appending(path: "FuzzTesting/Corpus/structured-field")
        return try FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false)).sorted().map {
            ($0, Array(try Data(contentsOf: folder.appending(path: $0))))
        }
    }

    @Test("every seed is what its name says")
    func corpus() throws {
        let seeds = try seeds()
        #expect(seeds.count >= 12)
        for seed in seeds {
            let kinds = [
                ("item-", StructuredText.item(seed.bytes)), ("list-", StructuredText.list(seed.bytes)),
                ("dictionary-", StructuredText.dictionary(seed.bytes)),
            ]
            let kind = kinds.first { seed.name.hasPrefix($0.0) }
            if let kind {
                #expect(kind.1 != nil, "\(seed.name)")
            } else {
                #expect(seed.name.hasPrefix("invalid-") && kinds.allSatisfy { $0.1 == nil }, "\(seed.name)")
            }
        }
    }

    @Test("the canonical form is read as what it was written from")
    func canonical() throws {
        let seeds = try seeds().map(\.bytes)
        var mutator = Mutator(seed: 9651)
        var validCount = 0
        for _ in 0..<10_000 {
            let bytes = mutator.mutate(seeds)
            for read in [StructuredText.item, StructuredText.list, StructuredText.dictionary] {
                guard let text = read(bytes) else { continue }
                validCount += 1
                #expect(read(Array(text.utf8)) == text, "\(bytes)")
            }
        }
        #expect(validCount > 1000)
    }
}

/// Reads and writes down again, in the canonical form of RFC 9651, section 4.1, but for duplicates, which stay.
private enum StructuredText {
    static func item(_ bytes: [UInt8]) -> String? {
        let whole = ByteRange(start: 0, count: UInt32(bytes.count))
        return (try? StructuredItem.parse(bytes.span, whole)).map { text($0, bytes) }
    }

    static func list(_ bytes: [UInt8]) -> String? {
        var list = StructuredList(ByteRange(start: 0, count: UInt32(bytes.count)))
        var members: [String] = []
        do {
            while let member = try list.next(in: bytes.span) { members.append(text(member, bytes)) }
        } catch {
            return nil
        }
        return members.joined(separator: ", ")
    }

    static func dictionary(_ bytes: [UInt8]) -> String? {
        var dictionary = StructuredDictionary(ByteRange(start: 0, count: UInt32(bytes.count)))
        var members: [String] = []
        do {
            while let member = try dictionary.next(in: bytes.span) {
                let key = raw(member.key, bytes)
                let isTrue = member.value == .boolean(true)
                members.append(key + (isTrue ? parameters(member.parameters, bytes) : "=" + text(member, bytes)))
            }
        } catch {
            return nil
        }
        return members.joined(separator: ", ")
    }

    private static func raw(_ range: ByteRange, _ bytes: [UInt8]) -> String {
        String(decoding: bytes[range.range], as: UTF8.self)
    }

    private static func text(_ member: StructuredMember, _ bytes: [UInt8]) -> String {
        text(member.value, bytes) + parameters(member.parameters, bytes)
    }

    private static func parameters(_ parameters: StructuredParameters, _ bytes: [UInt8]) -> String {
        var parameters = parameters
        var result = ""
        do {
            while let (key, value) = try parameters.next(in: bytes.span) {
                result += ";" + raw(key, bytes) + (value == .boolean(true) ? "" : "=" + text(value, bytes))
            }
        } catch {
            Issue.record("parameters that were checked are broken: \(bytes)")
        }
        return result
    }

    private static func text(_ value: StructuredValue, _ bytes: [UInt8]) -> String {
        switch value {
        case .integer(let number): return String(number)
        case .decimal(let thousandths):
            var digits = String(thousandths.magnitude % 1000 + 1000).dropFirst()
            while digits.count > 1, digits.last == "0" { digits.removeLast() }
            return (thousandths < 0 ? "-" : "") + String(thousandths.magnitude / 1000) + "." + digits
        case .string(let range): return "\"" + raw(range, bytes) + "\""
        case .token(let range): return raw(range, bytes)
        case .byteSequence(let range): return ":" + raw(range, bytes) + ":"
        case .boolean(let isTrue): return isTrue ? "?1" : "?0"
        case .date(let seconds): return "@" + String(seconds)
        case .displayString(let range): return "%\"" + raw(range, bytes) + "\""
        case .innerList(let range):
            var list = StructuredInnerList(range)
            var items: [String] = []
            do {
                while let item = try list.next(in: bytes.span) { items.append(text(item, bytes)) }
            } catch {
                Issue.record("an inner list that was checked is broken: \(bytes)")
            }
            return "(" + items.joined(separator: " ") + ")"
        }
    }
}
