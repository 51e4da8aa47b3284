// `cache` of a zone: what its keys are made of, how long responses live, and what is done with stale ones.

import Limits
import Yams

extension ConfigurationReader {
    mutating func zoneCache(_ zone: Section) -> CacheSettings {
        var cache = CacheSettings()
        guard let slot = zone["cache"], !isWord(slot, "on") else { return cache }
        if isWord(slot, "off") {
            cache.isEnabled = false
            return cache
        }
        if meansOff(slot) || isWord(slot, "true") {
            mismatch(slot, "on, off or a mapping", help: isWord(slot, "true") ? "write on" : "write off")
            return cache
        }
        guard let section = section(slot, .zoneCache) else { return cache }
        if cacheStore == nil {
            warn(
                zone.place(of: "cache"), "this has no effect: \"cache\" of the file is off",
                help: "remove one of the two"
            )
        }
        cache.key = keySettings(section)
        cache.bypassCookies = names(section["bypass_cookies"], Self.cookieFamily)
        lifetimes(&cache, section)
        assign(
            &cache.respectsClientDirectives,
            word(section["client_directives"], among: [("respect", true), ("ignore", false)]))
        assign(&cache.alwaysOnline, flag(section["always_online"]))
        assign(&cache.normalizesAcceptEncoding, flag(section["normalize_accept_encoding"]))
        shares(&cache, section)
        return cache
    }

    // MARK: Keys

    private mutating func keySettings(_ section: Section) -> CacheKeySettings {
        var key = CacheKeySettings()
        let ignoresQuery = flag(section["ignore_query"]) ?? false
        if ignoresQuery { key.query = .none }
        if let slot = section["query"] {
            if ignoresQuery {
                report(
                    section.place(of: "query"),
                    "expected \"ignore_query\" or \"query\" in \(section.subject), found both",
                    help: "ignore_query leaves all parameters out of the key; query chooses some")
            } else {
                assign(&key.query, queryChoice(slot))
            }
        }
        assign(&key.sortsQuery, flag(section["sort_query"]))
        guard let parts = self.section(section["key"], .cacheKey) else { return key }
        key.headers = names(parts["headers"], Self.keyField)
        key.cookies = names(parts["cookies"], Self.cookie)
        assign(&key.device, flag(parts["device"]))
        assign(&key.language, flag(parts["language"]))
        return key
    }

    private mutating func queryChoice(_ slot: Slot) -> CacheKeySettings.Query? {
        guard let section = section(slot, .cacheQuery) else { return nil }
        switch (section["only"], section["except"]) {
        case (let only?, nil): return .only(names(only, Self.parameter))
        case (nil, let except?): return .except(names(except, Self.parameter))
        case (nil, nil): report(slot.place, "expected \"only\" or \"except\" for \(slot.label), found neither")
        case (.some, .some): report(slot.place, "expected \"only\" or \"except\" for \(slot.label), found both")
        }
        return nil
    }

    // MARK: Names

    /// One name or a list of them, each once.
    private mutating func names(
        _ slot: Slot?, _ parse: (String) throws(Misread) -> String
    ) -> [String] {
        guard let slot, let elements = list(slot, of: "names", single: true, countMax: Limits.cacheNamesMax) else {
            return []
        }
        var names: [String] = []
        for element in elements {
            guard let name = parsed(element, "a name", parse) else { continue }
            if names.contains(name) {
                warn(element.place, "\"\(name)\" is given twice", help: "remove one")
            } else {
                names.append(name)
            }
        }
        return names
    }

    /// The name of a query parameter, as it stands in URLs: compared byte by byte.
    private static func parameter(_ text: String) throws(Misread) -> String {
        let expected = "the name of a query parameter such as utm_source"
        if text.contains("*") {
            throw Misread(expected: expected, help: "names are compared as they are; name each parameter")
        }
        let isFine = text.utf8.allSatisfy { byte in
            byte > 0x20 && byte < 0x7F && !"&=#".utf8.contains(byte)
        }
        guard isFine, (1...256).contains(text.utf8.count) else {
            throw Misread(expected: expected, help: "visible ASCII without &, = and #; write others as %HH")
        }
        return text
    }

    private static func cookie(_ text: String) throws(Misread) -> String {
        guard HostName.isToken(text), !text.contains("*") else {
            throw Misread(expected: "a cookie name such as session", help: "letters, digits and any of !#$%&'+-.^_`|~")
        }
        return text
    }

    /// A cookie's name, or the beginning of several followed by `*`.
    private static func cookieFamily(_ text: String) throws(Misread) -> String {
        let stem = text.hasSuffix("*") ? String(text.dropLast()) : text
        guard HostName.isToken(stem), !stem.contains("*") else {
            throw Misread(
                expected: "a cookie name such as session or wordpress_*",
                help: "letters, digits and any of !#$%&'+-.^_`|~, with one * at most, at the end")
        }
        return text
    }

    /// Fields that cannot tell objects apart: because the key has them already, or because they are about the
    /// connection, the range or the condition that one request asks for.
    private static let fieldsOutsideKeys: [String: String] = [
        "host": "the host is always part of the key", "cookie": "name cookies under \"cookies\"",
        "range": "ranges are cut from the whole", "if-range": "conditions are judged by the cache",
        "if-match": "conditions are judged by the cache", "if-none-match": "conditions are judged by the cache",
        "if-modified-since": "conditions are judged by the cache",
        "if-unmodified-since": "conditions are judged by the cache",
        "connection": "it is about the connection", "keep-alive": "it is about the connection",
        "te": "it is about the connection", "trailer": "it is about the connection",
        "transfer-encoding": "it is about the connection", "upgrade": "it is about the connection",
        "content-length": "it is about the body of a request", "expect": "it is about the body of a request",
        "cache-control": "it tells the cache what to do", "pragma": "it tells the cache what to do",
    ]

    private static func keyField(_ text: String) throws(Misread) -> String {
        let expected = "a field name such as X-Country"
        guard HostName.isToken(text) else {
            throw Misread(expected: expected, help: "the name alone, without a colon")
        }
        let name = text.lowercased()
        if let reason = fieldsOutsideKeys[name] {
            throw Misread(expected: "a field that may be part of a key", help: reason)
        }
        return name
    }

    // MARK: Lifetimes

    private mutating func lifetimes(_ cache: inout CacheSettings, _ section: Section) {
        let range = Limits.cacheTTLMillisecondsRange
        assign(&cache.everything, flag(section["everything"]))
        assign(&cache.defaultTTL, duration(section["default_ttl"], in: range))
        if section["default_ttl"] != nil, !cache.everything {
            warn(
                section.place(of: "default_ttl"), "this has no effect without \"everything\"",
                help: "add everything: true, or give statuses a lifetime with ttl"
            )
        }
        if let slot = section["ttl"] { cache.ttlByStatus = statusTTLs(slot) }
        assign(&cache.heuristicPercent, percentage(section["heuristic"]))
        let revalidate = duration(section["stale_while_revalidate"], in: range, orZero: true)
        assign(&cache.staleWhileRevalidate, revalidate)
        assign(&cache.staleIfError, duration(section["stale_if_error"], in: range, orZero: true))
    }

    /// Lifetimes by status, the narrowest range first, so that 404 may differ from the rest of 400-499.
    private mutating func statusTTLs(_ slot: Slot) -> [CacheSettings.StatusTTL] {
        let help = "write { \"200-299\": 1h, 404: 1m, 5xx: 0 }"
        guard case .mapping(let mapping) = slot.node else {
            mismatch(slot, "a mapping of statuses to durations", help: help)
            return []
        }
        guard mapping.count <= Limits.cacheStatusTTLsMax else {
            let most = Limits.cacheStatusTTLsMax
            report(slot.place, "expected at most \(most) statuses for \(slot.label), found \(mapping.count)")
            return []
        }
        var rows: [CacheSettings.StatusTTL] = []
        for (key, value) in mapping {
            guard let written = keyName(key) else { continue }
            guard let statuses = Self.statuses(written) else {
                report(
                    Place(key), "expected a status for \(slot.label), found \(SourceText.quoted(written))",
                    help: "a status such as 404, a class such as 5xx or a range such as 200-299, within 200 to 599")
                continue
            }
            if let other = rows.first(where: { Self.contradict($0.statuses, statuses) }) {
                let found = "found \"\(written)\" beside \"\(Self.text(other.statuses))\""
                report(
                    Place(key), "expected ranges that lie apart or within each other for \(slot.label), \(found)",
                    help: "the narrower of two ranges counts where both cover a status")
            }
            let entry = Slot(node: value, key: written, subject: "\(slot.key) of \(slot.subject)")
            guard let ttl = duration(entry, in: Limits.cacheTTLMillisecondsRange, orZero: true) else { continue }
            rows.append(CacheSettings.StatusTTL(statuses: statuses, ttl: ttl))
        }
        return rows.sorted { ($0.statuses.count, $0.statuses.lowerBound) < ($1.statuses.count, $1.statuses.lowerBound) }
    }

    /// `404`, `4xx` or `400-499`.
    private static func statuses(_ text: String) -> ClosedRange<Int>? {
        if text.utf8.count == 3, text.lowercased().hasSuffix("xx") {
            guard let digit = text.first?.wholeNumberValue, (2...5).contains(digit) else { return nil }
            return digit * 100...digit * 100 + 99
        }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = parts.first.flatMap(status), let last = parts.last.flatMap(status),
            first <= last
        else { return nil }
        return first...last
    }

    private static func status(_ text: Substring) -> Int? {
        guard text.utf8.count == 3, text.utf8.allSatisfy(Quantity.isDigit), let status = Int(text) else { return nil }
        return (200...599).contains(status) ? status : nil
    }

    /// Whether two ranges are the same or cross, so that neither is the narrower one.
    private static func contradict(_ one: ClosedRange<Int>, _ other: ClosedRange<Int>) -> Bool {
        guard one.overlaps(other), one != other else { return one == other }
        return !one.contains(other) && !other.contains(one)
    }

    private static func text(_ range: ClosedRange<Int>) -> String {
        range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)"
    }

    /// `10%`, or 0 for `off`.
    private mutating func percentage(_ slot: Slot?) -> Int? {
        guard let slot else { return nil }
        if isWord(slot, "off") { return 0 }
        let expected = "a percentage from 1% to 100%, or off,"
        return parsed(slot, expected) { text throws(Misread) in
            let digits = text.hasSuffix("%") ? text.dropLast() : text[...]
            guard (1...3).contains(digits.utf8.count), digits.utf8.allSatisfy(Quantity.isDigit),
                let value = Int(digits), (1...100).contains(value)
            else {
                throw Misread(expected: expected, help: text == "0" || text == "0%" ? "write off" : nil)
            }
            guard text.hasSuffix("%") else { throw Misread(expected: expected, help: "write \(value)%") }
            return value
        }
    }

    // MARK: Shares

    /// What of the stores a zone may take at most.
    private mutating func shares(_ cache: inout CacheSettings, _ section: Section) {
        cache.memoryBytesMax = share(section, "memory", of: cacheStore?.memoryBytesMax)
        cache.diskBytesMax = share(section, "disk", of: cacheStore?.diskBytesMax)
        if section["disk"] != nil, let cacheStore, cacheStore.diskBytesMax == nil {
            warn(
                section.place(of: "disk"), "this has no effect: the cache has no disk",
                help: "give \"cache\" of the file a disk, or remove this")
        }
    }

    private mutating func share(_ section: Section, _ key: String, of whole: UInt64?) -> UInt64? {
        guard let slot = section[key], let bytes = size(slot, in: Limits.cacheZoneBytesRange) else { return nil }
        if let whole, bytes > whole {
            mismatch(
                slot, "at most the \"\(key)\" of the whole cache (\(SizeText.text(bytes: whole)))",
                help: "a zone's share is part of the whole")
        }
        return bytes
    }
}
