// Listening sockets as text in a successor's environment.

import ConfigModel
import Glibc
import Testing

@testable import Listener

@Suite("SocketHandover", .serialized)
struct SocketHandoverTests {
    private static func listening(_ host: String = "127.0.0.1") throws -> ListeningSocket {
        try ListeningSocket(SocketAddressText(host: host, port: 0))
    }

    @Test("what is written is read again")
    func roundTrip() throws {
        var handover = SocketHandover()
        let keys = [
            SocketHandover.Key(role: .http, address: SocketAddressText(host: "127.0.0.1", port: 8080)),
            .init(role: .https, address: SocketAddressText(host: "::", port: 443)),
            .init(role: .admin, address: SocketAddressText(host: "2001:db8::1", port: 9090)),
        ]
        for (index, key) in keys.enumerated() {
            handover.sockets[key] = try (0...index).map { _ in try Self.listening() }
        }
        defer { handover.closeRest() }
        var read = SocketHandover(text: handover.text)
        #expect(Set(read.sockets.keys) == Set(keys))
        for key in keys {
            #expect(read.take(key)?.map(\.descriptor) == handover.sockets[key]?.map(\.descriptor))
            #expect(read.take(key) == nil)
        }
    }

    @Test("descriptors taken over are not inherited by children")
    func closeOnExec() throws {
        let socket = try Self.listening()
        defer { socket.close() }
        _ = fcntl(socket.descriptor, F_SETFD, 0)
        _ = SocketHandover(text: "http|127.0.0.1|1|\(socket.descriptor)")
        #expect(fcntl(socket.descriptor, F_GETFD) & FD_CLOEXEC != 0)
    }

    @Test(
        "text that is none gives no sockets",
        arguments: [
            "", ";", ";;;", "|", "|||", "http", "http|127.0.0.1|80", "http|127.0.0.1|80|", "http|127.0.0.1|80|x",
            "http|127.0.0.1|eighty|3", "ftp|127.0.0.1|80|0", "http|127.0.0.1|80|-1", "http|127.0.0.1|80|99999999999999",
            "http|127.0.0.1|80|2147483647", "http|127.0.0.1|80|0,1,2", "http|127.0.0.1|80|0|0", "HTTP|127.0.0.1|80|0",
            "http|127.0.0.1|99999999999999999999|0", String(repeating: "http|a|1|9999;", count: 1_000),
        ])
    func hostile(text: String) {
        #expect(SocketHandover(text: text).sockets.isEmpty)
    }

    @Test("descriptors that do not listen are passed over: files, pipes, sockets that only connect")
    func notListening() throws {
        var ends: [CInt] = [0, 0]
        #expect(pipe(&ends) == 0)
        let plain = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let file = open("/dev/null", O_RDONLY)
        let good = try Self.listening()
        defer {
            for descriptor in ends + [plain, file, good.descriptor] { close(descriptor) }
        }
        let list = (ends + [plain, file, good.descriptor]).map(String.init).joined(separator: ",")
        let read = SocketHandover(text: "http|127.0.0.1|80|\(list)")
        #expect(read.sockets.values.joined().map(\.descriptor) == [good.descriptor])
    }

    @Test("two sockets of one address listen side by side, and a duplicate is a descriptor of its own")
    func duplicates() throws {
        let first = try Self.listening()
        defer { first.close() }
        let twin = try first.duplicated()
        #expect(twin.descriptor != first.descriptor)
        #expect(fcntl(twin.descriptor, F_GETFD) & FD_CLOEXEC != 0)
        twin.close()
        #expect(fcntl(first.descriptor, F_GETFD) >= 0)
    }

    @Test("an address that is none says what is wrong")
    func badAddress() {
        #expect(throws: ListeningSocket.Failure.self) { _ = try Self.listening("localhost") }
        #expect(throws: ListeningSocket.Failure.self) { _ = try Self.listening("192.0.2.1") }
    }
}
