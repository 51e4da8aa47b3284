import Foundation
import Testing

@testable import Operator

@Suite("Text for terminals")
struct TextTests {
    @Test(
        "width is what a terminal takes",
        arguments: [
            ("", 0), ("abc", 3), ("naïve", 5), ("nai\u{308}ve", 5), ("漢字", 4), ("ｶﾅ", 2), ("한글", 4), ("🦜", 2),
            ("👩‍🚀", 2), ("❤️", 2), ("a\u{200b}b", 2), ("…", 1),
        ])
    func width(text: String, expected: Int) {
        #expect(ScreenText.width(text) == expected)
    }

    @Test("what is cut fits, whole characters only")
    func cut() {
        #expect(ScreenText.cut("abcdef", to: 6) == "abcdef")
        #expect(ScreenText.cut("abcdef", to: 5) == "abcd…")
        #expect(ScreenText.cut("漢字漢字", to: 6) == "漢字…")
        #expect(ScreenText.cut("漢字", to: 1) == "…")
        #expect(ScreenText.cut("漢字", to: 0) == "")
        for most in 0..<12 { #expect(ScreenText.width(ScreenText.cut("a漢b🦜cde\u{301}fgh", to: most)) <= most) }
    }

    @Test("nothing that a terminal would obey is left")
    func plain() {
        #expect(ScreenText.plain("a\u{1b}]0;x\u{7}\n\tb\u{9b}\u{202e}\u{2066}") == "a?]0;x???b???")
        #expect(ScreenText.plain("naïve 漢字 👩‍🚀") == "naïve 漢字 👩‍🚀")
    }

    private func table() -> TextTable {
        var table = TextTable([.left("name"), .right("n"), .left("content"), .whole("id")])
        table.add(["a.example", "1", "v=spf1 include:_spf.example.com include:other.example -all", "0123456789abcdef"])
        table.add(["漢字.example", "100", "x", "fedcba9876543210"])
        return table
    }

    @Test("columns are as wide as their cells")
    func aligned() {
        let lines = table().text().split(separator: "\n").map(String.init)
        #expect(lines.count == 3)
        #expect(lines[0].hasPrefix("name            n  content"))
        #expect(lines[1].hasPrefix("a.example       1  v=spf1"))
        #expect(lines[2].hasPrefix("漢字.example  100  x "))
        #expect(Set(lines.map { ScreenText.width($0.components(separatedBy: "0123")[0]) }).count > 1)
        #expect(lines.allSatisfy { !$0.hasSuffix(" ") })
    }

    @Test("a terminal's width is kept where something may be cut; identifiers stay whole")
    func narrow() {
        for most in [90, 80, 60, 48] {
            let lines = table().text(widthMax: most).split(separator: "\n").map(String.init)
            #expect(lines.allSatisfy { ScreenText.width($0) <= most }, "\(most): \(lines)")
            #expect(lines[1].contains("…") && lines[1].hasSuffix("0123456789abcdef"))
        }
        // Narrower than what must not be cut: it wraps.
        #expect(table().text(widthMax: 10).contains("0123456789abcdef"))
        #expect(table().text(widthMax: 500) == table().text())
    }

    @Test("a column that may be left out is, where nothing stands in it")
    func optional() {
        var table = TextTable([.left("a"), .optional("b"), .left("c")])
        table.add(["1", "", "3"])
        #expect(table.text() == "a  c\n1  3")
        table.add(["1", "2", "3"])
        #expect(table.text() == "a  b  c\n1     3\n1  2  3")
    }

    @Test("a narrow terminal does without what matters least, the last first; a file has it all")
    func minor() {
        var table = TextTable([.whole("name"), .right("n").minor, .whole("state"), .right("m").minor])
        table.add(["edge-1", "1000", "connected", "2000"])
        #expect(table.text(widthMax: 29).split(separator: "\n").last == "edge-1  1000  connected  2000")
        #expect(table.text(widthMax: 28).split(separator: "\n").last == "edge-1  1000  connected")
        #expect(table.text(widthMax: 22).split(separator: "\n").last == "edge-1  connected")
        #expect(table.text(widthMax: 5).split(separator: "\n").last == "edge-1  connected")
        #expect(table.text().contains("2000"))
    }

    @Test("control characters in a cell cannot move the others")
    func hostileCell() {
        var table = TextTable([.left("a"), .left("b")])
        table.add(["x\n\u{1b}[2J", "y"])
        #expect(table.text() == "a       b\nx??[2J  y")
    }

    @Test("times are shown to the second")
    func times() {
        #expect(ScreenText.time("2026-11-23T16:40:12.123456Z") == "2026-11-23 16:40:12")
        #expect(ScreenText.time("2026-11-23T16:40:12Z") == "2026-11-23 16:40:12")
        #expect(ScreenText.time("soon") == "soon")
        #expect(DurationWords.time(in: 86_400, from: 1_700_000_000) == "2023-11-15T22:13:20Z")
        #expect(DurationWords.time(in: .max, from: 1_700_000_000).hasSuffix("Z"))
    }

    @Test("facts stand below each other")
    func facts() {
        var facts = FactList()
        facts.add("name", "x")
        facts.add("nothing", nil)
        facts.add("name servers", "a\nb")
        #expect(facts.text == "name          x\nname servers  a?b")
    }
}
