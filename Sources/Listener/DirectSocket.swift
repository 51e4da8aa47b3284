import Glibc
import NIOCore

/// Writing to a connection's socket without going through its channel.
///
/// What one response takes usually fits the kernel's buffer, and then a channel's machinery for what does not (a queue
/// of pending writes, promises, writability) is half of a request's user time. So while the channel holds nothing, bytes
/// go straight to the descriptor; what the kernel does not take, and everything behind it, goes through the channel as
/// ever. The channel owns the descriptor: from the moment it may close it, `close` must have been called here.
struct DirectSocket {
    /// -1: none, or not any more.
    private var descriptor: CInt = -1
    /// Something was given to the channel, and may still be in it.
    private(set) var isChannelUsed = false

    var isOpen: Bool { descriptor >= 0 }

    /// For a plain connection whose channel is a socket; others have none, and write through their channel.
    mutating func open(_ context: ChannelHandlerContext) {
        let found = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            $0
        }
        descriptor = (found ?? nil) ?? -1
    }

    mutating func close() { descriptor = -1 }

    /// Bytes were written to the channel: what follows must not overtake them.
    mutating func noteChannelWrite() { isChannelUsed = true }

    /// Sends what the kernel takes now.
    ///
    /// - Returns: how many bytes; 0 as well where the channel must be asked, which then meets the error itself, if there
    ///   is one.
    func send(_ bytes: ByteBuffer) -> Int {
        guard descriptor >= 0, !isChannelUsed else { return 0 }
        let sent = bytes.withUnsafeReadableBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
        }
        return max(0, sent)
    }

    /// Whether the channel still has something.
    mutating func lookAtChannel(_ context: ChannelHandlerContext) {
        let buffered = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)
        isChannelUsed = buffered != 0
    }
}
