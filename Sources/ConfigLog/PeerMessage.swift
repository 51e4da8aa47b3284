import Limits

/// What a parent and a child say to each other.
///
///     child                                   parent
///       ── hello ─────────────────────────────▶
///       ── follow(stream 1, position) ────────▶
///       ◀───────────────────────────── hello ──
///       ◀───────────── answer(deltas), frame … ──        it has what follows that position
///       ◀──────────── answer(snapshot), offer ──        or it has not
///       ── chunk request … ───▶  ◀── chunk … ──
///       ── follow(stream 2, position) ────────▶         imported; or a frame was damaged
///       ── acknowledgement … ▶  ◀────── ping … ──
///
/// A stream is one answer to one `follow`: what still comes of an older one is dropped.
package enum PeerMessage: Sendable, Equatable {
    /// The first message of both.
    case hello(Hello)
    case follow(Follow)
    case answer(Answer)
    case frame(stream: UInt32, bytes: [UInt8])
    case offer(stream: UInt32, SnapshotManifest)
    case chunkRequest(ChainHash)
    case chunk(ChainHash, bytes: [UInt8])
    /// The parent has it no longer: ask for another snapshot.
    case chunkMissing(ChainHash)
    case acknowledgement(Acknowledgement)
    /// A relay's descendants.
    case reports([NodeReport])
    case ping(Ping)
    /// The last message: the connection ends.
    case goodbye(Goodbye)

    package enum Kind: UInt8, Sendable, CaseIterable {
        case hello = 1
        case follow
        case answer
        case frame
        case offer
        case chunkRequest
        case chunk
        case chunkMissing
        case acknowledgement
        case reports
        case ping
        case goodbye
    }

    package var kind: Kind {
        switch self {
        case .hello: .hello
        case .follow: .follow
        case .answer: .answer
        case .frame: .frame
        case .offer: .offer
        case .chunkRequest: .chunkRequest
        case .chunk: .chunk
        case .chunkMissing: .chunkMissing
        case .acknowledgement: .acknowledgement
        case .reports: .reports
        case .ping: .ping
        case .goodbye: .goodbye
        }
    }

    /// The protocol's version here. Of two the smaller one is spoken.
    package static let version: UInt16 = 1

    package struct Hello: Sendable, Equatable {
        package var version = PeerMessage.version
        package var role: NodeRole
        /// 1 to `Limits.configNameBytesMax` bytes.
        package var name: String
        /// What the sender holds.
        package var position: LogPosition
        /// The version of its program; for people.
        package var software: String

        package init(role: NodeRole, name: String, position: LogPosition, software: String = "") {
            self.role = role
            self.name = name
            self.position = position
            self.software = software
        }
    }

    /// What comes after that position, please.
    package struct Follow: Sendable, Equatable {
        package var stream: UInt32
        package var position: LogPosition
        /// Not by frames: those that were sent could not be used.
        package var wantsSnapshot: Bool

        package init(stream: UInt32, position: LogPosition, wantsSnapshot: Bool) {
            self.stream = stream
            self.position = position
            self.wantsSnapshot = wantsSnapshot
        }
    }

    package struct Answer: Sendable, Equatable {
        package enum Kind: UInt8, Sendable {
            /// Frames follow, at once or as they are made.
            case deltas = 1
            /// The parent is not as far itself; frames follow when it is.
            case behind
            /// An offer follows.
            case snapshot
            /// The parent has another history of that epoch.
            case forked
            /// The parent is in an older epoch.
            case olderEpoch
            /// The parent can make no snapshot now.
            case unavailable
        }

        package var stream: UInt32
        package var kind: Kind
        /// The newest that the parent has.
        package var head: LogPosition

        package init(stream: UInt32, kind: Kind, head: LogPosition) {
            self.stream = stream
            self.kind = kind
            self.head = head
        }
    }

    /// What the child's replica holds: gives room for further frames, and tells how the child does.
    package struct Acknowledgement: Sendable, Equatable {
        package var stream: UInt32
        package var position: LogPosition
        /// Milliseconds since 1970.
        package var appliedAtMilliseconds: UInt64
        package var lagMilliseconds: UInt32
        package var health: HealthSummary

        package init(
            stream: UInt32, position: LogPosition, appliedAtMilliseconds: UInt64, lagMilliseconds: UInt32,
            health: HealthSummary
        ) {
            self.stream = stream
            self.position = position
            self.appliedAtMilliseconds = appliedAtMilliseconds
            self.lagMilliseconds = lagMilliseconds
            self.health = health
        }
    }

    /// From a parent, now and then.
    package struct Ping: Sendable, Equatable {
        package var stream: UInt32
        /// The last that was sent on the stream: what the child must have by now, as nothing overtakes on a connection.
        package var sentSequence: UInt64
        /// The newest that the parent has.
        package var head: LogPosition
        /// How long ago the root was known to be reachable: 0 at the root.
        package var stalenessMilliseconds: UInt32

        package init(stream: UInt32, sentSequence: UInt64, head: LogPosition, stalenessMilliseconds: UInt32) {
            self.stream = stream
            self.sentSequence = sentSequence
            self.head = head
            self.stalenessMilliseconds = stalenessMilliseconds
        }
    }

    package struct Goodbye: Sendable, Equatable {
        package enum Reason: UInt8, Sendable, CaseIterable {
            case stopping = 1
            /// The child fell too far behind, or stopped to acknowledge.
            case slow
            /// The other said what he may not say.
            case violation
            /// What came was damaged, again and again.
            case damaged
            case forked
            case olderEpoch
            /// The parent's own state was replaced by a snapshot: ask again.
            case replaced
            /// The parent has lost the root.
            case orphaned
            /// Back to the first parent of the list.
            case returning
            /// Another parent may still have the frames.
            case elsewhere
            case tooMany
            case version
            /// The replica could not apply what came.
            case unapplied
            /// Nothing came for too long.
            case silent
        }

        package var reason: Reason
        /// For the log: at most `Limits.configGoodbyeBytesMax` bytes are sent.
        package var text: String

        package init(_ reason: Reason, _ text: String = "") {
            self.reason = reason
            self.text = text
        }
    }
}
