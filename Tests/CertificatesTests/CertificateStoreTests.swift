import ConfigModel
import Foundation
import NIOSSL
import Testing

@testable import Certificates

@Suite struct CertificateStoreTests {
    private let workshop: Workshop

    init() throws { workshop = try Workshop() }

    @Test func contextsAreMadeOnDemand() throws {
        let files = try workshop.certificate("a")
        let store = try CertificateStore(
            configuration: workshop.configuration([zone("example.test", nil, files), zone("local.test"), zone("*")])
        )
        #expect(store.warnings.isEmpty)
        #expect(store.authorityPath == workshop.file("var/ca/ca.pem"))
        #expect(store.fallbackZone == 2)
        for index in 0..<3 {
            #expect(store.readyContext(forZone: index) == nil)
            let context = try store.context(forZone: index)
            #expect(store.readyContext(forZone: index) === context)
            #expect(try store.context(forZone: index) === context)
        }
        #expect(store.contextCount == 3)
        #expect(store.readyContext(forZone: 3) == nil)
        #expect(store.readyContext(forZone: -1) == nil)
        #expect(refusal { try store.context(forZone: 3) } != nil)
    }

    @Test func prepares() throws {
        let store = try CertificateStore(
            configuration: workshop.configuration([zone("a.test"), zone("b.test"), zone("c.test")])
        )
        try store.prepare(zonesMax: 2)
        #expect(store.readyContext(forZone: 1) != nil)
        #expect(store.readyContext(forZone: 2) == nil)
        #expect(store.fallbackZone == 0)
    }

    @Test func noAuthorityWhereNoneIsNeeded() throws {
        let files = try workshop.certificate("a")
        let store = try CertificateStore(configuration: workshop.configuration([zone("example.test", nil, files)]))
        #expect(store.authorityPath == nil)
        var clear = workshop.configuration([zone("a.test")])
        clear.listen.https = []
        let clearStore = try CertificateStore(configuration: clear)
        #expect(refusal { try clearStore.context(forZone: 0) } != nil)
        #expect(try CertificateStore(configuration: workshop.configuration([])).fallbackZone == nil)
        #expect(!FileManager.default.fileExists(atPath: workshop.file("var")))
    }

    @Test func errorsNameTheZone() throws {
        let files = Zone.CertificateFiles(certificate: workshop.file("no.pem"), key: workshop.file("no.key"))
        let error = refusal {
            try CertificateStore(configuration: workshop.configuration([zone("example.test", nil, files)]))
        }
        #expect(error?.description.hasPrefix("zone example.test: \(files.certificate): ") == true)
    }

    @Test func zonesOfOneCertificateShareIt() throws {
        let files = try workshop.certificate("a")
        let store = try CertificateStore(
            configuration: workshop.configuration([zone("example.test", nil, files), zone("b.test", nil, files)])
        )
        #expect(try store.context(forZone: 0) === store.context(forZone: 1))
        #expect(store.warnings.map(\.zone) == ["b.test"])
    }

    @Test func aReloadKeepsWhatDidNotChange() throws {
        let files = try workshop.certificate("a")
        let first = try CertificateStore(
            configuration: workshop.configuration([zone("example.test", nil, files), zone("local.test")])
        )
        let contexts = try (0..<2).map { try first.context(forZone: $0) }
        // Other order, one more zone, the file touched.
        try workshop.write("a.pem", try workshop.text("a.pem"))
        let second = try first.reloaded(
            with: workshop.configuration([zone("c.test"), zone("local.test"), zone("example.test", nil, files)])
        )
        #expect(second.readyContext(forZone: 0) == nil)
        #expect(second.readyContext(forZone: 1) === contexts[1])
        #expect(second.readyContext(forZone: 2) === contexts[0])
        // Other names: another leaf. Another certificate: another context.
        _ = try workshop.certificate("a")
        let third = try second.reloaded(
            with: workshop.configuration([zone("local.test", ["local.test"]), zone("example.test", nil, files)])
        )
        #expect(third.readyContext(forZone: 0) == nil)
        #expect(third.readyContext(forZone: 1) == nil)
        #expect(try third.context(forZone: 1) !== contexts[0])
        // A bad file changes nothing.
        try workshop.write("a.pem", "nonsense")
        #expect(
            refusal {
                try third.reloaded(with: workshop.configuration([zone("example.test", nil, files)]))
            } != nil)
        #expect(third.readyContext(forZone: 1) != nil)
    }

    @Test func anotherDataDirectoryIsAnotherAuthority() throws {
        var configuration = workshop.configuration([zone("a.test")])
        let first = try CertificateStore(configuration: configuration)
        let context = try first.context(forZone: 0)
        configuration.data = workshop.file("other")
        let second = try first.reloaded(with: configuration)
        #expect(second.readyContext(forZone: 0) == nil)
        #expect(try second.context(forZone: 0) !== context)
    }

    @Test func theWatchSeesANewCertificate() throws {
        let files = try workshop.certificate("a")
        let first = try CertificateStore(configuration: workshop.configuration([zone("example.test", nil, files)]))
        let context = try first.context(forZone: 0)
        var watch = CertificateWatch()
        #expect(see(&watch, first) == nil)
        _ = try workshop.certificate("a")
        #expect(see(&watch, first) == nil, "seen once only")
        let refresh = try #require(see(&watch, first))
        #expect(refresh.replaced == [files])
        #expect(refresh.problems.isEmpty)
        #expect(refresh.warnings.isEmpty)
        #expect(try refresh.store.context(forZone: 0) !== context)
        #expect(see(&watch, refresh.store) == nil)
        #expect(see(&watch, refresh.store) == nil)
    }

    @Test func theWatchWarnsOfTheNewCertificate() throws {
        let files = try workshop.certificate("a")
        let first = try CertificateStore(configuration: workshop.configuration([zone("example.test", nil, files)]))
        var watch = CertificateWatch()
        _ = try workshop.certificate("a", names: "DNS:other.test")
        #expect(see(&watch, first) == nil)
        let refresh = try #require(see(&watch, first))
        #expect(refresh.warnings.map(\.text) == ["does not cover example.test, *.example.test"])
        #expect(refresh.store.warnings == refresh.warnings)
    }

    @Test func theWatchKeepsServingThroughABadFile() throws {
        let files = try workshop.certificate("a")
        let good = try workshop.text("a.pem")
        let first = try CertificateStore(configuration: workshop.configuration([zone("example.test", nil, files)]))
        let context = try first.context(forZone: 0)
        var watch = CertificateWatch()
        try workshop.write("a.pem", "nonsense")
        #expect(see(&watch, first) == nil)
        let bad = try #require(see(&watch, first))
        #expect(bad.problems.map(\.kind) == [.notPEM])
        #expect(bad.replaced.isEmpty)
        #expect(bad.store.readyContext(forZone: 0) === context)
        // Said once, not every second; and a reload still refuses it.
        #expect(see(&watch, bad.store) == nil)
        #expect(see(&watch, bad.store) == nil)
        let configuration = workshop.configuration([zone("example.test", nil, files)])
        #expect(refusal { try bad.store.reloaded(with: configuration) } != nil)
        // The old content comes back: the context was never lost.
        try workshop.write("a.pem", good)
        #expect(see(&watch, bad.store) == nil)
        let healed = try #require(see(&watch, bad.store))
        #expect(healed.problems.isEmpty && healed.replaced.isEmpty)
        #expect(healed.store.readyContext(forZone: 0) === context)
        #expect(try healed.store.reloaded(with: configuration).readyContext(forZone: 0) === context)
    }

    @Test func aMissingFileIsAProblemOnce() throws {
        let files = try workshop.certificate("a")
        let first = try CertificateStore(configuration: workshop.configuration([zone("example.test", nil, files)]))
        var watch = CertificateWatch()
        try FileManager.default.removeItem(atPath: files.key)
        #expect(see(&watch, first) == nil)
        #expect(see(&watch, first)?.problems.map(\.path) == [files.key])
    }

    @Test func aLocalLeafIsRenewedWhileRunning() throws {
        let now = Date()
        let store = try CertificateStore(configuration: workshop.configuration([zone("a.test")]), now: now)
        let context = try store.context(forZone: 0, now: now)
        var watch = CertificateWatch()
        #expect(see(&watch, store, now: now.plus(days: 59)) == nil)
        #expect(store.readyContext(forZone: 0) === context)
        #expect(see(&watch, store, now: now.plus(days: 61)) == nil)
        #expect(store.readyContext(forZone: 0) == nil)
        #expect(try store.context(forZone: 0, now: now.plus(days: 61)) !== context)
    }

    @Test func contextsAreBounded() throws {
        let zones = (0..<40).map { zone("z\($0).test") }
        let store = try CertificateStore(configuration: workshop.configuration(zones), contextsMax: 16)
        let first = try store.context(forZone: 0)
        for index in 1..<40 {
            _ = try store.context(forZone: index)
            // The first zone is asked for all the time, and so stays.
            #expect(store.readyContext(forZone: 0) === first, "after \(index) others")
            #expect(store.contextCount <= 16)
        }
        let readyCount = (0..<40).filter { store.readyContext(forZone: $0) != nil }.count
        #expect(readyCount == store.contextCount)
    }
}

/// A poll, outside of the macros, which cannot call what mutates.
private func see(
    _ watch: inout CertificateWatch, _ store: CertificateStore, now: Date = Date()
) -> CertificateWatch.Refresh? {
    watch.poll(store, now: now)
}
