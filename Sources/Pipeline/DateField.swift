import HTTPWire
import Telemetry

/// `Date` for responses that come without one (RFC 9110, section 6.6.1).
enum DateField {
    static func write(to writer: inout ByteWriter) {
        writer.write("Date: ")
        HTTPDate.write(Int64(WallClock.nanoseconds() / 1_000_000_000), to: &writer)
        writer.write("\r\n")
    }
}
