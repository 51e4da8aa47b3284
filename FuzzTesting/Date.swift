// HTTP dates. What is checked: Tests/HTTPWireTests/WireProperties.swift. How to run it: run.sh.

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    if let violation = WireProperties.date(bytes) { fatalError(violation) }
    return 0
}
