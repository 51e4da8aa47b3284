"""Client of the idle rows: `idle.py PORT PATH BYTES COUNT KIND`, KIND one of new, clear, tls.

Speaks with the harness in lines, so that memory is read while nothing moves:
  prints "warm"    after a few connections were opened, used and closed
  reads  "open"    then opens COUNT connections; all but KIND new make one request; prints "opened SECONDS"
  reads  "count"   then prints how many of them the server has closed meanwhile, and ends

A TLS connection keeps only its descriptor after the response: the client's own TLS state is dropped without a
close_notify, which the server cannot see, and ten thousand of them cost no memory here.
"""

import select
import socket
import ssl
import sys
import time

WARM_COUNT = 64


def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    return context


def ask(connection: socket.socket, path: str, size: int) -> None:
    """One request that leaves the connection open. Exits on anything but the whole 200."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bench.test\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < size:
        block = connection.recv(65536)
        if not block:
            sys.exit("the server closed an idle connection instead of answering")
        answer += block
    if not answer.startswith(b"HTTP/1.1 200 "):
        sys.exit("the server did not answer 200")


def open_one(port: int, path: str, size: int, kind: str, context: ssl.SSLContext) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    if kind == "new":
        return plain
    if kind == "clear":
        ask(plain, path, size)
        return plain
    secure = context.wrap_socket(plain, server_hostname="bench.test")
    if secure.session_reused or secure.version() != "TLSv1.3":
        sys.exit("not a full TLS 1.3 handshake")
    ask(secure, path, size)
    return socket.socket(fileno=secure.detach())


def closed_by_server(connections: list[socket.socket]) -> int:
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLRDHUP)
    return len(poll.poll(0))


def main() -> None:
    port, path, size, count, kind = sys.argv[1:6]
    arguments = (int(port), path, int(size), kind, client_context())
    warm = [open_one(*arguments) for _ in range(min(WARM_COUNT, int(count)))]
    for connection in warm:
        connection.close()
    print("warm", flush=True)

    sys.stdin.readline()
    start = time.monotonic()
    connections = [open_one(*arguments) for _ in range(int(count))]
    print(f"opened {time.monotonic() - start:.3f}", flush=True)

    sys.stdin.readline()
    print(closed_by_server(connections), flush=True)


if __name__ == "__main__":
    main()
