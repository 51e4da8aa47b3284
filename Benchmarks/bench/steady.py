"""A steady load on a server that is warm, and what it cost the server."""

import time
from typing import Callable

from .lab import Server
from .loads import Load
from .processes import cpu_seconds
from .row import Measurement


def steady(server: Server, run: Callable[[], Load]) -> tuple[Load, Measurement]:
    """The load, and a measurement whose figure is CPU microseconds per request."""
    return steady_part(server, lambda mark: _marked(run, mark))


def _marked(run: Callable[[], Load], mark: Callable[[], None]) -> Load:
    mark()
    load = run()
    mark()
    return load


def steady_part(server: Server, run: Callable[[Callable[[], None]], Load]) -> tuple[Load, Measurement]:
    """The same for a load that is more than what is measured: it calls its argument where that begins and ends."""
    marks: list[tuple[dict[int, int], float]] = []
    load = run(lambda: marks.append((server.tree.cpu_ticks(), time.monotonic())))
    (cpu_before, clock_before), (cpu_after, clock_after) = marks
    cpu, wall = cpu_seconds(cpu_before, cpu_after), clock_after - clock_before
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
