// So many requests of one caller in five minutes, and no more: a script gone wild must not keep the others from their
// work. Callers are told apart by their credentials, and without any by their address.

import Crypto
import Limits
import Synchronization

/// Counts requests by caller in windows of fixed length.
final class CallerRates: Sendable {
    /// What a request is told.
    struct Verdict: Sendable {
        /// Ratelimit and Ratelimit-Policy (draft-ietf-httpapi-ratelimit-headers).
        var fields: [(name: String, value: String)]
        /// Set if it is one too many.
        var waitSeconds: Int?
    }

    private struct Window {
        var startedAt: Int64
        var count: Int
    }

    private let requestsMax: Int
    private let windows = Mutex<[SHA256Digest: Window]>([:])

    /// - Parameter requestsMax: In `Limits.apiRateWindowSeconds`; 0: as many as come.
    init(requestsMax: Int) { self.requestsMax = requestsMax }

    func take(_ request: APIRequest) throws(APIError) -> Verdict {
        guard requestsMax > 0 else { return Verdict(fields: [], waitSeconds: nil) }
        let who = request.fields["authorization"] ?? request.fields["x-auth-key"] ?? request.address ?? ""
        return take(SHA256.hash(data: Array(who.utf8)), at: APITime.now.microseconds / 1_000_000)
    }

    func take(_ caller: SHA256Digest, at second: Int64) -> Verdict {
        let length = Int64(Limits.apiRateWindowSeconds)
        let window = windows.withLock { windows -> Window in
            if windows.count >= Limits.apiRateCallersMax, windows[caller] == nil { Self.forget(&windows, at: second) }
            var window = windows[caller] ?? Window(startedAt: second, count: 0)
            if second - window.startedAt >= length || second < window.startedAt {
                window = Window(startedAt: second, count: 0)
            }
            window.count = min(window.count + 1, requestsMax + 1)
            windows[caller] = window
            return window
        }
        let secondsLeft = Int(max(length - (second - window.startedAt), 1))
        let left = max(requestsMax - window.count, 0)
        return Verdict(
            fields: [
                ("ratelimit", "\"default\";r=\(left);t=\(secondsLeft)"),
                ("ratelimit-policy", "\"default\";q=\(requestsMax);w=\(length)"),
            ],
            waitSeconds: window.count > requestsMax ? secondsLeft : nil)
    }

    private static func forget(_ windows: inout [SHA256Digest: Window], at second: Int64) {
        windows = windows.filter { second - $0.value.startedAt < Int64(Limits.apiRateWindowSeconds) }
        if windows.count >= Limits.apiRateCallersMax { windows.removeAll(keepingCapacity: true) }
    }
}
