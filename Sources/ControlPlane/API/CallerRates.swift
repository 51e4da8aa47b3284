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

    /// Counts a request of whoever shows these credentials; without any, of its address.
    func take(_ credentials: Credentials, from address: String?) -> Verdict {
        guard requestsMax > 0 else { return Verdict(fields: [], waitSeconds: nil) }
        let who = credentials.hash ?? Array("address \(address ?? "")".utf8)
        return take(SHA256.hash(data: who), at: APITime.now.microseconds / 1_000_000)
    }

    /// Counts a refusal: who guesses tokens has a new one each time, and the same address.
    /// - Throws: `APIError.throttled` if there were too many.
    func takeRefusal(from address: String?) throws(APIError) {
        guard requestsMax > 0 else { return }
        let who = SHA256.hash(data: Array("refused \(address ?? "")".utf8))
        if let seconds = take(who, at: APITime.now.microseconds / 1_000_000).waitSeconds {
            throw .throttled(seconds: seconds)
        }
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
        // Any one: the order of a dictionary is nobody's to choose.
        if windows.count >= Limits.apiRateCallersMax { windows.remove(at: windows.startIndex) }
    }
}
