"""Ports on loopback that nobody uses yet.

They lie below the range the kernel takes clients' ports from (32768 and up): otherwise one of ten thousand client
connections could sit on the port the next server is about to open.
"""

import random
import socket

_RANGE = range(20_000, 32_000)
_given: set[int] = set()


def free_port() -> int:
    """A port that was free a moment ago and was not handed out before in this run."""
    while True:
        port = random.choice(_RANGE)
        if port in _given:
            continue
        _given.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
