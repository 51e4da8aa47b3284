"""A person at a terminal: `terminal.py SCENARIO MARTLET ARGUMENT...` runs martlet at a terminal of its own and does what
the scenario says. Prints `done` at the end, or what was not as it must be."""

import fcntl
import os
import pty
import struct
import sys
import termios


def start(command, columns=80):
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execv(command[0], command)
    return child, terminal


def read_until(terminal, text):
    """What the terminal shows up to a text; up to the end for None."""
    seen = b""
    while text is None or text not in seen:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            piece = b""
        if not piece:
            break
        seen += piece
    if text is not None and text not in seen:
        raise SystemExit(f"expected {text!r}, found {seen!r}")
    return seen


def end(child, expected):
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != expected:
        raise SystemExit(f"expected the exit status {expected}, found {status}")


def shows(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def login(command):
    """The token is typed from the environment, and not seen."""
    token = os.environ["TYPED"].encode()
    child, terminal = start(command)
    seen = read_until(terminal, b": ")
    # A slip, rubbed out.
    os.write(terminal, b"x\x7f" + token + b"\n")
    seen += read_until(terminal, None)
    end(child, 0)
    assert b"signed in" in seen and token not in seen, seen


def broken_off(command):
    """Ctrl-C while the token is typed leaves a terminal that shows what is typed."""
    child, terminal = start(command)
    read_until(terminal, b": ")
    assert not shows(terminal)
    os.write(terminal, b"abc\x03")
    read_until(terminal, b"broken off")
    assert shows(terminal)
    end(child, 130)


def answer(command, text, expected, status):
    child, terminal = start(command)
    read_until(terminal, b"[y/N]")
    os.write(terminal, text)
    read_until(terminal, expected)
    end(child, status)


def narrow(command):
    """A table fits the terminal."""
    child, terminal = start(command, columns=76)
    seen = read_until(terminal, None).decode()
    end(child, 0)
    lines = seen.replace("\r", "").strip("\n").split("\n")
    assert len(lines) > 1 and all(len(line) <= 76 for line in lines), lines
    assert any("…" in line for line in lines), lines


if __name__ == "__main__":
    scenario, command = sys.argv[1], sys.argv[2:]
    match scenario:
        case "login": login(command)
        case "broken-off": broken_off(command)
        case "no": answer(command, b"n\n", b"nothing was changed", 130)
        case "interrupt": answer(command, b"\x03", b"", -2)
        case "yes": answer(command, b"y\n", b"deleted", 0)
        case "narrow": narrow(command)
    print("done")
