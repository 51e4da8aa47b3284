// Text on its way to a terminal: harmless, and as wide as it looks.

/// What people read: values of the API as words.
package enum ScreenText {
    /// Without what a terminal would obey or what would turn the line around: much of it was written by others.
    package static func plain(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isHarmful) else { return text }
        var view = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { view.append(isHarmful(scalar) ? "?" : scalar) }
        return String(view)
    }

    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        // C0, DEL, C1
        case 0..<0x20, 0x7f..<0xa0: true
        // Direction marks, embeddings and isolates (UAX #9), line and paragraph separators.
        case 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069: true
        default: false
        }
    }

    package static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    /// `2026-11-23T16:40:12.123456Z` to the second, as `2026-11-23 16:40:12`; other text as it is.
    package static func time(_ text: String) -> String {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes[10] == UInt8(ascii: "T"), bytes.last == UInt8(ascii: "Z") else {
            return plain(text)
        }
        return plain(
            String(decoding: bytes[..<10], as: UTF8.self) + " " + String(decoding: bytes[11..<19], as: UTF8.self))
    }

    // MARK: Width

    /// Columns that a text takes on a terminal: letters of East Asia and emoji take two, marks above others none.
    package static func width(_ text: String) -> Int {
        // Most text is ASCII, where every character takes one.
        let isPlain = text.utf8.allSatisfy { (0x20..<0x7f).contains($0) }
        return isPlain ? text.utf8.count : text.reduce(0) { $0 + width($1) }
    }

    /// Of a character that a person sees as one: its widest part, two where it asks to be drawn as an emoji.
    private static func width(_ character: Character) -> Int {
        let scalars = character.unicodeScalars
        if scalars.contains(where: { $0.value == 0xfe0f }) { return 2 }
        return scalars.reduce(0) { max($0, width($1)) }
    }

    private static func width(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: return 0
        default: return isWide(scalar.value) ? 2 : 1
        }
    }

    /// Wide and full width (UAX #11), by blocks.
    private static func isWide(_ value: UInt32) -> Bool {
        switch value {
        case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0x33ff, 0x3400...0x4dbf, 0x4e00...0x9fff, 0xa000...0xa4cf,
            0xa960...0xa97f, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f, 0xff01...0xff60, 0xffe0...0xffe6,
            0x1f300...0x1f64f, 0x1f680...0x1f6ff, 0x1f900...0x1f9ff, 0x20000...0x3fffd:
            true
        default: false
        }
    }

    /// Cut to a width, with an ellipsis where something is missing.
    package static func cut(_ text: String, to widthMax: Int) -> String {
        guard width(text) > widthMax else { return text }
        guard widthMax > 1 else { return widthMax == 1 ? "…" : "" }
        var kept = ""
        var used = 1
        for character in text {
            used += width(character)
            guard used <= widthMax else { break }
            kept.append(character)
        }
        return kept + "…"
    }
}
