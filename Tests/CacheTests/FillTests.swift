import Limits
import NIOCore
import NIOEmbedded
import Testing

@testable import Cache

/// When a source is held back for those who read.
@Suite("Fills")
struct FillTests {
    /// The disk gives up in the middle: its readers had all that was there, and wait for more.
    @Test func whoHasAllHoldsNobodyBack() {
        let sample = Sample(number: 1)
        let fill = Fill(key: sample.key, tableHash: sample.key.hash, zone: sample.zoneTag, birth: 0)
        let eventLoop = EmbeddedEventLoop()
        let outlet = fill.outlet(on: eventLoop)
        fill.begin(FillHead(response: sample.response(.inline), contentLength: nil), writer: nil)
        let count = 2 * Limits.cacheFillWindowBytes
        fill.append(ByteBuffer(repeating: 1, count: count))
        fill.advanced(to: UInt64(count))
        #expect(!fill.isCongested)
        fill.outgrewMemory(nil)
        #expect(!fill.isCongested)
        fill.append(ByteBuffer(repeating: 1, count: Limits.cacheFillWindowBytes + 1))
        #expect(fill.isCongested)
        fill.advanced(to: UInt64(count) + 1)
        #expect(!fill.isCongested)
        withExtendedLifetime(outlet) {}
    }
}
