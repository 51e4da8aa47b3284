"""Client of the upload row: `upload.py PORT PATH BYTES`. Sends one body of that length as fast as it is taken.

Prints the origin's answer: one JSON object with the bytes it counted and the seconds it read for.
"""

import socket
import sys

BLOCK = memoryview(bytes(256 * 1024))


def main() -> None:
    port, path, size = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: bench.test\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        left = size
        while left > 0:
            left -= connection.send(BLOCK[: min(left, len(BLOCK))])
        answer = b""
        while block := connection.recv(65536):
            answer += block
    head_bytes, _, body = answer.partition(b"\r\n\r\n")
    if not head_bytes.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"upload answered {head_bytes[:64]!r}")
    print(body.decode())


if __name__ == "__main__":
    main()
