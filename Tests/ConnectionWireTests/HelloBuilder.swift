/// Builds ClientHellos byte by byte, right ones and wrong ones.
struct HelloBuilder {
    var version: UInt16 = 0x0303
    var session: [UInt8] = []
    var ciphers: [UInt16] = [0x1301]
    var compressions: [UInt8] = [0]
    /// nil leaves out even the length of the block.
    var extensions: [(type: UInt16, value: [UInt8])]? = []

    static func pair(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)] }
    static func pairs(_ values: [UInt16]) -> [UInt8] { values.flatMap { pair(Int($0)) } }
    /// A vector behind its length of one or two bytes.
    static func short(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count)] + bytes }
    static func long(_ bytes: [UInt8]) -> [UInt8] { pair(bytes.count) + bytes }
    static func serverName(_ name: String) -> [UInt8] { long([0] + long(Array(name.utf8))) }
    static func protocols(_ names: [[UInt8]]) -> [UInt8] { long(names.flatMap(short)) }

    var body: [UInt8] {
        var bytes = Self.pair(Int(version)) + [UInt8](repeating: 0x55, count: 32)
        bytes += Self.short(session) + Self.long(Self.pairs(ciphers)) + Self.short(compressions)
        if let extensions {
            bytes += Self.long(extensions.flatMap { Self.pair(Int($0.type)) + Self.long($0.value) })
        }
        return bytes
    }

    static func message(_ body: [UInt8], type: UInt8 = 1) -> [UInt8] {
        [type, UInt8(body.count >> 16 & 0xFF)] + pair(body.count) + body
    }

    /// The message cut into records of at most `payload` bytes.
    static func records(_ message: [UInt8], payload: Int = 1 << 14) -> [UInt8] {
        stride(from: 0, to: message.count, by: payload).flatMap { start in
            [22, 3, 1] + long(Array(message[start..<min(start + payload, message.count)]))
        }
    }

    var bytes: [UInt8] { Self.records(Self.message(body)) }

    /// The hello of the JA4 specification's example: Chrome, its extensions shuffled, GREASE in every list.
    static var chrome: HelloBuilder {
        var hello = HelloBuilder()
        hello.session = [UInt8](repeating: 1, count: 32)
        hello.ciphers = [
            0x5A5A, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x009C,
            0x009D, 0x002F, 0x0035,
        ]
        let algorithms: [UInt16] = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]
        hello.extensions = [
            (0x8A8A, []), (0x001B, [2, 0, 2]), (0x0000, serverName("www.example.test")), (0x0033, [0, 0]),
            (0x0010, protocols([Array("h2".utf8), Array("http/1.1".utf8)])), (0x4469, [0, 3, 2, 0x68, 0x32]),
            (0x0017, []), (0x002D, [1, 1]), (0x000D, long(pairs(algorithms))), (0x0005, [1, 0, 0, 0, 0]),
            (0x0023, []), (0x0012, []), (0x002B, short(pairs([0x3A3A, 0x0304, 0x0303]))), (0xFF01, [0]),
            (0x000B, [1, 0]), (0x000A, long(pairs([0xCACA, 0x001D, 0x0017, 0x0018]))), (0x1A1A, [0]),
            (0x0015, [UInt8](repeating: 0, count: 100)),
        ]
        return hello
    }
}
