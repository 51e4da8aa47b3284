import Admin
import ArgumentParser
import Glibc
import JSON
import Operator

/// `martlet purge`
struct PurgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "Remove responses from the cache: of the running process, or everywhere.",
        discussion: """
            In force, for fills under way as well, when the command ends. --url, --host, --prefix and --tag may be given \
            many times and together. With --everywhere (or --api, --token-file, --data) the control plane is asked, whose \
            edges all purge; it is in force there as soon as the change has reached them.

              martlet purge --url https://www.example.test/logo.png
              martlet purge --prefix www.example.test/blog/ --soft
              martlet purge --tag news --tag front-page --zone example.test
              martlet purge --everything --zone example.test --dry-run
              martlet purge --everywhere --tag news --zone example.test
            """
    )

    @Option(parsing: .upToNextOption, help: "URLs, with their query: every variant.") var url: [String] = []
    @Option(parsing: .upToNextOption, help: "Hosts: whatever scheme, port and path.") var host: [String] = []
    @Option(parsing: .upToNextOption, help: "Host and beginning of the path, such as www.example.test/blog/.")
    var prefix: [String] = []
    @Option(parsing: .upToNextOption, help: "Tags, from Cache-Tag.") var tag: [String] = []
    @Flag(help: "All there is; asks first.") var everything = false
    @Option(help: "Keep to this zone.") var zone: String?
    @Flag(help: "Mark responses stale instead of removing them.") var soft = false
    @Flag(help: "Count what would be purged, and purge nothing.") var dryRun = false
    @Flag(name: .shortAndLong, help: "Purge everything without asking.") var yes = false
    @Flag(help: "Print the result as JSON.") var json = false
    @Flag(help: "At all edges, through the control plane that login kept.") var everywhere = false
    @OptionGroup var address: AdminAddress
    @OptionGroup(title: "Control plane") var api: APIOptions

    /// Whether the control plane is asked instead of one process.
    private var isForAll: Bool { everywhere || api.isGiven }

    private var purge: CachePurge {
        var purge = CachePurge()
        purge.zone = zone
        purge.files = url
        purge.hosts = host
        purge.prefixes = prefix
        purge.tags = tag
        purge.everything = everything
        purge.isSoft = soft
        purge.isDryRun = dryRun
        return purge
    }

    func validate() throws {
        guard everything || !(url + host + prefix + tag).isEmpty else {
            throw ValidationError("Say what: --url, --host, --prefix, --tag or --everything.")
        }
        guard !isForAll || address.admin == nil else {
            throw ValidationError("--admin names one process, --everywhere and --api all edges: give one of them.")
        }
        do {
            _ = try purge.checked()
        } catch {
            throw ValidationError("\(error)")
        }
    }

    func run() async throws {
        guard !isForAll else { return try await runEverywhere() }
        do {
            let client = try address.client()
            try confirm(client)
            let (report, text) = try await client.post(
                "/cache/purge", body: CacheJSON.bytes(CachePurgeMessage(purge)), as: CachePurgeReport.self)
            print(json ? text : Self.sentence(report))
        } catch let failure as StartFailure {
            StandardError.write("martlet: \(failure)\n")
            throw ExitCode(ExitStatus.failure)
        }
    }

    /// Through the API: one request for each zone that something lies in.
    private func runEverywhere() async throws {
        try await api.run { client in
            var plan = PurgePlan()
            (plan.files, plan.hosts, plan.prefixes, plan.tags) = (url, host, prefix, tag)
            (plan.isEverything, plan.isSoft, plan.zone) = (everything, soft, zone)
            let steps = try await plan.steps(client)
            var results: [JSONValue] = []
            for step in steps {
                if dryRun {
                    print("would purge \(step.words) of \(step.zone.name)")
                    continue
                }
                if everything {
                    try Terminal.confirm("purge everything of \(step.zone.name) at all edges", isAgreed: yes)
                }
                let path = step.zone.path("/purge_cache")
                results.append(try await client.result("POST", path, body: .json(.object(step.body))))
                if !json { print("purged \(step.words) of \(step.zone.name)\(soft ? ", softly" : "") at all edges") }
            }
            guard json, !dryRun else { return }
            // One zone is the usual case, and its result is the API's.
            print((results.count == 1 ? results[0] : .array(results)).text)
        }
    }

    /// Asks before everything goes.
    private func confirm(_ client: AdminClient) throws {
        guard everything, !yes, !dryRun else { return }
        guard isatty(STDIN_FILENO) == 1 else {
            throw StartFailure("--everything needs --yes where nobody can be asked")
        }
        let whose = zone.map { "of the zone \($0)" } ?? "of every zone"
        StandardError.write("Purge everything \(whose) at \(client.address)? [y/N] ")
        let answer = (readLine() ?? "").lowercased()
        guard answer == "y" || answer == "yes" else { throw StartFailure("nothing was purged") }
    }

    static func sentence(_ report: CachePurgeReport) -> String {
        let done =
            switch (report.isDryRun, report.isSoft) {
            case (false, false): "purged"
            case (false, true): "marked stale"
            case (true, false): "would be purged"
            case (true, true): "would be marked stale"
            }
        var text = "\(TerminalText.count(report.objects, "object")) \(done)"
        text += " (\(report.memoryObjects) in memory, \(report.diskObjects) on the disk), "
        text += "\(report.tookMilliseconds) ms"
        let named = report.zones.prefix(3).map(TerminalText.plain).joined(separator: ", ")
        let others = report.zones.count > 3 ? " and \(report.zones.count - 3) more" : ""
        return report.zones.isEmpty ? text : text + ": \(named)\(others)"
    }
}
