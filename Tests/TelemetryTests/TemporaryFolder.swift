// A folder that goes away with its owner, and the few file calls the tests share.

import Foundation
import Testing

final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func file(_ name: String) -> String { path + "/" + name }
}

/// The lines of a file, without the empty rest behind the last line feed.
func lines(ofFile path: String) throws -> [Data] {
    try Data(contentsOf: URL(fileURLWithPath: path)).split(
        separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
}

func jsonObject(_ bytes: some Sequence<UInt8>) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
}

/// Looks again until something holds; gives up after a time that only a broken program needs.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<30_000 {
        if try condition() { return true }
        usleep(1000)
    }
    return false
}
