/// A request or an answer as a journey saw it on the wire.
///
/// Deliberately naive and independent of the parser under test: it keeps text, and it is strict where a client that
/// is lied to must notice (an unfinished chunked body, fewer bytes than Content-Length).
struct Message: Sendable {
    /// How a body came to its end.
    enum Ending: Sendable, Equatable {
        /// By its own framing, or there is none.
        case complete
        /// By the close of the connection, as its framing says.
        case close
        /// Before its framing said so: whoever reads it knows that something is missing.
        case cut
    }

    var startLine: String
    var fields: [(name: String, value: String)]
    var body: [UInt8] = []
    /// Sizes of the chunks in the order they came, when it was chunked.
    var chunkSizes: [Int] = []
    var trailers: [(name: String, value: String)] = []
    var ending = Ending.complete
    /// Interim responses that came before this one.
    var interim: [Message] = []
    /// The head's bytes as received, the empty line included.
    var head: String

    /// The head's text taken apart.
    init(head: String) throws {
        self.head = head
        var lines = head.componentsSeparatedByCRLF()
        guard !lines.isEmpty else { throw WireFailure.malformed(head) }
        startLine = lines.removeFirst()
        fields = try lines.map(Self.field)
    }

    static func field(_ line: String) throws -> (name: String, value: String) {
        guard let colon = line.firstIndex(of: ":") else { throw WireFailure.malformed(line) }
        return (String(line[..<colon]), line[line.index(after: colon)...].trimmingSpaces)
    }

    /// Every value of a field, in order; names compare without case.
    func all(_ name: String) -> [String] {
        let wanted = name.lowercased()
        return fields.filter { $0.name.lowercased() == wanted }.map(\.value)
    }

    /// The only value of a field; nil when it is absent or there more than once.
    subscript(_ name: String) -> String? {
        let values = all(name)
        return values.count == 1 ? values.first : nil
    }

    func has(_ name: String) -> Bool { !all(name).isEmpty }

    func trailer(_ name: String) -> String? {
        trailers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    var text: String { body.text }

    // MARK: As a request

    private var words: [String] { startLine.split(separator: " ", omittingEmptySubsequences: false).map(String.init) }
    var method: String { words.first ?? "" }
    var target: String { words.count > 1 ? words[1] : "" }

    // MARK: As an answer

    var status: Int { words.count > 1 ? Int(words[1]) ?? 0 : 0 }
    /// The ray id under which the edge logged the exchange.
    var ray: String { self["Martlet-Ray"] ?? "" }
    /// Whether the sender says that it closes.
    var announcesClose: Bool {
        all("Connection").contains { $0.lowercased().contains("close") }
    }
}

extension String {
    /// Lines between CRLFs. A bare LF stays inside its line, where a comparison will trip over it.
    func componentsSeparatedByCRLF() -> [String] {
        var rest = Array(utf8)
        var lines: [String] = []
        while let end = rest.firstIndex(of: [13, 10]) {
            lines.append(Array(rest[..<end]).text)
            rest.removeFirst(end + 2)
        }
        lines.append(rest.text)
        return lines.filter { !$0.isEmpty }
    }
}

extension Substring {
    var trimmingSpaces: String {
        var rest = self
        while let first = rest.first, first == " " || first == "\t" { rest = rest.dropFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest = rest.dropLast() }
        return String(rest)
    }
}

extension Wire {
    /// The next request of a connection, body included; throws ``WireFailure/closed`` when there is none.
    func readRequest() throws -> Message {
        var request = try readRequestHead()
        try readBody(of: &request)
        return request
    }

    func readRequestHead() throws -> Message {
        try Message(head: read(through: "\r\n\r\n").text)
    }

    /// The body of a request whose head was read.
    func readBody(of request: inout Message) throws {
        if request.has("Transfer-Encoding") {
            try readChunks(into: &request)
        } else if let length = request["Content-Length"].flatMap({ Int($0) }) {
            request.body = try read(exactly: length)
        }
    }

    /// The next answer, body and all, with the interim ones before it.
    ///
    /// - Parameter method: of the request answered, which decides whether there is a body.
    func readAnswer(to method: String = "GET") throws -> Message {
        var interim: [Message] = []
        var answer = try Message(head: read(through: "\r\n\r\n").text)
        while (100..<200).contains(answer.status), answer.status != 101 {
            interim.append(answer)
            answer = try Message(head: read(through: "\r\n\r\n").text)
        }
        answer.interim = interim
        guard answer.startLine.hasPrefix("HTTP/1."), answer.status >= 100 else {
            throw WireFailure.malformed(answer.head)
        }
        if method == "HEAD" || answer.status == 204 || answer.status == 304 || answer.status == 101 { return answer }
        if answer.has("Transfer-Encoding") {
            do {
                try readChunks(into: &answer)
            } catch WireFailure.closed, WireFailure.reset {
                answer.ending = .cut
            }
        } else if answer.has("Content-Length") {
            guard let length = answer["Content-Length"].flatMap({ Int($0) }) else {
                throw WireFailure.malformed(answer.head)
            }
            try readCounted(length, into: &answer)
        } else {
            let (bytes, inOrder) = try readToEnd()
            answer.body = bytes
            answer.ending = inOrder ? .close : .cut
        }
        return answer
    }

    private func readCounted(_ length: Int, into message: inout Message) throws {
        do {
            while buffered.count < length {
                if try !receive() { break }
            }
        } catch WireFailure.reset {}
        let there = min(length, buffered.count)
        message.body = try read(exactly: there)
        message.ending = there == length ? .complete : .cut
    }

    /// Strict: throws ``WireFailure/malformed(_:)`` on anything but what RFC 9112, section 7.1, says.
    private func readChunks(into message: inout Message) throws {
        while true {
            let line = try read(through: "\r\n").dropLast(2).map { $0 }.text
            guard let size = Int(line, radix: 16), size >= 0, !line.hasPrefix("+") else {
                throw WireFailure.malformed("chunk size \(line)")
            }
            if size == 0 { break }
            message.chunkSizes.append(size)
            message.body += try readPiece(size, into: &message)
            guard try read(exactly: 2) == [13, 10] else { throw WireFailure.malformed("after a chunk") }
        }
        while true {
            let line = try read(through: "\r\n").dropLast(2).map { $0 }.text
            if line.isEmpty { return }
            message.trailers.append(try Message.field(line))
        }
    }

    /// A chunk's data; what there is of it when the connection ends in its middle.
    private func readPiece(_ size: Int, into message: inout Message) throws -> [UInt8] {
        do {
            return try read(exactly: size)
        } catch {
            message.body += buffered
            throw error
        }
    }
}

/// In a test's report: the head and the beginning of the body.
extension Message: CustomStringConvertible {
    var description: String { head + text.prefix(200) }
}
