// Which remembered answers for hosts still hold.
//
// A new or removed zone name changes the answers for the hosts below it, and no others. Every name counts up one of a
// few thousand stamps, chosen by its last two labels, which all hosts below it share; an answer remembers the stamp
// from before it was looked up. A name of one label is above hosts with any second label, so it counts up all of them.

import Limits
import Synchronization

final class NameStamps: Sendable {
    /// The stamp itself cannot be copied into an array.
    private final class Stamp: Sendable {
        let value = Atomic<UInt32>(0)
    }

    private let stamps: [Stamp]

    init() { stamps = (0..<Limits.zoneNameStampCount).map { _ in Stamp() } }

    /// Which stamp a host or a name of at least two labels goes by.
    static func index(of name: UnsafeRawBufferPointer) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        var dots = 0
        var index = name.count
        while index > 0 {
            index &-= 1
            let byte = name[index]
            if byte == UInt8(ascii: ".") {
                dots &+= 1
                if dots == 2 { break }
            }
            hash = (hash ^ UInt64(byte | (byte &- UInt8(ascii: "A") < 26 ? 0x20 : 0))) &* 0x100_0000_01B3
        }
        return Int((hash ^ hash >> 32) % UInt64(Limits.zoneNameStampCount))
    }

    subscript(_ index: Int) -> UInt32 { stamps[index].value.load(ordering: .acquiring) }

    /// A name came, went or leads elsewhere.
    func change(_ name: String) {
        guard name.utf8.contains(UInt8(ascii: ".")) else { return changeAll() }
        var name = name
        name.withUTF8 { bytes in
            let index = NameStamps.index(of: UnsafeRawBufferPointer(bytes))
            _ = stamps[index].value.add(1, ordering: .acquiringAndReleasing)
        }
    }

    func changeAll() {
        for stamp in stamps { _ = stamp.value.add(1, ordering: .acquiringAndReleasing) }
    }
}
