import Limits
import Testing

@testable import ConnectionWire

@Suite struct ClientHelloTests {
    private func parse(_ bytes: [UInt8]) throws -> ClientHello? {
        var parser = ClientHelloParser()
        switch try parser.parse(bytes.span) {
        case .needsMore: return nil
        case .complete(let hello): return hello
        }
    }

    private func hello(_ extensions: [(type: UInt16, value: [UInt8])]?) -> [UInt8] {
        var builder = HelloBuilder()
        builder.extensions = extensions
        return builder.bytes
    }

    // MARK: What is read

    @Test func everythingIsRead() throws {
        let builder = HelloBuilder.chrome
        let bytes = builder.bytes + [22, 3, 3]
        let hello = try #require(try parse(bytes))
        #expect(hello.recordsByteCount == bytes.count - 3)
        #expect(hello.legacyVersion == 0x0303)
        #expect(hello.maximumVersion == 0x0304)
        #expect(hello.serverName(in: bytes.span) == "www.example.test")
        #expect(hello.cipherSuites(in: bytes.span) == builder.ciphers)
        #expect(hello.extensions(in: bytes.span) == builder.extensions?.map(\.type))
        #expect(hello.supportedVersions(in: bytes.span) == [0x3A3A, 0x0304, 0x0303])
        #expect(hello.supportedGroups(in: bytes.span) == [0xCACA, 0x001D, 0x0017, 0x0018])
        #expect(hello.signatureAlgorithms(in: bytes.span).count == 8)
        #expect(hello.pointFormats(in: bytes.span) == [0])
        #expect(hello.applicationProtocols(in: bytes.span) == [Array("h2".utf8), Array("http/1.1".utf8)])
        #expect(hello.offers(protocol: "http/1.1", in: bytes.span) == true)
        #expect(hello.offers(protocol: "h2", in: bytes.span) == true)
        #expect(hello.offers(protocol: "h3", in: bytes.span) == false)
        #expect(hello.offers(protocol: "http/1.0", in: bytes.span) == false)
        #expect(!hello.offersPreSharedKey && !hello.offersEarlyData && !hello.offersEncryptedClientHello)
    }

    @Test func oldHelloWithoutExtensions() throws {
        let bytes = hello(nil)
        let hello = try #require(try parse(bytes))
        #expect(!hello.hasServerName)
        #expect(hello.serverName(in: bytes.span) == nil)
        #expect(hello.maximumVersion == 0x0303)
        #expect(hello.extensions(in: bytes.span).isEmpty)
        #expect(hello.summary(in: bytes.span).ja4 == "t12i010000_\(shortHash("1301"))_000000000000")
    }

    @Test func resumptionFlags() throws {
        let bytes = hello([(0xFE0D, [0]), (42, []), (41, [1, 2, 3])])
        let hello = try #require(try parse(bytes))
        #expect(hello.offersPreSharedKey && hello.offersEarlyData && hello.offersEncryptedClientHello)
    }

    @Test(arguments: [
        ("example.test", "example.test"), ("Shop.EXAMPLE.test", "shop.example.test"), ("example.test.", "example.test"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"), ("my_bucket.example.test", "my_bucket.example.test"),
        ("localhost", "localhost"), ("192.0.2.1", "192.0.2.1"),
    ])
    func serverNames(sent: String, read: String) throws {
        let bytes = hello([(0, HelloBuilder.serverName(sent))])
        #expect(try parse(bytes)?.serverName(in: bytes.span) == read)
    }

    @Test(arguments: [
        ".", "..", "a..b", ".a", "a.b..", "::1", "a b", "a/b", "a\0b", "b\u{FC}cher.example", "*.example.test",
        String(repeating: "a", count: 64) + ".test", String(repeating: "a.", count: 127) + "a",
    ])
    func badServerNames(name: String) {
        #expect(throws: ClientHelloError.badServerName) {
            try parse(hello([(0, HelloBuilder.serverName(name))]))
        }
    }

    @Test func longestServerName() throws {
        let name = String(repeating: "a.", count: 126) + "a"
        #expect(name.utf8.count == 253)
        let bytes = hello([(0, HelloBuilder.serverName(name))])
        #expect(try parse(bytes)?.serverName(in: bytes.span) == name)
    }

    // MARK: Records

    @Test(arguments: [1, 2, 3, 4, 5, 7, 64, 200])
    func fragmentedHello(payload: Int) throws {
        let whole = HelloBuilder.chrome.bytes
        let bytes = HelloBuilder.records(HelloBuilder.message(HelloBuilder.chrome.body), payload: payload)
        let hello = try #require(try parse(bytes))
        #expect(hello.recordsByteCount == bytes.count)
        #expect(hello.serverName(in: bytes.span) == "www.example.test")
        #expect(hello.offers(protocol: "h2", in: bytes.span) == true)
        #expect(hello.summary(in: bytes.span) == (try parse(whole))?.summary(in: whole.span))
    }

    @Test func dripped() throws {
        for payload in [1 << 14, 10] {
            let bytes = HelloBuilder.records(HelloBuilder.message(HelloBuilder.chrome.body), payload: payload)
            var parser = ClientHelloParser()
            for count in 0..<bytes.count {
                guard case .needsMore = try parser.parse(Array(bytes.prefix(count)).span) else {
                    Issue.record("complete after \(count) of \(bytes.count) bytes")
                    return
                }
            }
            guard case .complete(let hello) = try parser.parse(bytes.span) else {
                Issue.record("not complete")
                return
            }
            #expect(hello.serverName(in: bytes.span) == "www.example.test")
        }
    }

    @Test(
        arguments: [
            (Array("GET / HTTP/1.1".utf8), .plainHTTP), ([0x80, 0x2E, 1], .notTLS), ([0], .notTLS), ([22, 2], .notTLS),
            ([23, 3, 3, 0, 1], .unexpectedRecord), ([21, 3, 3, 0, 2], .unexpectedRecord),
            ([22, 3, 1, 0, 0], .badRecordLength), ([22, 3, 1, 0x40, 0x01], .badRecordLength),
            ([22, 3, 1, 0, 4, 2], .unexpectedMessage), ([22, 3, 1, 0x40, 0, 1, 0, 0x40, 0x02], .tooLarge),
            ([22, 3, 1, 0, 4, 1, 1, 0, 0], .tooLarge), ([22, 3, 1, 0, 1, 1, 23], .unexpectedRecord),
            ([22, 3, 1, 0, 1, 1, 22, 3, 1, 0, 0], .badRecordLength),
        ] as [([UInt8], ClientHelloError)])
    func badRecords(bytes: [UInt8], error: ClientHelloError) {
        #expect(throws: error) { try parse(bytes) }
    }

    @Test func tooManyTinyRecords() {
        // Each record carries one byte of a message that would be small enough in one piece.
        let message = HelloBuilder.message([UInt8](repeating: 0, count: 8000))
        #expect(throws: ClientHelloError.tooLarge) { try parse(HelloBuilder.records(message, payload: 1)) }
    }

    @Test func largestHello() throws {
        // A message of 2^14 bytes in one record is the largest one.
        var builder = HelloBuilder()
        builder.extensions = [(0x0015, [])]
        let padding = (1 << 14) - 4 - builder.body.count
        builder.extensions = [(0x0015, [UInt8](repeating: 0, count: padding))]
        #expect(builder.bytes.count == Limits.clientHelloBytesMax)
        #expect(try parse(builder.bytes) != nil)
        builder.extensions = [(0x0015, [UInt8](repeating: 0, count: padding + 1))]
        #expect(throws: ClientHelloError.tooLarge) { try parse(builder.bytes) }
    }

    // MARK: Shapes

    @Test func badBodies() {
        let good = HelloBuilder().body
        for count in 0..<good.count - 2 {
            #expect(throws: ClientHelloError.malformed, "\(count) bytes") {
                try parse(HelloBuilder.records(HelloBuilder.message(Array(good.prefix(count)))))
            }
        }
        var builder = HelloBuilder()
        builder.session = [UInt8](repeating: 0, count: 33)
        #expect(throws: ClientHelloError.malformed) { try parse(builder.bytes) }
        builder = HelloBuilder()
        builder.ciphers = []
        #expect(throws: ClientHelloError.malformed) { try parse(builder.bytes) }
        builder = HelloBuilder()
        builder.compressions = []
        #expect(throws: ClientHelloError.malformed) { try parse(builder.bytes) }
        #expect(throws: ClientHelloError.malformed) {
            try parse(HelloBuilder.records(HelloBuilder.message(good + [0])))
        }
    }

    @Test(
        arguments: [
            (0, []), (0, [0, 0]), (0, [0, 1, 0]), (0, [0, 4, 1, 0, 1, 0x61]), (0, [0, 3, 0, 0, 0]),
            (0, [0, 8, 0, 0, 1, 0x61, 0, 0, 1, 0x62]), (0, [0, 4, 0, 0, 1, 0x61, 9]), (0, [0, 4, 0, 0, 2, 0x61]),
            (10, []), (10, [0, 0]), (10, [0, 1, 0]), (10, [0, 3, 0, 1, 2]), (10, [0, 2, 0, 1, 2]), (10, [0, 4, 0, 1]),
            (11, []), (11, [0]), (11, [2, 0]), (11, [1, 0, 0]), (13, []), (13, [0, 1, 4]), (13, [0, 2, 4, 3, 0]),
            (16, []), (16, [0, 0]), (16, [0, 1, 0]), (16, [0, 2, 2, 0x61]), (16, [0, 2, 1, 0x61, 0]),
            (16, [0, 3, 1, 0x61, 0]), (43, []), (43, [0]), (43, [1, 3]), (43, [2, 3]), (43, [3, 3, 4, 3]),
        ] as [(UInt16, [UInt8])])
    func badExtension(type: UInt16, value: [UInt8]) {
        #expect(throws: ClientHelloError.malformed) { try parse(hello([(type, value)])) }
    }

    @Test func extensionRules() {
        #expect(throws: ClientHelloError.duplicateExtension) { try parse(hello([(23, []), (5, []), (23, [])])) }
        #expect(throws: ClientHelloError.duplicateExtension) {
            try parse(hello([(0xFF01, [0]), (5, []), (0xFF01, [0])]))
        }
        #expect(throws: ClientHelloError.misplacedPreSharedKey) { try parse(hello([(41, []), (23, [])])) }
        let many = (0..<ClientHello.extensionCountMax).map { (type: UInt16(1000 + $0), value: [UInt8]()) }
        #expect(throws: Never.self) { try parse(hello(many)) }
        #expect(throws: ClientHelloError.tooManyExtensions) { try parse(hello(many + [(5000, [])])) }
    }

    @Test func alerts() {
        #expect(ClientHelloError.malformed.alert?.record == [21, 3, 3, 0, 2, 2, 50])
        #expect(ClientHelloError.plainHTTP.alert == nil)
    }

    // MARK: Bounded fuzzing

    @Test func mutatedSamplesNeverTrap() throws {
        var mutation = Mutation(generator: SeededGenerator(state: 9_114))
        var samples = try Corpus.samples("client-hello").map(\.bytes)
        samples.append(HelloBuilder.chrome.bytes)
        samples.append(HelloBuilder.records(HelloBuilder.message(HelloBuilder.chrome.body), payload: 50))
        var outcomes: (complete: Int, more: Int, refused: Int) = (0, 0, 0)
        for round in 0..<20_000 {
            let bytes = mutation.mutate(samples[round % samples.count])
            var parser = ClientHelloParser()
            do throws(ClientHelloError) {
                // In two steps, so that resuming is exercised too.
                let first = Array(bytes.prefix(bytes.count / 2))
                if case .complete = try parser.parse(first.span) { continue }
                switch try parser.parse(bytes.span) {
                case .needsMore: outcomes.more += 1
                case .complete(let hello):
                    outcomes.complete += 1
                    let summary = hello.summary(in: bytes.span)
                    #expect(summary.ja4.utf8.count == 36)
                    #expect(summary.ja3.utf8.count == 32)
                    _ = hello.serverName(in: bytes.span)
                    _ = hello.applicationProtocols(in: bytes.span)
                    // Wrong bytes must not trap either.
                    _ = hello.summary(in: first.span)
                    _ = hello.serverName(in: first.span)
                    _ = hello.offers(protocol: "h2", in: first.span)
                }
            } catch { outcomes.refused += 1 }
        }
        #expect(outcomes.complete > 100 && outcomes.more > 100 && outcomes.refused > 100, "\(outcomes)")
    }
}
