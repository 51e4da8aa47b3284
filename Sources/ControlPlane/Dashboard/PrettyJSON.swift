import JSON

/// JSON for people: a member a line.
enum PrettyJSON {
    static func text(_ value: JSONValue) -> String {
        var text = ""
        write(value, "", into: &text)
        return text
    }

    private static func write(_ value: JSONValue, _ indent: String, into text: inout String) {
        let inner = indent + "  "
        switch value {
        case .array(let values) where !values.isEmpty:
            text += "["
            for (index, value) in values.enumerated() {
                text += (index == 0 ? "\n" : ",\n") + inner
                write(value, inner, into: &text)
            }
            text += "\n\(indent)]"
        case .object(let object) where !object.isEmpty:
            text += "{"
            for (index, member) in object.members.enumerated() {
                text += (index == 0 ? "\n" : ",\n") + inner + JSONValue.string(member.name).text + ": "
                write(member.value, inner, into: &text)
            }
            text += "\n\(indent)}"
        default: text += value.text
        }
    }

    /// Without what the server sets.
    static func editable(_ value: JSONValue, without names: [String]) -> JSONValue {
        guard var object = value.object else { return value }
        for name in names { object[name] = nil }
        return .object(object)
    }
}
