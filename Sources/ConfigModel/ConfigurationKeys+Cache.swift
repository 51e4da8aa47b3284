// The keys of the cache: its stores, at the top of the file, and how each zone is cached.

import Limits

extension ConfigurationTable {
    static let cacheStore = ConfigurationTable(
        title: "cache",
        keys: [
            .size("memory", Limits.cacheMemoryBytesDefault),
            .size("memory_object", Limits.cacheMemoryObjectBytesDefault),
            ConfigurationKey("disk", "size or off", SizeText.text(bytes: Limits.cacheDiskBytesDefault)),
            ConfigurationKey("path", "path", "cache in data"),
            .size("object", Limits.cacheObjectBytesDefault),
        ]
    )
    static let zoneCache = ConfigurationTable(
        title: "cache of a zone",
        keys: [
            ConfigurationKey("ignore_query", "true or false", "false"),
            ConfigurationKey("query", "mapping", "none"),
            ConfigurationKey("sort_query", "true or false", "false"),
            ConfigurationKey("key", "mapping", "none"),
            ConfigurationKey("bypass_cookies", "cookie name or list of them", "[]"),
            ConfigurationKey("everything", "true or false", "false"),
            .duration("default_ttl", Limits.cacheDefaultTTLMillisecondsDefault),
            ConfigurationKey("ttl", "mapping of statuses to durations", "none"),
            ConfigurationKey("heuristic", "percentage or off", "off"),
            ConfigurationKey("client_directives", "respect or ignore", "respect"),
            ConfigurationKey("always_online", "true or false", "false"),
            .duration("stale_while_revalidate", 0),
            .duration("stale_if_error", 0),
            ConfigurationKey("memory", "size", "its fair share"),
            ConfigurationKey("disk", "size", "its fair share"),
            ConfigurationKey("normalize_accept_encoding", "true or false", "true"),
        ]
    )
    static let cacheQuery = ConfigurationTable(
        title: "query of a cache",
        keys: [
            ConfigurationKey("only", "parameter name or list of them", "none"),
            ConfigurationKey("except", "parameter name or list of them", "none"),
        ]
    )
    static let cacheKey = ConfigurationTable(
        title: "key of a cache",
        keys: [
            ConfigurationKey("headers", "field name or list of them", "[]"),
            ConfigurationKey("cookies", "cookie name or list of them", "[]"),
            ConfigurationKey("device", "true or false", "false"),
            ConfigurationKey("language", "true or false", "false"),
        ]
    )
}

extension ConfigurationKey {
    static func size(_ name: String, _ bytes: UInt64) -> ConfigurationKey {
        ConfigurationKey(name, "size", SizeText.text(bytes: bytes))
    }
}
