import ConfigLog
package import Distribution
import Glibc
import Limits
package import Logging
import Replica
import Synchronization

/// An edge of a trial: follows, serves nobody, and writes down when it applied what.
///
/// Each line of its output: `<sequence> <microseconds>`; the last one: `end <position> <sum> <received> <sent>`.
package enum TrialEdge {
    /// Until its task is cancelled, or whoever started it is gone.
    package static func run(
        data: String, parents: [PeerAddress], token: JoinToken, log: Logger
    ) async throws {
        guard mkdir(data, 0o700) == 0 || errno == EEXIST else {
            throw TrialError(description: "cannot create \(data): \(String(cString: strerror(errno)))")
        }
        let identity = try await NodeIdentity.loadOrEnrol(
            directory: data + "/identity", role: .leaf, name: nil, parents: parents, token: token, log: log)
        let replica = try Replica.open(path: data + "/replica", bytesMax: Limits.trialReplicaBytesMax, log: log)
        defer { replica.close() }
        let lines = Mutex("")
        let hooks = ConfigNode.Hooks(onTouched: { touched in
            let line = "\(touched.position.sequence) \(sharedMicroseconds())\n"
            lines.withLock { $0 += line }
        })
        let node = try await ConfigNode.edge(
            identity: identity, directory: data + "/identity", parents: parents, replica: replica, hooks: hooks,
            log: log)
        let parent = getppid()
        while !Task.isCancelled, getppid() == parent { try? await Task.sleep(for: .milliseconds(200)) }
        let status = node.status
        await node.stop()
        print(lines.withLock { $0 }, terminator: "")
        let summary = try replica.summary()
        print("end \(TrialEnd(summary).text) \(status.bytesReceived) \(status.bytesSent)")
        fflush(nil)
    }
}

/// Where a replica ended, to be held against others.
struct TrialEnd: Equatable {
    let text: String

    init(_ summary: StateSummary) {
        let position = summary.position
        let sum = summary.sum.map { String($0, radix: 16) }.joined(separator: ".")
        text =
            "\(position.epoch)/\(position.sequence)/\(position.hash.bytes.map { String($0, radix: 16) }.joined())/\(sum)"
    }

    init(text: String) { self.text = text }
}

/// A trial that cannot be run.
package struct TrialError: Error, Sendable, CustomStringConvertible {
    package let description: String
}
