import Foundation
import Testing

/// `kill -9` of any process at any moment: what was acknowledged is there, once, in the API and at the edge.
@Suite("Killed at any moment", .onStageThreads, .serialized)
struct KillJourneys {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        .standardizedFileURL
    private static let program = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Peers/kills.py")

    /// A hundred kills in all. `MARTLET_KILLS_SEED` repeats a run's choices: which process, after how long.
    @Test("no acknowledged write is lost, none is done twice", arguments: ["sqlite", "postgres"])
    func kills(store: String) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let seed = ProcessInfo.processInfo.environment["MARTLET_KILLS_SEED"].map { [$0] } ?? []
        let process = try stage.start(
            [
                Self.root.appending(path: ".build/peers/bin/python").path, "-u", "-B", Self.program.path,
                try Edge.binary(), stage.directory.path, store, "50",
            ] + seed)
        _ = process.waitForExit(within: .seconds(600))
        #expect(process.output.hasSuffix("done\n"), "\(process.output)\(process.errors)")
    }
}
