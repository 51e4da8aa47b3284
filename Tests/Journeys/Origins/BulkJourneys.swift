import Foundation
import Testing

/// Bodies larger than memory should hold, both ways, under back-pressure.
@Suite("Bulk", .onStageThreads)
struct BulkJourneys {
    /// A debug build moves less in the same time. `MARTLET_BULK_MIB` asks for another size.
    private static let mebibytes: Int = {
        if let asked = ProcessInfo.processInfo.environment["MARTLET_BULK_MIB"].flatMap({ Int($0) }) { return asked }
        #if DEBUG
            return 256
        #else
            return 1024
        #endif
    }()

    /// What the edge may take on top of what it stood at before, for one body on its way.
    private static let headroomKiB = 64 * 1024

    @Test("An upload streams through within 64 MiB, whole", arguments: [true, false])
    func upload(isChunked: Bool) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let total = Self.mebibytes << 20
        let origin = try stage.origin(isRecording: false) { connection in
            let request = try connection.readRequestHead()
            var taken = 0
            if request["Content-Length"] == "\(total)" {
                while taken < total { taken += try connection.wire.readSome().count }
            } else {
                while true {
                    let line = try connection.wire.read(through: "\r\n").dropLast(2).map { $0 }.text
                    guard let size = Int(line, radix: 16) else { throw WireFailure.malformed(line) }
                    _ = try connection.wire.read(exactly: size + 2)
                    if size == 0 { break }
                    taken += size
                }
            }
            try connection.send(ok("took \(taken)"))
        }
        let edge = try stage.edge([origin.url])
        let base = edge.process.memoryKiB("VmRSS")
        let client = try edge.client()
        let piece = [UInt8](repeating: 97, count: 1 << 20)
        if isChunked {
            try client.send(request("POST /", "Transfer-Encoding: chunked"))
            for _ in 0..<Self.mebibytes {
                try client.send("100000\r\n")
                try client.send(piece)
                try client.send("\r\n")
            }
            try client.send("0\r\n\r\n")
        } else {
            try client.send(request("POST /", "Content-Length: \(total)"))
            for _ in 0..<Self.mebibytes { try client.send(piece) }
        }
        #expect(try client.readAnswer().text == "took \(total)")
        let peak = edge.process.memoryKiB("VmHWM")
        #expect(peak - base < Self.headroomKiB, "from \(base) KiB to \(peak) KiB")
    }

    @Test("An upload to an origin that does not read is held back, not gathered")
    func stalledUpload() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let release = Gate()
        let total = 128 << 20
        let origin = try stage.origin(isRecording: false) { connection in
            _ = try connection.readRequestHead()
            release.pass()
            var taken = connection.wire.buffered.count
            _ = taken == 0 ? [] : try connection.wire.readSome()
            while taken < total { taken += try connection.wire.readSome().count }
            try connection.send(ok("took \(taken)"))
        }
        let edge = try stage.edge([origin.url])
        let base = edge.process.memoryKiB("VmRSS")
        let client = try edge.client()
        try client.send(request("POST /", "Content-Length: \(total)"))
        let sent = try fill(client, total)
        #expect(sent < 32 << 20, "\(sent) bytes went into an origin that reads none")
        release.open()
        let piece = [UInt8](repeating: 97, count: 1 << 20)
        var rest = total - sent
        while rest > 0 {
            let size = min(rest, piece.count)
            try client.send(size == piece.count ? piece : Array(piece[..<size]))
            rest -= size
        }
        #expect(try client.readAnswer().text == "took \(total)")
        #expect(edge.process.memoryKiB("VmHWM") - base < Self.headroomKiB)
    }

    /// Sends until nothing is taken for half a second; how much went out.
    private func fill(_ wire: Wire, _ total: Int) throws -> Int {
        let piece = [UInt8](repeating: 97, count: 1 << 16)
        var (sent, idle) = (0, 0)
        while sent < total, idle < 50 {
            let taken = try wire.sendWhatFits(Array(piece[..<min(piece.count, total - sent)]))
            sent += taken
            idle = taken == 0 ? idle + 1 : 0
            if taken == 0 { pause(milliseconds: 10) }
        }
        return sent
    }

    @Test("A download streams through within 64 MiB, whole, to a client that begins late", arguments: [true, false])
    func download(isChunked: Bool) throws {
        let stage = try Stage()
        defer { stage.strike() }
        let total = Self.mebibytes << 20
        let pushed = Shared(0)
        let origin = try stage.origin(isRecording: false) { connection in
            _ = try connection.readRequest()
            let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(total)"
            try connection.send("HTTP/1.1 200 OK\r\n\(framing)\r\n\r\n")
            let piece = [UInt8](repeating: 97, count: 1 << 20)
            for _ in 0..<(total >> 20) {
                if isChunked { try connection.send("100000\r\n") }
                try connection.wire.send(piece)
                if isChunked { try connection.send("\r\n") }
                pushed.withLock { $0 += 1 << 20 }
            }
            if isChunked { try connection.send("0\r\n\r\n") }
            connection.waitForEnd()
        }
        let edge = try stage.edge([origin.url])
        let base = edge.process.memoryKiB("VmRSS")
        let client = try edge.client(receiveBufferBytes: 65536)
        try client.send(request("GET /"))
        // The client reads nothing until the origin has been brought to a halt.
        var before = -1
        _ = eventually {
            pause(milliseconds: 300)
            defer { before = pushed.current }
            return before == pushed.current && before >= 0
        }
        #expect(pushed.current < 48 << 20, "\(pushed.current) bytes left the origin for a client that reads none")
        let head = try client.read(through: "\r\n\r\n").text
        #expect(head.hasPrefix("HTTP/1.1 200"))
        var got = 0
        if isChunked {
            while true {
                let line = try client.read(through: "\r\n").dropLast(2).map { $0 }.text
                let size = try #require(Int(line, radix: 16))
                _ = try client.read(exactly: size + 2)
                got += size
                if size == 0 { break }
            }
        } else {
            while got < total { got += try client.readSome().count }
        }
        #expect(got == total)
        let peak = edge.process.memoryKiB("VmHWM")
        #expect(peak - base < Self.headroomKiB, "from \(base) KiB to \(peak) KiB")
    }

    @Test("100 stalled downloads at once stay within bounds")
    func manyStalled() throws {
        let stage = try Stage()
        defer { stage.strike() }
        let origin = try stage.origin(isRecording: false) { connection in
            _ = try connection.readRequest()
            try connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            let piece = [UInt8](repeating: 97, count: 65536)
            while true { try connection.wire.send(piece) }
        }
        let edge = try stage.edge([origin.url])
        let base = edge.process.memoryKiB("VmRSS")
        let clients = try (0..<100).map { _ in
            let client = try edge.client(receiveBufferBytes: 4096)
            try client.send(request("GET /"))
            return client
        }
        // Until memory stands still.
        var before = 0
        _ = eventually {
            pause(milliseconds: 400)
            defer { before = edge.process.memoryKiB("VmHWM") }
            return before == edge.process.memoryKiB("VmHWM")
        }
        let peak = edge.process.memoryKiB("VmHWM")
        #expect(peak - base < 100 * 1024, "from \(base) KiB to \(peak) KiB for 100 streams")
        #expect(try edge.admin("/healthz").status == 200)
        clients.forEach { $0.reset() }
    }
}
