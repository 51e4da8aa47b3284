// docs/rfc9111.md lists every row of the table, and every test it names exists.

import Foundation
import Testing

@Suite("docs/rfc9111.md")
struct RulesDocumentTests {
    private var root: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }

    @Test("every requirement that is tested is listed")
    func requirements() throws {
        let page = try String(contentsOf: root.appending(path: "docs/rfc9111.md"), encoding: .utf8)
        let rows =
            RFC9111Rows.storing + RFC9111Rows.freshness + RFC9111Rows.use + RFC9111Rows.fields + RFC9111Rows.neighbours
        for row in rows {
            #expect(
                page.contains("| \(row.section) | \(row.level.rawValue) | \(row.words) |"), "\(row.testDescription)")
        }
    }

    @Test("every file it names exists")
    func files() throws {
        let page = try String(contentsOf: root.appending(path: "docs/rfc9111.md"), encoding: .utf8)
        let rows = page.components(separatedBy: "\n").filter { $0.hasPrefix("| ") }
        var count = 0
        for row in rows {
            var folder = ""
            for part in row.components(separatedBy: " | ").last?.components(
                separatedBy: CharacterSet(charactersIn: ", |"))
                ?? [] where part.hasSuffix(".swift")
            {
                let pieces = part.components(separatedBy: "/")
                if pieces.count == 2 { folder = pieces[0] == "HTTPWire" ? "HTTPWire" : "Cache/\(pieces[0])" }
                let path = root.appending(path: "Sources/\(folder)/\(pieces.last ?? "")").path(percentEncoded: false)
                #expect(FileManager.default.fileExists(atPath: path), "\(part)")
                count += 1
            }
        }
        #expect(count > 150)
    }
}
