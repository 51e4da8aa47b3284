import ConfigModel
package import HTTPWire

extension StoredObject {
    /// The variant for a request (RFC 9111, section 4.1): the newest whose Vary fits, one with Vary before one without;
    /// nil if none does.
    @inline(__always)
    package func variant(for request: RequestHead, _ bytes: Span<UInt8>, in zone: CacheZone) -> StoredResponse? {
        if older.isEmpty, newest.vary == nil { return newest }
        return chosen(for: request, bytes, in: zone)
    }

    private func chosen(for request: RequestHead, _ bytes: Span<UInt8>, in zone: CacheZone) -> StoredResponse? {
        var plain: StoredResponse?
        var names: [UInt8] = []
        var wanted = KeyHash(high: 0, low: 0)
        for index in 0..<count {
            let response = self[index]
            guard let vary = response.vary else {
                plain = plain ?? response
                continue
            }
            // All variants mostly name the same fields: then one hash serves.
            if names != vary.names {
                names = vary.names
                wanted = zone.varyHash(names: names, request, bytes)
            }
            if wanted == vary.hash { return response }
        }
        return plain
    }
}

extension CacheZone {
    /// What a request has in the fields that a response varies by.
    package func varyHash(names: [UInt8], _ request: RequestHead, _ bytes: Span<UInt8>) -> KeyHash {
        Vary.hash(
            names: names, request, bytes, normalizesAcceptEncoding: settings.normalizesAcceptEncoding,
            secret: store.secret)
    }

    /// Whether a response that varies so is for this request.
    package func fits(_ vary: VaryKey?, _ request: RequestHead, _ bytes: Span<UInt8>) -> Bool {
        guard let vary else { return true }
        return varyHash(names: vary.names, request, bytes) == vary.hash
    }
}
