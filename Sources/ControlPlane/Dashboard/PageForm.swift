import Limits

/// What a form sent: `application/x-www-form-urlencoded`, or `multipart/form-data` where it has files (HTML's form
/// submission; RFC 7578).
struct PageForm: Sendable {
    private var items: [(name: String, value: String)] = []

    static let none = PageForm()

    private init() {}

    init(_ items: [(name: String, value: String)]) { self.items = items }

    /// - Throws: `APIError` if it cannot be read.
    init(_ request: APIRequest) throws(APIError) {
        let type = request.fields["content-type"] ?? ""
        if type.lowercased().hasPrefix("multipart/form-data") {
            guard let boundary = FormFile.boundary(type) else {
                throw .invalid("Content-Type", "a boundary of 1 to 70 characters (RFC 2046, section 5.1.1)")
            }
            for part in FormFile.parts(request.body[...], boundary).prefix(Limits.dashboardFormFieldsMax) {
                guard let value = String(validating: part.body, as: UTF8.self) else {
                    throw .invalid(part.name, "text in UTF-8 (a certificate: PEM, not DER)", found: "other bytes")
                }
                items.append((part.name, value))
            }
            return
        }
        guard let text = String(validating: request.body, as: UTF8.self) else {
            throw .invalid("the form", "text in UTF-8", found: "other bytes")
        }
        for part in text.split(separator: "&") {
            guard items.count < Limits.dashboardFormFieldsMax else {
                throw .invalid("the form", "at most \(Limits.dashboardFormFieldsMax) fields")
            }
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentText.decode(sides[0], plusIsBlank: true),
                let value = PercentText.decode(sides.count > 1 ? sides[1] : "", plusIsBlank: true)
            else { throw .invalid("the form", "percent-encoded UTF-8", found: String(part.prefix(64))) }
            items.append((name, value))
        }
    }

    /// The first of that name.
    subscript(_ name: String) -> String? { items.first { $0.name == name }?.value }

    /// Without blanks around it; "" where there is none.
    func text(_ name: String) -> String { Self.trimmed(self[name] ?? "") }

    func has(_ name: String) -> Bool { items.contains { $0.name == name } }

    func all(_ name: String) -> [String] { items.filter { $0.name == name }.map(\.value) }

    /// Lines that are not empty, without blanks around them.
    func lines(_ name: String) -> [String] {
        (self[name] ?? "").split(whereSeparator: \.isNewline).map { Self.trimmed(String($0)) }.filter { !$0.isEmpty }
    }

    static func trimmed(_ text: String) -> String {
        let start = text.drop { $0.isWhitespace }
        guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(start[...last])
    }
}
