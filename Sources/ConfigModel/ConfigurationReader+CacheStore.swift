// `cache` at the top of the file: how much memory and disk responses may take.

import Limits
import Yams

extension ConfigurationReader {
    /// nil for `off`: nothing is cached. What could not be read is reported and has its default.
    mutating func cacheStore(_ file: Section, data: String) -> CacheStoreSettings? {
        var store = CacheStoreSettings()
        store.path = data == "/" ? "/cache" : "\(data)/cache"
        guard let slot = file["cache"], !isWord(slot, "on") else { return store }
        if isWord(slot, "off") { return nil }
        if meansOff(slot) || isWord(slot, "true") {
            mismatch(slot, "a mapping or off", help: isWord(slot, "true") ? "remove the key" : "write off")
            return store
        }
        guard let section = section(slot, .cacheStore) else { return store }
        assign(&store.memoryBytesMax, size(section["memory"], in: Limits.cacheMemoryBytesRange))
        if let disk = section["disk"] {
            if isWord(disk, "off") {
                store.diskBytesMax = nil
            } else {
                assign(&store.diskBytesMax, size(disk, in: Limits.cacheDiskBytesRange))
            }
        }
        if let slot = section["path"], let path = path(slot) {
            store.path = path
            if store.diskBytesMax == nil {
                warn(section.place(of: "path"), "nothing is written there: \"disk\" is off", help: "remove one")
            }
        }
        objectSizes(&store, section)
        return store
    }

    /// The largest objects, of the disk and of memory. Their defaults give way to smaller stores; what is written must
    /// fit.
    private mutating func objectSizes(_ store: inout CacheStoreSettings, _ section: Section) {
        let memoryMost = store.memoryBytesMax / Limits.cacheMemoryObjectShare
        let diskMost = store.diskBytesMax.map { $0 / Limits.cacheDiskObjectShare }
        store.objectBytesMax = min(store.objectBytesMax, diskMost ?? .max)
        if let slot = section["object"] {
            assign(&store.objectBytesMax, size(slot, in: Limits.cacheObjectBytesRange))
            if let diskMost, store.objectBytesMax > diskMost {
                let most = SizeText.text(bytes: diskMost)
                mismatch(slot, "at most half of \"disk\" (\(most))", help: "or one object would push out all others")
            }
        }
        store.memoryObjectBytesMax = min(store.memoryObjectBytesMax, memoryMost, store.objectBytesMax)
        if let slot = section["memory_object"] {
            assign(&store.memoryObjectBytesMax, size(slot, in: Limits.cacheObjectBytesRange))
            if store.memoryObjectBytesMax > memoryMost {
                let most = SizeText.text(bytes: memoryMost)
                mismatch(
                    slot, "at most a tenth of \"memory\" (\(most))", help: "or one object would push out all others")
            } else if store.memoryObjectBytesMax > store.objectBytesMax {
                let most = SizeText.text(bytes: store.objectBytesMax)
                mismatch(slot, "at most \"object\" (\(most))", help: "larger objects are not cached at all")
            }
        }
        // Without a disk, memory is all there is.
        guard store.diskBytesMax == nil else { return }
        if let slot = section["object"], store.objectBytesMax > store.memoryObjectBytesMax {
            let most = SizeText.text(bytes: store.memoryObjectBytesMax)
            warn(
                slot.place, "objects above \(most) are not cached: \"disk\" is off, and \"memory_object\" is \(most)",
                help: "give the cache a disk, or raise memory_object"
            )
        }
        store.objectBytesMax = min(store.objectBytesMax, store.memoryObjectBytesMax)
    }

    /// A size in bytes beyond what `Int` need hold.
    mutating func size(_ slot: Slot?, in range: ClosedRange<UInt64>) -> UInt64? {
        let least = SizeText.text(bytes: range.lowerBound)
        let most = SizeText.text(bytes: range.upperBound)
        let expected = "a size from \(least) to \(most)"
        guard let slot, let bytes = parsed(slot, expected, SizeText.bytes) else { return nil }
        if range.contains(bytes) { return bytes }
        mismatch(slot, expected, help: bytes > range.upperBound ? "the most is \(most)" : "the least is \(least)")
        return nil
    }
}
