"""The rules that one file can break by itself: names, bans, sizes, white space, scripts that do not parse.

A rule takes the path and the text and yields findings.
"""

import re
import subprocess

from .tree import Finding, blank_swift, is_script, line_of

FILE_BYTES_MAX = 25_000
FUNCTION_LINES_MAX = 70

# Written apart, so that this file does not find itself.
UNFINISHED = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]

HOMELESS = re.compile(r"(?:^|[a-z0-9_+\-])(Utils?|Utilities|Helpers?|Common|Managers?)(?=[A-Z_+\-]|$)")
HOMELESS_LOWER = re.compile(r"(?:^|[_\-])(utils?|utilities|helpers?|common|managers?)(?=[_\-]|$)")


def rule_names(path, text):
    for part in path.split("/"):
        stem = part.split(".")[0] or part
        found = HOMELESS.search(stem) or HOMELESS_LOWER.search(stem)
        if found:
            yield Finding(path, 1, "names", f"`{found.group(1)}` in a name says nothing",
                          "Name it after its concern, or put the code beside its one caller.")
    if path.endswith(".swift"):
        declared = re.compile(r"\b(?:class|struct|enum|actor|protocol|typealias)\s+(\w+)")
        for number, line in enumerate(blank_swift(text).split("\n"), 1):
            for match in declared.finditer(line):
                found = HOMELESS.search(match.group(1))
                if found:
                    yield Finding(path, number, "names", f"type `{match.group(1)}` is named `{found.group(1)}`",
                                  "Name it after what it decides or holds.")


BANS = [
    (re.compile(r"\btry!"), "`try!` traps on an error", "Throw it on, or handle it with do/catch."),
    (re.compile(r"\bas!"), "`as!` traps on another type", "Use `as?` and handle nil."),
    (re.compile(r"\bfatalError\s*\("), "`fatalError` ends the whole edge for one request",
     "Throw an error that says its kind and whose side it is on."),
    (re.compile(r"\bpreconditionFailure\s*\("), "`preconditionFailure` ends the whole edge for one request",
     "Throw an error, or make the state impossible to express."),
]
UNCHECKED = re.compile(r"@unchecked\s+Sendable|nonisolated\s*\(\s*unsafe\s*\)")
# What such a reason speaks about: who guards the value.
REASON = re.compile(
    r"sendable|unchecked|unsafe|thread|event loop|\bloop\b|lock|mutex|race|atomic|immutable|once|owned|confined|"
    r"single writer|never changes|signal", re.IGNORECASE)


def rule_bans(path, text):
    if not path.endswith(".swift"):
        return
    code = blank_swift(text).split("\n")
    lines = text.split("\n")
    # In a fuzz target a trap is how a finding is told.
    bans = [] if path.startswith("FuzzTesting/") else BANS
    for number, line in enumerate(code, 1):
        for pattern, what, mend in bans:
            if pattern.search(line):
                yield Finding(path, number, "bans", what, mend)
        if UNCHECKED.search(line) and not has_reason(lines, code, number - 1):
            yield Finding(path, number, "unchecked", "an unchecked promise to the compiler has no reason beside it",
                          "Say in a comment beside it who guards the value: a lock, one event loop, immutability.")


def has_reason(lines, code, index):
    """Whether a comment above the declaration on lines[index], behind it or right below says why it is safe."""
    text = lines[index][len(code[index].rstrip()):]
    below = index + 1
    while below < len(lines) and lines[below].strip().startswith("//"):
        text += " " + lines[below].strip()
        below += 1
    index -= 1
    while index >= 0:
        stripped = lines[index].strip()
        if stripped.startswith("//"):
            text += " " + stripped
        elif not stripped.startswith("@"):
            break
        index -= 1
    return bool(REASON.search(text))


def rule_unfinished(path, text):
    pattern = re.compile(r"\b(" + "|".join(UNFINISHED) + r")\b")
    for number, line in enumerate(text.split("\n"), 1):
        found = pattern.search(line)
        if found:
            yield Finding(path, number, "unfinished", f"`{found.group(1)}` marks work left undone",
                          "Do it now, or open an issue and say in the code what holds today.")


def rule_size(path, text):
    size = len(text.encode("utf-8", "replace"))
    if is_script(path, text) and size > FILE_BYTES_MAX:
        yield Finding(path, 1, "size", f"{size} bytes, expected at most {FILE_BYTES_MAX}",
                      "Split it by concern (Type+Concern.swift).")


def rule_space(path, text):
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if line != line.rstrip(" \t\r"):
            what = "a CR line end" if line.endswith("\r") else "white space at the end of the line"
            yield Finding(path, number, "space", what, "Remove it.")
        if "\t" in line and path.endswith((".swift", ".c", ".h", ".py", ".yaml")):
            yield Finding(path, number, "space", "a tab", "Indent with four spaces; write `\\t` in a literal.")
    if text and not text.endswith("\n"):
        yield Finding(path, len(lines), "space", "no line end at the end of the file", "Add it.")
    if text.endswith("\n\n"):
        yield Finding(path, len(lines) - 1, "space", "an empty line at the end of the file", "Remove it.")


FUNCTION = re.compile(r"\b(?:func\s+[^\s(<]+|init[?]?(?=\s*[(<])|deinit)")


def rule_functions(path, text):
    """Lines from a function's opening brace to its closing one."""
    if not path.endswith(".swift") or path == "Package.swift":
        return
    code = blank_swift(text)
    for match in FUNCTION.finditer(code):
        before = code[:match.start()].rstrip(" \t")
        if before.endswith("."):  # self.init(…), a call
            continue
        opening = function_body(code, match.end())
        if opening is None:
            continue
        depth, k = 0, opening
        while k < len(code):
            depth += {"{": 1, "}": -1}.get(code[k], 0)
            if depth == 0:
                break
            k += 1
        length = line_of(code, k) - line_of(code, match.start()) + 1
        if length > FUNCTION_LINES_MAX:
            name = " ".join(match.group(0).split())
            yield Finding(path, line_of(code, match.start()), "functions",
                          f"`{name}` has {length} lines, expected at most {FUNCTION_LINES_MAX}",
                          "Give its steps names of their own.")


def function_body(code, at):
    """Offset of the brace that opens the body of the function whose name ends at `at`; None for a requirement."""
    depth = 0
    for k in range(at, len(code)):
        c = code[k]
        if c in "([":
            depth += 1
        elif c in ")]":
            depth -= 1
            if depth < 0:
                return None
        elif depth == 0:
            if c == "{":
                return k
            if c == "}":
                return None
            if c == "\n" and re.match(r"\s*(?:\}|(?:@\w+\s+)*(?:\w+(?:\(set\))?\s+)*(?:func|var|let|init|case|subscript|"
                                      r"associatedtype|typealias|deinit)\b)", code[k + 1:k + 200]):
                return None
    return None


def rule_scripts(path, text):
    """Shell and Python scripts parse, and shell scripts stop at the first failure."""
    first = text.split("\n", 1)[0]
    if first.startswith("#!") and re.search(r"\b(ba)?sh\b", first):
        if not re.search(r"^set -\w*e", text, re.MULTILINE):
            yield Finding(path, 1, "scripts", "a shell script that goes on after a failure",
                          "Put `set -euo pipefail` (sh: `set -eu`) near its top.")
        checked = subprocess.run(["bash", "-n"], input=text.encode(), capture_output=True)
        if checked.returncode:
            yield Finding(path, 1, "scripts", "bash cannot parse it: " + checked.stderr.decode().strip(), "Mend it.")
    elif path.endswith(".py") or (first.startswith("#!") and "python" in first):
        try:
            compile(text, path, "exec")
        except SyntaxError as error:
            yield Finding(path, error.lineno or 1, "scripts", f"Python cannot parse it: {error.msg}", "Mend it.")


FILE_RULES = [rule_names, rule_bans, rule_unfinished, rule_size, rule_space, rule_functions, rule_scripts]
