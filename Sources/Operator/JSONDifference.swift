// Where two values differ, in words: what a plan or a history shows of a change.

package import JSON

/// Members that differ, by their path.
package enum JSONDifference {
    /// `timeouts.idle: "60s" → "90s"`, `tls: added`, `pool: removed`; at most `linesMax`, and a line that counts the rest.
    package static func lines(from before: JSONValue?, to after: JSONValue?, linesMax: Int = 20) -> [String] {
        var all: [String] = []
        walk(before, after, "", &all)
        guard all.count > linesMax else { return all }
        return all.prefix(linesMax) + ["and \(all.count - linesMax) more"]
    }

    private static func walk(_ before: JSONValue?, _ after: JSONValue?, _ path: String, _ lines: inout [String]) {
        guard before != after else { return }
        if let old = before?.object, let new = after?.object {
            for name in old.names + new.names.filter({ old[$0] == nil }) {
                walk(old[name], new[name], path.isEmpty ? name : "\(path).\(name)", &lines)
            }
            return
        }
        let place = path.isEmpty ? "" : ScreenText.plain("\(path): ")
        switch (before, after) {
        case (nil, let new?): lines.append(place + "added " + shown(new))
        case (let old?, nil): lines.append(place + "removed " + shown(old))
        case (let old?, let new?): lines.append(place + shown(old) + " → " + shown(new))
        case (nil, nil): break
        }
    }

    private static func shown(_ value: JSONValue) -> String {
        let text = value.string ?? value.text
        return ScreenText.cut(ScreenText.plain(text), to: 80)
    }
}
