"""What proves the rules: a small tree that keeps them all, then one change at a time that each must find.

`CASES` holds what is tried, the file, its text, and the finding's rule and line: "rule" or "rule: words of it". A
rule of None means that nothing may be found.
A rule that finds nothing any more fails here, as does one that begins to find what is fine.
"""

import tempfile
from pathlib import Path

PACKAGE = """\
let package = Package(
    name: "martlet",
    targets: [
        .executableTarget(name: "martlet", dependencies: ["Listener", "Cache", "Limits"]),
        .target(name: "Listener", dependencies: ["Pipeline", "Limits", .product(name: "NIOCore", package: "nio")]),
        .target(
            name: "Pipeline",
            dependencies: [
                // They meet here.
                "Cache", "Origin", "Limits",
            ]
        ),
        .target(name: "Cache", dependencies: ["Telemetry", "Limits"]),
        .target(name: "Origin", dependencies: ["Telemetry", "Limits"]),
        .target(name: "Replica", dependencies: ["Limits"]),
        .target(name: "Shield", dependencies: ["Limits"]),
        .target(name: "Telemetry", dependencies: ["Limits", "CLinux"]),
        .target(name: "Limits"),
        .target(name: "CLinux"),
    ]
)
"""

ARCHITECTURE = """\
| room | layer | what it does |
|---|---|---|
| `martlet/` | assembly | starts the rest |
| `Listener/` | journey | accepts |
| `Pipeline/` | journey | the path |
| `Cache/` | journey | keeps |
| `Origin/` | journey | fetches |
| `Replica/` | beside | copies |
| `Shield/` | door | drops |
| `Telemetry/` | ground | counts |
| `Limits/` | ground | bounds |
| `CLinux/` | C | calls |
"""

KEPT = {
    "Package.swift": PACKAGE,
    "ARCHITECTURE.md": ARCHITECTURE,
    "Sources/martlet/main.swift": "import Cache\nimport Limits\nimport Listener\n",
    "Sources/Listener/Accept.swift": "import Limits\nimport NIOCore\nimport Pipeline\n",
    "Sources/Pipeline/Journey.swift": "import Cache\npackage import Limits\nimport Origin\n",
    "Sources/Cache/Key.swift": "import Limits\n",
    "Sources/Origin/Pool.swift": "import Telemetry\n",
    "Sources/Replica/Replica.swift": "import Limits\n",
    "Sources/Shield/Shield.swift": "import Limits\n",
    "Sources/Telemetry/Counter.swift": "import CLinux\nimport Limits\n",
    "Sources/Telemetry/Names.swift": 'let a = "martlet_requests_total"\n',
    "docs/operations.md": "| `martlet_requests_total{zone}` | requests |\n",
    "Sources/Limits/Limits.swift": "package enum Limits {}\n",
    "Sources/CLinux/CLinux.c": "int c(void);\n",
    "Scripts/run": "#!/usr/bin/env bash\nset -euo pipefail\n",
}

KEY = "Sources/Cache/Key.swift"
LONG = "func long() {\n" + "    step()\n" * 68 + "}\n"

CASES = [
    # Imports.
    ("siblings", KEY, "import Origin\n", "imports: meet in Pipeline", 1),
    ("undeclared room", "Sources/Limits/Limits.swift", "import struct CLinux.X\n", "imports: dependency list lacks", 1),
    ("ground up", "Sources/Telemetry/Counter.swift", "import CLinux\nimport Cache\n", "imports: ground imports no room", 2),
    ("journey up", KEY, "import Limits\n@preconcurrency import Pipeline\n", "imports: down the journey", 2),
    ("a door imported", "Sources/Pipeline/Journey.swift", "import Shield\n", "imports: only the executable", 1),
    ("a door on the journey", "Sources/Shield/Shield.swift", "import Cache\n", "imports: a door does not", 1),
    ("from beside into the journey", "Sources/Replica/Replica.swift", "import Cache\n", "imports: does not reach", 1),
    ("a shim on a room", "Package.swift",
     PACKAGE.replace('"CLinux")', '"CLinux", dependencies: ["Limits"])'), "imports: imports nothing", 19),
    ("the executable imported", KEY, "import martlet\n", "imports: nothing imports", 1),
    ("C in a signature", "Sources/Telemetry/Counter.swift", "package import CLinux\n", "imports: C types", 1),
    ("second importer of a shim", "Sources/Origin/Pool.swift", "import CLinux\n", "imports: second importer", 1),
    ("law broken in Package.swift", "Package.swift",
     PACKAGE.replace('"Cache", dependencies: ["Telemetry"', '"Cache", dependencies: ["Origin"'), "imports: Cache depends on Origin", 13),
    ("room without a row", "Sources/Rules/Rule.swift", "\n", "imports: no line in the table", 1),
    ("row without a room", "ARCHITECTURE.md", ARCHITECTURE + "| `Tunnel/` | door | x |\n", "imports: no folder", 13),
    ("unknown layer", "ARCHITECTURE.md", ARCHITECTURE.replace("| C |", "| D |"), "imports: no layer", 12),
    ("import in a comment", KEY, "// import Origin\n/* import Origin\nimport Origin */\n", None, 0),
    # Bans.
    ("try!", KEY, "let a = 1\nlet b = try! c()\n", "bans", 2),
    ("as!", KEY, "let b = c as! D\n", "bans", 1),
    ("fatalError", KEY, 'fatalError("x")\n', "bans", 1),
    ("preconditionFailure", KEY, "preconditionFailure()\n", "bans", 1),
    ("ban behind an interpolated string", KEY, 'let a = "\\(b["k"] ?? "\\(c)")"; try! d()\n', "bans", 1),
    ("ban behind a raw string", KEY, 'let a = #"quote " here"#\nlet b = c as! D\n', "bans", 2),
    ("try? and try", KEY, "let a = try? b()\nlet c = try d()\nlet e = f as? G\n", None, 0),
    ("bans in strings and comments", KEY, '// try! x\nlet a = "as! fatalError("\nlet b = """\n  try! x\n  """\n', None, 0),
    ("a fuzz target's trap", "FuzzTesting/Key.swift", 'fatalError("found")\n', None, 0),
    ("unchecked, no reason", KEY, "\nfinal class A: @unchecked Sendable {}\n", "unchecked", 2),
    ("unchecked, other comment", KEY, "/// A table.\nfinal class A: @unchecked Sendable {}\n", "unchecked", 2),
    ("unsafe, no reason", KEY, "nonisolated(unsafe) var a = 1\n", "unchecked", 1),
    ("unchecked with reason", KEY,
     "/// A table.\n// Unchecked: `lock` guards it.\n@frozen\nfinal class A: @unchecked Sendable {}\n", None, 0),
    ("unchecked with reason below", KEY,
     "final class A: @unchecked Sendable {\n    // Unchecked: its event loop alone calls it.\n}\n", None, 0),
    ("unfinished", KEY, "// TO" + "DO: more\n", "unfinished", 1),
    ("unfinished in a document", "README.md", "FIX" + "ME\n", "unfinished", 1),
    # Names.
    ("folder", "Sources/Cache/Helpers/Key.swift", "\n", "names", 1),
    ("file", "Sources/Cache/StringUtils.swift", "\n", "names", 1),
    ("lower-case file", "Scripts/common.sh", "\n", "names", 1),
    ("type", KEY, "\nstruct KeyManager {}\n", "names", 2),
    ("near names", KEY, "struct Commonality {}\nlet helpers = 1\n", None, 0),
    # Form.
    ("long file", KEY, "// x\n" * 5001, "size", 1),
    ("long function", KEY, "\n" + LONG.replace("step", "step()\n    step"), "functions", 2),
    ("long initializer", KEY, "struct A {\n    init() {\n" + "        a()\n" * 69 + "    }\n}\n", "functions", 2),
    ("longest function", KEY, LONG, None, 0),
    ("requirement before a long type", KEY,
     "protocol P {\n    func a()\n    func b()\n}\nstruct S {\n" + "    var a = 1\n" * 80 + "}\n", None, 0),
    ("blank at the end of a line", KEY, "let a = 1\nlet b = 2 \n", "space", 2),
    ("tab", KEY, "\tlet a = 1\n", "space", 1),
    ("CR", "README.md", "a\r\n", "space", 1),
    ("no last line end", KEY, "let a = 1", "space", 1),
    ("input of a test", "Tests/WireTests/Corpus/lf.txt", "GET / HTTP/1.1 \r\n\t", None, 0),
    ("script that goes on", "Scripts/run", "#!/bin/bash\nls\n", "scripts", 1),
    ("shell that does not parse", "Scripts/run", "#!/bin/bash\nset -e\nif true; then\n", "scripts", 1),
    ("Python that does not parse", "Scripts/a.py", "x = 1\ndef\n", "scripts", 2),
    ("dead link", "README.md", "\nSee [it](docs/none.md).\n", "links", 2),
    ("live link", "README.md", "[it](ARCHITECTURE.md#top) [web](https://example.test/) `[a](b)`\n", None, 0),
    ("metric without its line", "Sources/Telemetry/Names.swift",
     'let a = "martlet_requests_total"\nlet b = "martlet_tunnels_active"\n', "documented", 2),
    ("failure without its line", "Sources/Exchange/Failure.swift",
     'enum Failure: String {\n    case badBody = "bad_body"\n}\n', "documented", 2),
    ("line without its metric", "docs/operations.md",
     "`martlet_requests_total`\n`martlet_gone`\n", "documented", 2),
    # Exceptions.
    ("exception", "Scripts/tidy-exceptions", "size " + KEY + "\n", "exceptions", 1),
    ("exception for nothing", "Scripts/tidy-exceptions", "size " + KEY + " a reason\n", "exceptions", 1),
    ("exception for no file", "Scripts/tidy-exceptions", "size no/such a reason\n", "exceptions", 1),
]


def findings_with(check, path, text):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, content in {**KEPT, path: text}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content.encode())
        return check(root, with_format=False)[0]


def matches(finding, rule, line):
    name, _, words = rule.partition(": ")
    return finding.rule == name and finding.line == line and words in finding.what


def run(check):
    """0 if every rule finds what it must and nothing else; else prints what went wrong and returns 1."""
    wrong = []
    for finding in findings_with(check, "README.md", "Kept.\n"):
        wrong.append(f"the tree that keeps all rules: {finding}")
    for name, path, text, rule, line in CASES:
        found = findings_with(check, path, text)
        if rule is None:
            wrong += [f"{name}: found, though allowed: {finding}" for finding in found]
        elif not any(matches(finding, rule, line) for finding in found):
            wrong.append(f"{name}: expected [{rule}] at line {line}, got {[str(finding) for finding in found]}")
    # An exception takes its finding away, and only that one.
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, content in {**KEPT, KEY: "// x\n" * 5001, "Scripts/tidy-exceptions": f"size {KEY} a table\n"}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
        wrong += [f"exception: still found: {finding}" for finding in check(root, with_format=False)[0]]
    for line in wrong:
        print(f"tidy --self-test: {line}")
    if not wrong:
        print(f"tidy --self-test: {len(CASES) + 2} cases as expected")
    return 1 if wrong else 0
