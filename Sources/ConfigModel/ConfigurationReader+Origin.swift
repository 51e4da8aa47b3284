// Origins, their health checks and TLS in both directions.

import Limits
import Yams

extension ConfigurationReader {
    /// The origins of a zone, with the zone's health check where they have none of their own.
    mutating func origins(_ zone: Section, zoneHealth: Origin.Health?) -> [Origin] {
        guard let slot = zone["origins"] else {
            missing("origins", in: zone, help: "add origins: [\"http://127.0.0.1:8000\"]")
            return []
        }
        let elements = list(slot, of: "origins", single: true, countMax: Limits.originsPerZoneMax) ?? []
        if elements.isEmpty, case .sequence = slot.node {
            mismatch(slot, "at least one origin", help: "write [\"http://127.0.0.1:8000\"]")
        }
        var origins: [Origin] = []
        var seen: [Origin: Int] = [:]
        for element in elements {
            guard let origin = origin(element, of: zone, zoneHealth: zoneHealth) else { continue }
            let isAgain = seen.updateValue(element.place.line, forKey: origin) != nil
            if isAgain {
                warn(element.place, "this origin is given twice", help: "to send it more requests, give it a weight")
            }
            origins.append(origin)
        }
        if !origins.isEmpty, origins.allSatisfy(\.backup) {
            warn(
                slot.place, "every origin is a backup",
                help: "a backup serves while the others are unhealthy; name one that is not")
        }
        return origins
    }

    private mutating func origin(_ slot: Slot, of zone: Section, zoneHealth: Origin.Health?) -> Origin? {
        guard case .mapping = slot.node else {
            var origin = originURL(slot)
            origin?.health = zoneHealth
            return origin
        }
        let subject = "an origin of \(zone.subject)"
        guard let section = section(slot.node, .origin, subject: subject, label: slot.label) else { return nil }
        guard let url = section["url"] else {
            missing("url", in: section, help: "add url: \"http://127.0.0.1:8000\"")
            return nil
        }
        // A broken URL must not hide what is wrong beside it.
        let address = originURL(url)
        var origin = address ?? Origin(scheme: .https, host: "", port: 0)
        assign(&origin.weight, number(section["weight"], in: Limits.originWeightRange))
        assign(&origin.backup, flag(section["backup"]))
        origin.hostHeader = parsed(section["host"], "a Host value such as www.example.test") { text throws(Misread) in
            try HostName.hostField(text)
        }
        assign(&origin.resolveEvery, duration(section["resolve_every"], in: Limits.timeoutMillisecondsRange))
        origin.health = section["health"].map { health($0) } ?? zoneHealth
        assign(&origin.http2, http2Use(section["http2"]))
        origin.tls = originTLS(section["tls"])
        if origin.scheme == .http, section["tls"] != nil {
            report(
                section.place(of: "tls"), "expected \"tls\" only with an https:// URL, found it with http://",
                help: "write https:// or remove tls"
            )
        }
        return address == nil ? nil : origin
    }

    private mutating func originURL(_ slot: Slot) -> Origin? {
        parsed(slot, "a URL such as http://127.0.0.1:8000") { text throws(Misread) in try OriginURL.parse(text) }
    }

    private mutating func http2Use(_ slot: Slot?) -> Origin.HTTP2Use? {
        guard let slot, let written = slot.node.scalar?.string else { return word(slot, among: Self.http2Words) }
        let help: String? =
            switch written.lowercased() {
            case "true", "yes", "always", "force", "forced", "h2", "h2c", "required": "write on"
            case "false", "no", "never", "none", "disabled", "http/1.1": "write off"
            default: nil
            }
        guard let help else { return word(slot, among: Self.http2Words) }
        mismatch(slot, "one of \(Self.http2Words.map(\.word).joined(separator: ", "))", help: help)
        return nil
    }

    private static let http2Words = Origin.HTTP2Use.allCases.map { (word: $0.rawValue, value: $0) }

    // MARK: Health

    static let healthStatusRange = 200...599

    /// A health check; nil for `off`, and for what could not be read.
    mutating func health(_ slot: Slot) -> Origin.Health? {
        var health = Origin.Health()
        guard case .mapping = slot.node else {
            if isWord(slot, "off") { return nil }
            if meansOff(slot) {
                mismatch(slot, "a path, a mapping or off", help: "write off")
                return nil
            }
            guard let path = healthPath(slot) else { return nil }
            health.path = path
            return health
        }
        guard let section = section(slot, .health) else { return nil }
        if let path = section["path"] { assign(&health.path, healthPath(path)) }
        assign(&health.every, duration(section["every"], in: Limits.timeoutMillisecondsRange))
        // The default gives way to a shorter interval.
        health.timeout = min(health.timeout, health.every)
        assign(&health.timeout, duration(section["timeout"], in: Limits.timeoutMillisecondsRange))
        assign(&health.healthyAfter, number(section["healthy_after"], in: Limits.healthThresholdRange))
        assign(&health.unhealthyAfter, number(section["unhealthy_after"], in: Limits.healthThresholdRange))
        assign(&health.expectStatus, statusRange(section["expect"]))
        if health.timeout > health.every {
            warn(
                section.place(of: "timeout"), "a health check may take longer than the time between two",
                help: "lower \"timeout\" or raise \"every\""
            )
        }
        return health
    }

    private mutating func healthPath(_ slot: Slot) -> String? {
        let expected = "the path of a URL, such as /healthz"
        return parsed(slot, expected) { text throws(Misread) in
            guard text.hasPrefix("/") else {
                throw Misread(expected: expected, help: "a path begins with /")
            }
            guard Origin.Health.isPath(text) else {
                throw Misread(expected: expected, help: "visible ASCII, no spaces and no #; write others as %HH")
            }
            return text
        }
    }

    private mutating func statusRange(_ slot: Slot?) -> ClosedRange<Int>? {
        let range = ConfigurationReader.healthStatusRange
        let expected = "a status such as 200 or a range such as 200-399"
        return parsed(slot, expected) { text throws(Misread) in
            let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            guard let first = parts.first.flatMap(SocketAddressText.port),
                let last = parts.last.flatMap(SocketAddressText.port),
                range.contains(first), range.contains(last), first <= last
            else {
                throw Misread(expected: expected, help: "from \(range.lowerBound) to \(range.upperBound), lower first")
            }
            return first...last
        }
    }

    // MARK: TLS

    /// The certificate that clients see; nil has the local authority make one.
    mutating func zoneTLS(_ slot: Slot?) -> Zone.CertificateFiles? {
        guard let section = section(slot, .zoneTLS) else { return nil }
        if section.slots.isEmpty {
            report(section.place, "expected \"certificate\" and \"key\" in \(section.subject), found neither")
        }
        return certificateFiles(section)
    }

    private mutating func originTLS(_ slot: Slot?) -> Origin.OriginTLS {
        var tls = Origin.OriginTLS()
        guard let section = section(slot, .originTLS) else { return tls }
        assign(&tls.verify, flag(section["verify"]))
        if let slot = section["ca"], let path = path(slot) {
            tls.certificateAuthority = path
            checkFile(path, .certificate, slot)
        }
        tls.serverName = parsed(section["server_name"], "a host name") { text throws(Misread) in
            try HostName.normalized(text, underscores: true)
        }
        tls.clientCertificate = certificateFiles(section)
        if !tls.verify {
            warn(
                section.place(of: "verify"), "the origin's certificate is not verified",
                help: "whoever stands between can read and change everything; name its issuer with ca instead"
            )
            if tls.certificateAuthority != nil {
                warn(section.place(of: "ca"), "\"ca\" has no effect while \"verify\" is false", help: "remove one")
            }
        }
        return tls
    }

    /// `certificate` and `key`: both or neither.
    private mutating func certificateFiles(_ section: Section) -> Zone.CertificateFiles? {
        let certificate = path(section["certificate"])
        let key = path(section["key"])
        switch (section["certificate"], section["key"]) {
        case (let certificateSlot?, let keySlot?):
            if let certificate { checkFile(certificate, .certificate, certificateSlot) }
            if let key { checkFile(key, .key, keySlot) }
        case (.some, nil):
            missing("key", in: section, help: "a certificate is of use only with its private key")
        case (nil, .some):
            missing("certificate", in: section, help: "a private key is of use only with its certificate")
        case (nil, nil):
            break
        }
        guard let certificate, let key else { return nil }
        return Zone.CertificateFiles(certificate: certificate, key: key)
    }
}

/// The URL of an origin: `http` or `https`, a host, perhaps a port, and nothing else.
enum OriginURL {
    private static let expected = "a URL such as http://127.0.0.1:8000 or https://origin.example.test"

    /// - Throws: `Misread`; its words never hold the user or password of a URL that has them.
    static func parse(_ text: String) throws(Misread) -> Origin {
        guard let separator = firstRange(of: "://", in: text) else {
            let isAddress = !text.isEmpty && !text.contains("@") && !text.contains("/") && text.utf8.count < 64
            throw Misread(expected: expected, help: isAddress ? "write \"http://\(text)\"" : nil)
        }
        guard let scheme = Origin.Scheme(rawValue: text[..<separator.lowerBound].lowercased()) else {
            throw Misread(expected: expected, help: "origins speak http or https")
        }
        let rest = text[separator.upperBound...]
        if rest.contains("@") {
            throw Misread(expected: expected, help: "no user and no password; send them in a field instead")
        }
        if let end = rest.firstIndex(where: { "/?#".contains($0) }) {
            throw Misread(
                expected: expected,
                help: "no path and no query: write \"\(scheme.rawValue)://\(rest[..<end])\"; the client's path is sent"
            )
        }
        return try authority(rest, scheme: scheme)
    }

    private static func authority(_ text: Substring, scheme: Origin.Scheme) throws(Misread) -> Origin {
        var host = text
        var port = scheme == .http ? 80 : 443
        if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
            if AddressBits(String(text))?.isIPv4 == false {
                throw Misread(expected: expected, help: "put brackets around it: \"\(scheme.rawValue)://[\(text)]\"")
            }
            guard let written = SocketAddressText.port(text[text.index(after: colon)...]), written > 0 else {
                throw Misread(expected: expected, help: "a port is a number from 1 to 65535")
            }
            port = written
            host = text[..<colon]
        }
        if host.hasPrefix("[") {
            guard host.hasSuffix("]"), let bits = AddressBits(String(host.dropFirst().dropLast())), !bits.isIPv4 else {
                throw Misread(expected: expected, help: "between the brackets stands an IPv6 address")
            }
            return Origin(scheme: scheme, host: bits.text, port: port)
        }
        do {
            return Origin(scheme: scheme, host: try HostName.normalized(String(host), underscores: true), port: port)
        } catch {
            throw Misread(expected: expected, help: error.help)
        }
    }

    private static func firstRange(of needle: String, in text: String) -> Range<String.Index>? {
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix(needle) else { return nil }
        return colon..<text.index(colon, offsetBy: needle.count)
    }
}
