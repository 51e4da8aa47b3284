package import Limits
package import NIOCore

/// The read buffer that all plain connections of one event loop share.
///
/// A socket needs a buffer only while it is being read; kept per connection, as NIO does by default, an idle one would
/// hold 2 KiB for nothing. Whoever has read gives the buffer back in `channelReadComplete`; if a slice of it is still
/// waiting to be written, `ByteBuffer` itself sees that it is shared and the next reader gets fresh memory.
package final class ReadBuffers {
    private var spare: ByteBuffer?

    package init() {}

    fileprivate func take(capacity: Int, allocator: ByteBufferAllocator) -> ByteBuffer {
        guard var buffer = spare.take() else { return allocator.buffer(capacity: capacity) }
        buffer.clear(minimumCapacity: capacity)
        return buffer
    }

    /// Takes back a buffer that was read into. Harmless if it is still in use elsewhere.
    package func giveBack(_ buffer: consuming ByteBuffer) {
        guard buffer.storageCapacity <= Limits.readBufferBytesRange.upperBound else { return }
        spare = buffer
    }
}

/// Sizes a connection's reads: small for requests, growing while bodies fill every read.
package struct SharedReadAllocator: RecvByteBufferAllocator, @unchecked Sendable {
    // Unchecked: NIO asks for Sendable because the option crosses threads once, before the channel is registered; from
    // then on only the channel's own loop calls it, and `buffers` belongs to that loop.
    private let buffers: ReadBuffers
    private var size: Int

    /// - Parameter firstReadBytes: NIO keeps the very first buffer of a channel for good, so that one is small.
    package init(buffers: ReadBuffers, firstReadBytes: Int = Limits.firstReadBytes) {
        self.buffers = buffers
        self.size = firstReadBytes
    }

    package func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        buffers.take(capacity: size, allocator: allocator)
    }

    /// nil keeps NIO from pooling a buffer per channel.
    package func nextBufferSize() -> Int? { nil }

    /// True whatever was read: only then does NIO ask for a buffer before each read instead of using its first one again.
    package mutating func record(actualReadBytes: Int) -> Bool {
        let range = Limits.readBufferBytesRange
        if actualReadBytes >= size {
            size *= 4
        } else if actualReadBytes < size / 4 {
            size /= 2
        }
        size = min(max(size, range.lowerBound), range.upperBound)
        return true
    }
}
