import Foundation
import Testing

/// A program of `Peers` that plays a scenario: a client of the edge, or an origin behind it.
///
/// The programs are Python, for what HTTP/2 is spoken with in the world; `Scripts/setup test` installs their packages.
/// They say what they see as lines of JSON on standard output and decide nothing.
// Unchecked: used by one journey at a time.
final class Peer: @unchecked Sendable {
    private let process: ChildProcess
    private let name: String

    /// The interpreter with the packages, and the programs beside this file.
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
    private static let python = root.standardizedFileURL.appending(path: ".build/peers/bin/python").path
    private static let programs = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Peers")

    init(_ program: String, _ scenario: String, _ arguments: [String: Any], on stage: Stage) throws {
        guard FileManager.default.isExecutableFile(atPath: Self.python) else {
            throw Edge.NotReady(description: "no \(Self.python): run `Scripts/setup test`, as `make test` does")
        }
        name = "\(program) \(scenario)"
        let json = try JSONSerialization.data(withJSONObject: arguments, options: .sortedKeys)
        let cache = Self.root.standardizedFileURL.appending(path: ".build/peers/cache").path
        process = try stage.start(
            [
                Self.python, "-u", "-X", "pycache_prefix=\(cache)",
                Self.programs.appending(path: "\(program).py").path, scenario, String(decoding: json, as: UTF8.self),
            ], hasInput: true)
    }

    private var lines: [Findings] {
        process.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast().compactMap(Findings.init)
    }

    /// The first line with this name in it, waited for.
    func said(_ name: String) throws -> Findings {
        var found: Findings?
        _ = eventually(within: Patience.process) {
            found = lines.first { $0.values[name] != nil }
            return found != nil || process.exitStatus != nil
        }
        if let found = found ?? lines.first(where: { $0.values[name] != nil }) { return found }
        throw Edge.NotReady(description: "\(self.name) did not say \(name): \(process.output)\(process.errors)")
    }

    /// All lines so far with this name in them.
    func everything(_ name: String) -> [Findings] { lines.filter { $0.values[name] != nil } }

    /// Lets a scenario that waits for a word go on.
    func tell(_ word: String = "on") { process.write(word + "\n") }

    /// Its last words, when it has ended.
    func findings() throws -> Findings {
        let status = process.waitForExit(within: Patience.connection)
        guard status == 0, let last = lines.last else {
            throw Edge.NotReady(
                description: "\(name) ended with \(status ?? -1): \(process.output.suffix(2000))\(process.errors)")
        }
        return last
    }

    func end() { process.end() }
}

/// A line of JSON that a peer said.
struct Findings: CustomStringConvertible {
    let values: [String: Any]

    init(_ values: [String: Any]) { self.values = values }

    init?(_ line: Substring) {
        guard let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] else {
            return nil
        }
        values = object
    }

    /// What is absent is -1, empty or false: no journey expects that of anything it looks at.
    func int(_ name: String) -> Int { (values[name] as? NSNumber)?.intValue ?? -1 }
    func text(_ name: String) -> String { values[name] as? String ?? "" }
    func flag(_ name: String) -> Bool { (values[name] as? NSNumber)?.boolValue ?? false }
    func ints(_ name: String) -> [Int] { (values[name] as? [Any] ?? []).map { ($0 as? NSNumber)?.intValue ?? -1 } }
    func texts(_ name: String) -> [String] { (values[name] as? [Any] ?? []).map { $0 as? String ?? "" } }
    func part(_ name: String) -> Findings { Findings(values[name] as? [String: Any] ?? [:]) }
    func parts(_ name: String) -> [Findings] {
        (values[name] as? [Any] ?? []).map { Findings($0 as? [String: Any] ?? [:]) }
    }
    func reply(_ name: String) -> Reply { Reply(part(name)) }
    func replies(_ name: String) -> [Reply] { parts(name).map(Reply.init) }

    var description: String { "\(values)" }
}

/// What came on one stream.
struct Reply: CustomStringConvertible {
    let status: Int
    let fields: [(name: String, value: String)]
    let trailers: [(name: String, value: String)]
    let interim: [Reply]
    let body: String
    /// Bytes of the body, also where the body itself is not told.
    let count: Int
    /// The code of RST_STREAM; nil where none came.
    let reset: HTTP2Code?
    /// Whether END_STREAM came.
    let hasEnded: Bool

    init(_ found: Findings) {
        func pairs(_ name: String) -> [(name: String, value: String)] {
            (found.values[name] as? [[String]] ?? []).map { (name: $0.first ?? "", value: $0.last ?? "") }
        }
        status = found.int("status")
        fields = pairs("fields")
        trailers = pairs("trailers")
        interim = found.parts("interim").map(Reply.init)
        body = found.text("body")
        count = found.int("count")
        reset = HTTP2Code(rawValue: found.int("reset"))
        hasEnded = found.flag("ended")
    }

    /// The only value of a field.
    subscript(_ name: String) -> String? {
        let values = fields.filter { $0.name == name }.map(\.value)
        return values.count == 1 ? values.first : nil
    }

    func trailer(_ name: String) -> String? { trailers.first { $0.name == name }?.value }

    /// 200, whole, with this body.
    func isWhole(_ body: String) -> Bool { status == 200 && hasEnded && reset == nil && self.body == body }

    var description: String {
        "\(status) \(fields) \(body.prefix(200)) (\(count) bytes) \(trailers) reset \(reset.map(String.init(describing:)) ?? "-")"
    }
}

/// Error codes of RFC 9113, section 7.
enum HTTP2Code: Int {
    case noError, protocolError, internalError, flowControlError, settingsTimeout, streamClosed, frameSizeError
    case refusedStream, cancel, compressionError, connectError, enhanceYourCalm, inadequateSecurity, http11Required
}
