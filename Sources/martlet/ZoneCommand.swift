import ArgumentParser
import JSON
import Operator

/// `martlet zone`
struct ZoneCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "zone", abstract: "Zones of the control plane: list, show, create, delete, settings.",
        subcommands: [List.self, Show.self, Create.self, Delete.self, Settings.self, Set.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List zones.")
        @Option(help: "Only those whose name contains this.") var contains: String?
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let zones = try await client.list("/zones", query: contains.map { [("name", "contains:\($0)")] } ?? [])
                output.show(.array(zones), ZoneViews.table(zones), empty: "There are no zones.")
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one zone.")
        @Argument(help: "The zone's name or identifier.") var zone: String
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let zone = try await client.zone(zone)
                if output.json { return print(zone.value.text) }
                let records = try await client.list(zone.path("/dns_records"))
                let certificates = try await client.list(zone.path("/custom_certificates"))
                let site = try? await client.result("GET", zone.path("/martlet/site"))
                print(
                    ZoneViews.facts(
                        zone.value, records: records.count, certificates: certificates.count, site: site))
            }
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Create a zone.")
        @Argument(help: "Its name, such as example.com.") var name: String
        @Option(help: "The account it belongs to, where there are several.") var account: String?
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                var body: JSONObject = ["name": .string(name), "type": "full"]
                if let account { body["account"] = ["id": .string(try await client.account(account))] }
                let zone = try await client.result("POST", "/zones", body: .json(.object(body)))
                output.show(zone, ScreenText.plain("created \(zone.text("name")) (\(zone.text("id")))"))
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a zone with all its records, certificates and rules; asks first.")
        @Argument(help: "The zone's name or identifier.") var zone: String
        @OptionGroup var caution: CautionOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let zone = try await client.zone(zone)
                let records = try await client.list(zone.path("/dns_records")).count
                let what = "delete the zone \(zone.name) with \(ScreenText.count(records, "record"))"
                guard try caution.allows(what) else { return }
                let result = try await client.result("DELETE", zone.path())
                output.show(result, "deleted \(zone.name)")
            }
        }
    }

    struct Settings: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List a zone's settings.")
        @Argument(help: "The zone's name or identifier.") var zone: String
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let settings = try await client.result("GET", try await client.zone(zone).path("/settings"))
                output.show(settings, ZoneViews.settings(settings.array ?? []), empty: "There are no settings.")
            }
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change settings of a zone, all or none.",
            discussion: "  martlet zone set example.com brotli=off min_tls_version=1.3 browser_cache_ttl=3600")
        @Argument(help: "The zone's name or identifier.") var zone: String
        @Argument(help: "SETTING=VALUE, several if need be.") var settings: [String]
        @Flag(help: "Say what would be changed, and change nothing.") var dryRun = false
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let path = try await client.zone(zone).path("/settings")
                let current = try await client.result("GET", path).array ?? []
                let (items, changes) = try SettingWish.items(settings, current: current)
                if dryRun { return print(changes.map(ScreenText.plain).joined(separator: "\n")) }
                let result = try await client.result("PATCH", path, body: .json(["items": .array(items)]))
                output.show(result, changes.map(ScreenText.plain).joined(separator: "\n"))
            }
        }
    }
}
