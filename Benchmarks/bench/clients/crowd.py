"""Client of the cold-crowd row: `crowd.py PORT PATH BYTES COUNT`. COUNT connections, one request on each.

Speaks with the harness in lines: prints "opened" when all connections are open; reads "ask", then sends all requests as
fast as it can and prints one JSON object when every answer is there. Latencies are from each request's own sending.
"""

import gc
import json
import select
import socket
import sys
import time

_TIMEOUT_SECONDS = 60


def main() -> None:
    port, path, size, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    connections = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(count)]
    poll = select.epoll()
    for connection in connections:
        connection.setblocking(False)
        poll.register(connection.fileno(), select.EPOLLIN)
    print("opened", flush=True)

    sys.stdin.readline()
    gc.disable()
    clock = time.monotonic
    by_number = {connection.fileno(): connection for connection in connections}
    sent, received, latencies, errors = {}, {}, [], {}
    begin = clock()
    for number, connection in by_number.items():
        sent[number] = clock()
        connection.send(request)
    all_sent = clock()
    first = None
    while by_number:
        events = poll.poll(_TIMEOUT_SECONDS, maxevents=4096)
        if not events:
            errors["timeout"] = len(by_number)
            break
        for number, _ in events:
            connection = by_number[number]
            try:
                block = connection.recv(65536)
            except OSError:
                block = b""
            now = clock()
            answer = received.get(number, b"") + block
            problem = "" if block else "read"
            if block:
                head, end, body = answer.partition(b"\r\n\r\n")
                if not end or len(body) < size:
                    received[number] = answer
                    continue
                problem = "" if head.startswith(b"HTTP/1.1 200 ") and len(body) == size else "status"
            first = first or now
            latencies.append(now - sent[number])
            if problem:
                errors[problem] = errors.get(problem, 0) + 1
            poll.unregister(number)
            del by_number[number]
    latencies.sort()
    json.dump(
        {
            "requests": len(latencies),
            "seconds": clock() - begin,
            "p50_ms": latencies[len(latencies) // 2] * 1000 if latencies else 0,
            "p99_ms": latencies[len(latencies) * 99 // 100] * 1000 if latencies else 0,
            "slowest_ms": latencies[-1] * 1000 if latencies else 0,
            "sending_ms": (all_sent - begin) * 1000,
            # Whether all requests were under way before anything was answered.
            "all_waited": first is None or first > all_sent,
            "errors": errors,
        },
        sys.stdout,
    )
    print(flush=True)


if __name__ == "__main__":
    main()
