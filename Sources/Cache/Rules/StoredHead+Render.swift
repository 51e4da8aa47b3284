// The stored form of a response's head (see StoredHead): rendered once, so that a hit copies it as it is.
//
//     [Cache-Status of caches before us] Date … lines of a 304 ┊ other lines ┊ Content-Type ┊ Content-Length CRLF CRLF
//
// What is left out: what belongs to one hop or one client, what is written anew for every answer (Age), what is about
// this cache alone, and what the response itself forbids to keep (RFC 9111, section 3.1).
//
// Cache-Status lists caches from the origin on (RFC 9211, section 2), so ours has to stand behind those of others. They
// are joined in one line at the very front, where the writer of an answer finds them.

package import HTTPWire
import Limits
package import NIOCore

extension StoredHead {
    /// Renders the head of a response.
    /// - Parameters:
    ///   - contentLength: bytes of the whole content. 204 has no Content-Length (RFC 9110, section 8.6); all others
    ///     have.
    ///   - body: what lies behind the head, for a small object.
    package static func render(
        _ response: ResponseHead, _ bytes: Span<UInt8>, facts: StoredFacts, strip: StrippedFields,
        contentLength: UInt64, body: [ByteBuffer] = []
    ) -> StoredHead {
        // Each line grows by a blank at most; beside them there are Date, Content-Length and the empty line.
        let bound = bytes.count &+ 2 &* response.fields.count &+ 128
        return withUnsafeTemporaryAllocation(byteCount: bound, alignment: 1) { scratch in
            var renderer = HeadRenderer(ByteWriter(scratch), facts, strip)
            renderer.write(response, bytes)
            let typeEnd = renderer.writer.count
            if facts.status != 204 { renderer.writer.write(field: "Content-Length", decimal: contentLength) }
            renderer.writer.write("\r\n")
            let head = UnsafeRawBufferPointer(rebasing: scratch[..<renderer.writer.count])
            return StoredHead(
                bytes: joined(head, body), notModifiedEnd: renderer.notModifiedEnd, commonEnd: renderer.commonEnd,
                typeEnd: typeEnd, end: head.count, eTag: renderer.eTag, lastModified: renderer.lastModified,
                contentType: renderer.contentType)
        }
    }

    /// The same head with the length that turned out in the end, and the body behind it.
    package func completed(contentLength: UInt64, body: [ByteBuffer] = []) -> StoredHead {
        let hasLength = end &- typeEnd > 2
        return bytes.withUnsafeReadableBytes { source in
            guard typeEnd >= 0, typeEnd <= source.count else { return self }
            return withUnsafeTemporaryAllocation(byteCount: typeEnd &+ 64, alignment: 1) { scratch in
                var writer = ByteWriter(scratch)
                writer.write(UnsafeRawBufferPointer(rebasing: source[..<typeEnd]))
                if hasLength { writer.write(field: "Content-Length", decimal: contentLength) }
                writer.write("\r\n")
                var result = self
                result.end = writer.count
                result.bytes = Self.joined(UnsafeRawBufferPointer(rebasing: scratch[..<writer.count]), body)
                return result
            }
        }
    }

    /// Head and body in memory of exactly their size.
    private static func joined(_ head: UnsafeRawBufferPointer, _ body: [ByteBuffer]) -> ByteBuffer {
        let count = body.reduce(head.count) { $0 + $1.readableBytes }
        return ExactBuffer.make(count: count) { target in
            target.copyMemory(from: head)
            var position = head.count
            for piece in body {
                piece.withUnsafeReadableBytes { source in
                    UnsafeMutableRawBufferPointer(rebasing: target[position...]).copyMemory(from: source)
                    position += source.count
                }
            }
        }
    }
}

/// Writes the lines of a stored head and notes where what stands.
private struct HeadRenderer {
    var writer: ByteWriter
    private let facts: StoredFacts
    private let strip: StrippedFields
    private(set) var notModifiedEnd = 0
    private(set) var commonEnd = 0
    private(set) var eTag = 0..<0
    private(set) var lastModified = 0..<0
    private(set) var contentType = 0..<0

    init(_ writer: ByteWriter, _ facts: StoredFacts, _ strip: StrippedFields) {
        self.writer = writer
        self.facts = facts
        self.strip = strip
    }

    mutating func write(_ response: ResponseHead, _ bytes: Span<UInt8>) {
        writeCacheStatus(response, bytes)
        // Date says what counted as the date, also where the origin sent none or none that can be read (RFC 9110,
        // section 6.6.1). It also makes sure that the first line is Cache-Status or this one.
        writer.write("Date: ")
        HTTPDate.write(CacheDate.seconds(facts.date), to: &writer)
        writer.write("\r\n")
        write(.notModified, response, bytes)
        notModifiedEnd = writer.count
        write(.common, response, bytes)
        commonEnd = writer.count
        write(.contentType, response, bytes)
        // Two of them cannot both be the one that conditions go by.
        if response.only(.eTag) == nil { eTag = 0..<0 }
        if response.only(.lastModified) == nil { lastModified = 0..<0 }
    }

    private mutating func writeCacheStatus(_ response: ResponseHead, _ bytes: Span<UInt8>) {
        guard response.has(.cacheStatus), !strip.contains(.cacheStatus, in: bytes) else { return }
        var isFirst = true
        for index in response.fields.indices where response.fields[index].known == .cacheStatus {
            let value = response.fields[index].value
            guard !value.isEmpty else { continue }
            writer.write(isFirst ? StoredHead.cacheStatusPrefix : ", ")
            writer.write(bytes, value)
            isFirst = false
        }
        if !isFirst { writer.write("\r\n") }
    }

    private mutating func write(_ group: LineGroup, _ response: ResponseHead, _ bytes: Span<UInt8>) {
        for index in response.fields.indices {
            let field = response.fields[index]
            guard LineGroup(field, bytes) == group else { continue }
            if !strip.isEmpty, strip.contains(field.name, in: bytes) { continue }
            writer.write(bytes, field.name)
            writer.write(": ")
            let start = writer.count
            writer.write(bytes, field.value)
            switch field.known {
            case .eTag: eTag = start..<writer.count
            case .lastModified: lastModified = start..<writer.count
            case .contentType: contentType = start..<writer.count
            default: break
            }
            writer.write("\r\n")
        }
    }
}

/// Where in a stored head a line stands.
private enum LineGroup {
    /// What a 304 repeats (RFC 9110, section 15.4.5), and what goes with it.
    case notModified
    case common
    case contentType
    /// Not stored, or rendered on its own.
    case none

    init(_ field: Field, _ bytes: Span<UInt8>) {
        switch field.known {
        case _ where field.isDropped: self = .none
        case .cacheControl, .cdnCacheControl, .contentLocation, .eTag, .expires, .lastModified, .vary:
            self = .notModified
        case .contentType: self = .contentType
        case .age, .cacheStatus, .cacheTag, .contentRange, .date, .martletCDNCacheControl, .martletRay, .setCookie,
            .trailer:
            self = .none
        case .other where bytes.hasPrefixIgnoringCase(field.name, "proxy-"): self = .none
        default: self = .common
        }
    }
}

extension CacheDate {
    /// Whole seconds, rounded down also before 1970.
    static func seconds(_ milliseconds: Int64) -> Int64 {
        milliseconds / 1000 - (milliseconds % 1000 < 0 ? 1 : 0)
    }
}
