import ConnectionWire
import Limits
import Testing

@Suite struct ProxyProtocolTests {
    private let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]
    private let source = IPEndpoint(ipv4: 0xC000_0201, port: 56324)
    private let destination = IPEndpoint(ipv4: 0xC633_6402, port: 443)
    private let addresses: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 2, 0xDC, 0x04, 1, 0xBB]

    private func parse(_ bytes: [UInt8]) throws -> ProxyProtocolProgress { try ProxyProtocolParser.parse(bytes.span) }
    private func parse(_ text: String) throws -> ProxyProtocolProgress { try parse(Array(text.utf8)) }

    private func block(_ command: UInt8, _ family: UInt8, _ body: [UInt8]) -> [UInt8] {
        signature + [command, family, UInt8(body.count >> 8), UInt8(body.count & 0xFF)] + body
    }

    // MARK: Version 1

    @Test func lineOverIPv4() throws {
        let line = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"
        let header = ProxyHeader(
            byteCount: line.utf8.count, version: 1, relay: .init(source: source, destination: destination)
        )
        #expect(try parse(line + "GET / HTTP/1.1\r\n") == .complete(header))
        #expect(source.isIPv4)
    }

    @Test(
        arguments: [
            ("2001:db8::1", 0x2001_0db8_0000_0000, 1), ("2001:DB8:0:0:0:0:0:1", 0x2001_0db8_0000_0000, 1),
            ("::", 0, 0), ("::1", 0, 1), ("1::", 0x0001_0000_0000_0000, 0),
            ("1:2:3:4:5:6:7::", 0x0001_0002_0003_0004, 0x0005_0006_0007_0000),
            ("::2:3:4:5:6:7:8", 0x0000_0002_0003_0004, 0x0005_0006_0007_0008),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", UInt64.max, UInt64.max),
            ("::ffff:c000:201", 0, 0xFFFF_C000_0201),
        ] as [(String, UInt64, UInt64)])
    func lineOverIPv6(text: String, high: UInt64, low: UInt64) throws {
        guard case .complete(let header) = try parse("PROXY TCP6 \(text) ::2 1 65535\r\n") else {
            Issue.record("not complete")
            return
        }
        #expect(header.relay?.source == IPEndpoint(high: high, low: low, port: 1))
        #expect(header.relay?.destination == IPEndpoint(high: 0, low: 2, port: 65535))
    }

    @Test(arguments: ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN \r\n", "PROXY UNKNOWN what ever 1 2\r\n"])
    func lineOfUnknownTransport(line: String) throws {
        #expect(
            try parse(line) == .complete(ProxyHeader(byteCount: line.utf8.count, version: 1, relay: nil))
        )
    }

    @Test func longestLine() throws {
        let all = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        let line = "PROXY UNKNOWN \(all) \(all) 65535 65535\r\n"
        #expect(line.utf8.count == Limits.proxyProtocolV1BytesMax)
        #expect(try parse(line) == .complete(ProxyHeader(byteCount: 107, version: 1, relay: nil)))
        let longer = "PROXY UNKNOWN " + String(repeating: "x", count: 93)
        #expect(throws: ProxyProtocolError.tooLong) { try parse(longer + "\r\n") }
        #expect(throws: ProxyProtocolError.tooLong) { try parse(longer) }
        #expect(try parse(String(longer.prefix(106))) == .needsMore)
    }

    @Test(
        arguments: [
            ("PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n", .badAddress),
            ("PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n", .badAddress),
            ("PROXY TCP4 192.0.2 198.51.100.2 1 2\r\n", .badAddress),
            ("PROXY TCP4 192.0.2.1.1 198.51.100.2 1 2\r\n", .badAddress),
            ("PROXY TCP4 192.0..1 198.51.100.2 1 2\r\n", .badAddress),
            ("PROXY TCP4 ::1 198.51.100.2 1 2\r\n", .badAddress),
            ("PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n", .badAddress),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n", .badAddress),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n", .badAddress),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n", .badAddress),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n", .badAddress),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n", .badAddress),
            ("PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n", .badAddress),
            ("PROXY TCP4 192.0.2.1 198.51.100.2  2\r\n", .badAddress),
            ("PROXY TCP6 192.0.2.1 ::1 1 2\r\n", .badAddress),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", .badAddress),
            ("PROXY TCP6 1::2::3 ::1 1 2\r\n", .badAddress),
            ("PROXY TCP6 ::: ::1 1 2\r\n", .badAddress),
            ("PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n", .badAddress),
            ("PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n", .badAddress),
            ("PROXY TCP6 1:2:3:4:5:6:7:8:: ::1 1 2\r\n", .badAddress),
            ("PROXY TCP6 1:2:3:4::5:6:7:8 ::1 1 2\r\n", .badAddress),
            ("PROXY TCP6 12345:: ::1 1 2\r\n", .badAddress),
            ("PROXY TCP6 :1:: ::1 1 2\r\n", .badAddress), ("PROXY TCP6 1: ::1 1 2\r\n", .badAddress),
            ("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", .badAddress),
            ("PROXY TCP5 1 2 3 4\r\n", .badTransport), ("PROXY UNKNOWNS\r\n", .badTransport),
            ("PROXY \r\n", .badTransport), ("PROXY tcp4 192.0.2.1 192.0.2.1 1 2\r\n", .badTransport),
            ("PROXY UNKNOWN\n", .badLineEnd), ("PROXY UNKNOWN\r\r\n", .badLineEnd), ("PROXY UNKNOWN \rx", .badLineEnd),
            ("PROXY\r\n", .notProxyProtocol), ("PROXY\t", .notProxyProtocol), ("GET / HTTP/1.1\r\n", .notProxyProtocol),
            ("proxy TCP4", .notProxyProtocol), ("PUT", .notProxyProtocol), ("\u{16}\u{3}", .notProxyProtocol),
        ] as [(String, ProxyProtocolError)])
    func lineRefused(line: String, error: ProxyProtocolError) {
        #expect(throws: error) { try parse(line) }
    }

    // MARK: Version 2

    @Test func blockOverIPv4() throws {
        let bytes = block(0x21, 0x11, addresses)
        let header = ProxyHeader(byteCount: 28, version: 2, relay: .init(source: source, destination: destination))
        #expect(try parse(bytes) == .complete(header))
        #expect(try parse(bytes + Array("GET /".utf8)) == .complete(header))
    }

    @Test func blockOverIPv6() throws {
        let bytes = try Corpus.sample("proxy-protocol", "v2-tcp6")
        let relay = ProxyHeader.Relay(
            source: IPEndpoint(high: 0x2001_0db8_0000_0000, low: 1, port: 56324),
            destination: IPEndpoint(high: 0x2001_0db8_0000_0000, low: 2, port: 443)
        )
        #expect(try parse(bytes) == .complete(ProxyHeader(byteCount: 52, version: 2, relay: relay)))
    }

    @Test(
        arguments: [
            (0x20, 0x00, 0), (0x20, 0x11, 12), (0x20, 0xFF, 3), (0x21, 0x00, 0), (0x21, 0x00, 5), (0x21, 0x01, 4),
            (0x21, 0x10, 2), (0x21, 0x12, 12), (0x21, 0x22, 36), (0x21, 0x31, 216), (0x21, 0x32, 216),
        ] as [(UInt8, UInt8, Int)])
    func blockWithoutUsableAddresses(command: UInt8, family: UInt8, count: Int) throws {
        let bytes = block(command, family, [UInt8](repeating: 7, count: count))
        #expect(try parse(bytes) == .complete(ProxyHeader(byteCount: 16 + count, version: 2, relay: nil)))
    }

    @Test(
        arguments: [
            (0x11, 0x11, 12, .badVersion), (0x31, 0x11, 12, .badVersion), (0x22, 0x11, 12, .badCommand),
            (0x2F, 0x11, 12, .badCommand), (0x21, 0x13, 12, .badFamily), (0x21, 0x41, 12, .badFamily),
            (0x21, 0xF1, 12, .badFamily), (0x21, 0x11, 11, .badLength), (0x21, 0x21, 35, .badLength),
            (0x21, 0x31, 215, .badLength), (0x21, 0x11, 0, .badLength), (0x21, 0x11, 4097, .tooLong),
        ] as [(UInt8, UInt8, Int, ProxyProtocolError)])
    func blockRefused(command: UInt8, family: UInt8, count: Int, error: ProxyProtocolError) {
        let bytes = block(command, family, [UInt8](repeating: 0, count: count))
        #expect(throws: error) { try parse(bytes) }
        // The fixed part alone suffices to refuse it.
        #expect(throws: error) { try parse(Array(bytes.prefix(16))) }
    }

    @Test(
        arguments: [
            ([4], .badTLV), ([4, 0], .badTLV), ([4, 0, 1], .badTLV), ([4, 0xFF, 0xFF, 0], .badTLV),
            ([4, 0, 0, 4, 0], .badTLV), ([3, 0, 3, 1, 2, 3], .badTLV), ([3, 0, 4, 1, 2, 3, 4], .badChecksum),
        ] as [([UInt8], ProxyProtocolError)])
    func badTLVs(tlvs: [UInt8], error: ProxyProtocolError) {
        #expect(throws: error) { try parse(block(0x21, 0x11, addresses + tlvs)) }
    }

    @Test(arguments: ["v2-crc", "v2-crc6"])
    func checksum(name: String) throws {
        let bytes = try Corpus.sample("proxy-protocol", name)
        guard case .complete(let header) = try parse(bytes) else {
            Issue.record("not complete")
            return
        }
        #expect(header.byteCount == bytes.count)
        #expect(header.relay != nil)
        // Any other byte in the addresses no longer fits the checksum.
        for index in 16..<28 {
            var changed = bytes
            changed[index] ^= 1
            #expect(throws: ProxyProtocolError.badChecksum) { try parse(changed) }
        }
    }

    @Test func checksumTwice() throws {
        let bytes = try Corpus.sample("proxy-protocol", "v2-crc")
        let twice = block(0x21, 0x11, addresses + bytes[28...] + bytes[28...])
        #expect(throws: ProxyProtocolError.badTLV) { try parse(twice) }
    }

    // MARK: Both

    @Test func everyPrefixOfASampleNeedsMore() throws {
        for sample in try Corpus.samples("proxy-protocol") {
            guard case .complete(let header) = try parse(sample.bytes) else {
                Issue.record("\(sample.name) is not complete")
                continue
            }
            for count in 0..<header.byteCount {
                #expect(try parse(Array(sample.bytes.prefix(count))) == .needsMore, "\(sample.name), \(count) bytes")
            }
        }
    }

    @Test func mutatedSamplesNeverTrap() throws {
        var mutation = Mutation(generator: SeededGenerator(state: 20_251_118))
        let samples = try Corpus.samples("proxy-protocol").map(\.bytes)
        var outcomes: (complete: Int, more: Int, refused: Int) = (0, 0, 0)
        for round in 0..<20_000 {
            let bytes = mutation.mutate(samples[round % samples.count])
            do throws(ProxyProtocolError) {
                switch try ProxyProtocolParser.parse(bytes.span) {
                case .needsMore: outcomes.more += 1
                case .complete(let header):
                    outcomes.complete += 1
                    #expect(header.byteCount <= bytes.count)
                }
            } catch { outcomes.refused += 1 }
        }
        // All three roads were taken, or the mutations do not reach the parser.
        #expect(outcomes.complete > 100 && outcomes.more > 100 && outcomes.refused > 100, "\(outcomes)")
    }
}
