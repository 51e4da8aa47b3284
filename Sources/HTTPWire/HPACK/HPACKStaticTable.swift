// The static table (RFC 7541, appendix A), laid out once for copying.
//
// Names and values lie one behind the other in one piece of memory. What a field of the table is, is known when the
// table is built, so that an indexed field costs no comparison of names.

/// The static table. It lives as long as the process.
///
/// @unchecked Sendable: nobody has the pointers before `init` has written what they point to, and nobody writes later.
struct HPACKStaticTable: @unchecked Sendable {
    static let shared = HPACKStaticTable()

    /// Indexes 1 to 61 are the static table's.
    static var count: Int { 61 }

    /// One field of the table.
    struct Row {
        /// Where its kept name (see `HPACKFields.Kind.keepsName`) lies in `bytes`, with its value behind it.
        let position: UInt16
        let nameCount: UInt8
        let valueCount: UInt8
        /// Bytes of name and value, and 32 (RFC 7541, section 4.1).
        let size: UInt8
        let kind: HPACKFields.Kind
    }

    /// By index, row 0 unused.
    let rows: UnsafePointer<Row>
    /// With `HPACKCopy.slackBytes` behind the last value.
    let bytes: UnsafeRawPointer

    private init() {
        let table = Self.fields
        let size = table.reduce(0) { $0 + $1.0.utf8CodeUnitCount + $1.1.utf8CodeUnitCount }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size + HPACKCopy.slackBytes, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: size + HPACKCopy.slackBytes)
        let places = UnsafeMutablePointer<Row>.allocate(capacity: table.count + 1)
        places.initialize(
            repeating: Row(position: 0, nameCount: 0, valueCount: 0, size: 32, kind: .otherPseudo),
            count: table.count + 1)
        var position = 0
        for (index, (name, value)) in table.enumerated() {
            let nameBytes = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
            let kind = HPACKFields.Kind(Span(_unsafeElements: nameBytes), count: nameBytes.count)
            let kept = kind.keepsName ? name.utf8CodeUnitCount : 0
            memory.advanced(by: position).copyMemory(from: name.utf8Start, byteCount: kept)
            memory.advanced(by: position + kept)
                .copyMemory(from: value.utf8Start, byteCount: value.utf8CodeUnitCount)
            places[index + 1] = Row(
                position: UInt16(position), nameCount: UInt8(kept), valueCount: UInt8(value.utf8CodeUnitCount),
                size: UInt8(name.utf8CodeUnitCount + value.utf8CodeUnitCount + 32), kind: kind)
            position += kept + value.utf8CodeUnitCount
        }
        rows = UnsafePointer(places)
        bytes = UnsafeRawPointer(memory)
    }

    private static var fields: [(StaticString, StaticString)] {
        [
            (":authority", ""),
            (":method", "GET"),
            (":method", "POST"),
            (":path", "/"),
            (":path", "/index.html"),
            (":scheme", "http"),
            (":scheme", "https"),
            (":status", "200"),
            (":status", "204"),
            (":status", "206"),
            (":status", "304"),
            (":status", "400"),
            (":status", "404"),
            (":status", "500"),
            ("accept-charset", ""),
            ("accept-encoding", "gzip, deflate"),
            ("accept-language", ""),
            ("accept-ranges", ""),
            ("accept", ""),
            ("access-control-allow-origin", ""),
            ("age", ""),
            ("allow", ""),
            ("authorization", ""),
            ("cache-control", ""),
            ("content-disposition", ""),
            ("content-encoding", ""),
            ("content-language", ""),
            ("content-length", ""),
            ("content-location", ""),
            ("content-range", ""),
            ("content-type", ""),
            ("cookie", ""),
            ("date", ""),
            ("etag", ""),
            ("expect", ""),
            ("expires", ""),
            ("from", ""),
            ("host", ""),
            ("if-match", ""),
            ("if-modified-since", ""),
            ("if-none-match", ""),
            ("if-range", ""),
            ("if-unmodified-since", ""),
            ("last-modified", ""),
            ("link", ""),
            ("location", ""),
            ("max-forwards", ""),
            ("proxy-authenticate", ""),
            ("proxy-authorization", ""),
            ("range", ""),
            ("referer", ""),
            ("refresh", ""),
            ("retry-after", ""),
            ("server", ""),
            ("set-cookie", ""),
            ("strict-transport-security", ""),
            ("transfer-encoding", ""),
            ("user-agent", ""),
            ("vary", ""),
            ("via", ""),
            ("www-authenticate", ""),
        ]
    }
}

extension HPACKFields.Kind {
    /// What the first `count` bytes of `name` name. A name with upper-case letters is still known; that it is no valid name is told
    /// by `isWellFormed`.
    @inline(__always)
    init(_ name: Span<UInt8>, count: Int) {
        if count > 0, name[0] == ASCII.colon {
            self.init(pseudo: name, ByteRange(0, count))
        } else {
            self = .field(KnownField.identify(name, start: 0, count: count))
        }
    }

    @inline(never)
    private init(pseudo name: Span<UInt8>, _ whole: ByteRange) {
        if name.equals(whole, ":method") {
            self = .method
        } else if name.equals(whole, ":path") {
            self = .path
        } else if name.equals(whole, ":scheme") {
            self = .scheme
        } else if name.equals(whole, ":authority") {
            self = .authority
        } else if name.equals(whole, ":status") {
            self = .status
        } else if name.equals(whole, ":protocol") {
            self = .protocol
        } else {
            self = .otherPseudo
        }
    }

    /// Whether a field of this kind is kept together with its name. The names of the pseudo-header fields that are known
    /// here are nowhere kept.
    @inline(__always)
    var keepsName: Bool {
        switch self {
        case .field, .otherPseudo: true
        default: false
        }
    }

    /// Bytes of the name, where it is not kept.
    var pseudoNameCount: Int {
        switch self {
        case .field, .otherPseudo: 0
        case .path: 5
        case .method, .scheme, .status: 7
        case .protocol: 9
        case .authority: 10
        }
    }
}
