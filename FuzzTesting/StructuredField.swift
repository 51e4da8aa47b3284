// rooms: Limits HTTPWire; corpus: structured-field
// Structured fields: no trap, no range beyond the input, what was checked once is found valid again, and one member
// more makes a valid list or dictionary longer by one.

import HTTPWire

private func check(_ range: ByteRange, _ bytes: Span<UInt8>) { precondition(range.end <= bytes.count) }

private func check(_ value: StructuredValue, _ bytes: Span<UInt8>) {
    switch value {
    case .string(let range), .token(let range), .byteSequence(let range), .displayString(let range): check(range, bytes)
    case .innerList(let range):
        check(range, bytes)
        var list = StructuredInnerList(range)
        do throws(StructuredFieldError) {
            while let item = try list.next(in: bytes) { check(item, bytes) }
        } catch {
            fatalError("an inner list is valid at first, and then not")
        }
    case .integer(let number): precondition(number.magnitude <= 999_999_999_999_999)
    case .decimal(let thousandths): precondition(thousandths.magnitude <= 999_999_999_999_999)
    case .date(let seconds): precondition(seconds.magnitude <= 999_999_999_999_999)
    case .boolean: break
    }
}

private func check(_ member: StructuredMember, _ bytes: Span<UInt8>) {
    check(member.key, bytes)
    check(member.value, bytes)
    var parameters = member.parameters
    do throws(StructuredFieldError) {
        while let (key, value) = try parameters.next(in: bytes) {
            check(key, bytes)
            check(value, bytes)
        }
    } catch {
        fatalError("parameters are valid at first, and then not")
    }
}

/// How many members there are; nil if it is not valid.
private func memberCount(_ bytes: Span<UInt8>, isDictionary: Bool) -> Int? {
    let whole = ByteRange(start: 0, count: UInt32(bytes.count))
    var list = StructuredList(whole)
    var dictionary = StructuredDictionary(whole)
    var count = 0
    do throws(StructuredFieldError) {
        while let member = try isDictionary ? dictionary.next(in: bytes) : list.next(in: bytes) {
            check(member, bytes)
            count += 1
            precondition(count <= bytes.count)
        }
    } catch {
        precondition(error.position <= bytes.count)
        return nil
    }
    return count
}

/// What libFuzzer calls with every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    for isDictionary in [false, true] {
        guard let members = memberCount(bytes.span, isDictionary: isDictionary) else { continue }
        let longer = bytes + Array((members == 0 ? "zz" : ", zz").utf8)
        precondition(memberCount(longer.span, isDictionary: isDictionary) == members + 1)
        if members > 0 { precondition(memberCount((bytes + [44]).span, isDictionary: isDictionary) == nil) }
    }
    do throws(StructuredFieldError) {
        let item = try StructuredItem.parse(bytes.span, ByteRange(start: 0, count: UInt32(count)))
        check(item, bytes.span)
        precondition(memberCount(bytes.span, isDictionary: false) == 1, "an item that is no list of one")
    } catch {}
    return 0
}
