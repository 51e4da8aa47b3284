"""Client of large bodies and long lists: `bodies.py PORT PATHS CONNECTIONS SECONDS`. PATHS is a file with a path and the
length of its body on each line.

The paths are asked for one after the other by whichever connection is free: each once if SECONDS is 0, else round and
round until the time is up. Bodies are thrown away where they lie (MSG_TRUNC takes them off the socket without a copy),
so that the client is cheap beside a server that copies nothing either; their length is checked.

Prints one JSON object; latencies are from a request to the last byte of its response.
"""

import gc
import itertools
import json
import re
import select
import socket
import sys
import time

_HEAD_BYTES = 65536
_DISCARD_BYTES = 16 * 1024 * 1024


class Connection:
    def __init__(self, port: int, paths) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        # Only what is ready is read, and a time limit would cost a poll for each read.
        self.socket.settimeout(None)
        self._host = f"Host: 127.0.0.1:{port}\r\n\r\n".encode()
        self._paths = paths
        self._left = 0
        self._head = b""

    def ask(self) -> bool:
        """Sends the next request; false when there is none."""
        wanted = next(self._paths, None)
        if wanted is None:
            return False
        path, self._wanted = wanted
        self._head = b""
        self.start = time.monotonic()
        self.socket.sendall(b"GET " + path + b" HTTP/1.1\r\n" + self._host)
        return True

    def read(self, sink: bytearray) -> str | None:
        """Reads what has come. "" when the response is whole, a word when it is wrong, None while it goes on."""
        if not self._left:
            return self._read_head()
        got = self.socket.recv_into(sink, min(self._left, _DISCARD_BYTES), socket.MSG_TRUNC)
        if got == 0:
            return "read"
        self._left -= got
        return None if self._left else ""

    def _read_head(self) -> str | None:
        block = self.socket.recv(_HEAD_BYTES)
        if not block:
            return "read"
        self._head += block
        head, end, body = self._head.partition(b"\r\n\r\n")
        if not end:
            return None
        if not head.startswith(b"HTTP/1.1 200 "):
            return "status"
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if not length or int(length[1]) != self._wanted:
            return "length"
        self._left = self._wanted - len(body)
        return None if self._left else ""


def main() -> None:
    port, file, count, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    with open(file, "rb") as lines:
        listed = [(path, int(size)) for path, size in (line.split() for line in lines)]
    gc.disable()
    start = time.monotonic()
    end = start + seconds if seconds else float("inf")
    paths = iter(listed) if not seconds else itertools.cycle(listed)
    connections = {(made := Connection(port, paths)).socket.fileno(): made for _ in range(min(count, len(listed)))}
    poll = select.epoll()
    for number, connection in connections.items():
        poll.register(number, select.EPOLLIN)
        connection.ask()
    latencies, errors, total = [], {}, 0
    sink = bytearray(_DISCARD_BYTES)
    busy = len(connections)
    while busy:
        events = poll.poll(30)
        if not events:
            errors["timeout"] = busy
            break
        for number, _ in events:
            connection = connections[number]
            outcome = connection.read(sink)
            if outcome is None:
                continue
            now = time.monotonic()
            if outcome:
                errors[outcome] = errors.get(outcome, 0) + 1
            else:
                latencies.append(now - connection.start)
                total += connection._wanted
            if outcome or now >= end or not connection.ask():
                poll.unregister(number)
                busy -= 1
    elapsed = time.monotonic() - start
    latencies.sort()
    json.dump(
        {
            "requests": len(latencies),
            "bytes": total,
            "seconds": elapsed,
            "p50_ms": latencies[len(latencies) // 2] * 1000 if latencies else 0,
            "p99_ms": latencies[len(latencies) * 99 // 100] * 1000 if latencies else 0,
            "errors": errors,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
