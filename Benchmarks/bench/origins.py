"""What stands behind the servers under test: an nginx with two files, and a sink for uploads.

The nginx counts the connections it accepts, so pool reuse is read where no proxy can flatter itself.
"""

import hashlib
import http.client
import random
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from . import peers
from .ports import free_port
from .processes import BrokenRun, running

CLIENTS = Path(__file__).resolve().parent / "clients"
BODY_BYTES = {"/1k": 1024, "/1m": 1024 * 1024}
READY_SECONDS = 20
_CONNECTIONS = 4096


@dataclass(frozen=True)
class OriginCount:
    """Connections accepted and requests answered since the origin started."""

    accepted: int
    requests: int


class Origin:
    """The nginx that answers /1k and /1m. Its status is asked over one connection, open from the start, so that
    asking adds requests but no connections to the count."""

    def __init__(self, port: int, status_port: int, digests: dict[str, str]) -> None:
        self.port = port
        self.digests = digests
        self._status = http.client.HTTPConnection("127.0.0.1", status_port, timeout=10)
        self._asked = 0

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
    digests = _write_bodies(directory / "files")
    port, status_port = free_port(), free_port()
    block = f"""
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout {peers.IDLE_TIMEOUT_SECONDS}s;
    open_file_cache max=16;
    open_file_cache_valid 1h;
    default_type application/octet-stream;
    server {{ listen 127.0.0.1:{port}; root {directory / 'files'}; }}
    server {{ listen 127.0.0.1:{status_port}; location = /status {{ stub_status; }} }}"""
    with running(peers.nginx_command(directory, _CONNECTIONS, block), cpus, directory / "output.log"):
        wait_ready(port, "/1k", "the origin")
        origin = Origin(port, status_port, digests)
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
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _write_bodies(directory: Path) -> dict[str, str]:
    """Bodies nothing can compress or mistake for another; returns their digests by path."""
    directory.mkdir()
    source = random.Random(1)
    digests = {}
    for path, size in BODY_BYTES.items():
        body = source.randbytes(size)
        (directory / path[1:]).write_bytes(body)
        digests[path] = hashlib.sha256(body).hexdigest()
    return digests
