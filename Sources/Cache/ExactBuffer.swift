@_spi(CustomByteBufferAllocator) package import NIOCore

#if canImport(Glibc)
    import Glibc
#endif

/// Buffers of exactly as many bytes as they hold. NIO rounds capacities up to powers of two, which for what lies in a
/// cache for hours would be a quarter of all memory.
package enum ExactBuffer {
    /// A buffer of `count` bytes, all readable, written by `fill`.
    package static func make(count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) -> ByteBuffer {
        guard count > 0, let memory = malloc(count) else { return ByteBuffer() }
        let bytes = UnsafeMutableRawBufferPointer(start: memory, count: count)
        fill(bytes)
        return ByteBuffer(takingOwnershipOf: bytes, allocator: ByteBufferAllocator())
    }

    /// A copy of what `bytes` has to read.
    package static func copy(_ bytes: ByteBuffer) -> ByteBuffer {
        make(count: bytes.readableBytes) { target in
            bytes.withUnsafeReadableBytes { target.copyMemory(from: $0) }
        }
    }
}
