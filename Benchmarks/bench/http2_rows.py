"""The rows of HTTP/2 over TLS: cache hits, what is proxied, gRPC, and one client while another floods.

Loads come from h2load, on connections that are multiplexed: `8 × 16` is 8 connections with 16 requests under way on each.
"""

import struct
import subprocess
import time
from dataclasses import replace

from .caches import CacheSetup
from .evidence import check_http2, fetch_http2, one_object, require_hit, without_origin
from .lab import Lab, Server
from .loads import Load, Streams
from .origins import body_bytes, echo_origin
from .peers import Peer
from .processes import BrokenRun, running
from .row import WITHOUT_VARNISH, Bar, Measurement, Row
from .steady import steady, steady_part

_CONNECTIONS = 8
_STREAMS = 16
_LARGE_STREAMS = 4

# Ten thousand handshakes at once queue for seconds, and SYNs beyond the kernel's backlog are sent again after 1, 3 and 7 s.
_MANY_WARM_UP_SECONDS = 12
_MANY_SECONDS = 5

_CALL = "/bench.Echo/Unary"
_CALL_BYTES = 64
_CALL_FIELDS = ("content-type: application/grpc", "te: trailers")

# The client whose latency is looked at asks a few thousand times a second, far below what any server can do.
_CALM = Streams(connections=8, streams=100, rate=250)
_CALM_SECONDS = 5
_FLOOD_LEAD_SECONDS = 1.0
_FLOOD_PARALLEL = 4


# MARK: Hits


def cached_1k(streams: int):
    def measure(lab: Lab, peer: Peer) -> Measurement:
        return _hit(lab, peer, "/cached/1k", Streams(_CONNECTIONS, streams), CacheSetup(has_small_objects=True))

    return measure


def cached_1m(lab: Lab, peer: Peer) -> Measurement:
    """Throughput of a large object."""
    shape, path = Streams(_CONNECTIONS, _LARGE_STREAMS), "/cached/1m"
    measurement = _hit(lab, peer, path, shape, CacheSetup())
    mib = body_bytes(path) / 2**20
    return replace(
        measurement,
        figure=(measurement.rate or 0) * mib,
        extra={**measurement.extra, "cpu_us_per_mib": measurement.figure / mib},
    )


def _hit(lab: Lab, peer: Peer, path: str, shape: Streams, setup: CacheSetup) -> Measurement:
    def generate(port: int, asked: str, seconds: float) -> Load:
        return lab.generator.http2(port, asked, seconds, shape)

    return one_object(lab, peer, path, generate, lab.settings.duration_seconds, setup, secure=True)


def cached_1k_many(lab: Lab, peer: Peer) -> Measurement:
    """Hits on ten thousand connections, one at a time on each; all are open before anything is measured."""
    shape, path = Streams(lab.settings.idle_connections, 1), "/cached/1k"
    with lab.serving(peer, clients=shape.connections, cache=CacheSetup(has_small_objects=True)) as server:
        lab.check_answer(server, path)
        check_http2(lab, server, path)
        said = require_hit(server, path, secure=True)
        descriptors = server.tree.descriptors()
        held: list[int] = []

        def run(mark) -> Load:
            def marked() -> None:
                mark()
                # At the second mark the client has begun to close them.
                if not held:
                    held.append(server.tree.descriptors() - descriptors)

            return without_origin(lab, lambda: lab.generator.http2_warm(
                server.site.https_port, path, _MANY_WARM_UP_SECONDS, _MANY_SECONDS, shape, marked))

        _, measurement = steady_part(server, run)
        if held[0] < shape.connections:
            raise BrokenRun(f"the server held {held[0]} of {shape.connections} connections")
        return replace(
            measurement, extra={**measurement.extra, "cache_said": said, "connections": held[0]})


# MARK: Proxied


def proxied_1k(lab: Lab, peer: Peer) -> Measurement:
    return _proxied(lab, peer, lab.origin.port, origin_is_http2=False)


def proxied_1k_http2(lab: Lab, peer: Peer) -> Measurement:
    return _proxied(lab, peer, lab.origin.http2_port, origin_is_http2=True)


def _proxied(lab: Lab, peer: Peer, origin_port: int, origin_is_http2: bool) -> Measurement:
    """CPU per request that an origin answers; the connections it took beside."""
    shape, path = Streams(_CONNECTIONS, _STREAMS), "/1k"
    with lab.serving(peer, origin_port=origin_port, origin_is_http2=origin_is_http2) as server:
        port = server.site.https_port
        first = lab.origin.count()
        lab.check_answer(server, path)
        check_http2(lab, server, path)
        lab.generator.http2(port, path, lab.settings.warm_up_seconds, shape)
        before = lab.origin.count()
        load, measurement = steady(
            server, lambda: lab.generator.http2(port, path, lab.settings.duration_seconds, shape))
        after = lab.origin.count()
        asked = after.requests - before.requests
        if asked < load.requests:
            raise BrokenRun(f"the origin saw {asked} of {load.requests} requests")
        opened = after.accepted - first.accepted
        return replace(
            measurement, extra={**measurement.extra, "origin_requests": asked, "origin_connections": opened})


# MARK: gRPC


def grpc_unary(lab: Lab, peer: Peer) -> Measurement:
    """CPU per call of a method that sends back what it was sent."""
    message = bytes(range(256))[:_CALL_BYTES]
    body = lab.directory / "call.bin"
    # Length-prefixed, not compressed.
    body.write_bytes(struct.pack(">BI", 0, len(message)) + message)
    shape = Streams(_CONNECTIONS, _STREAMS, body=body, fields=_CALL_FIELDS)
    with (
        echo_origin(lab.directory, lab.placement.origin) as origin,
        lab.serving(peer, origin_port=origin.port, origin_is_http2=True) as server,
    ):
        port = server.site.https_port
        _check_call(lab, server, body.read_bytes(), f"@{body}")
        lab.generator.http2(port, _CALL, lab.settings.warm_up_seconds, shape)
        before = origin.count()
        load, measurement = steady(
            server, lambda: lab.generator.http2(port, _CALL, lab.settings.duration_seconds, shape))
        after = origin.count()
        if after["calls"] - before["calls"] < load.requests:
            raise BrokenRun(f"the origin saw {after['calls'] - before['calls']} of {load.requests} calls")
        return replace(
            measurement,
            extra={
                **measurement.extra,
                "origin_connections": after["connections"], "origin_streams": after["most_streams"],
            },
        )


def _check_call(lab: Lab, server: Server, sent: bytes, body: str) -> None:
    """One call: the message comes back, with the trailers of gRPC behind it. Raises BrokenRun."""
    fields = [word for field in _CALL_FIELDS for word in ("-H", field)]
    version, answer = fetch_http2(
        lab.directory, server.site.https_port, _CALL, *fields, "--data-binary", body)
    lines = (lab.directory / "answer.fields").read_text().lower().splitlines()
    if version != "2" or answer != sent or "grpc-status: 0" not in lines:
        raise BrokenRun(f"a call over HTTP/{version} was answered with {answer[:80]!r} and {lines}")


# MARK: Flood


def rapid_reset(lab: Lab, peer: Peer) -> Measurement:
    """What one client's 99th percentile becomes while another asks and resets as fast as it can. The attacker has what
    is left of the client's CPU."""
    path, asked = "/cached/1k", "/1k"
    attack = {
        "kind": "rapid-reset", "path": asked, "large_path": path, "parallel": _FLOOD_PARALLEL,
        "connections": 10**9, "repeats_max": 100_000, "batch": 0, "pause_ms": 0,
        "seconds": _CALM_SECONDS + 2 * _FLOOD_LEAD_SECONDS + 1,
    }
    with lab.serving(peer, cache=CacheSetup(has_small_objects=True)) as server:
        port = server.site.https_port
        check_http2(lab, server, path)
        check_http2(lab, server, asked)
        require_hit(server, path, secure=True)

        def run() -> Load:
            return lab.generator.http2(port, path, _CALM_SECONDS, _CALM)

        lab.generator.http2(port, path, lab.settings.warm_up_seconds, _CALM)
        calm, calm_measurement = steady(server, run)
        log = lab.directory / "attack.log"
        command = lab.generator.attack_command(port, attack)
        with running(command, lab.placement.client, log, is_last=True, stdout=subprocess.PIPE, text=True) as process:
            time.sleep(_FLOOD_LEAD_SECONDS)
            flooded, measurement = steady(server, run)
            report = lab.generator.ended_attack(process, float(attack["seconds"]))
        wanted = _CALM.connections * (_CALM.rate or 0) * 0.9
        for name, load in (("calm", calm), ("flood", flooded)):
            if load.requests < wanted * _CALM_SECONDS:
                raise BrokenRun(f"{load.requests} requests in {_CALM_SECONDS} s: the client fell behind ({name})")
        return Measurement(
            figure=flooded.p99_ms / calm.p99_ms,
            rate=report["frames"] / 2 / report["seconds"],
            p50_ms=flooded.p50_ms,
            p99_ms=flooded.p99_ms,
            peak_rss_mib=server.tree.peak_rss_kib() / 1024,
            busy_percent=measurement.busy_percent,
            extra={
                "calm_p50_ms": calm.p50_ms, "calm_p99_ms": calm.p99_ms,
                "calm_busy_percent": calm_measurement.busy_percent,
                "attacker_connections": report["connections"],
                "attacker_closed_percent": 100 * report["closed"] / max(1, report["connections"]),
                "attacker": report,
            },
        )


_HITS_BAR = (Bar(0.75, of="nginx"),)

HTTP2_ROWS = (
    Row("h2-cached-1k-1", f"cache hit 1 KiB, HTTP/2, {_CONNECTIONS} × 1", "µs CPU/req", cached_1k(1), WITHOUT_VARNISH,
        rounds_max=2, note="{head_bytes:.0f} B of head"),
    Row("h2-cached-1k-16", f"cache hit 1 KiB, HTTP/2, {_CONNECTIONS} × 16", "µs CPU/req", cached_1k(16),
        WITHOUT_VARNISH, _HITS_BAR, note="{head_bytes:.0f} B of head"),
    Row("h2-cached-1k-100", f"cache hit 1 KiB, HTTP/2, {_CONNECTIONS} × 100", "µs CPU/req", cached_1k(100),
        WITHOUT_VARNISH, rounds_max=2, note="{head_bytes:.0f} B of head"),
    Row("h2-cached-1k-many", "cache hit 1 KiB, HTTP/2, 10,000 × 1", "µs CPU/req", cached_1k_many, WITHOUT_VARNISH,
        rounds_max=2, note="{connections:,.0f} connections"),
    Row("h2-cached-1m", f"cache hit 1 MiB, HTTP/2, {_CONNECTIONS} × {_LARGE_STREAMS}", "MiB/s", cached_1m,
        WITHOUT_VARNISH, (Bar(1.0, of="nginx", at_least=True),), note="{cpu_us_per_mib:.0f} µs CPU/MiB"),
    Row("h2-proxied-1k", f"proxied 1 KiB, HTTP/2, {_CONNECTIONS} × {_STREAMS}", "µs CPU/req", proxied_1k,
        WITHOUT_VARNISH, note="{origin_connections:.0f} origin connections"),
    Row("h2-proxied-1k-h2", "the same, HTTP/2 to the origin", "µs CPU/req", proxied_1k_http2, WITHOUT_VARNISH,
        rounds_max=2, note="{origin_connections:.0f} origin connections"),
    Row("grpc-unary", f"gRPC unary echo, {_CONNECTIONS} × {_STREAMS}", "µs CPU/call", grpc_unary, WITHOUT_VARNISH,
        note="{origin_connections:.0f} origin connections"),
    Row("rapid-reset", "p99 beside a rapid-reset flood", "× calm p99", rapid_reset, WITHOUT_VARNISH, (Bar(3),),
        rate_unit=" resets/s",
        note="calm {calm_p99_ms:.2f} ms; {attacker_connections:,.0f} attacker's connections, "
             "{attacker_closed_percent:.0f} % closed"),
)
