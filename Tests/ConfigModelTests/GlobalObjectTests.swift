// Global objects: who holds to which version, what survives being published, and what bodies there may be.

import JSON
import Limits
import Testing

@testable import ConfigModel

@Suite("Global objects")
struct GlobalObjectTests {
    private let names = (0..<2000).map { "edge-\($0)" }

    private func object(_ hasCanaries: Bool, _ percent: Int, salt: String = "s") -> GlobalObject {
        GlobalObject(
            version: 3, body: ["a": 2], previous: ["a": 1], stage: .init(hasCanaries: hasCanaries, percent: percent),
            salt: salt)
    }

    @Test("canaries come first, then about so many of a hundred, at last all; nobody falls back")
    func stages() {
        #expect(!names.contains { object(true, 0).reaches(node: $0, isCanary: false) })
        #expect(object(true, 0).effective(node: "edge-1", isCanary: true) == ["a": 2])
        #expect(object(true, 0).effective(node: "edge-1", isCanary: false) == ["a": 1])
        #expect(object(false, 0).effective(node: "edge-1", isCanary: true) == ["a": 1])
        var before: Set<String> = []
        for percent in [1, 10, 50, 100] {
            let chosen = Set(names.filter { object(true, percent).reaches(node: $0, isCanary: false) })
            #expect(before.isSubset(of: chosen))
            #expect(abs(chosen.count - names.count * percent / 100) <= 100, "\(percent) %: \(chosen.count)")
            before = chosen
        }
        #expect(before.count == names.count)
    }

    @Test("another salt chooses others, and a place never changes")
    func salts() {
        let (one, other) = (object(false, 10, salt: "a"), object(false, 10, salt: "b"))
        let both = names.filter { one.reaches(node: $0, isCanary: false) && other.reaches(node: $0, isCanary: false) }
        #expect(both.count < 60)
        // Edges of another version of this program must agree: these numbers never change.
        #expect(GlobalObject.place(of: "edge-1", salt: "s") == 6179)
        #expect(GlobalObject.place(of: "", salt: "") == 4608)
    }

    @Test("what is published is read back, nothing included")
    func coding() throws {
        let objects = [
            object(true, 50), GlobalObject(version: 1, body: nil, stage: .nobody, salt: ""),
            GlobalSwitch.object(isEnabled: false, version: 9),
        ]
        for object in objects { #expect(try GlobalObject(decoding: object.encoded) == object) }
        #expect(!GlobalSwitch.isOn(objects[2]) && GlobalSwitch.isOn(objects[1]))
        let later = #"{"version":1,"body":{},"previous":null,"stage":{"canary":true,"percent":1},"salt":"x","new":1}"#
        #expect(try GlobalObject(decoding: Array(later.utf8)).previous == nil)
    }

    @Test(
        "what is no global object is refused",
        arguments: [
            "", "[]", "{}", #"{"version":0,"stage":{"canary":true,"percent":1},"salt":""}"#,
            #"{"version":1,"stage":{"canary":true,"percent":101},"salt":""}"#,
            #"{"version":1,"stage":{"percent":10},"salt":""}"#, #"{"version":1,"stage":{"canary":true,"percent":1}}"#,
        ])
    func refused(text: String) {
        #expect(throws: GlobalObjectProblem.self) { try GlobalObject(decoding: Array(text.utf8)) }
    }

    @Test("an object that is too large is refused before it is read")
    func large() {
        let text = #"{"version":1,"body":""# + String(repeating: "x", count: Limits.globalObjectBytesMax) + "\"}"
        #expect(throws: GlobalObjectProblem.self) { try GlobalObject(decoding: Array(text.utf8)) }
    }

    @Test("limits for clients are laid over the file's, and read by its rules")
    func limits() throws {
        var own = Configuration()
        own.limits.fieldCount = 77
        own.timeouts.idle = 5000
        let changed = try own.withClientLimits([
            "limits": ["header_bytes": "64KiB", "connections": 500], "timeouts": ["idle": "7s"],
        ])
        #expect(changed.limits.headBytes == 65_536 && changed.limits.connections == 500)
        #expect(changed.limits.fieldCount == 77 && changed.timeouts.idle == 7000)
        #expect(try own.withClientLimits([:]) == own)
    }

    @Test(
        "a body that an edge could not read is refused, with what was expected",
        arguments: [
            (["limits": ["connections": "500"]], "connections"), (["limits": ["connections": 0]], "connections"),
            (["limits": ["conections": 1]], "did you mean \"connections\""), (["timeouts": ["idle": nil]], "idle"),
            (["cache": [:]], "unknown key \"cache\""), ([1], "mapping"), (["<<": ["limits": [:]]], "unknown key"),
            (["timeouts": ["idle": ["7s"]]], "idle"),
        ] as [(JSONValue, String)])
    func refusedLimits(body: JSONValue, word: String) {
        let error = #expect(throws: ConfigurationError.self) { try GlobalKind.limits.check(body) }
        #expect(error?.description.contains(word) == true, "\(String(describing: error))")
    }
}
