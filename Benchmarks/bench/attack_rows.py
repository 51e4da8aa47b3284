"""The rows of attacks over HTTP/2: what each costs a server until it closes the connection.

Each attack is made twice. Paced, a few frames and then a pause, the count of frames until the server closes is exact to a
batch. Flooding, as fast as the socket takes it, connection after connection, it costs the server what the figure says: CPU
time of one connection from its handshake to its end.
"""

from typing import Callable

from .caches import CacheSetup
from .evidence import check_http2
from .lab import Lab
from .peers import Peer
from .row import WITHOUT_VARNISH, Measurement, Row

_PACED = {"parallel": 1, "connections": 1, "repeats_max": 4000, "seconds": 6, "batch": 8, "pause_ms": 2}
_FLOOD = {"parallel": 1, "connections": 30, "repeats_max": 20_000, "seconds": 3, "batch": 0, "pause_ms": 0}
_ENHANCE_YOUR_CALM = "11"
_CODES = {
    "0": "NO_ERROR", "1": "PROTOCOL_ERROR", "2": "INTERNAL_ERROR", "3": "FLOW_CONTROL_ERROR", "6": "FRAME_SIZE_ERROR",
    "9": "COMPRESSION_ERROR", _ENHANCE_YOUR_CALM: "ENHANCE_YOUR_CALM", "none": "no GOAWAY",
}

# Name in clients/frames.py, and what a reader calls it.
_ATTACKS = {
    "none": "no attack: one request",
    "rapid-reset": "rapid reset",
    "server-reset": "resets by the server (MadeYouReset)",
    "stream-flood": "streams beyond the limit",
    "continuation": "CONTINUATION flood",
    "empty-continuation": "CONTINUATION flood, empty",
    "hpack-bomb": "HPACK bomb",
    "settings": "SETTINGS flood",
    "ping": "PING flood",
    "empty-data": "DATA without bytes",
    "window-update": "WINDOW_UPDATE flood",
    "tiny-window": "windows opened byte by byte",
    "priority": "PRIORITY flood (dependencies)",
    "priority-update": "PRIORITY_UPDATE flood",
    "unknown-frames": "frames of no known type",
}


def attack(kind: str) -> Callable[[Lab, Peer], Measurement]:
    def measure(lab: Lab, peer: Peer) -> Measurement:
        asked = {"kind": kind, "path": "/1k", "large_path": "/cached/1m"}
        with lab.serving(peer, cache=CacheSetup()) as server:
            for path in (asked["path"], asked["large_path"]):
                check_http2(lab, server, path)
            port = server.site.https_port
            # Nothing is done for the first time.
            lab.generator.attack(port, asked | _PACED | {"kind": "none"})
            paced = lab.generator.attack(port, asked | _PACED)
            before = server.tree.run_seconds()
            flood = lab.generator.attack(port, asked | _FLOOD)
            cpu = server.tree.run_seconds() - before
            # Still there, and still right.
            check_http2(lab, server, asked["large_path"])
            connections, frames = max(1, flood["connections"]), max(1, flood["frames"])
            return Measurement(
                figure=1000 * cpu / connections,
                peak_rss_mib=server.tree.peak_rss_kib() / 1024,
                extra={
                    "frames": paced["frames"], "closed": paced["closed"], "ending": _ending(paced),
                    "flood_frames": frames / connections, "flood_ending": _ending(flood),
                    "flood_us_per_frame": 1e6 * cpu / frames, "paced": paced, "flood": flood,
                },
            )

    return measure


def _ending(report: dict) -> str:
    if not report["closed"]:
        return "no longer read" if report["stalled"] else "not closed"
    return " or ".join(sorted(_CODES.get(code, code) for code in report["codes"]))


ATTACK_ROWS = tuple(
    Row(f"attack-{kind}", title, "ms CPU", attack(kind), WITHOUT_VARNISH, rounds_max=1, has_ratio=False,
        note="{frames:,.0f} frames, then {ending}; flooding {flood_frames:,.0f}, {flood_ending}")
    for kind, title in _ATTACKS.items()
)
