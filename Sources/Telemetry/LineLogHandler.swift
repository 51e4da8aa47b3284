// The swift-log backend: every record becomes one line on standard error. No secret belongs into a record: what
// `AccessLog` says of access lines holds here too.

package import Logging

/// Writes records of one logger as lines. A value, as swift-log asks: metadata set on one logger stays there.
package struct LineLogHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    /// Set apart from the process's level for this logger alone; see `logLevel`.
    private var ownLevel: Logger.Level?
    private let label: String
    private let output: LogOutput

    init(label: String, output: LogOutput, metadataProvider: Logger.MetadataProvider? = nil) {
        self.label = label
        self.output = output
        self.metadataProvider = metadataProvider
    }

    /// The process's level, which a reload may change, until one is set here.
    package var logLevel: Logger.Level {
        get { ownLevel ?? output.level }
        set { ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var members = metadata
        if let provided = metadataProvider?.get(), !provided.isEmpty {
            members.merge(provided) { _, new in new }
        }
        if let own = event.metadata, !own.isEmpty {
            members.merge(own) { _, new in new }
        }
        output.write(
            LogLineText.render(
                event, label: label, metadata: members, format: output.format,
                unixNanoseconds: WallClock.nanoseconds()))
    }
}
