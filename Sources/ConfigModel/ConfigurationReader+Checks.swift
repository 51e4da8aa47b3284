// What can only be judged once several keys are known: errors that no single value shows, and warnings.

import Yams

extension ConfigurationReader {
    /// Checks one zone; hostnames against each other wait for `crossCheck`.
    mutating func checkZone(_ zone: Zone, _ section: Section) {
        if zone.redirectToHTTPS, zone.tls == nil, zone.hostnames.contains("*") {
            warn(
                section.place(of: "redirect_to_https"),
                "every host is sent to https, where no certificate of your own covers it",
                help: "redirect in zones with names, or give this one a certificate"
            )
        }
        if zone.redirectToHTTPS, !listensHTTPS {
            report(
                section.place(of: "redirect_to_https"),
                "expected an https address in listen for \"redirect_to_https\", found none",
                help: "add https: [\"*:443\"] to listen, or remove the redirection"
            )
        }
        if zone.tls != nil, !listensHTTPS {
            warn(
                section.place(of: "tls"), "this certificate is never shown: listen has no https address",
                help: "add https: [\"*:443\"] to listen"
            )
        }
    }

    /// Checks the whole against itself.
    mutating func crossCheck(_ configuration: Configuration, _ file: Section) {
        checkListeners(configuration, file)
        checkTrust(configuration, file)
        checkShadows(file)
    }

    private mutating func checkListeners(_ configuration: Configuration, _ file: Section) {
        let addresses = (configuration.listen.http + configuration.listen.https).map(\.address)
        let place = file["listen"]?.place ?? file.place
        if addresses.isEmpty, errorCount == 0 {
            report(place, "expected at least one address in listen, found none", help: "add http: [\"127.0.0.1:8080\"]")
        }
        if let admin = configuration.admin {
            let adminPlace = file["admin"]?.place ?? place
            if admin.port != 0, addresses.contains(admin) {
                report(
                    adminPlace,
                    "expected an address of its own for \"admin\", found \"\(admin)\", which is also in listen",
                    help: "admin is 127.0.0.1:9090 unless given; choose another port or write admin: off"
                )
            }
            if AddressBits(admin.host)?.isLoopback == false {
                warn(
                    adminPlace, "\"admin\" can be reached from other machines and asks nobody for a password",
                    help: "listen on 127.0.0.1, or let a firewall decide who may read the metrics and purge the cache"
                )
            }
        }
        for address in addresses where address.host != "::" && address.port != 0 {
            if addresses.contains(SocketAddressText(host: "::", port: address.port)) {
                warn(
                    place, "\"\(address)\" is also covered by \"*:\(address.port)\"",
                    help: "remove the narrower one unless it differs on purpose"
                )
            }
        }
    }

    private mutating func checkTrust(_ configuration: Configuration, _ file: Section) {
        guard configuration.trustedProxies.isEmpty else { return }
        let help = "list the proxies in trusted_proxies"
        if file["client_address_header"] != nil {
            warn(
                file.place(of: "client_address_header"), "no proxy is trusted, so this field is never read", help: help
            )
        }
        let listeners = configuration.listen.http + configuration.listen.https
        if listeners.contains(where: \.proxyProtocol) {
            warn(
                file.place(of: "listen"), "no proxy is trusted, so nobody may send a PROXY protocol header", help: help
            )
        }
    }

    /// A hostname that changes nothing: without it, its requests would come to the same zone.
    private mutating func checkShadows(_ file: Section) {
        var redundant: [(place: Place, name: String, wildcard: String)] = []
        for (name, owner) in hostnameOwners where name != "*" {
            guard let wildcard = nextWildcard(above: name), let other = hostnameOwners[wildcard] else { continue }
            // The default hostnames of a zone were not written by anybody.
            if other.zone == owner.zone, other.place != owner.place { redundant.append((owner.place, name, wildcard)) }
        }
        for (place, name, wildcard) in redundant.sorted(by: {
            ($0.place.line, $0.place.column) < ($1.place.line, $1.place.column)
        }) {
            warn(place, "\"\(name)\" is already covered by \"\(wildcard)\" of the same zone", help: "remove one")
        }
    }

    /// The longest wildcard that would take a hostname's requests if it were not there.
    private func nextWildcard(above name: String) -> String? {
        var rest = name.hasPrefix("*.") ? name.dropFirst(2) : name[...]
        while let dot = rest.firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            let wildcard = "*.\(rest)"
            if hostnameOwners[wildcard] != nil { return wildcard }
        }
        return hostnameOwners["*"] == nil ? nil : "*"
    }
}
