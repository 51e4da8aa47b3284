import ConfigLog
import Crypto
import FoundationEssentials
import Limits
import Logging
import NIOCore

// What is done from time to time: who may stay, who reads too slowly, how the edge does, which certificate is due.
extension NodeCore {
    func startUpkeep() {
        let bound = NIOLoopBound(self, eventLoop: loop)
        let sweep = TimeAmount.milliseconds(Limits.distributionSweepMilliseconds)
        repeated.append(loop.scheduleRepeatedTask(initialDelay: sweep, delay: sweep) { _ in bound.value.sweep() })
        let renewal = TimeAmount.seconds(Int64(Limits.nodeRenewalCheckSeconds))
        repeated.append(
            loop.scheduleRepeatedTask(initialDelay: .zero, delay: renewal) { _ in bound.value.renewIfDue() })
        guard setup.hooks.health != nil else { return }
        let health = TimeAmount.milliseconds(Limits.distributionHealthMilliseconds)
        repeated.append(
            loop.scheduleRepeatedTask(initialDelay: .zero, delay: health) { _ in
                guard let summary = bound.value.setup.hooks.health?() else { return }
                bound.value.setHealth(summary)
            })
    }

    // MARK: Who may stay

    func sweep() {
        let now = Date()
        for (peer, link) in links {
            if let reason = objection(to: link, peer, now) { cut(peer, PeerMessage.Goodbye(.violation, reason)) }
        }
        // All of them together may make more wait than this machine should hold.
        var waiting = links.map { (peer: $0.key, bytes: $0.value.unwrittenBytes) }
        var total = waiting.reduce(0) { $0 &+ $1.bytes }
        waiting.sort { $0.bytes < $1.bytes }
        while total > Limits.distributionUnwrittenBytesMax, let most = waiting.popLast() {
            total -= most.bytes
            cut(most.peer, PeerMessage.Goodbye(.slow, "\(most.bytes) bytes wait, and all children together too many"))
        }
        updateStatus()
    }

    /// Why a connection that stands may stand no longer.
    private func objection(to link: Link, _ peer: LogPeer, _ now: Date) -> String? {
        let certificate = link.certificate
        guard now < certificate.notAfter else { return "the certificate of \(certificate.name) has expired" }
        switch peer {
        case .child:
            guard door?.isAdmitted(certificate.name, certificate.role) == true else {
                return "\(certificate.role.word) \(certificate.name) is not admitted any more"
            }
        case .parent:
            guard certificate.role == .root || NodeRecord(certificate.name, in: worker.replica) != .revoked else {
                return "\(certificate.role.word) \(certificate.name) is revoked"
            }
        }
        return nil
    }

    /// Ends the connections of one node.
    func disconnect(_ name: NodeName) {
        for (peer, link) in links where link.certificate.name == name {
            guard case .child = peer else { continue }
            cut(peer, PeerMessage.Goodbye(.violation, "\(link.certificate.role.word) \(name) is not admitted any more"))
        }
    }

    // MARK: Certificates

    /// A certificate is renewed when a third of its life is left; after a failure it is tried again at the next look.
    func renewIfDue() {
        guard !isRenewing, !isStopped, Date() >= identity.renewal else { return }
        switch setup.renewal {
        case .authority(let root):
            do throws(DistributionError) {
                try adopt(try root.authority.rootIdentity(name: root.name, now: Date()))
            } catch {
                log.error("the certificate cannot be renewed", metadata: ["reason": "\(error)"])
            }
        case .parents(let directory):
            isRenewing = true
            let bound = NIOLoopBound(self, eventLoop: loop)
            let (identity, parents, group, loop, log) = (identity, setup.parents, group, loop, log)
            tasks.run {
                let result = await Self.renewed(identity, directory, parents, group, log)
                loop.execute { bound.value.renewed(result) }
            }
        }
    }

    private static func renewed(
        _ identity: NodeIdentity, _ directory: String, _ parents: [PeerAddress], _ group: any EventLoopGroup,
        _ log: Logger
    ) async -> Result<NodeIdentity, DistributionError> {
        do throws(DistributionError) {
            let key = P256.Signing.PrivateKey()
            let (certificate, authority) = try await Enrolment.ask(
                try identity.renewalQuestion(for: key), parents, trust: .identity(identity), patience: 0, group: group,
                log: log)
            guard authority == identity.authorityDER else {
                throw DistributionError(.identity, "the answer came with another authority")
            }
            let renewed = try NodeIdentity(
                key: key, certificateDER: certificate, authorityDER: authority, now: Date())
            guard renewed.name == identity.name, renewed.role == identity.role else {
                throw DistributionError(.identity, "the answer is for \(renewed.role.word) \(renewed.name)")
            }
            try renewed.save(directory: directory)
            return .success(renewed)
        } catch {
            return .failure(error)
        }
    }

    private func renewed(_ result: Result<NodeIdentity, DistributionError>) {
        isRenewing = false
        do throws(DistributionError) {
            let identity = try result.get()
            try adopt(identity)
            log.notice(
                "the certificate is renewed",
                metadata: ["certificate": "\(identity.serial)", "until": "\(identity.notAfter.formatted(.iso8601))"])
        } catch {
            log.error(
                "the certificate cannot be renewed",
                metadata: ["reason": "\(error)", "expires": "\(identity.notAfter.formatted(.iso8601))"])
        }
    }

    // MARK: The log

    func tellLog(_ report: LogReport) {
        switch report {
        case .childJoined(let name, let role, let position):
            log.info("a child joined", metadata: ["node": "\(name)", "role": "\(role.word)", "at": "\(position)"])
        case .childLeft(let name, let goodbye):
            log.info("a child left", metadata: ["node": "\(name)", "reason": "\(text(goodbye))"])
        case .childCut(let name, let goodbye):
            log.warning("a child is cut", metadata: ["node": "\(name)", "reason": "\(text(goodbye))"])
        case .childForked(let name, let position):
            log.error(
                "a child has another history: it takes no changes until a later epoch begins",
                metadata: ["node": "\(name)", "at": "\(position)"])
        case .reportsDropped(let count):
            log.warning("more nodes report than are kept", metadata: ["dropped": "\(count)"])
        case .parentJoined(let name, let head):
            log.notice("following", metadata: ["parent": "\(name)", "at": "\(head)"])
        case .parentLost(let name, let goodbye):
            log.notice("a parent is lost", metadata: ["parent": "\(name)", "reason": "\(text(goodbye))"])
        case .forked(let parent, let position, let error):
            log.error(
                "a parent has another history, and nothing of it is taken until a later epoch begins",
                metadata: ["parent": "\(parent)", "at": "\(position)", "reason": "\(error)"])
        case .damaged(let parent, let position, let error):
            log.warning(
                "what a parent sent is damaged, and asked for again",
                metadata: ["parent": "\(parent)", "at": "\(position)", "reason": "\(error)"])
        case .importBegan(let manifest, let lacking):
            log.notice(
                "a snapshot is fetched",
                metadata: [
                    "at": "\(manifest.position)", "bytes": "\(manifest.byteCount)",
                    "chunks": "\(manifest.chunks.count)",
                    "lacking": "\(lacking)",
                ])
        case .importFinished(let position): log.notice("the snapshot is in place", metadata: ["at": "\(position)"])
        case .importFailed(let reason): log.error("the snapshot failed", metadata: ["reason": "\(reason)"])
        case .applyFailed(let position, let reason):
            log.error("changes could not be applied", metadata: ["at": "\(position)", "reason": "\(reason)"])
        case .unfit(let error): log.error("a frame does not follow", metadata: ["reason": "\(error)"])
        }
    }

    private func text(_ goodbye: PeerMessage.Goodbye?) -> String {
        guard let goodbye else { return "the connection ended" }
        return goodbye.text.isEmpty ? "\(goodbye.reason)" : "\(goodbye.reason): \(goodbye.text)"
    }
}
