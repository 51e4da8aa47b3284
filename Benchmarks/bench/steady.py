"""A steady load on a server that is warm, and what it cost the server."""

import time
from typing import Callable

from .lab import Server
from .loads import Load
from .processes import cpu_seconds
from .row import Measurement


def steady(server: Server, run: Callable[[], Load]) -> tuple[Load, Measurement]:
    """The load, and a measurement whose figure is CPU microseconds per request."""
    cpu_before, clock_before = server.tree.cpu_ticks(), time.monotonic()
    load = run()
    cpu, wall = cpu_seconds(cpu_before, server.tree.cpu_ticks()), time.monotonic() - clock_before
    each = cpu / load.requests * 1e6
    return load, Measurement(
        figure=each,
        rate=load.requests / load.seconds,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        peak_rss_mib=server.tree.peak_rss_kib() / 1024,
        busy_percent=100 * cpu / wall,
        extra={**load.extra, "cpu_us": each},
    )
