import Cache
import HTTPWire
import NIOCore

/// What the cache stage keeps of one exchange.
struct CacheVisit {
    /// What this journey does for the cache.
    enum Role {
        /// Nothing: it passes by, or was answered.
        case none
        /// It fetches for itself, and stores what comes if nobody else is at it.
        case alone
        /// It fetches for everybody.
        case leader
        /// It waits for, or reads, what another fetches.
        case waiter
        /// It fetches a part of an object and keeps it.
        case part
    }

    /// Tells one exchange from the next that the same journey carries: for answers that come late.
    var serial: UInt64 = 0
    var role = Role.none
    /// What Cache-Status and the access log say; nil where the zone has no cache.
    var report: CacheReport?
    var directives = RequestDirectives()

    // MARK: What is asked for

    var key: CacheKey?
    /// What the fill table has it under.
    var tableHash = KeyHash(high: 0, low: 0)
    /// What the store had for the key when it was asked.
    var seen: StoredObject?
    /// Found, but not to be used as it is: it is validated, or falls back on.
    var stored: StoredResponse?
    var mayServeOnError = false
    /// The request to the origin carries the validators of `stored`.
    var validates = false
    /// The client's own conditions and range stay here: the origin is asked for the whole.
    var asksForWhole = false
    /// Times it looked again because something came between.
    var rounds = 0

    /// Purges up to this were swept out of the disk's index before it was asked.
    var settledBefore: UInt64 = 0

    // MARK: Fetching

    var birth: UInt64?
    /// Milliseconds on the wall clock.
    var requestTime: Int64 = 0
    var fill: Fill?
    var head: FillHead?
    var writer: LargeWriter?
    var outcome: LargeOutcome?
    /// Body bytes received, and those of them that no store counts yet.
    var filled: UInt64 = 0
    var held = 0
    var isOriginPaused = false
    /// What a 304 made of `stored`; acted on at the response's end.
    var freshening: FresheningVerdict?
    /// The Vary of that 304.
    var freshenedVary = VaryRequirement.none
    /// Of a part: where it begins, and what came of it.
    var part: PartInProgress?

    // MARK: Reading

    var outlet: FillOutlet?
    var fillView: FillView?
    var plan = BodyPlan()
    var fileReader: FileReader?
    /// What is being sent, if its body is on the disk: forgotten should the disk not have it any more.
    var reading: StoredResponse?
    var isPumping = false
    /// The disk looks for the object.
    var isLoading = false
    var isResponsePaused = false
    var isAwaitingDisk = false
    var diskRetries = 0

    /// Ready for the next exchange. Most visits are hits that have touched next to nothing: what was set is what is reset.
    mutating func reset() {
        serial &+= 1
        report = nil
        rounds = 0
        mayServeOnError = false
        guard role != .none || key != nil || stored != nil || plan.isActive || fill != nil || reading != nil || isBusy
        else {
            isResponsePaused = false
            return
        }
        let next = serial
        self = CacheVisit()
        serial = next
    }
}

extension CacheVisit {
    private var isBusy: Bool { isPumping || isAwaitingDisk || isLoading || fileReader != nil || seen != nil }
}

/// A part of an object (RFC 9110, section 15.3.7) that is collected on its way to the client.
struct PartInProgress {
    var storable: Storable
    var head: StoredHead
    var vary: VaryKey?
    var tags: [UInt64]
    var pieces: [ByteBuffer] = []
    var byteCount = 0
}
