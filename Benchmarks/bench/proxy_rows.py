"""The rows of what a proxy does: no cache is involved, in any of the servers.

A row's `measure` starts a fresh server, warms it up, and returns one `Measurement`. Its `figure` is what the row is
about, in the row's unit, and is what rounds are compared by; everything else is there to read it by.
"""

import re
import subprocess
import time
from typing import Callable

from .lab import Lab, Server
from .loads import IdleClient, Load
from .origins import fetch, upload_sink
from .peers import Peer
from .processes import BrokenRun, cpu_seconds, running
from .row import WITHOUT_VARNISH, Bar, Measurement, Row
from .steady import steady

_SETTLE_SECONDS = 1.5


# MARK: Load rows


def _under_load(
    lab: Lab, server: Server, path: str, run: Callable[[int, str, float], Load], port: int
) -> tuple[Measurement, int]:
    """CPU per request over one steady run; also the requests of warm-up and run together."""
    lab.check_answer(server, path)
    warm_up = run(port, path, lab.settings.warm_up_seconds)
    counter_before, origin_before = _reuse_counter(server), lab.origin.count()
    load, measurement = steady(server, lambda: run(port, path, lab.settings.duration_seconds))
    origin_after, counter_after = lab.origin.count(), _reuse_counter(server)

    extra = measurement.extra
    asked = origin_after.requests - origin_before.requests
    opened = origin_after.accepted - origin_before.accepted
    extra["origin_requests"], extra["origin_connections"] = asked, opened
    # Fewer requests at the origin than at the client means that something else answered them.
    if asked < load.requests:
        raise BrokenRun(f"the origin saw {asked} of {load.requests} requests")
    extra["reuse_percent"] = 100 * (1 - opened / asked)
    if counter_before and counter_after:
        extra["own_counter"] = {key: counter_after[key] - counter_before.get(key, 0) for key in counter_after}
    return measurement, warm_up.requests + load.requests


def proxied_1k(lab: Lab, peer: Peer) -> Measurement:
    with lab.serving(peer) as server:
        return _under_load(lab, server, "/1k", lab.generator.wrk, server.site.http_port)[0]


def proxied_1m(lab: Lab, peer: Peer) -> Measurement:
    with lab.serving(peer) as server:
        return _under_load(lab, server, "/1m", lab.generator.wrk, server.site.http_port)[0]


def tls_1k(lab: Lab, peer: Peer) -> Measurement:
    with lab.serving(peer) as server:
        return _under_load(lab, server, "/1k", lab.generator.h2load, server.site.https_port)[0]


def handshake(lab: Lab, peer: Peer) -> Measurement:
    with lab.serving(peer) as server:
        return _under_load(lab, server, "/1k", lab.generator.handshakes, server.site.https_port)[0]


def logged_1k(lab: Lab, peer: Peer) -> Measurement:
    """As proxied_1k with a JSON access log; says which share of the requests has its line."""
    with lab.serving(peer, access_log=True) as server:
        measurement, requests = _under_load(lab, server, "/1k", lab.generator.wrk, server.site.http_port)
    with open(server.site.access_log_file, "rb") as log:
        lines = sum(1 for _ in log)
    measurement.extra["logged_percent"] = 100 * lines / requests
    return measurement


def _reuse_counter(server: Server) -> dict[str, float] | None:
    """Martlet's own account of origin connections, by its label `reused`; None for others."""
    if server.peer.name != "martlet":
        return None
    status, body = fetch(server.site.admin_port, "/metrics")
    if status != 200:
        raise BrokenRun(f"/metrics answered {status}")
    found: dict[str, float] = {}
    pattern = r'^martlet_origin_connections_total\{[^}]*\breused="(\w+)"[^}]*\} ([\d.e+]+)'
    for match in re.finditer(pattern, body.decode(), re.MULTILINE):
        found[match[1]] = found.get(match[1], 0) + float(match[2])
    return found


# MARK: Idle rows


def idle_clear(lab: Lab, peer: Peer) -> Measurement:
    return _idle(lab, peer, "clear")


def idle_new(lab: Lab, peer: Peer) -> Measurement:
    return _idle(lab, peer, "new")


def idle_tls(lab: Lab, peer: Peer) -> Measurement:
    return _idle(lab, peer, "tls")


def _idle(lab: Lab, peer: Peer, kind: str) -> Measurement:
    """Resident memory for each of many connections that do nothing."""
    count = lab.settings.idle_connections
    with lab.serving(peer, clients=count) as server:
        lab.check_answer(server, "/1k")
        port = server.site.https_port if kind == "tls" else server.site.http_port
        log = lab.directory / "client.log"
        command = IdleClient.command(port, "/1k", count, kind)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with running(command, lab.placement.client, log, **pipes) as process:
            client = IdleClient(process, log)
            client.warmed()
            time.sleep(_SETTLE_SECONDS)
            before, descriptors = server.tree.rss_kib(), server.tree.descriptors()
            seconds = client.open()
            time.sleep(_SETTLE_SECONDS)
            after, held = server.tree.rss_kib(), server.tree.descriptors() - descriptors
            closed = client.closed_by_server()
        if closed or held < count:
            raise BrokenRun(f"of {count} connections the server held {held} and closed {closed}")
        return Measurement(
            figure=(after - before) / count,
            peak_rss_mib=server.tree.peak_rss_kib() / 1024,
            extra={"connections": count, "rss_before_kib": before, "rss_after_kib": after, "open_seconds": seconds},
        )


# MARK: Upload row


def upload(lab: Lab, peer: Peer) -> Measurement:
    """Peak memory while one large body passes to an origin that starts to read late."""
    size = lab.settings.upload_bytes
    with upload_sink(lab.directory, lab.placement.origin) as origin_port:
        with lab.serving(peer, origin_port=origin_port) as server:
            before = server.tree.cpu_ticks()
            seconds = lab.generator.upload(server.site.http_port, "/upload", size)
            cpu = cpu_seconds(before, server.tree.cpu_ticks())
            peak = server.tree.peak_rss_kib() / 1024
    return Measurement(
        figure=peak,
        rate=size / 2**20 / seconds,
        peak_rss_mib=peak,
        extra={"bytes": size, "cpu_ms_per_gib": cpu * 1000 / (size / 2**30)},
    )


PROXY_ROWS = (
    Row("proxied-1k", "proxied 1 KiB, keep-alive", "µs CPU/req", proxied_1k, bars=(Bar(0.75, of="nginx"),)),
    Row("proxied-1m", "proxied 1 MiB, keep-alive", "µs CPU/req", proxied_1m, rounds_max=2),
    Row("tls-1k", "proxied 1 KiB, TLS keep-alive", "µs CPU/req", tls_1k, WITHOUT_VARNISH, (Bar(0.75, of="nginx"),)),
    Row("handshake", "full TLS 1.3 handshake + 1 KiB", "µs CPU/conn", handshake, WITHOUT_VARNISH,
        (Bar(0.75, of="nginx"),)),
    Row("log-1k", "proxied 1 KiB, JSON access log", "µs CPU/req", logged_1k, WITHOUT_VARNISH, rounds_max=2),
    Row("idle", "idle connection after one request", "KiB each", idle_clear, bars=(Bar(6),), rounds_max=1),
    Row("idle-new", "idle connection before any request", "KiB each", idle_new, rounds_max=1),
    Row("idle-tls", "idle TLS connection after one request", "KiB each", idle_tls, WITHOUT_VARNISH,
        (Bar(1.5, of="nginx"),), rounds_max=1),
    Row("reuse", "origin pool reuse in proxied-1k", "%", None, bars=(Bar(99.9, at_least=True),), has_ratio=False,
        taken_from=("proxied-1k", "reuse_percent")),
    Row("upload", "upload, peak RSS", "MiB", upload, WITHOUT_VARNISH, (Bar(64),), rounds_max=1, rate_unit=" MiB/s"),
)
