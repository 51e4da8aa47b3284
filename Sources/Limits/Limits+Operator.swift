// Bounds of the operator's commands, which speak to a control plane's API.

extension Limits {
    // MARK: Operator: requests

    package static let operatorConnectMilliseconds: Int64 = 10_000
    /// From the first byte of a request to the last of its answer; an import of a large zone file takes a while.
    package static let operatorRequestMilliseconds: Int64 = 180_000
    /// Bytes of one answer. A page of `operatorRecordsPerPage` records of ordinary size is a tenth of it.
    package static let operatorAnswerBytesMax = 64 * 1024 * 1024
    /// How often one request is sent where the API asks for patience (429, 503), the first time included.
    package static let operatorAttemptsMax = 4
    /// The longest that one `Retry-After` is waited for: a little more than the API's window for rates.
    package static let operatorWaitSecondsMax = 330
    /// Where an answer says "later" and not when.
    package static let operatorWaitSecondsDefault = 2
    /// Requests under way at once, where many objects are read.
    package static let operatorReadsAtOnceMax = 8

    // MARK: Operator: lists

    /// Pages of one list. With the API's largest pages: more zones than one control plane keeps.
    package static let operatorPagesMax = 40_000
    package static let operatorObjectsPerPage = 50
    package static let operatorRecordsPerPage = 5000

    // MARK: Operator: what is read and kept

    package static let operatorCredentialsBytesMax = 16 * 1024
    /// Bytes of one token: what the API takes.
    package static let operatorTokenBytesMax = apiTokenBytesMax
    /// Bytes of an address of an API.
    package static let operatorAddressBytesMax = 2048
    /// Between two looks of `martlet edge watch`.
    package static let operatorWatchMilliseconds: Int64 = 2000
    /// Below it no column of a table is cut.
    package static let operatorColumnWidthMin = 8
    /// Steps of a plan that are shown one by one; the rest is counted.
    package static let operatorPlanStepsShown = 200
}
