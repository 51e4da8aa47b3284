// swift-tools-version: 6.2
import PackageDescription

// The rooms of the house, in the order a request meets them (ARCHITECTURE.md).
// The dependency lists below are the import law: CI builds with
// `--explicit-target-dependency-import-check error`.

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")

let package = Package(
    name: "martlet",
    products: [.executable(name: "martlet", targets: ["martlet"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    ],
    targets: [
        // The one executable: assembly only.
        .executableTarget(
            name: "martlet",
            dependencies: [
                "Admin", "ControlPlane", "Operator", "Simulation", "Following", "Cache", "Certificates", "Listener",
                "Pipeline", "Origin", "Distribution", "Replica", "Telemetry", "Exchange", "ConfigLog", "ConfigModel",
                "JSON",
                "Limits", nioCore, nioPosix, nioSSL, logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            // Takes the place of the C library's malloc in what is served with: an idle TLS connection holds a tenth less.
            // Measured in docs/measurements.md.
            linkerSettings: [.linkedLibrary("mimalloc", .when(configuration: .release))]
        ),
        // The journey.
        .target(
            name: "Listener",
            dependencies: [
                "Pipeline", "Certificates", "Telemetry", "Exchange", "ConfigModel", "HTTPWire", "ConnectionWire",
                "Limits", nioCore, nioPosix, nioSSL, logging,
                .product(name: "NIOTLS", package: "swift-nio"),
            ]
        ),
        .target(
            name: "Pipeline",
            dependencies: [
                "Cache", "Origin", "Certificates", "Replica", "Telemetry", "Exchange", "ConfigModel", "HTTPWire",
                "Limits",
                nioCore, logging,
            ]
        ),
        .target(
            name: "Cache",
            dependencies: [
                "Telemetry", "Exchange", "ConfigModel", "HTTPWire", "Limits", "CChecksum", "CPageCache", nioCore,
                logging,
            ]
        ),
        .target(
            name: "Origin",
            dependencies: [
                "Telemetry", "Exchange", "ConfigModel", "HTTPWire", "ConnectionWire", "Limits", nioCore, nioPosix,
                nioSSL,
                logging,
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
            ]
        ),
        // The memory store's hit ratios beside other policies': docs/hit-ratio.md.
        .executableTarget(name: "CacheSimulation", dependencies: ["Cache", nioCore], path: "Benchmarks/hit-ratio"),
        // Beside it.
        .target(
            name: "Certificates",
            dependencies: [
                "ConfigModel", "Limits", nioCore, nioSSL, logging,
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "Crypto", package: "swift-crypto"),
            ]
        ),
        .target(name: "Replica", dependencies: ["ConfigLog", "Limits", "CLMDB", logging]),
        .target(
            name: "Following",
            dependencies: [
                "Pipeline", "Cache", "Origin", "Certificates", "Replica", "Telemetry", "ConfigLog", "ConfigModel",
                "JSON", "Limits", logging,
            ]
        ),
        .target(
            name: "Distribution",
            dependencies: [
                "ConfigLog", "Replica", "JSON", "Limits", nioCore, nioPosix, nioSSL, crypto, logging,
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
            ]
        ),
        .target(name: "Admin", dependencies: ["HTTPWire", "Limits", nioCore, nioPosix, logging]),
        .target(
            name: "ControlPlane",
            dependencies: [
                "Distribution", "Replica", "ConfigModel", "ConfigLog", "JSON", "Limits", "CPostgres", nioCore, crypto,
                logging,
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
            ]
        ),
        .target(
            name: "Operator",
            dependencies: [
                "ConfigModel", "JSON", "Limits", nioCore, nioPosix, nioSSL, logging,
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ]
        ),
        .target(name: "Simulation", dependencies: ["Distribution", "Replica", "ConfigLog", "Limits", logging]),
        .target(name: "Telemetry", dependencies: ["Limits", "CLinux", logging]),
        // The ground.
        .target(name: "Exchange", dependencies: ["ConfigModel", "HTTPWire", "Telemetry", "Limits", nioCore]),
        .target(name: "ConfigModel", dependencies: ["JSON", "Limits", .product(name: "Yams", package: "Yams")]),
        .target(name: "ConfigLog", dependencies: ["Limits", crypto]),
        .target(name: "HTTPWire", dependencies: ["Limits"]),
        .target(name: "JSON", dependencies: ["Limits"]),
        .target(
            name: "ConnectionWire",
            dependencies: ["Limits", .product(name: "Crypto", package: "swift-crypto")]
        ),
        .target(name: "Limits"),
        .target(name: "CLinux"),
        .target(name: "CChecksum"),
        .target(name: "CPageCache"),
        .systemLibrary(name: "CLMDB", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        // Tests mirror the rooms; Journeys start the real binary.
        .testTarget(name: "HTTPWireTests", dependencies: ["HTTPWire", "Limits"]),
        .testTarget(name: "ConfigModelTests", dependencies: ["ConfigModel", "JSON", "Limits"]),
        .testTarget(name: "TelemetryTests", dependencies: ["Telemetry", "Limits", logging]),
        .testTarget(
            name: "ConnectionWireTests",
            dependencies: ["ConnectionWire", "Limits", .product(name: "Crypto", package: "swift-crypto")]
        ),
        .testTarget(
            name: "CertificatesTests",
            dependencies: [
                "Certificates", "ConnectionWire", "ConfigModel", "Limits", nioCore, nioPosix, nioSSL,
                .product(name: "X509", package: "swift-certificates"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "Crypto", package: "swift-crypto"),
            ]
        ),
        .testTarget(name: "LimitsTests", dependencies: ["Limits"]),
        .testTarget(name: "ConfigLogTests", dependencies: ["ConfigLog", "Limits"]),
        .testTarget(name: "SimulationTests", dependencies: ["Simulation", "ConfigLog", "Limits"]),
        .testTarget(name: "ReplicaTests", dependencies: ["Replica", "ConfigLog", "Limits", "CLMDB", logging]),
        .testTarget(name: "OperatorTests", dependencies: ["Operator", "ConfigModel", "JSON", "Limits"]),
        .testTarget(
            name: "DistributionTests",
            dependencies: [
                "Distribution", "ConfigLog", "Replica", "JSON", "Limits", nioCore, nioPosix, nioSSL, crypto, logging,
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "X509", package: "swift-certificates"),
            ]
        ),
        .testTarget(
            name: "ControlPlaneTests",
            dependencies: ["ControlPlane", "Distribution", "ConfigModel", "ConfigLog", "JSON", "Limits", logging]),
        .testTarget(
            name: "ExchangeTests",
            dependencies: ["Exchange", "HTTPWire", "Telemetry", "Limits", nioCore, nioEmbedded]
        ),
        .testTarget(
            name: "OriginTests",
            dependencies: [
                "Origin", "Exchange", "Telemetry", "ConfigModel", "HTTPWire", "ConnectionWire", "Limits", nioCore,
                nioPosix,
                nioEmbedded, logging,
            ]
        ),
        .testTarget(
            name: "CacheTests",
            dependencies: [
                "Cache", "CChecksum", "Telemetry", "Exchange", "ConfigModel", "HTTPWire", "Limits", nioCore, nioPosix,
                nioEmbedded, logging,
            ]
        ),
        .testTarget(
            name: "PipelineTests",
            dependencies: [
                "Cache", "Pipeline", "Origin", "Exchange", "Telemetry", "ConfigModel", "HTTPWire", "Limits", nioCore,
                nioEmbedded,
                logging,
            ]
        ),
        .testTarget(
            name: "ListenerTests",
            dependencies: [
                "Listener", "Pipeline", "Origin", "Exchange", "Telemetry", "ConfigModel", "HTTPWire", "Limits", nioCore,
                nioPosix, nioEmbedded, logging,
            ]
        ),
        .testTarget(
            name: "FollowingTests",
            dependencies: [
                "Following", "Pipeline", "Cache", "Origin", "Exchange", "Replica", "Telemetry", "ConfigLog",
                "ConfigModel",
                "JSON", "Limits", nioCore, nioEmbedded, logging,
            ]
        ),
        .testTarget(name: "AdminTests", dependencies: ["Admin", "Limits", nioCore, nioPosix, nioEmbedded, logging]),
        // Python programs that stand for clients and origins.
        .testTarget(name: "Journeys", exclude: ["HTTP2/Peers", "ControlPlane/Peers", "Dashboard/Peers", "Peers"]),
    ],
    swiftLanguageModes: [.v6]
)

/// Targets in which the compiler takes members of C structures (`stat`, `timespec`) for another module's than Glibc's,
/// namely whichever C module of a dependency it met first, and so cannot be told which import they come from.
let withoutMemberImportVisibility = ["Certificates", "martlet"]

for target in package.targets where !["CLinux", "CChecksum", "CPageCache", "CLMDB", "CPostgres"].contains(target.name) {
    var settings: [SwiftSetting] = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ]
    if !withoutMemberImportVisibility.contains(target.name) {
        settings.append(.enableUpcomingFeature("MemberImportVisibility"))
    }
    target.swiftSettings = (target.swiftSettings ?? []) + settings
}
