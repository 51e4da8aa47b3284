// How often the memory store has what is asked for, beside other ways to choose who has to go.
//
//     swift run -c release CacheSimulation                  the table of docs/hit-ratio.md
//     swift run -c release CacheSimulation --csv            the same for other programs
//     swift run -c release CacheSimulation --svg FILE       its curves too
//     … --lookups N --objects N --only TRACE                other sizes, one trace

import Glibc

/// Hit ratios of all policies at all sizes over one trace.
struct Result {
    var trace: String
    var what: String
    /// By policy, then by size.
    var ratios: [[Double]]
}

func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }

struct Options {
    var lookups = 800_000
    var objects = 80_000
    var isCSV = false
    var svg: String?
    var only: String?

    init?(_ arguments: [String]) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--csv": isCSV = true
            case "--svg": svg = rest.popFirst()
            case "--only": only = rest.popFirst()
            case "--lookups": lookups = rest.popFirst().flatMap(Int.init) ?? 0
            case "--objects": objects = rest.popFirst().flatMap(Int.init) ?? 0
            default: return nil
            }
        }
        guard lookups >= 1000, objects >= 1000 else { return nil }
    }
}

func run(_ trace: Trace, _ policy: any Policy) -> Double {
    var hits = 0
    var counted = 0
    for (index, lookup) in trace.lookups.enumerated() {
        let isHit = policy.look(lookup)
        guard index >= trace.warmUp, lookup.counts else { continue }
        counted += 1
        if isHit { hits += 1 }
    }
    return counted == 0 ? 0 : Double(hits) / Double(counted)
}

func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}

func hundredths(_ ratio: Double) -> String {
    let value = Int((ratio * 10_000).rounded())
    return "\(value / 100).\(value % 100 < 10 ? "0" : "")\(value % 100)"
}

guard let options = Options(Array(CommandLine.arguments.dropFirst())) else {
    print("usage: CacheSimulation [--csv] [--svg FILE] [--only TRACE] [--lookups N] [--objects N]")
    exit(2)
}

/// Cache sizes, as shares of what is asked for more than once.
let shares = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4]
var results: [Result] = []
if options.isCSV { print("trace,share,policy,hit_percent") }
for trace in Trace.all(lookups: options.lookups, objects: options.objects) {
    if let only = options.only, only != trace.name { continue }
    let charged = Trace(
        name: trace.name, what: trace.what,
        lookups: trace.lookups.map { lookup in
            var charged = lookup
            charged.bytes = UInt32(Sizes.charge(lookup))
            return charged
        }
    ).workingBytes
    var result = Result(trace: trace.name, what: trace.what, ratios: [])
    for name in Policies.names {
        result.ratios.append(
            shares.map { run(trace, Policies.make(name, bytesMax: max(128 << 10, Int(Double(charged) * $0)))) })
    }
    results.append(result)
    if options.isCSV {
        for (policy, name) in Policies.names.enumerated() {
            for (index, share) in shares.enumerated() {
                print("\(trace.name),\(share),\(name),\(hundredths(result.ratios[policy][index]))")
            }
        }
        continue
    }
    print("\n\(trace.name): \(trace.what)")
    print(padded("of \(charged >> 20) MiB", 12) + shares.map { padded("\(Int($0 * 100)) %", 8) }.joined())
    for (policy, name) in Policies.names.enumerated() {
        print(padded(name, 12) + result.ratios[policy].map { padded(hundredths($0), 8) }.joined())
    }
}
if let path = options.svg {
    guard let file = fopen(path, "w") else {
        print("cannot write \(path)")
        exit(1)
    }
    fputs(Chart(results: results, shares: shares).svg(), file)
    fclose(file)
}
