"""What stands behind the servers under test: an nginx with a few files, a sink for uploads, an origin that takes its
time, and one that echoes calls of gRPC.

The nginx counts the connections it accepts and the requests it answers, so pool reuse and cache hits are read where no
server can flatter itself. Paths say what may be cached:

    /1k                     nothing: neither Cache-Control nor Expires
    /cached/100k            for an hour
    /object/17/4k           for an hour; any number of objects of one size, each with its number in X-Object
    /tagged/NAME/17/1k      the same, with the tags NAME and item-17
"""

import hashlib
import http.client
import json
import random
import ssl
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Iterator

from . import machine, peers
from .ports import free_port
from .processes import BrokenRun, running

CLIENTS = Path(__file__).resolve().parent / "clients"
_SIZES = {name: kib * 1024 for name, kib in
          {"1k": 1, "4k": 4, "16k": 16, "64k": 64, "100k": 100, "256k": 256, "1m": 1024, "10m": 10 * 1024}.items()}
READY_SECONDS = 20
_CONNECTIONS = 4096


@dataclass(frozen=True)
class OriginCount:
    """Connections accepted and requests answered since the origin started."""

    accepted: int
    requests: int


def body_bytes(path: str) -> int:
    """The length of a path's body: its last segment says it."""
    return _SIZES[path.rpartition("/")[2]]


class Origin:
    """The nginx of files. Its status is asked over one connection, open from the start, so that asking adds requests but
    no connections to the count."""

    def __init__(self, port: int, http2_port: int, status_port: int, digests: dict[str, str]) -> None:
        self.port = port
        # The same files in HTTP/2 with prior knowledge.
        self.http2_port = http2_port
        self._digests = digests
        self._status = http.client.HTTPConnection("127.0.0.1", status_port, timeout=10)
        self._asked = 0

    def digest(self, path: str) -> str:
        """Of the path's body."""
        return self._digests[path.rpartition("/")[2]]

    def count(self) -> OriginCount:
        self._status.request("GET", "/status")
        lines = self._status.getresponse().read().decode().splitlines()
        self._asked += 1
        accepted, _, requests = map(int, lines[2].split())
        return OriginCount(accepted, requests - self._asked)

    def close(self) -> None:
        self._status.close()


@contextmanager
def file_origin(directory: Path, cpus: set[int] | None) -> Iterator[Origin]:
    """The nginx that serves the bodies, for the whole run."""
    files = directory / "files"
    digests = _write_bodies(files)
    cacheable = "add_header Cache-Control max-age=3600;"
    port, http2_port, status_port = free_port(), free_port(), free_port()
    block = f"""
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout {peers.IDLE_TIMEOUT_SECONDS}s;
    open_file_cache max=16;
    open_file_cache_valid 1h;
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {files};
        location /cached/ {{ alias {files}/; {cacheable} }}
        location ~ ^/object/([0-9]+)/([0-9a-z]+)$ {{ alias {files}/$2; {cacheable} add_header X-Object $1; }}
        location ~ ^/tagged/([a-z]+)/([0-9]+)/([0-9a-z]+)$ {{
            alias {files}/$3; {cacheable} add_header X-Object $2; add_header Cache-Tag "$1,item-$2";
        }}
    }}
    server {{
        listen 127.0.0.1:{http2_port} http2 backlog=4096;
        root {files};
        # With either of them each small answer waits 40 ms for an acknowledgement.
        sendfile off;
        tcp_nopush off;
    }}
    server {{ listen 127.0.0.1:{status_port}; location = /status {{ stub_status; }} }}"""
    with running(peers.nginx_command(directory, _CONNECTIONS, block), cpus, directory / "output.log"):
        wait_ready(port, "/1k", "the origin")
        origin = Origin(port, http2_port, status_port, digests)
        try:
            yield origin
        finally:
            origin.close()


@contextmanager
def upload_sink(directory: Path, cpus: set[int] | None) -> Iterator[int]:
    """An origin that reads a body to its end and answers with its length; yields its port."""
    port = free_port()
    command = [sys.executable, str(CLIENTS / "sink.py"), str(port)]
    with running(command, cpus, directory / "sink.log"):
        wait_ready(port, "/", "the upload sink")
        yield port


class SlowOrigin:
    """clients/slow.py: it takes its time for each answer, knows ETags, and counts."""

    def __init__(self, port: int) -> None:
        self.port = port

    def count(self) -> dict[str, float]:
        """Answers by status ("200", "304"), and the seconds of the slowest one since this was last asked
        ("slowest")."""
        status, body = fetch(self.port, "/count")
        if status != 200:
            raise BrokenRun(f"the slow origin answered {status}")
        return json.loads(body)


@contextmanager
def slow_origin(
    directory: Path, cpus: set[int] | None, seconds: float, cache_control: str
) -> Iterator[SlowOrigin]:
    """An origin that answers any path with 1 KiB under `cache_control`, `seconds` after it was asked."""
    port = free_port()
    command = [sys.executable, str(CLIENTS / "slow.py"), str(port), str(seconds), cache_control]
    with running(command, cpus, directory / "slow.log"):
        wait_ready(port, "/count", "the slow origin")
        yield SlowOrigin(port)


class EchoOrigin:
    """clients/echo.c: gRPC's calls in HTTP/2 with prior knowledge, each answered with the bytes of its request."""

    def __init__(self, port: int) -> None:
        self.port = port

    def count(self) -> dict[str, int]:
        """"calls" answered, "connections", and "most_streams": the most calls at once on one connection."""
        return json.loads(fetch(self.port, "/count")[1])


@contextmanager
def echo_origin(directory: Path, cpus: set[int] | None) -> Iterator[EchoOrigin]:
    """An origin of gRPC that is far cheaper than whatever stands before it: about a microsecond for each call."""
    port = free_port()
    program = machine.compile_c(CLIENTS / "echo.c", directory)
    with running([str(program), str(port)], cpus, directory / "echo.log"):
        wait_ready(port, "/count", "the gRPC origin")
        yield EchoOrigin(port)


def wait_ready(port: int, path: str, who: str) -> None:
    """Waits until `path` answers 200. Raises BrokenRun."""
    deadline = time.monotonic() + READY_SECONDS
    seen = "nothing"
    while time.monotonic() < deadline:
        try:
            status, _ = fetch(port, path)
            if status == 200:
                return
            seen = f"status {status}"
        except (OSError, http.client.HTTPException) as error:
            seen = str(error)
        time.sleep(0.05)
    raise BrokenRun(f"{who} was not ready within {READY_SECONDS} s: {seen}")


def fetch(port: int, path: str) -> tuple[int, bytes]:
    """One GET in the clear on a connection of its own: status and body."""
    status, _, body = fetch_all(port, path)
    return status, body


def fetch_all(port: int, path: str, secure_host: str | None = None) -> tuple[int, Message, bytes]:
    """One GET on a connection of its own, over TLS to `secure_host` if there is one: status, fields and body."""
    fields = {"Connection": "close"}
    if secure_host is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    else:
        # The certificate is the run's own, and not the subject.
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
        fields["Host"] = f"{secure_host}:{port}"
    try:
        connection.request("GET", path, headers=fields)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def _write_bodies(directory: Path) -> dict[str, str]:
    """Bodies nothing can compress or mistake for another; returns their digests by name."""
    directory.mkdir()
    source = random.Random(1)
    digests = {}
    for name, size in _SIZES.items():
        body = source.randbytes(size)
        (directory / name).write_bytes(body)
        digests[name] = hashlib.sha256(body).hexdigest()
    return digests
