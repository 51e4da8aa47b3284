import Exchange

/// Where an exchange can be put: an HTTP/1.1 connection that is free, or room for one more stream of an HTTP/2
/// connection. Who holds it has it for itself, and either takes the link or gives the seat back.
///
/// It lives on one event loop and is held from any: whoever is elsewhere drives it through a `RemoteLink`.
protocol OriginSeat: AnyObject, Sendable {
    /// Where it lives.
    var loop: EdgeLoop { get }

    /// Whether nothing has been heard from the origin since the seat became free, so that it may be gone. Any loop may
    /// ask, before the link is taken.
    var mayBeStale: Bool { get }

    /// Whether the origin may hand a request back unread.
    var mayBeRefused: Bool { get }

    /// The link of one exchange. On its loop. If the connection was lost meanwhile, that is told to who sends.
    func takeLink() -> any OriginLink

    /// Nothing was sent. On its loop.
    func returnUnused()
}
