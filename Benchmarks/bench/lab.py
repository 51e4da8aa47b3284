"""One run's laboratory: its temporary directory, its origin, and a fresh server for each measurement."""

import hashlib
import itertools
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from . import machine
from .caches import CacheSetup
from .loads import Generator
from .origins import Origin, fetch, wait_ready
from .peers import Peer, Site
from .ports import free_port
from .processes import BrokenRun, ProcessTree, running

_LISTEN_SECONDS = 20
# Readiness probes, warm-up clients not yet gone, and what a server counts of its own.
_CLIENTS_SPARE = 512


@dataclass(frozen=True)
class Settings:
    """What the options of the run decide for every row."""

    duration_seconds: float
    warm_up_seconds: float
    rounds: int
    connections: int
    idle_connections: int
    upload_bytes: int
    purge_objects: int


@dataclass(frozen=True)
class Server:
    """A server under test that serves."""

    peer: Peer
    site: Site
    tree: ProcessTree


class Lab:
    def __init__(self, directory: Path, placement: machine.Placement, origin: Origin, settings: Settings) -> None:
        self.directory = directory
        self.placement = placement
        self.origin = origin
        self.settings = settings
        self.generator = Generator(directory, placement.client, settings.connections)
        self._numbers = itertools.count(1)
        self._certificate, self._key = _make_certificate(directory)

    @contextmanager
    def serving(
        self, peer: Peer, clients: int | None = None, origin_port: int | None = None, access_log: bool = False,
        cache: CacheSetup | None = None, origin_is_http2: bool = False,
    ) -> Iterator[Server]:
        """Starts `peer` on the server's CPU, in a directory of its own, and ends it when the block is left."""
        directory = self.directory / f"{next(self._numbers)}-{peer.name}"
        directory.mkdir()
        site = Site(
            directory, free_port(), free_port(), free_port(), origin_port or self.origin.port,
            self._certificate, self._key, (clients or self.settings.connections) + _CLIENTS_SPARE, access_log, cache,
            origin_is_http2,
        )
        output = directory / "output.log"
        try:
            with running(peer.command(site), self.placement.server, output) as process:
                try:
                    _wait_listening(site.http_port, process)
                    readiness = peer.readiness(site)
                    if readiness is not None:
                        wait_ready(*readiness, peer.name)
                    yield Server(peer, site, ProcessTree(process.pid))
                except BrokenRun as error:
                    raise BrokenRun(f"{error}{_said(output)}") from error
        finally:
            _drop_objects(directory)

    def check_answer(self, server: Server, path: str) -> None:
        """The body comes through whole and unchanged. Raises BrokenRun."""
        status, body = fetch(server.site.http_port, path)
        if status != 200 or hashlib.sha256(body).hexdigest() != self.origin.digest(path):
            raise BrokenRun(f"GET {path} was answered {status} with {len(body)} bytes that are not the origin's")


def _wait_listening(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + _LISTEN_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BrokenRun(f"the server ended with status {process.returncode} before it served")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise BrokenRun(f"the server did not listen within {_LISTEN_SECONDS} s")


def _drop_objects(directory: Path) -> None:
    """Stored objects are gigabytes by the end of a run, and of no use to whoever keeps the rest."""
    shutil.rmtree(directory / "cache", ignore_errors=True)
    (directory / "objects").unlink(missing_ok=True)


def _said(output: Path) -> str:
    lines = output.read_text(errors="replace").strip().splitlines()
    return f"; the server's last words: {lines[-1][:300]}" if lines else ""


def _make_certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed ECDSA P-256 certificate for the run; returns its file and its key's."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    made = subprocess.run(
        [
            machine.find_program("openssl"), "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=bench.test",
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", str(key), "-out", str(certificate),
            "-addext", "subjectAltName=DNS:bench.test,IP:127.0.0.1",
        ],
        capture_output=True, text=True,
    )
    if made.returncode != 0:
        raise BrokenRun(f"openssl made no certificate: {made.stderr.strip()[-200:]}")
    return certificate, key
