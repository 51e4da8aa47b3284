"""Client of the purge row: `purge.py PORT FIELD PURGE-FILE PATHS`. PURGE-FILE is JSON: the port to send to and the
request as text. PATHS is a file with a path and the length of its body on each line, all cached under the tag.

Asks for one path after the other, none twice, and purges in between. A response whose FIELD says "hit" and that was
asked for after the purge was sent shows that the purge was not effective yet. What FIELD says in whose words is the
harness's to know: it is printed for every probe.

Prints one JSON object: the purge's status, its answer and the milliseconds until then, and for each probe when it was sent
and answered, in milliseconds from the purge's sending (negative: before it), and the field's value.
"""

import http.client
import json
import select
import socket
import sys
import time

BEFORE = 200
AFTER_SECONDS = 0.5
LONGEST_SECONDS = 20


class Purge:
    """The purge's request, sent once and then looked at between two probes."""

    def __init__(self, file: str) -> None:
        with open(file) as text:
            wanted = json.load(text)
        self._socket = socket.create_connection(("127.0.0.1", wanted["port"]), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = wanted["request"].encode()
        self.answer = b""
        self.answered: float | None = None

    def send(self) -> float:
        start = time.monotonic()
        self._socket.sendall(self._request)
        return start

    def look(self) -> None:
        """Takes the head of the answer if it has come, without waiting."""
        while self.answered is None and select.select([self._socket], [], [], 0)[0]:
            block = self._socket.recv(65536)
            self.answer += block
            if not block or b"\r\n\r\n" in self.answer:
                self.answered = time.monotonic()

    def read_to_end(self) -> str:
        """The whole answer: the request asks the server to close."""
        while block := self._socket.recv(65536):
            self.answer += block
        return self.answer.decode("latin-1")


def main() -> None:
    port, field, purge_file, paths_file = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
    with open(paths_file) as lines:
        paths = [line.split()[0] for line in lines]
    purge = Purge(purge_file)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    probes: list[tuple[float, float, str]] = []
    started: float | None = None
    for number, path in enumerate(paths):
        if number == BEFORE:
            started = purge.send()
        if started is not None:
            purge.look()
            until = (purge.answered or started + LONGEST_SECONDS) + AFTER_SECONDS
            if time.monotonic() > until:
                break
        sent = time.monotonic()
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            sys.exit(f"GET {path} was answered {response.status}")
        probes.append((sent, time.monotonic(), response.headers.get(field, "")))
    if started is None or purge.answered is None:
        sys.exit("the purge was not answered")
    answer = purge.read_to_end()
    json.dump(
        {
            "status": int(answer.split()[1]),
            "answer": answer,
            "answer_ms": (purge.answered - started) * 1000,
            "probes": [
                ((sent - started) * 1000, (answered - started) * 1000, said) for sent, answered, said in probes
            ],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
