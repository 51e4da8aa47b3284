// How a node comes by its certificate: once by a token, from then on by the certificate it has.

package import ConfigLog
import Crypto
import FoundationEssentials
import Limits
package import Logging
import NIOCore
import NIOPosix

extension NodeIdentity {
    /// The identity in a directory; if there is none that is valid, one for which the token is good.
    ///
    /// Asks the parents in turn, and again for `patience` seconds while none of them answers. Whatever was kept
    /// before is replaced only by what works.
    /// - Parameters:
    ///   - name: What it is to be called; nil: what the token says.
    ///   - token: Needed only if there is no valid identity.
    /// - Throws: `identity`, `enrolment` with why the control plane refused, `unreachable`.
    package static func loadOrEnrol(
        directory: String, role: NodeRole, name: NodeName?, parents: [PeerAddress], token: JoinToken?,
        patience: Int = Limits.joinSecondsMax, log: Logger
    ) async throws(DistributionError) -> NodeIdentity {
        do throws(DistributionError) {
            if let kept = try load(directory: directory) {
                try kept.check(role: role, name: name, directory: directory)
                return kept
            }
        } catch {
            guard token != nil else { throw error }
            log.warning("the certificate that is kept is of no use; joining anew", metadata: ["reason": "\(error)"])
        }
        guard let token else {
            throw DistributionError(
                .identity,
                "\(directory) holds no certificate, so this \(role.word) has to join: give it a token, which "
                    + "`martlet edge token` makes")
        }
        let key = try IdentityFile.draftKey(directory)
        let question = EnrolmentQuestion(
            role: role, name: name, csr: try SigningRequest.make(key), proof: .token(secret: token.secret))
        let (certificate, authority) = try await Enrolment.ask(
            question, parents, trust: .digest(token.authorityDigest), patience: patience,
            group: MultiThreadedEventLoopGroup.singleton, log: log)
        let identity = try NodeIdentity(key: key, certificateDER: certificate, authorityDER: authority, now: Date())
        try identity.check(role: role, name: name, directory: directory)
        try identity.save(directory: directory)
        IdentityFile.removeDraft(directory)
        log.notice(
            "joined",
            metadata: ["name": "\(identity.name)", "role": "\(role.word)", "certificate": "\(identity.serial)"])
        return identity
    }

    private func check(role: NodeRole, name: NodeName?, directory: String) throws(DistributionError) {
        guard self.role == role else {
            throw DistributionError(
                .identity, "\(directory) holds the certificate of a \(self.role.word), and this is a \(role.word)")
        }
        guard name == nil || name == self.name else {
            throw DistributionError(
                .identity,
                "\(directory) holds the certificate of \(self.name), not of \(name?.text ?? ""): leave the name away, or "
                    + "join with a new token and another directory")
        }
    }

    /// A question for a newer certificate, for a new key.
    func renewalQuestion(for key: P256.Signing.PrivateKey) throws(DistributionError) -> EnrolmentQuestion {
        let csr = try SigningRequest.make(key)
        guard let signature = try? self.key.signature(for: EnrolmentQuestion.signed(csr: csr)) else {
            throw DistributionError(.identity, "the renewal cannot be signed")
        }
        return EnrolmentQuestion(
            role: role, name: name, csr: csr,
            proof: .renewal(certificate: certificateDER, signature: Array(signature.derRepresentation)))
    }
}

enum Enrolment {
    /// Asks the parents in turn until one of them decides.
    ///
    /// - Parameter patience: Seconds for which it asks again when nobody answers; 0: one round.
    static func ask(
        _ question: EnrolmentQuestion, _ parents: [PeerAddress], trust: EnrolmentClient.Trust, patience: Int,
        group: any EventLoopGroup, log: Logger
    ) async throws(DistributionError) -> (certificate: [UInt8], authority: [UInt8]) {
        let deadline = ContinuousClock.now + .seconds(patience)
        var wait = Limits.joinRetryMilliseconds.lowerBound
        while true {
            var problems: [DistributionError] = []
            for parent in parents {
                do throws(DistributionError) {
                    switch try await EnrolmentClient.ask(question, parent, trust: trust, group: group) {
                    case .issued(let certificate, let authority): return (certificate, authority)
                    case .refused(let refusal) where refusal.kind.isFinal:
                        throw DistributionError(.enrolment(refusal.kind), "\(parent) refuses: \(refusal.text)")
                    case .refused(let refusal):
                        problems.append(DistributionError(.unreachable, "\(parent): \(refusal.text)"))
                    }
                } catch {
                    if case .enrolment = error.kind { throw error }
                    problems.append(error)
                }
            }
            let problem = problems.map(\.description).joined(separator: "; ")
            // Waiting makes nobody trustworthy.
            if problems.allSatisfy({ $0.kind == .identity }) { throw DistributionError(.identity, problem) }
            guard ContinuousClock.now < deadline, !Task.isCancelled else {
                throw DistributionError(.unreachable, "no control plane answers: \(problem)")
            }
            log.warning("no control plane answers yet", metadata: ["reason": "\(problem)"])
            let pause = wait / 2 + UInt64.random(in: 0...wait / 2)
            try? await Task.sleep(for: .milliseconds(pause))
            wait = min(wait * 2, Limits.joinRetryMilliseconds.upperBound)
        }
    }

    /// What a root does with a question.
    static func answer(
        _ question: EnrolmentQuestion, identity: NodeIdentity, desk: EnrolmentDesk, log: Logger
    ) async -> EnrolmentReply {
        do throws(EnrolmentRefusal) {
            let request = try question.checked(by: identity)
            let issued = try await desk.enrol(request)
            log.notice(
                "a certificate is issued",
                metadata: ["name": "\(issued.name)", "role": "\(issued.role.word)", "certificate": "\(issued.serial)"])
            return .issued(certificate: issued.der, authority: identity.authorityDER)
        } catch {
            log.notice(
                "an enrolment is refused",
                metadata: ["name": "\(question.name?.text ?? "")", "kind": "\(error.kind)", "reason": "\(error.text)"])
            return .refused(error)
        }
    }

    /// What a relay does with it: checks what it can, and asks its own parents.
    static func forward(
        _ question: EnrolmentQuestion, identity: NodeIdentity, parents: [PeerAddress], group: any EventLoopGroup,
        log: Logger
    ) async -> EnrolmentReply {
        do throws(EnrolmentRefusal) {
            _ = try question.checked(by: identity)
            guard question.hops < Limits.enrolmentHopsMax else {
                throw EnrolmentRefusal(
                    .unavailable, "the request passed through too many relays: they stand in a circle")
            }
        } catch {
            return .refused(error)
        }
        var passed = question
        passed.hops += 1
        do throws(DistributionError) {
            let (certificate, authority) = try await ask(
                passed, parents, trust: .identity(identity), patience: 0, group: group, log: log)
            return .issued(certificate: certificate, authority: authority)
        } catch {
            if case .enrolment(let kind) = error.kind { return .refused(EnrolmentRefusal(kind, error.description)) }
            log.warning("an enrolment cannot be passed on", metadata: ["reason": "\(error)"])
            return .refused(EnrolmentRefusal(.unavailable, "the relay \(identity.name) reaches no control plane"))
        }
    }
}
