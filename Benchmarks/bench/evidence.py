"""Evidence that an answer came from the cache: the server's own word for it, and an origin that was not asked."""

import hashlib
import http.client
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Callable, Sequence

from . import machine
from .caches import CacheSetup
from .lab import Lab, Server
from .loads import Load
from .origins import fetch_all
from .peers import Peer
from .processes import BrokenRun
from .row import Measurement
from .steady import steady


def _said(server: Server, path: str, secure: bool = False) -> str:
    """What the server says its cache did for `path`."""
    port, field = server.peer.evidence(server.site)
    host = None
    if secure and port == server.site.http_port:
        port, host = server.site.https_port, "bench.test"
    status, fields, _ = fetch_all(port, path, host)
    if status != 200:
        raise BrokenRun(f"GET {path} was answered {status}")
    return fields.get(field, "")


def require_hit(server: Server, path: str, secure: bool = False) -> str:
    """The server's words for a hit. Raises BrokenRun if they are others."""
    said = _said(server, path, secure)
    if not server.peer.says_hit(said):
        raise BrokenRun(f"{path} should be in the cache, but the server says {said!r} of it")
    return said


def hits(server: Server, paths: Sequence[str]) -> list[bool]:
    """Which of them come from the cache, asked over one connection."""
    port, field = server.peer.evidence(server.site)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    found = []
    try:
        for path in paths:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            found.append(response.status == 200 and server.peer.says_hit(response.headers.get(field, "")))
    finally:
        connection.close()
    return found


def without_origin(lab: Lab, run: Callable[[], Load]) -> Load:
    """A load that the origin must not notice."""
    before = lab.origin.count().requests
    load = run()
    asked = lab.origin.count().requests - before
    if asked:
        raise BrokenRun(f"{asked} of {load.requests} requests for cached objects went to the origin")
    return load


def check_http2(lab: Lab, server: Server, path: str) -> None:
    """The body comes through HTTP/2 over TLS whole and unchanged. Raises BrokenRun."""
    version, body = fetch_http2(lab.directory, server.site.https_port, path)
    if version != "2" or hashlib.sha256(body).hexdigest() != lab.origin.digest(path):
        raise BrokenRun(f"GET {path} over HTTP/{version}: {len(body)} bytes that are not the origin's")


def fetch_http2(directory: Path, port: int, path: str, *options: str) -> tuple[str, bytes]:
    """One request by curl over TLS: the version of HTTP it took, and the body of the answer. The fields and trailers are
    in `answer.fields` in the directory."""
    body = directory / "answer.body"
    command = [
        machine.find_program("curl"), "-sSk", "--http2", "--max-time", "20", "--resolve", f"bench.test:{port}:127.0.0.1",
        "-w", "%{http_version} %{http_code}", "-o", str(body), "-D", str(directory / "answer.fields"), *options,
        f"https://bench.test:{port}{path}",
    ]
    asked = subprocess.run(command, capture_output=True, text=True)
    version, _, status = asked.stdout.partition(" ")
    if asked.returncode != 0 or status != "200":
        raise BrokenRun(f"{path} was answered {status} over HTTP/{version}: {asked.stderr.strip()[-200:]}")
    return version, body.read_bytes()


# MARK: One object


def one_object(
    lab: Lab, peer: Peer, path: str, generate: Callable[[int, str, float], Load], seconds: float, setup: CacheSetup,
    secure: bool = False,
) -> Measurement:
    """CPU per hit of one object in memory."""
    with lab.serving(peer, cache=setup) as server:
        port = server.site.https_port if secure else server.site.http_port
        lab.check_answer(server, path)
        generate(port, path, lab.settings.warm_up_seconds)
        said = require_hit(server, path, secure)
        lab.check_answer(server, path)
        _, measurement = steady(server, lambda: without_origin(lab, lambda: generate(port, path, seconds)))
        return replace(measurement, extra={**measurement.extra, "cache_said": said})
