// Bounds of the control plane's API.

extension Limits {
    // MARK: API: what comes in

    /// Bytes of a JSON body. A batch of `apiBatchRecordsMax` records of ordinary size fits.
    package static let apiBodyBytesMax = 4 * 1024 * 1024
    /// Bytes of a zone file that is imported.
    package static let apiImportBytesMax = 16 * 1024 * 1024
    package static let apiJSONDepthMax = 32
    /// Values of one body, each member and element counted.
    package static let apiJSONValuesMax = 400_000
    package static let apiJSONNumberBytesMax = 64
    package static let apiPathPartsMax = 16
    /// Without a request on a connection.
    package static let apiIdleSeconds: Int64 = 75
    package static let apiQueryItemsMax = 64
    package static let apiQueryValueBytesMax = 1_024
    package static let apiTokenBytesMax = 512
    /// A text beside a file in a form.
    package static let apiFormTextBytesMax = 4096

    // MARK: API: what goes out

    /// Pages beyond are empty.
    package static let apiPageMax = 1_000_000
    package static let apiZonesPerPage = 20
    package static let apiZonesPerPageMax = 50
    package static let apiRecordsPerPage = 100
    package static let apiRecordsPerPageMax = 50_000
    package static let apiObjectsPerPage = 25
    package static let apiObjectsPerPageMax = 1000

    // MARK: API: objects

    /// Of one batch, all four lists together.
    package static let apiBatchRecordsMax = 10_000
    /// Content of a TXT record.
    package static let apiTextRecordBytesMax = 4096
    /// Of one zone, of one name in it, and of one import.
    package static let apiRecordsPerZoneMax = 100_000
    package static let apiRecordsPerNameMax = 500
    package static let apiImportRecordsMax = 10_000
    package static let apiZoneFileWordsMax = 1024
    package static let apiPurgeItemsMax = 1000
    /// Purges of one zone that edges find in a snapshot, and for how long.
    package static let apiPurgesKeptMax = 1000
    package static let apiPurgesKeptSeconds: Int64 = 86_400
    package static let apiListItemsMax = 10_000
    /// Items that one statement writes.
    package static let apiListRowsPerStatement = 500
    /// Of one account, of one zone or account, of one zone, of one owner.
    package static let apiListsMax = 500
    package static let apiRulesetsMax = 200
    package static let apiCertificatesMax = 100
    package static let apiTokensMax = 1_000
    /// Pools that one load balancer names, its rules included.
    package static let apiBalancerPoolsMax = 1_000
    /// Of one ruleset.
    package static let apiRulesMax = 1000
    /// Characters of a certificate, or of a key, in PEM.
    package static let apiCertificateBytesMax = 64 * 1024
    package static let apiCertificateChainMax = 10
    package static let apiPoliciesMax = 64
    /// Resources of one policy that count.
    package static let apiPolicyResourcesMax = 100
    package static let apiObjectBytesMax = 1024 * 1024
    /// Of one kind within one zone or account.
    package static let apiObjectsMax = 10_000

    // MARK: API: rates

    /// Requests of one token in `apiRateWindowSeconds`, unless configured.
    package static let apiRateRequestsDefault = 1200
    package static let apiRateWindowSeconds = 300
    /// Callers whose rate is remembered; beyond, the oldest is forgotten.
    package static let apiRateCallersMax = 65_536

    // MARK: API: bookkeeping

    /// How often it is noted when tokens were used, and tokens that are remembered in between.
    package static let apiTokenUseSeconds: Int64 = 60
    package static let apiTokenUsesMax = 16_384
}
