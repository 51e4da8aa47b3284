// docs/rfc9113.md lists every row of the tables and no other, every test that it names exists, and no section of RFC 9113
// that makes a demand is missing.

import Foundation
import Testing

@Suite("docs/rfc9113.md")
struct RFC9113PageTests {
    /// The cells of the page's rows.
    private let rows: [[String]]
    private let root: URL

    init() throws {
        var folder = URL(filePath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<4 { folder.deleteLastPathComponent() }
        root = folder
        let page = try String(contentsOf: root.appending(path: "docs/rfc9113.md"), encoding: .utf8)
        rows = page.components(separatedBy: "\n").filter { $0.hasPrefix("| ") }.map {
            $0.dropFirst(2).dropLast(2).components(separatedBy: " | ")
        }
    }

    /// The rows of requirements: section, level, words, tests.
    private var requirements: [[String]] { rows.filter { $0.count == 4 && $0[0] != "section" } }

    private static let groups: [(String, [HTTP2Row])] = [
        ("framing", RFC9113Rows.framing), ("types", RFC9113Rows.types), ("streams", RFC9113Rows.streams),
        ("windows", RFC9113Rows.windows), ("messages", RFC9113Rows.messages), ("fields", RFC9113Rows.fields),
        ("neighbours", RFC9113Rows.neighbours),
    ]

    @Test("it lists each requirement that a row shows, and no row that is not there")
    func requirementRows() {
        var shown: Set<[String]> = []
        for (group, rows) in Self.groups {
            for row in rows { shown.insert([row.section, row.level.rawValue, row.words, "RFC9113Tests: \(group)"]) }
        }
        #expect(shown.count == RFC9113Rows.all.count, "two rows of the same words")
        let listed = Set(requirements.filter { $0[3].hasPrefix("RFC9113Tests: ") })
        for row in shown.subtracting(listed) { Issue.record("not on the page: \(row)") }
        for row in listed.subtracting(shown) { Issue.record("not in the tables: \(row)") }
    }

    @Test("every test that it names exists")
    func tests() throws {
        let functions = try testFunctions()
        for row in requirements {
            #expect(["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "MAY"].contains(row[1]), "\(row)")
            for part in row[3].components(separatedBy: "; ") {
                let pieces = part.components(separatedBy: ": ")
                guard pieces.count == 2, let known = functions[pieces[0]] else {
                    Issue.record("no tests of that name: \(part)")
                    continue
                }
                for name in pieces[1].components(separatedBy: ", ") {
                    #expect(known.contains(name), "\(pieces[0]) has no \(name)")
                }
            }
        }
        #expect(requirements.count > 350)
    }

    /// The functions of each type of `Tests/`. A type's name stands at the beginning of a line, indented or not.
    private func testFunctions() throws -> [String: Set<String>] {
        var functions: [String: Set<String>] = [:]
        let folder = root.appending(path: "Tests")
        for case let file as URL in FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
            ?? .init()
        where file.pathExtension == "swift" {
            var type = ""
            for line in try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n") {
                let words = line.split { $0 == " " || $0 == "(" || $0 == ":" || $0 == "<" }
                if let place = words.firstIndex(where: { $0 == "struct" || $0 == "class" || $0 == "extension" }),
                    !line.hasPrefix(" "), place + 1 < words.count
                {
                    type = String(words[place + 1])
                } else if let place = words.firstIndex(of: "func"), place + 1 < words.count {
                    functions[type, default: []].insert(String(words[place + 1]))
                }
            }
        }
        return functions
    }

    /// Sections in which MUST or MUST NOT stands, sections 1, 2 and 11 left out.
    private static let demanding = """
        3.2 3.3 3.4 4.1 4.2 4.3 4.3.1 5.1 5.1.1 5.1.2 5.2.1 5.2.2 5.4 5.4.1 5.4.2 5.5 6.1 6.2 6.3 6.4 6.5 6.5.2 6.5.3 \
        6.6 6.7 6.8 6.9 6.9.1 6.9.2 6.9.3 6.10 7 8.1 8.1.1 8.2 8.2.1 8.2.2 8.2.3 8.3 8.3.1 8.3.2 8.4 8.4.1 8.4.2 8.5 8.7 \
        9.1.1 9.2 9.2.1 9.2.2 9.2.3 10.3 10.4 10.5.1 10.6
        """

    @Test("every section that says MUST has a test, or a reason why it is not ours")
    func sections() {
        let tested = requirements.filter { $0[1].hasPrefix("MUST") }.map { $0[0] }
        let notOurs = rows.filter { $0.count == 3 }.flatMap { $0[0].components(separatedBy: ", ") }
        for section in Self.demanding.split(separator: " ").map(String.init) {
            #expect(tested.contains(section) || notOurs.contains(section), "\(section)")
        }
    }
}
