import Foundation
import Glibc

/// A port where connecting neither succeeds nor fails: its listener's queue is full and stays so.
final class FullListener {
    let port: Int
    private let descriptor: Int32
    private var fillers: [Int32] = []

    init() throws {
        port = try Ports.pick()
        guard let listener = Listening.open(port: port) else { throw WireFailure.system("listen", errno) }
        descriptor = listener
        // A second listen() shortens the queue; then it is filled by connections that nobody accepts.
        listen(descriptor, 0)
        for _ in 0..<16 {
            let filler = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            _ = fcntl(filler, F_SETFL, O_NONBLOCK)
            var address = LoopbackAddress(port: port).value
            _ = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(filler, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            fillers.append(filler)
        }
    }

    func close() {
        (fillers + [descriptor]).forEach { Glibc.close($0) }
        fillers = []
    }
}
