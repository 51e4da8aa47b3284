/// The secondary key of a response with Vary (RFC 9111, section 4.1): which request fields it depends on, and a hash
/// of what the request that it was stored for had in them.
package struct VaryKey: Sendable, Equatable {
    /// Field names in lower case, sorted, each once, joined by commas.
    package let names: [UInt8]
    /// Over the normalised values of those fields, in the order of `names`.
    package let hash: KeyHash

    package init(names: [UInt8], hash: KeyHash) {
        self.names = names
        self.hash = hash
    }

    package var memoryBytes: Int { 32 + names.count }
}
