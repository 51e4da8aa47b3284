import ArgumentParser
import JSON
import Limits
import Operator

/// `martlet dns`
struct DNSCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dns", abstract: "DNS records of a zone: list, add, edit, delete, import, export.",
        subcommands: [List.self, Add.self, Edit.self, Delete.self, Import.self, Export.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List records.")
        @Argument(help: "The zone's name or identifier.") var zone: String
        @Option(help: "Only of this type.") var type: String?
        @Option(help: "Only of this name, complete or below the zone; @ for the zone itself.") var name: String?
        @Option(help: "Only those with this text in name, content or comment.") var search: String?
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let zone = try await client.zone(zone)
                var query: [(name: String, value: String)] = []
                if let type { query.append(("type", type.uppercased())) }
                if let name { query.append(("name.exact", zone.recordName(name))) }
                if let search { query.append(("search", search)) }
                let records = try await client.list(
                    zone.path("/dns_records"), query: query, perPage: Limits.operatorRecordsPerPage)
                output.show(.array(records), RecordViews.table(records), empty: "There are no such records.")
            }
        }
    }

    /// What a record may have beside name, type and content.
    struct RecordOptions: ParsableArguments {
        @Option(help: ArgumentHelp("How long others may keep it: auto, 300, 5m, 1h.", valueName: "time"))
        var ttl: String?
        @Option(help: "Of MX, SRV, URI and the like.") var priority: Int?
        @Flag(inversion: .prefixedNo, help: "Whether edges stand in front of it.") var proxied: Bool?
        @Option(help: "A note for people.") var comment: String?

        func wish(name: String?, type: String?, content: String?) -> RecordWish {
            var wish = RecordWish()
            (wish.name, wish.type, wish.content) = (name, type, content)
            (wish.ttl, wish.priority, wish.isProxied, wish.comment) = (ttl, priority, proxied, comment)
            return wish
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a record.",
            discussion: """
                  martlet dns add example.com www A 192.0.2.1 --proxied
                  martlet dns add example.com @ MX mail.example.com --priority 10
                  martlet dns add example.com @ TXT "v=spf1 -all" --ttl 1h
                """)
        @Argument(help: "The zone's name or identifier.") var zone: String
        @Argument(help: "Complete, or below the zone; @ for the zone itself.") var name: String
        @Argument(help: "A, AAAA, CNAME, MX, TXT and so on.") var type: String
        @Argument(help: "As in a zone file.") var content: String
        @OptionGroup var options: RecordOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let body = try options.wish(name: name, type: type, content: content).body()
                let path = try await client.zone(zone).path("/dns_records")
                let record = try await client.result("POST", path, body: .json(.object(body)))
                output.show(record, "added \(RecordViews.line(record)), \(record.text("id"))")
            }
        }
    }

    struct Edit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a record; what is not given stays as it is.",
            discussion: """
                  martlet dns edit example.com www --content 192.0.2.7
                  martlet dns edit example.com www --type AAAA --no-proxied
                """)
        @Argument(help: "The zone's name or identifier.") var zone: String
        @Argument(help: "The record's name or identifier.") var record: String
        @Option(help: "Of records of that name, the one of this type.") var type: String?
        @Option(help: "Its new name.") var name: String?
        @Option(help: "Its new content.") var content: String?
        @OptionGroup var options: RecordOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let body = try options.wish(name: name, type: nil, content: content).body()
                guard !body.isEmpty else {
                    throw OperatorProblem(
                        .input, "expected something to change, found nothing",
                        help: "--name, --content, --ttl, --priority, --proxied, --no-proxied or --comment")
                }
                let zone = try await client.zone(zone)
                let before = try await client.record(record, type: type, in: zone)
                let path = zone.path("/dns_records/\(before.text("id"))")
                let after = try await client.result("PATCH", path, body: .json(.object(body)))
                output.show(after, "\(RecordViews.line(before))\n→ \(RecordViews.line(after))")
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete records, all or none; asks first.")
        @Argument(help: "The zone's name or identifier.") var zone: String
        @Argument(help: "The records' names or identifiers.") var records: [String]
        @Option(help: "Of records of those names, the ones of this type.") var type: String?
        @OptionGroup var caution: CautionOptions
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let zone = try await client.zone(zone)
                var found: [JSONValue] = []
                for record in records { found.append(try await client.record(record, type: type, in: zone)) }
                let shown = found.map(RecordViews.line)
                let what =
                    shown.count == 1 ? shown.joined() : "\(shown.count) records (\(shown.joined(separator: "; ")))"
                guard try caution.allows("delete \(what)") else { return }
                let deletes = found.map { JSONValue.object(["id": $0["id"] ?? .null]) }
                let result = try await client.result(
                    "POST", zone.path("/dns_records/batch"), body: .json(["deletes": .array(deletes)]))
                output.show(result, shown.map { "deleted \($0)" }.joined(separator: "\n"))
            }
        }
    }

    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add the records of a zone file (RFC 1035), all or none; those there are already are passed over."
        )
        @Argument(help: "The zone's name or identifier.") var zone: String
        @Argument(help: "The file; - reads standard input.") var file: String
        @Flag(help: "Let edges stand in front of those that may be.") var proxied = false
        @OptionGroup var api: APIOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await api.run { client in
                let bytes = try InputFile.bytes(file)
                let path = try await client.zone(zone).path("/dns_records/import")
                let result = try await client.result(
                    "POST", path, body: ImportForm.body(bytes, isProxied: proxied))
                let (added, parsed) = (result["recs_added"]?.integer ?? 0, result["total_records_parsed"]?.integer ?? 0)
                output.show(result, "added \(added) of \(ScreenText.count(Int(clamping: parsed), "record"))")
            }
        }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Write a zone file to standard output, or to a file.")
        @Argument(help: "The zone's name or identifier.") var zone: String
        @Option(name: .shortAndLong, help: "The file to write.") var output: String?
        @OptionGroup var api: APIOptions

        func run() async throws {
            try await api.run { client in
                let file = try await client.file(try await client.zone(zone).path("/dns_records/export"))
                guard let output else { return StandardOutput.write(String(decoding: file, as: UTF8.self)) }
                try OutputFile.write(file, path: output)
            }
        }
    }
}
