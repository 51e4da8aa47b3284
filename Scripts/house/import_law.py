"""The import law: who may import whom, over the sources and over Package.swift.

The layers come from the table of rooms in ARCHITECTURE.md, which therefore cannot drift from the sources.
"""

import re

from .tree import Finding, blank_swift, line_of, read

# "assembly" may import everything. A "journey" room imports journey rooms further down the table. "journey",
# "beside" and "door" rooms import "beside", "ground" and "C"; the ground imports "ground" and "C"; "C" nothing.
LAYERS = ["assembly", "door", "journey", "beside", "ground", "C"]
# They meet in Pipeline, through Exchange.
SEPARATE = {"Security", "Workers", "Cache", "Origin"}


def read_layers(text):
    """The tables of ARCHITECTURE.md whose heads are `| room | layer | … |`: room → (layer, line), in order."""
    rooms, inside = {}, False
    for number, line in enumerate(text.split("\n"), 1):
        cells = [cell.strip().strip("`").rstrip("/") for cell in line.strip().strip("|").split("|")]
        if not line.strip().startswith("|") or len(cells) < 3:
            inside = False
        elif [cell.lower() for cell in cells[:2]] == ["room", "layer"]:
            inside = True
        elif inside and not set(cells[0]) <= set("-: "):
            rooms[cells[0]] = (cells[1], number)
    return rooms


def read_package(text):
    """Target → (names in its dependency list, line). Only what stands in the list as a plain string is a room."""
    code = text
    targets = {}
    for match in re.finditer(r"\.(?:executableTarget|testTarget|systemLibrary|target)\(\s*name:\s*\"(\w+)\"", code):
        depth, k = 1, match.end()
        while k < len(code) and depth:
            depth += {"(": 1, ")": -1}.get(code[k], 0)
            k += 1
        body = re.sub(r"//[^\n]*", "", code[match.end():k])
        listed = re.search(r"dependencies:\s*\[(.*?)\]", body, re.DOTALL)
        inner = re.sub(r"\.\w+\([^)]*\)", "", listed.group(1)) if listed else ""
        targets[match.group(1)] = (re.findall(r"\"(\w+)\"", inner), line_of(code, match.start()))
    return targets


IMPORT = re.compile(
    r"^[ \t]*(?:@\w+(?:\([^)\n]*\))?[ \t]+)*(?:(public|package|internal|fileprivate|private)[ \t]+)?import[ \t]+"
    r"(?:(?:struct|class|enum|protocol|func|var|let|typealias)[ \t]+)?(\w+)", re.MULTILINE)


def rule_imports(root, files):
    rooms_here = sorted({path.split("/")[1] for path in files if path.startswith("Sources/") and path.count("/") > 1})
    c_rooms = {room for room in rooms_here
               if not any(p.startswith(f"Sources/{room}/") and p.endswith(".swift") for p in files)}
    layers = read_layers(read(root, "ARCHITECTURE.md")) if (root / "ARCHITECTURE.md").is_file() else {}
    package = read_package(read(root, "Package.swift")) if (root / "Package.swift").is_file() else {}

    for room in rooms_here:
        if room not in layers:
            yield Finding("ARCHITECTURE.md", 1, "imports", f"Sources/{room} has no line in the table of rooms",
                          "Add one: | room | layer | what it does |.")
    for room, (layer, line) in layers.items():
        if room not in rooms_here:
            yield Finding("ARCHITECTURE.md", line, "imports", f"room {room} has no folder under Sources",
                          "A room stands here once it has something to do; remove the line.")
        if layer not in LAYERS:
            yield Finding("ARCHITECTURE.md", line, "imports", f"`{layer}` is no layer",
                          f"Expected one of {', '.join(LAYERS)}.")

    order = list(layers)
    # The law over the lists of Package.swift …
    for room in rooms_here:
        dependencies, line = package.get(room, ([], 1))
        if room not in package:
            yield Finding("Package.swift", 1, "imports", f"Sources/{room} is no target", "Add it, or remove the folder.")
        for other in dependencies:
            why = forbidden(room, other, layers, order)
            if why:
                yield Finding("Package.swift", line, "imports", f"{room} depends on {other}: {why}",
                              "ARCHITECTURE.md has the law; let them meet one room higher.")
    # … and over what the sources say, which gives the line to mend.
    importers = {}
    for path in files:
        if not path.startswith("Sources/") or not path.endswith(".swift"):
            continue
        room = path.split("/")[1]
        code = blank_swift(read(root, path))
        for match in IMPORT.finditer(code):
            access, other = match.groups()
            if other not in rooms_here or other == room:
                continue
            line = line_of(code, match.start(2))
            if other in c_rooms:
                importers.setdefault(other, {}).setdefault(room, (path, line))
                if access in ("public", "package"):
                    yield Finding(path, line, "imports", f"`{access} import {other}` lets C types into signatures",
                                  "Import it plainly and wrap what others need in Swift.")
            if room in package and other not in package[room][0]:
                yield Finding(path, line, "imports", f"{room} imports {other}, which its dependency list lacks",
                              "Add it to Package.swift if the law allows it.")
            why = forbidden(room, other, layers, order)
            if why:
                yield Finding(path, line, "imports", f"{room} imports {other}: {why}",
                              "ARCHITECTURE.md has the law; let them meet one room higher.")
    for shim, by in sorted(importers.items()):
        if len(by) > 1:
            first = sorted(by)[0]
            for room in sorted(by)[1:]:
                path, line = by[room]
                yield Finding(path, line, "imports", f"{shim} has a second importer, {room} beside {first}",
                              f"Let {first} offer what {room} needs, or give {room} a shim of its own.")


def forbidden(room, other, layers, order):
    """Why `room` may not import `other`; None if it may, or if a row is missing (which is found elsewhere)."""
    if room not in layers or other not in layers:
        return None
    mine, theirs = layers[room][0], layers[other][0]
    if theirs == "assembly":
        return "nothing imports the executable"
    if mine == "assembly":
        return None
    if room in SEPARATE and other in SEPARATE:
        return "Security, Workers, Cache and Origin meet in Pipeline only"
    if theirs == "door":
        return "only the executable knows a door"
    if mine == "C":
        return "a C shim imports nothing"
    if theirs in ("ground", "C"):
        return None
    if mine == "ground":
        return "the ground imports no room"
    if theirs == "beside":
        return None
    if mine == "beside":
        return "a room beside the journey does not reach into it"
    if mine == "journey" and order.index(other) < order.index(room):
        return "imports go down the journey only"
    if mine == "door":
        return "a door does not open on the journey"
    return None
