import Crypto
import Testing

@testable import ConnectionWire

/// The first 12 digits of a text's SHA-256, computed apart from the code under test.
func shortHash(_ text: String) -> String {
    SHA256.hash(data: Array(text.utf8)).prefix(6).map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()
}

@Suite struct FingerprintTests {
    private func summary(_ bytes: [UInt8]) throws -> ClientHelloSummary {
        var parser = ClientHelloParser()
        guard case .complete(let hello) = try parser.parse(bytes.span) else { throw ClientHelloError.malformed }
        return hello.summary(in: bytes.span)
    }

    /// The example that JA4's specification works through.
    @Test func specificationExample() throws {
        let summary = try summary(HelloBuilder.chrome.bytes)
        #expect(summary.ja4 == "t13d1516h2_8daaf6152771_e5627efa2ab1")
        let ciphers = "002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9"
        let extensions = "0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01"
        let algorithms = "0403,0804,0401,0503,0805,0501,0806,0601"
        #expect(summary.ja4Text == "t13d1516h2_\(ciphers)_\(extensions)_\(algorithms)")
    }

    @Test func withoutSignatureAlgorithms() throws {
        var hello = HelloBuilder.chrome
        hello.extensions = hello.extensions?.map { $0.type == 0x000D ? (0x000D, [0, 2, 0x0A, 0x0A]) : $0 }
        // Only a GREASE algorithm: counted as none.
        #expect(try summary(hello.bytes).ja4 == "t13d1516h2_8daaf6152771_6d807ffa2a79")
    }

    /// The first of the two examples in JA3's announcement, with GREASE strewn in, which must not count.
    @Test func ja3Example() throws {
        var hello = HelloBuilder()
        hello.version = 769
        hello.ciphers = [47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4]
        let groups = HelloBuilder.long(HelloBuilder.pairs([23, 24, 25]))
        hello.extensions = [(0, HelloBuilder.serverName("a.test")), (10, groups), (11, [1, 0])]
        #expect(
            try summary(hello.bytes).ja3Text == "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0")
        #expect(try summary(hello.bytes).ja3 == "ada70206e40642a3e4461f35503241d5")
        hello.ciphers.insert(0xFAFA, at: 3)
        hello.extensions?.append((0x0A0A, [1]))
        #expect(try summary(hello.bytes).ja3 == "ada70206e40642a3e4461f35503241d5")
    }

    /// The second: no extensions at all.
    @Test func ja3WithoutExtensions() throws {
        var hello = HelloBuilder()
        hello.version = 769
        hello.ciphers = [4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99]
        hello.extensions = nil
        #expect(try summary(hello.bytes).ja3Text == "769,4-5-10-9-100-98-3-6-19-18-99,,,")
        #expect(try summary(hello.bytes).ja3 == "de350869b8c85de67a350c8d186f11e6")
    }

    /// Hellos of real clients; the expectations come from another implementation, written apart from this one.
    @Test(arguments: [
        ("openssl-tls13", "5a1edc7f170af1014fc65c994878e63c", "t13d3111h1_e8f1e7e78f70_1f22a2ca17c4"),
        ("openssl-tls12", "871a754af286dfb70c1b53c6887c62e0", "t12d280700_d943125447b4_e7e480e5a997"),
        ("openssl-no-sni", "c216e752cae6f8755fd27f561d031636", "t13i310900_e8f1e7e78f70_1f22a2ca17c4"),
        ("openssl-tls10", "4921a5a1f7b5423a19d0db34c56c09f0", "t10i230500_44099cda8a52_195413a0cc0f"),
        ("curl-http2", "0149f47eabf9a20d0893e2a44e5a6323", "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6"),
        ("curl-http1", "0149f47eabf9a20d0893e2a44e5a6323", "t13d3112h1_e8f1e7e78f70_b26ce05bbdd6"),
        ("python-ssl", "93c7d42c0df602fb91589311534831f5", "t13d181100_85036bcba153_d41ae481755e"),
        ("node", "0cce74b0d9b7f8528fb2181588d23793", "t13d591000_a33745022dd6_1f22a2ca17c4"),
    ])
    func realClients(name: String, ja3: String, ja4: String) throws {
        let summary = try summary(try Corpus.sample("client-hello", name))
        #expect(summary.ja3 == ja3)
        #expect(summary.ja4 == ja4)
    }

    /// The table of the specification's section "ALPN Extension Value".
    @Test(
        arguments: [
            ([0x68, 0x32], "h2"), (Array("http/1.1".utf8), "h1"), ([0x61], "aa"), ([0xAB], "ab"), ([0xAB, 0xCD], "ad"),
            ([0x30, 0xAB], "3b"), ([0x30, 0x31, 0xAB, 0xCD], "3d"), ([0x30, 0xAB, 0xCD, 0x31], "01"),
        ] as [([UInt8], String)])
    func protocolMarks(name: [UInt8], mark: String) throws {
        var hello = HelloBuilder()
        hello.extensions = [(16, HelloBuilder.protocols([name]))]
        #expect(try summary(hello.bytes).ja4.hasPrefix("t12i0101\(mark)_"))
    }

    @Test(
        arguments: [
            (0x0304, "13"), (0x0303, "12"), (0x0302, "11"), (0x0301, "10"), (0x0300, "s3"), (0x0002, "s2"),
            (0x7F1C, "00"),
        ] as [(UInt16, String)])
    func versions(version: UInt16, mark: String) throws {
        var hello = HelloBuilder()
        hello.version = version
        #expect(try summary(hello.bytes).ja4.hasPrefix("t\(mark)i"))
    }

    @Test func countsStopAt99() throws {
        var hello = HelloBuilder()
        hello.ciphers = (0..<120).map { UInt16($0 + 1) }
        hello.extensions = (0..<101).map { (UInt16(1000 + $0), []) }
        #expect(try summary(hello.bytes).ja4.hasPrefix("t12i999900_"))
    }
}
