"""Client of the handshake row: `handshakes.py PORT PATH BYTES SECONDS PROCESSES`.

Each process, one after the other: connect, full TLS 1.3 handshake, one request, read to the end. No session is ever
offered (a fresh SSL object each time, no session passed), and every connection is asked afterwards whether it was
resumed. wrk and h2load cannot serve here: both offer the last session again when they reconnect.

Prints one JSON object; latencies are from before connect() to the response's last byte.
"""

import json
import multiprocessing
import socket
import ssl
import sys
import time


def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # The chain is not the subject; CertificateVerify is checked regardless.
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    return context


def one_connection(context: ssl.SSLContext, port: int, request: bytes, size: int) -> tuple[str, str]:
    """Returns ("", cipher), or what went wrong and the cipher."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_hostname="bench.test") as connection:
            cipher = connection.cipher()[0]
            connection.sendall(request)
            answer = bytearray()
            while block := connection.recv(65536):
                answer += block
            if connection.session_reused:
                return "resumed", cipher
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        return "status", cipher
    return ("", cipher) if len(body) == size else ("length", cipher)


def work(port: int, path: str, size: int, seconds: float, results) -> None:
    context = client_context()
    request = f"GET {path} HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n".encode()
    latencies, errors, ciphers = [], {}, {}
    end = time.monotonic() + seconds
    while (start := time.monotonic()) < end:
        try:
            problem, cipher = one_connection(context, port, request, size)
            ciphers[cipher] = ciphers.get(cipher, 0) + 1
        except OSError as error:
            problem = type(error).__name__
        latencies.append(time.monotonic() - start)
        if problem:
            errors[problem] = errors.get(problem, 0) + 1
    results.put((latencies, errors, ciphers))


def main() -> None:
    port, path, size, seconds, processes = sys.argv[1:6]
    results = multiprocessing.Queue()
    arguments = (int(port), path, int(size), float(seconds), results)
    workers = [multiprocessing.Process(target=work, args=arguments, daemon=True) for _ in range(int(processes))]
    start = time.monotonic()
    for worker in workers:
        worker.start()
    latencies, errors, ciphers = [], {}, {}
    for _ in workers:
        some, wrong, suites = results.get()
        latencies += some
        for total, part in ((errors, wrong), (ciphers, suites)):
            for key, count in part.items():
                total[key] = total.get(key, 0) + count
    elapsed = time.monotonic() - start
    for worker in workers:
        worker.join()
    latencies.sort()
    json.dump(
        {
            "requests": len(latencies),
            "seconds": elapsed,
            "p50_ms": latencies[len(latencies) // 2] * 1000,
            "p99_ms": latencies[len(latencies) * 99 // 100] * 1000,
            "errors": errors,
            "ciphers": ciphers,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
