"""Origin of the upload row: `sink.py PORT`. Reads each body to its end and answers with the length it counted and the
seconds it took to read, as JSON.

It waits PAUSE_SECONDS before it reads the first byte of a body: a proxy that does not hold its client back fills its
memory in that time, and the row's peak shows it.
"""

import json
import re
import socket
import sys
import threading
import time

PAUSE_SECONDS = 1.0


def read_head(connection: socket.socket) -> tuple[bytes, int]:
    """The head and how many body bytes arrived with it; empty at the end of the connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        block = connection.recv(4096)
        if not block:
            return b"", 0
        received += block
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, len(rest)


def read_body(connection: socket.socket, length: int, counted: int) -> tuple[int, float]:
    """The bytes counted and the seconds they took, the pause left out."""
    time.sleep(PAUSE_SECONDS)
    start = time.monotonic()
    block = bytearray(1024 * 1024)
    while counted < length:
        got = connection.recv_into(block, min(len(block), length - counted))
        if got == 0:
            break
        counted += got
    return counted, time.monotonic() - start


def serve(connection: socket.socket) -> None:
    with connection:
        while True:
            head, counted = read_head(connection)
            if not head:
                return
            match = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
            length = int(match[1]) if match else 0
            counted, seconds = read_body(connection, length, counted) if length else (0, 0.0)
            body = json.dumps({"counted": counted, "seconds": seconds}).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def main() -> None:
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
