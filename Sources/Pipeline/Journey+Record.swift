import Cache
import Exchange
import HTTPWire
import NIOCore
import Origin
import Telemetry

/// What is remembered of an exchange once it is over: counters, and one line of the access log.
extension Journey {
    func record(took nanoseconds: UInt64) {
        let metrics = loop.metrics
        metrics.adjust(.requestsActive, by: -1)
        metrics.observe(.requestTotal, nanoseconds: nanoseconds)
        let zoneIndex = zone?.metricsIndex ?? 0
        metrics.response(zone: zoneIndex, status: status, method: Int(request.method.rawValue))
        metrics.zoneBytes(zone: zoneIndex, in: requestBodyBytes, out: responseBodyBytes)
        if let report = visit.report { metrics.cache(zone: zoneIndex, report.result, bytes: cachedBytes(report)) }
        if let failure { metrics.failure(failure) }
        if let log = loop.accessLog { write(to: log, took: nanoseconds) }
    }

    /// Body bytes that no fetch was made for.
    private func cachedBytes(_ report: CacheReport) -> UInt64 {
        switch report.result {
        case .hit, .stale, .revalidated, .coalesced: responseBodyBytes
        case .expired, .miss, .bypass: 0
        }
    }

    private func write(to log: AccessLogShard, took nanoseconds: UInt64) {
        var line = log.beginLine()
        line.timestamp("time", unixNanoseconds: WallClock.nanoseconds())
        requestBytes.withBytes { bytes in
            writeRay(&line)
            if let zone { line.string("zone", zone.nameBytes) }
            writeAddress("client", clientAddress, &line)
            if clientAddress != peer { writeAddress("peer", peer, &line) }
            line.string("scheme", isSecure ? "https" : "http")
            line.string("version", version.label)
            line.string("method", bytes, request.methodRange)
            line.string("host", bytes, request.host)
            line.string("target", bytes, request.target)
            line.number("status", status)
            if let failure {
                line.string("error", failure.label)
                line.string("side", failure.side.label)
            }
            if let report = visit.report {
                line.string("cache", report.outcome.label)
                if let reason = report.detail ?? report.forward?.token { line.string("cache_reason", reason) }
            }
            if let server { line.string("origin", server.nameBytes) }
            if attempts > 0 { line.number("attempts", attempts) }
            if sentAt != 0 { line.bool("reused", usedIdle) }
            line.number("bytes_in", requestBodyBytes)
            line.number("bytes_out", responseBodyBytes)
            line.milliseconds("duration_ms", nanoseconds: nanoseconds)
            if firstByteAt > sentAt { line.milliseconds("origin_ms", nanoseconds: firstByteAt - sentAt) }
            if let agent = request.first(.userAgent) { line.string("user_agent", bytes, agent) }
            if let referer = request.first(.referer) { line.string("referer", bytes, referer) }
        }
        if let tls, !tls.ja4.isEmpty {
            line.string("ja4", tls.ja4)
            line.string("ja3", tls.ja3)
        }
        log.endLine(line)
    }

    private func writeRay(_ line: inout JSONLineWriter) {
        withUnsafeTemporaryAllocation(byteCount: 16, alignment: 1) { memory in
            var writer = ByteWriter(memory)
            writer.write(identifier: ray)
            line.string("ray", UnsafeRawBufferPointer(memory))
        }
    }

    private func writeAddress(_ key: StaticString, _ address: IPAddress, _ line: inout JSONLineWriter) {
        withUnsafeTemporaryAllocation(byteCount: IPAddress.textBytesMax, alignment: 1) { memory in
            var writer = ByteWriter(memory)
            writer.write(address)
            line.string(key, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[..<writer.count]))
        }
    }
}

extension JSONLineWriter {
    fileprivate mutating func string(_ key: StaticString, _ bytes: [UInt8]) {
        string(key, bytes.span)
    }

    /// A member whose value is a range of the request's head; empty if it does not lie within it.
    fileprivate mutating func string(_ key: StaticString, _ bytes: Span<UInt8>, _ range: ByteRange) {
        string(key, bytes.extracting(range.end <= bytes.count ? range.range : 0..<0))
    }
}

extension CacheReport {
    /// What the metrics count it as.
    fileprivate var result: CacheResult {
        switch outcome {
        case .hit: isCollapsed ? .coalesced : .hit
        case .stale, .updating: .stale
        case .revalidated: .revalidated
        case .expired: isCollapsed ? .coalesced : .expired
        case .miss: isCollapsed ? .coalesced : .miss
        case .bypass: .bypass
        }
    }
}
