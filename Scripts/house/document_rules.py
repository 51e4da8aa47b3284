"""The rules that keep the documentation true: links lead somewhere, and what operators see has its line.

What is counted, and by which word a failure is called, is read from the sources and looked up in the guide; the
other way round, the guide may name no metric that does not exist.
"""

import re

from .tree import Finding, line_of, read

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def rule_links(root, path, text):
    """Links of the documentation to files of the tree lead somewhere."""
    if not path.endswith(".md"):
        return
    fenced = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        for target in LINK.findall("" if fenced else re.sub(r"`[^`]*`", "", line)):
            name = target.split("#")[0]
            if not name or re.match(r"[a-z]+:", name):
                continue
            if not ((root / path).parent / name).exists():
                yield Finding(path, number, "links", f"the link to {target} leads nowhere", "Correct or remove it.")


GUIDE = "docs/operations.md"
# Where words that operators see are declared: the file's path, and the expression that finds them.
DECLARED = [
    (re.compile(r"^Sources/Telemetry/.*\.swift$"), re.compile(r'"((?:martlet|process)_[a-z0-9_]+)"')),
    (re.compile(r"^Sources/Exchange/Failure\.swift$"), re.compile(r'^\s*case \w+ = "([a-z0-9_]+)"', re.MULTILINE)),
]
METRIC = re.compile(r"`(martlet_[a-z0-9_]+|process_[a-z0-9_]+)(?:\{[^`]*)?`")


def rule_documented(root, files):
    """Every metric and every failure has its line in the guide, and the guide speaks of no other metric."""
    if GUIDE not in files:
        return
    guide = read(root, GUIDE)
    named = set(re.findall(r"`([a-z0-9_]+)(?:\{[^`]*)?`", guide))
    metrics = set()
    for path in files:
        for where, pattern in DECLARED:
            if not where.match(path):
                continue
            text = read(root, path)
            for match in pattern.finditer(text):
                metrics.add(match.group(1))
                if match.group(1) not in named:
                    named.add(match.group(1))
                    yield Finding(path, line_of(text, match.start()), "documented",
                                  f"`{match.group(1)}` is not in {GUIDE}", "Say there what it means to an operator.")
    for match in METRIC.finditer(guide):
        if metrics and match.group(1) not in metrics:
            yield Finding(GUIDE, line_of(guide, match.start()), "documented",
                          f"no metric is called `{match.group(1)}`", "Correct the name or remove the line.")
