package import Exchange
import HTTPWire
import Limits
package import Logging

/// Where the connections of one event loop take their journeys, and where a new configuration arrives.
///
/// A new `serving` is for requests that begin after it; those under way keep theirs.
package final class JourneyDesk {
    package let loop: EdgeLoop
    package let log: Logger
    package var serving: Serving {
        // Those kept for reuse hold the old one, and all that it holds.
        didSet {
            spare.removeAll()
            if serving.followed !== oldValue.followed { followedHosts = serving.followed.map { FollowedHosts($0) } }
        }
    }
    /// Where `serving` follows zones: what this loop knows of them.
    package private(set) var followedHosts: FollowedHosts?
    /// Told when a connection of this loop is no more. One closure a loop: one a connection would be kept by each.
    package var connectionEnded: (() -> Void)?
    /// Journeys that are done. As many as were ever under way at once, up to a bound.
    private var spare: ContiguousArray<Journey> = []
    private static let spareMax = 1024
    /// Journeys whose clients are gone while their fetches go on.
    private var orphans: [ObjectIdentifier: Journey] = [:]
    /// Where keys are rendered, one at a time.
    let keyScratch: UnsafeMutableRawBufferPointer

    package init(loop: EdgeLoop, serving: Serving, log: Logger) {
        self.loop = loop
        self.serving = serving
        followedHosts = serving.followed.map { FollowedHosts($0) }
        self.log = log
        keyScratch = .allocate(byteCount: Limits.cacheKeyBytesMax, alignment: 16)
    }

    deinit { keyScratch.deallocate() }

    /// A journey for a request whose first byte is there.
    package func take() -> Journey {
        guard let journey = spare.popLast() else { return Journey(desk: self) }
        journey.renew(serving: serving)
        return journey
    }

    /// A journey without a client, for a fetch that nobody waits for: it asks what `other` asked.
    func takeForFetch(like other: Journey) -> Journey {
        let journey = take()
        journey.serving = other.serving
        journey.zone = other.zone
        journey.peer = other.peer
        journey.clientAddress = other.clientAddress
        journey.isSecure = other.isSecure
        journey.request = other.request
        journey.request.method = .get
        for index in journey.request.fields.indices where journey.request.fields[index].known == .cookie {
            journey.request.fields[index].isDropped = true
        }
        journey.requestBytes = other.requestBytes
        adopt(journey)
        return journey
    }

    var orphanCount: Int { orphans.count }

    func adopt(_ journey: Journey) { orphans[ObjectIdentifier(journey)] = journey }

    func release(_ journey: Journey) {
        orphans[ObjectIdentifier(journey)] = nil
        takeBack(journey)
    }

    func takeBack(_ journey: Journey) {
        journey.shed()
        if spare.count < Self.spareMax, journey.serving === serving { spare.append(journey) }
    }
}
