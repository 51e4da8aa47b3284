// Where an API is: `http://127.0.0.1:7070/client/v4`.

import Limits

/// The address below which an API's endpoints lie.
package struct APIAddress: Sendable, Equatable, CustomStringConvertible {
    /// `http` or `https`.
    package let scheme: String
    /// Host and perhaps port, as they stand in a URL.
    package let authority: String
    /// Without a slash at its end.
    package let path: String

    package static let standardPath = "/client/v4"
    /// Where `martlet control` listens unless told otherwise.
    package static let standard = APIAddress(scheme: "http", authority: "127.0.0.1:7070", path: standardPath)

    private init(scheme: String, authority: String, path: String) {
        self.scheme = scheme
        self.authority = authority
        self.path = path
    }

    /// Reads a URL, or its authority alone: https then, and http for this machine. Without a path, the API's own is meant.
    ///
    /// - Throws: `OperatorProblem` that says what is wrong with it, without a password that stood in it.
    package init(parsing text: String) throws(OperatorProblem) {
        func problem(_ found: String) -> OperatorProblem {
            OperatorProblem(
                .input, "expected the address of an API, found \(found)",
                help: "such as http://127.0.0.1:7070 or https://control.example/client/v4")
        }
        guard !text.isEmpty else { throw problem("nothing") }
        guard text.utf8.count <= Limits.operatorAddressBytesMax,
            text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\\") && $0 != UInt8(ascii: "\"") })
        else { throw problem("blanks, control characters, or more than \(Limits.operatorAddressBytesMax) bytes") }
        var rest = text[...]
        var scheme: String?
        if let mark = text.firstRange(of: "://") {
            scheme = text[..<mark.lowerBound].lowercased()
            rest = text[mark.upperBound...]
        }
        guard scheme == nil || scheme == "http" || scheme == "https" else {
            throw problem("the scheme \(scheme ?? "")")
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        var path = rest[authority.endIndex...]
        guard !authority.contains("@") else { throw problem("a user or password in it; tokens are given apart") }
        guard !path.contains("?"), !path.contains("#") else { throw problem("a query or fragment") }
        guard let host = Self.host(authority) else { throw problem("no host in \"\(text.prefix(100))\"") }
        while path.last == "/" { path.removeLast() }
        self.scheme = scheme ?? (Self.isLoopback(host) ? "http" : "https")
        self.authority = authority.lowercased()
        self.path = path.isEmpty ? Self.standardPath : String(path)
    }

    /// Whether what is sent there can be read on the way.
    package var isClear: Bool { scheme == "http" && !Self.isLoopback(Self.host(authority[...]) ?? "") }

    package var description: String { "\(scheme)://\(authority)\(path)" }

    /// The host of `host`, `host:port`, `[address]:port`; nil if it is none of them.
    private static func host(_ authority: Substring) -> String? {
        var host = authority
        var port: Substring?
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            host = authority[authority.index(after: authority.startIndex)..<end]
            let behind = authority[authority.index(after: end)...]
            guard behind.isEmpty || behind.first == ":" else { return nil }
            port = behind.isEmpty ? nil : behind.dropFirst()
            guard host.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." }) else { return nil }
        } else if let colon = authority.lastIndex(of: ":") {
            host = authority[..<colon]
            port = authority[authority.index(after: colon)...]
            guard !host.contains(":") else { return nil }
        }
        if let port {
            guard port.allSatisfy(\.isASCII), let number = Int(port), (1...65_535).contains(number) else { return nil }
        }
        let isName = host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: authority.first == "[" && (byte == UInt8(ascii: ":"))
            }
        }
        return host.isEmpty || !isName ? nil : host.lowercased()
    }

    private static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host.hasSuffix(".localhost") || host == "::1"
            || host.hasPrefix("127.") && host.allSatisfy { $0.isNumber || $0 == "." }
    }
}
