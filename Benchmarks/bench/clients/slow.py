"""Origin that takes its time: `slow.py PORT SECONDS CACHE-CONTROL`. Answers any path with 1 KiB and an ETag, SECONDS
after the request has come, and with 304 where the request names the ETag.

/count answers at once with what was answered until then, and the slowest answer since it was last asked:
{"200": N, "304": N, "slowest": seconds}.
"""

import asyncio
import json
import sys
import time

_BODY = bytes(range(256)) * 4
_ETAG = b'"only"'


class Slow(asyncio.Protocol):
    """One connection. Requests have no body and are not pipelined."""

    counts = {"200": 0, "304": 0, "slowest": 0.0}

    def __init__(self, seconds: float, cache_control: bytes) -> None:
        self._seconds = seconds
        self._fields = b"Cache-Control: " + cache_control + b"\r\nETag: " + _ETAG + b"\r\n"
        self._received = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        self._received = rest
        if head.startswith(b"GET /count "):
            self._send(b"200 OK", b"", json.dumps(self.counts).encode())
            self.counts["slowest"] = 0.0
        else:
            asyncio.get_running_loop().call_later(self._seconds, self._answer, head, time.monotonic())

    def _answer(self, head: bytes, start: float) -> None:
        named = any(
            line.lower().startswith(b"if-none-match:") and _ETAG in line for line in head.split(b"\r\n")
        )
        self.counts["304" if named else "200"] += 1
        if named:
            self._transport.write(b"HTTP/1.1 304 Not Modified\r\n" + self._fields + b"\r\n")
        else:
            self._send(b"200 OK", self._fields, _BODY)
        self.counts["slowest"] = max(self.counts["slowest"], time.monotonic() - start)

    def _send(self, status: bytes, fields: bytes, body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, fields, len(body), body))


async def main() -> None:
    port, seconds, cache_control = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3].encode()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Slow(seconds, cache_control), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
