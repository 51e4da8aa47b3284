"""What the rules look at: the files of the tree, and Swift text with everything that is not code blanked out."""

import os
import re
import subprocess
from pathlib import Path

SOURCE_SUFFIXES = {".swift", ".c", ".h", ".cc", ".py", ".sh"}
TEXT_SUFFIXES = SOURCE_SUFFIXES | {".md", ".yaml", ".yml", ".conf", ".html", ".css", ".js", ".service", ".txt", ""}
# Inputs of tests are bytes, not text: odd line ends and trailing blanks are what they are for.
VERBATIM = re.compile(
    r"(^|/)(Corpus|Corpora|Seeds|FailCases|Fixtures|Resources)/|(^|/)LICENSE$|\.(pem|key|der|bin|svg|png|ico)$",
    re.IGNORECASE)


class Finding:
    """One thing to mend: where, what is wrong, and how to mend it."""

    def __init__(self, path, line, rule, what, mend):
        self.path, self.line, self.rule, self.what, self.mend = path, line, rule, what, mend

    def __str__(self):
        return f"{self.path}:{self.line}: {self.what}. {self.mend} [{self.rule}]"


def tree_files(root):
    """Paths relative to root: what git tracks or would track; without git, everything but what is built."""
    try:
        listed = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"],
            capture_output=True, check=True,
        ).stdout.decode("utf-8", "surrogateescape").split("\0")
        paths = [path for path in listed if path]
    except (OSError, subprocess.CalledProcessError):
        paths = []
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if name not in {".build", ".git", "var", "results"}]
            paths += [os.path.relpath(os.path.join(folder, name), root) for name in names]
    return sorted(path for path in set(paths) if (root / path).is_file() and not (root / path).is_symlink())


def is_text(root, path):
    """Whether the rules about text apply: written by hand, and not an input of a test."""
    if Path(path).suffix not in TEXT_SUFFIXES or VERBATIM.search(path):
        return False
    with open(root / path, "rb") as file:
        return b"\0" not in file.read(4096)


def is_script(path, text):
    return Path(path).suffix in SOURCE_SUFFIXES or text.startswith("#!")


def read(root, path):
    return (root / path).read_bytes().decode("utf-8", "replace")


def blank_swift(text):
    """The text with the insides of comments and string literals blanked, line breaks kept: what is left is code.

    Expressions interpolated into a string are blanked with it.
    """
    out = list(text)
    i, n = 0, len(text)

    def blank(start, end):
        for k in range(start, min(end, n)):
            if out[k] != "\n":
                out[k] = " "

    def skip_string(at):
        """Position behind the string literal that opens at `at`; None if none does."""
        pounds = 0
        while at + pounds < n and text[at + pounds] == "#":
            pounds += 1
        quote = at + pounds
        if quote >= n or text[quote] != '"':
            return None
        many = text.startswith('"""', quote)
        closing = ('"""' if many else '"') + "#" * pounds
        escape = "\\" + "#" * pounds
        k = quote + (3 if many else 1)
        while k < n:
            if text.startswith(closing, k):
                return k + len(closing)
            if text.startswith(escape, k):
                k += len(escape)
                if k < n and text[k] == "(":
                    depth = 1
                    k += 1
                    while k < n and depth:
                        inner = skip_string(k) if text[k] in '"#' else None
                        if inner is not None:
                            k = inner
                            continue
                        depth += {"(": 1, ")": -1}.get(text[k], 0)
                        k += 1
                else:
                    k += 1
                continue
            if text[k] == "\n" and not many:
                return k
            k += 1
        return n

    while i < n:
        if text.startswith("//", i):
            end = text.find("\n", i)
            end = n if end < 0 else end
            blank(i, end)
            i = end
        elif text.startswith("/*", i):
            depth, k = 1, i + 2
            while k < n and depth:
                if text.startswith("/*", k):
                    depth, k = depth + 1, k + 2
                elif text.startswith("*/", k):
                    depth, k = depth - 1, k + 2
                else:
                    k += 1
            blank(i, k)
            i = k
        elif text[i] in '"#':
            end = skip_string(i)
            if end is None:
                i += 1
            else:
                blank(i, end)
                i = end
        else:
            i += 1
    return "".join(out)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def read_exceptions(root):
    """(rule, path) → reason, and findings about the list itself."""
    exceptions, findings = {}, []
    name = "Scripts/tidy-exceptions"
    if not (root / name).is_file():
        return exceptions, findings
    for number, line in enumerate(read(root, name).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split(None, 2)
        if len(parts) < 3:
            findings.append(Finding(name, number, "exceptions", f"`{line}` has no reason", "Write: rule path reason."))
            continue
        if not (root / parts[1]).exists():
            findings.append(Finding(name, number, "exceptions", f"{parts[1]} does not exist", "Remove the line."))
        exceptions[(parts[0], parts[1])] = parts[2]
    return exceptions, findings
