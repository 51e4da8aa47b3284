package import HTTPWire
package import NIOCore

/// Trailer fields as they are passed on: whole lines, only those that may stand in a trailer (RFC 9110, 6.5.1).
package enum TrailerLines {
    /// nil when nothing is left to pass on.
    package static func render(_ section: TrailerSection?) -> ByteBuffer? {
        guard let section, !section.fields.isEmpty else { return nil }
        var lines = ByteBuffer()
        lines.writeHead(capacity: section.bytes.count + section.fields.count * 4) { writer in
            for field in section.fields where !field.isDropped { writer.write(field: field, of: section.bytes.span) }
        }
        return lines.readableBytes > 0 ? lines : nil
    }
}
