import Admin
import ArgumentParser
import ConfigModel
import Glibc
import Limits
import NIOCore
import NIOPosix

/// Where the commands that speak to a running process find it.
struct AdminAddress: ParsableArguments {
    @OptionGroup var file: ConfigurationFile
    @Option(
        help: ArgumentHelp(
            "The admin address of the running process, instead of the configuration file's.", valueName: "address"))
    var admin: String?

    func validate() throws {
        if let admin { _ = try parsed(admin) }
    }

    private func parsed(_ admin: String) throws -> SocketAddressText {
        do {
            return try SocketAddressText(parsing: admin)
        } catch {
            throw ValidationError("expected \(error.expected) for --admin, found \"\(admin)\"")
        }
    }

    /// - Throws: why there is none, in words, and the exit code for it.
    func client() throws -> AdminClient {
        // The program blocks the signals that `up` waits for; a command ends by them as any other program does.
        AdminClient.allowInterrupts()
        if let admin { return AdminClient(address: try parsed(admin)) }
        do {
            // Whoever purges need not be allowed to read certificates.
            let loaded = try Configuration.load(path: file.config, checking: .none)
            guard let address = loaded.configuration.admin else {
                throw StartFailure(
                    "\(file.config) says `admin: off`, so that no running process can be asked; give it an address")
            }
            return AdminClient(address: address)
        } catch let error as ConfigurationError {
            StandardError.write("\(error)\nmartlet: or name the running process by --admin ADDRESS\n")
            throw ExitCode(ExitStatus.configuration)
        }
    }
}

/// One question to the admin address of a running process, one answer.
struct AdminClient: Sendable {
    let address: SocketAddressText

    /// Bytes of an answer. The longest tells of a thousand zones.
    private static let answerBytesMax = 16 * 1024 * 1024

    /// - Throws: `StartFailure`, in words: nobody listens, an answer that is none, a refusal.
    func get<Answer: Decodable>(_ target: String, as type: Answer.Type) async throws -> (Answer, json: String) {
        try await ask("GET", target, body: [], as: type)
    }

    func post<Answer: Decodable>(
        _ target: String, body: [UInt8], as type: Answer.Type
    ) async throws -> (Answer, json: String) {
        try await ask("POST", target, body: body, as: type)
    }

    private func ask<Answer: Decodable>(
        _ method: String, _ target: String, body: [UInt8], as type: Answer.Type
    ) async throws -> (Answer, json: String) {
        var request = "\(method) \(target) HTTP/1.1\r\nHost: \(address)\r\nConnection: close\r\n"
        if method == "POST" {
            request += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n"
        }
        let received = try await exchange(Array((request + "\r\n").utf8) + body)
        guard let answer = Self.parse(received) else {
            throw StartFailure("http://\(address) gave no whole answer; is it Martlet's admin address?")
        }
        if answer.status == 200, let value = CacheJSON.value(type, from: answer.body) {
            let text = String(decoding: answer.body, as: UTF8.self)
            return (value, json: text.hasSuffix("\n") ? String(text.dropLast()) : text)
        }
        if let problem = CacheJSON.value(CacheProblemReport.self, from: answer.body) {
            throw StartFailure(TerminalText.plain(problem.message))
        }
        let firstLine = String(decoding: answer.body.prefix { $0 != 0x0A }.prefix(200), as: UTF8.self)
        throw StartFailure("http://\(address) answered \(answer.status): \(TerminalText.plain(firstLine))")
    }

    /// Status and body of a response that ended with its connection.
    private static func parse(_ bytes: [UInt8]) -> (status: Int, body: [UInt8])? {
        let blank = Array("\r\n\r\n".utf8)
        guard let end = bytes.indices.first(where: { bytes[$0...].starts(with: blank) }) else { return nil }
        let head = String(decoding: bytes[..<end], as: UTF8.self)
        let lines = head.split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { return nil }
        let body = Array(bytes[(end + blank.count)...])
        let name = "content-length:"
        let length = lines.first { $0.lowercased().hasPrefix(name) }.flatMap { line in
            Int(line.dropFirst(name.count).drop { $0 == " " })
        }
        guard length == nil || length == body.count else { return nil }
        return (status, body)
    }

    // MARK: The connection

    /// Sends, and gathers what comes until the other side ends.
    private func exchange(_ request: [UInt8]) async throws -> [UInt8] {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let answer = eventLoop.makePromise(of: [UInt8].self)
        // A process that listens on every address is asked on this machine.
        let host = address.host == "::" ? "127.0.0.1" : address.host
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: eventLoop)
                .connectTimeout(.milliseconds(Int64(Limits.connectTimeoutMillisecondsDefault)))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            AnswerGatherer(answer, bytesMax: Self.answerBytesMax))
                    }
                }
                .connect(host: host, port: address.port).get()
        } catch {
            answer.fail(error)
            throw StartFailure(
                "nothing answers at http://\(address): is martlet running, and is this its admin address?")
        }
        let timeout = eventLoop.scheduleTask(in: .milliseconds(Int64(Limits.adminAnswerTimeoutMilliseconds))) {
            channel.close(promise: nil)
        }
        defer { timeout.cancel() }
        channel.writeAndFlush(ByteBuffer(bytes: request), promise: nil)
        return try await answer.futureResult.get()
    }

    static func allowInterrupts() {
        var set = sigset_t()
        sigemptyset(&set)
        for number in SignalWatch.watched { sigaddset(&set, number) }
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }
}

/// Gathers what comes until the connection ends, within a bound.
private final class AnswerGatherer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var bytes: [UInt8] = []
    private let bytesMax: Int
    private let answer: EventLoopPromise<[UInt8]>

    init(_ answer: EventLoopPromise<[UInt8]>, bytesMax: Int) {
        self.answer = answer
        self.bytesMax = bytesMax
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes.append(contentsOf: unwrapInboundIn(data).readableBytesView)
        if bytes.count > bytesMax { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) { answer.succeed(bytes) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Text for people at a terminal.
enum TerminalText {
    /// Without what a terminal would obey: much of it comes from origins.
    static func plain(_ text: String) -> String {
        String(
            text.unicodeScalars.map { scalar in
                scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) ? "?" : Character(scalar)
            })
    }

    /// `1.5 MiB`: two or three digits that matter.
    static func size(_ bytes: UInt64) -> String {
        var unit = 0
        var whole = bytes
        var rest: UInt64 = 0
        while whole >= 1024, unit < units.count - 1 {
            rest = whole % 1024
            whole /= 1024
            unit += 1
        }
        let tenth = rest * 10 / 1024
        return unit == 0 || whole >= 100 ? "\(whole) \(units[unit])" : "\(whole).\(tenth) \(units[unit])"
    }

    private static let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]

    static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    /// Columns as wide as their widest cell, the first flush left and the others right.
    static func table(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: max(0, widths[column] - cell.count))
                return column == 0 ? cell + padding : padding + cell
            }
            var line = cells.joined(separator: "  ")
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }
}
