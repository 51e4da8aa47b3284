// The keys outside the zones: listeners, administration, logs, what clients may do.

import Limits
import Yams

extension ConfigurationReader {
    /// Reads the whole file.
    mutating func read(_ root: Node) -> Configuration {
        var configuration = Configuration()
        guard let file = section(root, .file, subject: "", label: "the file") else { return configuration }
        configuration.listen = listen(file)
        configuration.admin = admin(file)
        configuration.data = path(file["data"]) ?? absolute("var")
        configuration.threads = threads(file["threads"])
        configuration.log = log(file["log"])
        configuration.accessLog = accessLog(file["access_log"], data: configuration.data)
        configuration.trustedProxies = trustedProxies(file["trusted_proxies"])
        assign(&configuration.clientAddressHeader, fieldName(file["client_address_header"]))
        configuration.timeouts = clientTimeouts(
            section(file["timeouts"], .clientTimeouts), over: configuration.timeouts)
        configuration.limits = clientLimits(section(file["limits"], .clientLimits), over: configuration.limits)
        configuration.cacheStore = cacheStore(file, data: configuration.data)
        cacheStore = configuration.cacheStore
        configuration.control = control(file, data: configuration.data)
        needsZones = needsZones && configuration.control == nil
        configuration.zones = zones(file)
        crossCheck(configuration, file)
        return configuration
    }

    // MARK: Addresses

    private mutating func listen(_ file: Section) -> Configuration.Listen {
        var listen = Configuration.Listen()
        guard let slot = file["listen"] else {
            report(
                file.place, "expected \"listen\", found a file without it",
                help: "add listen: { http: [\"127.0.0.1:8080\"] }"
            )
            return listen
        }
        guard let section = section(slot, .listen) else { return listen }
        var seen: [SocketAddressText: Int] = [:]
        listen.http = listenAddresses(section["http"], isSecure: false, seen: &seen)
        let errorsBefore = errorCount
        listen.https = listenAddresses(section["https"], isSecure: true, seen: &seen)
        // An address that could not be read is reported already and counts as one.
        listensHTTPS = !listen.https.isEmpty || errorCount > errorsBefore
        if section["http"] == nil, section["https"] == nil {
            report(
                slot.place, "expected \"http\" or \"https\" in listen, found neither",
                help: "add http: [\"127.0.0.1:8080\"]"
            )
        }
        assign(&listen.http2, flag(section["http2"]))
        if section["http2"] != nil, !listensHTTPS {
            warn(
                section.place(of: "http2"), "this has no effect: listen has no https address",
                help: "for HTTP/2 in the clear, write http: [{ address: \"127.0.0.1:8080\", http2: true }]"
            )
        }
        return listen
    }

    private static let listenAddressesMax = 1024

    private mutating func listenAddresses(
        _ slot: Slot?, isSecure: Bool, seen: inout [SocketAddressText: Int]
    ) -> [Configuration.ListenAddress] {
        guard let slot else { return [] }
        let elements = list(slot, of: "addresses", single: true, countMax: ConfigurationReader.listenAddressesMax)
        var addresses: [Configuration.ListenAddress] = []
        for element in elements ?? [] {
            guard let address = listenAddress(element, isSecure: isSecure) else { continue }
            // Port 0 is another port each time.
            if address.address.port != 0, let line = seen[address.address] {
                let found = "found \"\(address.address)\" again; it was first given in line \(line)"
                report(element.place, "expected every address once, \(found)")
                continue
            }
            seen[address.address] = element.place.line
            addresses.append(address)
        }
        return addresses
    }

    private mutating func listenAddress(_ slot: Slot, isSecure: Bool) -> Configuration.ListenAddress? {
        guard case .mapping = slot.node else {
            return socketAddress(slot).map { Configuration.ListenAddress(address: $0) }
        }
        let subject = "\(slot.key) of \(slot.subject)"
        guard let section = section(slot.node, .listenAddress, subject: subject, label: slot.label) else { return nil }
        let proxyProtocol = flag(section["proxy_protocol"]) ?? false
        let http2 = flag(section["http2"]) ?? false
        if isSecure, section["http2"] != nil {
            report(
                section.place(of: "http2"), "expected \"http2\" only with an address of http, found it in https",
                help: "over TLS, client and server agree on it; http2 of listen turns it off for all of https"
            )
        }
        guard let address = section["address"] else {
            missing("address", in: section, help: "add address: \"127.0.0.1:8080\"")
            return nil
        }
        return socketAddress(address).map {
            Configuration.ListenAddress(address: $0, proxyProtocol: proxyProtocol, http2: http2)
        }
    }

    private mutating func socketAddress(_ slot: Slot) -> SocketAddressText? {
        parsed(slot, "an address such as 127.0.0.1:8080") { text throws(Misread) in
            try SocketAddressText(parsing: text)
        }
    }

    private mutating func admin(_ file: Section) -> SocketAddressText? {
        guard let slot = file["admin"] else { return SocketAddressText(host: "127.0.0.1", port: 9090) }
        return isWord(slot, "off") ? nil : socketAddress(slot)
    }

    /// The control plane of this process, if it is to have one.
    private mutating func control(_ file: Section, data: String) -> Configuration.Control? {
        guard let slot = file["api"], !isWord(slot, "off") else {
            for key in ["store", "distribution"] where file[key] != nil {
                warn(
                    file.place(of: key), "this has no effect: there is no control plane without \"api\"",
                    help: "add api: \"127.0.0.1:7070\"")
            }
            return nil
        }
        guard let address = socketAddress(slot) else { return nil }
        var control = Configuration.Control(api: address, store: data + "/control.db")
        if let slot = file["store"], let written = text(slot, "a path or postgres://…") {
            let isURL = written.hasPrefix("postgres://") || written.hasPrefix("postgresql://")
            if isURL { control.store = written } else { assign(&control.store, path(slot)) }
        }
        if let slot = file["distribution"], !isWord(slot, "off") { control.distribution = socketAddress(slot) }
        return control
    }

    private static let trustedProxiesMax = 65_536

    private mutating func trustedProxies(_ slot: Slot?) -> [AddressBlock] {
        guard let slot else { return [] }
        let elements = list(
            slot, of: "address blocks", single: true, countMax: ConfigurationReader.trustedProxiesMax
        )
        var blocks: [AddressBlock] = []
        for element in elements ?? [] {
            let block = parsed(element, "a block such as 10.0.0.0/8") { text throws(Misread) in
                try AddressBlock(parsing: text)
            }
            guard let block else { continue }
            if block.isEverything {
                warn(
                    element.place, "\(SourceText.quoted(element.node.scalar?.string ?? "")) trusts every client",
                    help: "anybody can then claim any address; list the proxies in front of this machine"
                )
            }
            blocks.append(block)
        }
        return blocks
    }

    /// A field name in lower case.
    private mutating func fieldName(_ slot: Slot?) -> String? {
        parsed(slot, "a field name such as X-Forwarded-For") { text throws(Misread) in
            guard HostName.isToken(text) else {
                throw Misread(
                    expected: "a field name such as X-Forwarded-For", help: "the name alone, without a colon"
                )
            }
            return text.lowercased()
        }
    }

    // MARK: The process

    private mutating func threads(_ slot: Slot?) -> Int? {
        guard let slot, !isWord(slot, "auto") else { return nil }
        return number(slot, in: Limits.eventLoopCountRange)
    }

    private mutating func log(_ slot: Slot?) -> Configuration.Log {
        var log = Configuration.Log()
        guard let section = section(slot, .log) else { return log }
        assign(&log.level, word(section["level"], among: Configuration.Log.Level.allCases.map { ($0.rawValue, $0) }))
        assign(&log.format, word(section["format"], among: Configuration.Log.Format.allCases.map { ($0.rawValue, $0) }))
        return log
    }

    private mutating func accessLog(_ slot: Slot?, data: String) -> Configuration.AccessLog {
        var accessLog = Configuration.AccessLog()
        accessLog.destination = .file(data == "/" ? "/access.log" : "\(data)/access.log")
        guard let slot else { return accessLog }
        guard case .mapping = slot.node else {
            assign(&accessLog.destination, accessLogDestination(slot))
            return accessLog
        }
        guard let section = section(slot, .accessLog) else { return accessLog }
        if let path = section["path"] { assign(&accessLog.destination, accessLogDestination(path)) }
        assign(&accessLog.bufferBytes, size(section["buffer"], in: Limits.accessLogBufferBytesRange))
        return accessLog
    }

    private mutating func accessLogDestination(_ slot: Slot) -> Configuration.AccessLog.Destination? {
        if isWord(slot, "off") { return .off }
        if isWord(slot, "-") { return .standardOutput }
        return path(slot).map { .file($0) }
    }

    // MARK: Clients

    /// What the section gives, over what holds without it.
    mutating func clientTimeouts(
        _ section: Section?, over standard: Configuration.ClientTimeouts
    ) -> Configuration.ClientTimeouts {
        var timeouts = standard
        guard let section else { return timeouts }
        let range = Limits.timeoutMillisecondsRange
        assign(&timeouts.header, duration(section["header"], in: range))
        assign(&timeouts.handshake, duration(section["handshake"], in: range))
        assign(&timeouts.body, duration(section["body"], in: range))
        assign(&timeouts.write, duration(section["write"], in: range))
        assign(&timeouts.idle, duration(section["idle"], in: range))
        assign(&timeouts.tunnel, duration(section["tunnel"], in: range))
        assign(&timeouts.drain, duration(section["drain"], in: range))
        return timeouts
    }

    /// Ranges that Limits leaves open: wide enough for every machine, small enough for arithmetic on them.
    static let bodyRateRange = 0...1_000_000_000
    static let requestsPerConnectionRange = 1...1_000_000_000
    static let connectionsRange = 1...10_000_000

    /// What the section gives, over what holds without it.
    mutating func clientLimits(
        _ section: Section?, over standard: Configuration.ClientLimits
    ) -> Configuration.ClientLimits {
        var limits = standard
        guard let section else { return limits }
        assign(&limits.requestLineBytes, size(section["request_line"], in: Limits.requestLineBytesRange))
        assign(&limits.headBytes, size(section["header_bytes"], in: Limits.headBytesRange))
        assign(&limits.fieldCount, number(section["header_count"], in: Limits.fieldCountRange))
        assign(&limits.bodyRateBytesPerSecond, size(section["body_rate"], in: ConfigurationReader.bodyRateRange))
        let requests = number(
            section["requests_per_connection"], in: ConfigurationReader.requestsPerConnectionRange
        )
        assign(&limits.requestsPerConnection, requests)
        assign(
            &limits.streamsPerConnection,
            number(section["streams_per_connection"], in: Limits.http2StreamsPerConnectionRange))
        assign(&limits.connections, number(section["connections"], in: ConfigurationReader.connectionsRange))
        if section["request_line"] != nil, limits.requestLineBytes > limits.headBytes {
            warn(
                section.place(of: "request_line"),
                "\"request_line\" is larger than \"header_bytes\", which holds the whole head",
                help: "raise header_bytes or lower request_line"
            )
        }
        return limits
    }

    /// Reports a key that must be there.
    mutating func missing(_ key: String, in section: Section, help: String? = nil) {
        report(section.place, "expected \"\(key)\" in \(section.subject), found none", help: help)
    }
}
