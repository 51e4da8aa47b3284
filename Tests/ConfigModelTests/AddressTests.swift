import Testing

@testable import ConfigModel

@Suite struct AddressTests {
    @Test(arguments: [
        ("127.0.0.1:8080", "127.0.0.1:8080"), ("[::1]:80", "[::1]:80"), ("*:443", "[::]:443"),
        ("0.0.0.0:1", "0.0.0.0:1"), ("[2001:DB8:0::1]:65535", "[2001:db8::1]:65535"), ("[::]:0", "[::]:0"),
        ("[::ffff:192.0.2.1]:80", "[::ffff:192.0.2.1]:80"),
    ]) func socketAddresses(text: String, canonical: String) throws {
        #expect(try SocketAddressText(parsing: text).description == canonical)
    }

    @Test(arguments: [
        (":8080", "for every address, write \"*:8080\""), ("8080", "for every address, write \"*:8080\""),
        ("::1:80", "put brackets around it: \"[::1]:80\""), ("::1", "put brackets around it: \"[::1]:8080\""),
        ("2001:db8:1:2:3:4:5:6:80", "put brackets around it: \"[2001:db8:1:2:3:4:5:6]:80\""),
        ("localhost:80", "write \"127.0.0.1:80\" or \"[::1]:80\""), ("*", "add a port, as in \"*:8080\""),
        ("127.0.0.1", "add a port, as in \"127.0.0.1:8080\""),
        ("127.0.0.1:65536", "a port is a number from 0 to 65535"), ("127.0.0.1:", "a port is a number from 0 to 65535"),
        ("127.0.0.1:+1", "a port is a number from 0 to 65535"), ("[::1]", "a port is a number from 0 to 65535"),
        ("[127.0.0.1]:80", "brackets are for IPv6: \"127.0.0.1:80\""),
        ("[fe80::1%eth0]:80", "between the brackets stands an IPv6 address, without a zone id"),
        ("example.test:80", "an IP address of this machine, or * for every address; not a name"),
        ("127.1:80", "an IP address of this machine, or * for every address; not a name"),
        ("010.0.0.1:80", "an IP address of this machine, or * for every address; not a name"),
        ("", "an IP address, a colon and a port"), ("x", "an IP address, a colon and a port"),
    ]) func socketAddressesRefused(text: String, help: String) {
        let misread = #expect(throws: Misread.self) { try SocketAddressText(parsing: text) }
        #expect(misread?.help == help)
    }

    @Test(
        arguments: [
            ("10.0.0.0/8", 0, 0xFFFF_0A00_0000, 104), ("192.0.2.7", 0, 0xFFFF_C000_0207, 128),
            ("0.0.0.0/0", 0, 0xFFFF_0000_0000, 96), ("255.255.255.255/32", 0, 0xFFFF_FFFF_FFFF, 128),
            ("::/0", 0, 0, 0), ("::1", 0, 1, 128), ("2001:db8::/32", 0x2001_0DB8_0000_0000, 0, 32),
            ("2001:db8:0:0:8000::/65", 0x2001_0DB8_0000_0000, 0x8000_0000_0000_0000, 65),
            ("fe80::/64", 0xFE80_0000_0000_0000, 0, 64),
        ] as [(String, UInt64, UInt64, Int)]) func blocks(text: String, high: UInt64, low: UInt64, bits: Int) throws
    {
        #expect(try AddressBlock(parsing: text) == AddressBlock(high: high, low: low, prefixBits: bits))
    }

    @Test(arguments: [
        ("10.1.2.3/8", "write \"10.0.0.0/8\" for the block or \"10.1.2.3\" for the one address"),
        ("10.1.2.3/0", "write \"0.0.0.0/0\" for the block or \"10.1.2.3\" for the one address"),
        ("2001:db8::1/32", "write \"2001:db8::/32\" for the block or \"2001:db8::1\" for the one address"),
        ("::1/64", "write \"::/64\" for the block or \"::1\" for the one address"),
        ("10.0.0.0/33", "after the slash stands a number from 0 to 32"),
        ("::/129", "after the slash stands a number from 0 to 128"),
        ("10.0.0.0/", "after the slash stands a number from 0 to 32"),
        ("10.0.0.0/8/8", "after the slash stands a number from 0 to 32"),
        ("10.0.0.0/-1", "after the slash stands a number from 0 to 32"),
        ("proxy.test", "names are not looked up; write addresses"), ("", "names are not looked up; write addresses"),
        ("10.0.0.1\u{0}", "names are not looked up; write addresses"),
    ]) func blocksRefused(text: String, help: String) {
        let misread = #expect(throws: Misread.self) { try AddressBlock(parsing: text) }
        #expect(misread?.help == help)
    }

    /// Against a comparison bit by bit.
    @Test func blocksContainWhatTheirPrefixSays() throws {
        var generator = SeededGenerator(state: 3)
        for _ in 0..<5000 {
            let bits = Int.random(in: 0...128, using: &generator)
            let high = UInt64.random(in: .min ... .max, using: &generator)
            let low = UInt64.random(in: .min ... .max, using: &generator)
            let flipped = Int.random(in: 0..<128, using: &generator)
            let otherHigh = flipped < 64 ? high ^ (1 << UInt64(63 - flipped)) : high
            let otherLow = flipped < 64 ? low : low ^ (1 << UInt64(127 - flipped))
            let block = AddressBlock(high: high, low: low, prefixBits: bits)
            #expect(block.contains(high: high, low: low))
            #expect(block.contains(high: otherHigh, low: otherLow) == (flipped >= bits))
        }
    }

    @Test(arguments: [
        ("http://127.0.0.1:8000", "http", "127.0.0.1", 8000), ("HTTPS://Example.Test", "https", "example.test", 443),
        ("http://a_b", "http", "a_b", 80), ("http://[2001:DB8::1]", "http", "2001:db8::1", 80),
        ("https://[::1]:8443", "https", "::1", 8443), ("http://x.test.:1", "http", "x.test", 1),
    ]) func originURLs(text: String, scheme: String, host: String, port: Int) throws {
        let origin = try OriginURL.parse(text)
        #expect(origin.scheme.rawValue == scheme)
        #expect(origin.host == host)
        #expect(origin.port == port)
    }

    @Test(arguments: [
        ("127.0.0.1:8000", "write \"http://127.0.0.1:8000\""), ("ftp://a", "origins speak http or https"),
        ("http://u:p@a", "no user and no password; send them in a field instead"),
        ("http://a/", "no path and no query: write \"http://a\"; the client's path is sent"),
        ("http://a?b", "no path and no query: write \"http://a\"; the client's path is sent"),
        ("http://a:0", "a port is a number from 1 to 65535"), ("http://a:", "a port is a number from 1 to 65535"),
        ("http://a:65536", "a port is a number from 1 to 65535"),
        ("http://[::1", "between the brackets stands an IPv6 address"),
        ("http://[1.2.3.4]", "between the brackets stands an IPv6 address"),
        ("http://::1", "put brackets around it: \"http://[::1]\""), ("http://a b", "letters, digits, hyphens and dots"),
    ]) func originURLsRefused(text: String, help: String) {
        let misread = #expect(throws: Misread.self) { try OriginURL.parse(text) }
        #expect(misread?.help == help)
    }

    @Test func names() throws {
        #expect(try HostName.normalized("Example.TEST.") == "example.test")
        #expect(try HostName.normalized("xn--bcher-kva.example") == "xn--bcher-kva.example")
        #expect(try HostName.pattern("*.A.test") == "*.a.test")
        #expect(try HostName.pattern("*") == "*")
        #expect(try HostName.hostField("[::1]:80") == "[::1]:80")
        let label = String(repeating: "a", count: 63)
        #expect(try HostName.normalized(label) == label)
        let longest = [label, label, label, String(repeating: "a", count: 61)].joined(separator: ".")
        #expect(try HostName.normalized(longest) == longest)
        for bad in [
            "", ".", "..", "a..b", ".a", "-a", "a-", "a-.b", "a.-b", "a b", "a_b", "bücher.test", "*.a", "a:80", "a/b",
            label + "a", longest + "a", "a\u{0}b",
        ] {
            #expect(throws: Misread.self, "\(bad)") { try HostName.normalized(bad) }
        }
        for bad in ["*.", "*.*.a", "a.*", "**", "*a.test"] {
            #expect(throws: Misread.self, "\(bad)") { try HostName.pattern(bad) }
        }
        for bad in ["", "a:", "a:0", "a:99999", "[::1", "[::1]:x", "[a]", "a b"] {
            #expect(throws: Misread.self, "\(bad)") { try HostName.hostField(bad) }
        }
        // The fast path and the careful one must agree.
        var generator = SeededGenerator(state: 5)
        let alphabet = Array("ab-._1A")
        for _ in 0..<5000 {
            let name = String(
                (0..<Int.random(in: 0...6, using: &generator)).map { _ in
                    alphabet.randomElement(using: &generator) ?? "a"
                })
            let quick = try? HostName.normalized(name)
            let careful = try? HostName.normalized(name + ".")
            if !name.hasSuffix(".") { #expect(quick == careful, "\(name)") }
        }
    }
}
