import Cache
import ConfigModel
import Exchange
import HTTPWire
import NIOCore
import Origin

/// What is added to an origin's response on its way to the client.
extension Journey {
    func renderResponseFields() {
        if zone?.cache != nil { keepFromClient() }
        setResponseFields { lines in
            lines.writeHead(capacity: 160) { writer in
                writer.write("Martlet-Ray: ")
                writer.write(identifier: ray)
                writer.write("\r\n")
                if !answer.head.has(.date) { DateField.write(to: &writer) }
                if let report = visit.report { report.writeField(to: &writer, after: Span()) }
            }
            if case .sticky(let name) = zone?.configuration.balance { writeStickyCookie(name, &lines) }
        }
    }

    /// What an origin says to this cache alone.
    private func keepFromClient() {
        for index in answer.head.fields.indices {
            switch answer.head.fields[index].known {
            case .cacheTag, .martletCDNCacheControl: answer.head.fields[index].isDropped = true
            default: continue
            }
        }
    }

    /// Only for who does not come with it already.
    private func writeStickyCookie(_ name: String, _ lines: inout ByteBuffer) {
        guard let zone, let server,
            let index = zone.balancer.servers.firstIndex(where: { $0 === server })
        else { return }
        let wanted = zone.balancer.stickyName(of: index)
        if let value = cookie(named: name), identifier(value) == wanted { return }
        var hex = String(wanted, radix: 16)
        hex = String(repeating: "0", count: 16 - hex.count) + hex
        lines.writeString("Set-Cookie: \(name)=\(hex); Path=/; HttpOnly; SameSite=Lax\(isSecure ? "; Secure" : "")\r\n")
    }
}
