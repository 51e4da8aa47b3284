"""Exchanges as clients have them every day: one, many at once, with bodies, with trailers."""

import hashlib

from wire import *


def ask(port, tls, path, fields=(), method="GET", body="", name="example.test", authority=None):
    client = Client(port, tls, name)
    head = client.fields(method, path, authority, [tuple(field) for field in fields])
    stream = client.open()
    client.head(stream, head, ends=not body)
    if body:
        client.upload(stream, as_bytes(body))
    reply = client.finish(stream)
    return {"reply": reply.as_json(), "goaway": client.goaway, "settings": settings_seen(client)}


def claiming(port, tls, path, scheme):
    """A request whose :scheme is another than the connection's."""
    client = Client(port, tls)
    client.scheme = scheme
    return {"reply": client.get(path).as_json()}


def settings_seen(client):
    return {str(key): value for key, value in (client.settings or {}).items()}


def many(port, tls, path, count, same=False):
    """So many requests before the first answer is read, each for a URL of its own unless for the `same`."""
    client = Client(port, tls)
    paths = [path if same else f"{path}?{index}" for index in range(count)]
    streams = [client.request(path) for path in paths]
    client.finish(*streams)
    replies = [client.reply(stream) for stream in streams]
    return {
        "whole": sum(reply.status == 200 and reply.ended for reply in replies),
        "matching": sum(reply.body.decode() == f"reached {path}" for path, reply in zip(paths, replies)),
        "goaway": client.goaway,
    }


def statuses(port, tls, path, count):
    """So many requests at once; how they ended."""
    client = Client(port, tls)
    streams = [client.request(f"/{index}{path}") for index in range(count)]
    client.finish(*streams)
    return {"statuses": [client.reply(stream).status or 0 for stream in streams], "goaway": client.goaway}


def overtaking(port, tls, held, quick):
    """A request whose answer is held back, and one behind it."""
    client = Client(port, tls)
    first = client.request(held)
    second = client.get(quick)
    say(overtook=second.as_json(), first=client.reply(first).status or 0)
    return {"reply": client.finish(first).as_json()}


def refused(port, tls, path, allowed):
    """Three streams more than are allowed at once; `path` is held back by the origin."""
    client = Client(port, tls).ready()
    streams = [client.request(f"{path}?{index}") for index in range(allowed + 3)]
    client.pump(lambda: sum(client.reply(stream).reset is not None for stream in streams) == 3)
    say(refused=[client.reply(stream).reset for stream in streams[allowed:]], announced=client.settings[STREAMS_MAX])
    client.finish(*streams)
    return {"served": [client.reply(stream).status for stream in streams[:allowed]], "after": client.get(path).status}


def cancelled(port, tls, held, quick):
    """Resets a request that the origin has, when told to."""
    client = Client(port, tls)
    stream = client.request(held, method="POST")
    before = client.get(quick).status
    wait_for_word()
    client.send(rst_stream(stream))
    return {"statuses": [before, client.get(quick).status], "goaway": client.goaway}


def early(port, tls, path, quick):
    """A body that goes on until the answer is there, however much of it was wanted."""
    client = Client(port, tls).ready()
    stream = client.request(path, ("content-length", "100000000"), method="POST", ends=False)
    reply = client.reply(stream)
    while not reply.is_over and client.upload(stream, bytes(16384), ends=False):
        client.absorb(0)
    client.finish(stream)
    reset = reply.reset
    # What is on its way after the end does no harm.
    client.data(stream, b"late")
    client.send(rst_stream(stream))
    return {"reply": reply.as_json(), "reset": -1 if reset is None else reset, "after": client.get(quick).status,
            "goaway": client.goaway}


def digests(port, tls, path, count):
    """The same large answer on so many streams at once."""
    client = Client(port, tls, announces=[(INITIAL_WINDOW, 1 << 20)])
    client.send(window_update(0, 1 << 24))
    streams = [client.request(path) for _ in range(count)]
    client.finish(*streams)
    bodies = [bytes(client.reply(stream).body) for stream in streams]
    return {"digests": [hashlib.sha256(body).hexdigest() for body in bodies], "counts": [len(body) for body in bodies]}


def each(port, tls, requests):
    """One after another on one connection: `[[method, path, [[name, value], …]], …]`."""
    client = Client(port, tls)
    replies = []
    for method, path, fields in requests:
        replies.append(client.get(path, *[tuple(field) for field in fields], method=method).as_json())
    return {"replies": replies, "goaway": client.goaway}


def trailers(port, tls, path, fields, ends):
    """A body of one frame, then trailers."""
    client = Client(port, tls)
    stream = client.request(path, ("te", "trailers"), ("trailer", "x-sum"), method="POST", ends=False)
    client.data(stream, b"the body")
    client.head(stream, [tuple(field) for field in fields], ends)
    return {"reply": client.finish(stream).as_json(), "goaway": client.goaway}


def expecting(port, tls, path):
    """Sends the body when told to go on."""
    client = Client(port, tls)
    stream = client.request(path, ("expect", "100-continue"), ("content-length", "5"), method="POST", ends=False)
    client.pump(lambda: client.reply(stream).interim or client.reply(stream).is_over)
    interim = [one["status"] for one in client.reply(stream).interim]
    client.data(stream, b"hello", True)
    return {"interim": interim, "reply": client.finish(stream).as_json()}


def echo(port, tls, path, count):
    """A body of so many bytes, while its copy comes back."""
    client = Client(port, tls, announces=[(INITIAL_WINDOW, 1 << 20)])
    client.ready()
    client.send(window_update(0, 1 << 24))
    sent = bytes(hashlib.sha256(b"martlet").digest() * (count // 32 + 1))[:count]
    stream = client.request(path, ("content-length", str(count)), method="POST", ends=False)
    went = client.upload(stream, sent)
    reply = client.finish(stream)
    return {"went": went, "equal": bytes(reply.body) == sent, "count": len(reply.body), "status": reply.status or 0}


def stalled_upload(port, tls, path, count):
    """Sends as much as the windows allow of a body that the origin does not read; the rest when told to."""
    client = Client(port, tls)
    client.ready()
    stream = client.request(path, ("content-length", str(count)), method="POST", ends=False)
    piece = bytes(count)
    went = client.upload(stream, piece, patience=2)
    say(stalled=went)
    wait_for_word()
    while went < count:
        more = client.upload(stream, piece[went:])
        went += more
        if not more:
            break
    return {"reply": client.finish(stream).as_json()}


def silent_download(port, tls, paths):
    """Asks for all of them without ever opening a window; takes them when told to."""
    client = Client(port, tls, credits=False, announces=[(INITIAL_WINDOW, 0)])
    streams = [client.request(path) for path in paths]
    client.pump(lambda: all(client.reply(stream).status for stream in streams))
    say(heads=[client.reply(stream).status for stream in streams],
        bytes=sum(len(client.reply(stream).body) for stream in streams))
    wait_for_word()
    client.credits = True
    client.send(settings([(INITIAL_WINDOW, 1 << 20)]) + window_update(0, 1 << 24))
    client.finish(*streams)
    return {"counts": [len(client.reply(stream).body) for stream in streams],
            "ended": all(client.reply(stream).ended for stream in streams), "closed": client.closed,
            "goaway": [list(one) for one in client.goaways], "resets": [client.reply(stream).reset for stream in streams]}


def shut_window(port, tls, path):
    """One answer whose window never opens."""
    client = Client(port, tls, credits=False, announces=[(INITIAL_WINDOW, 0)])
    stream = client.request(path)
    client.finish(stream)
    reply = client.reply(stream)
    return {"reset": -1 if reply.reset is None else reply.reset, "closed": client.closed, "goaway": client.goaway}


def windows(port, tls, path):
    """How many bytes come as SETTINGS and WINDOW_UPDATE move one stream's window (RFC 9113, section 6.9.2)."""
    client = Client(port, tls, credits=False, announces=[(INITIAL_WINDOW, 100_000)])
    client.send(window_update(0, 1 << 24))
    stream = client.request(path)
    reply = client.reply(stream)
    seen = []

    def note(wanted):
        client.pump(lambda: len(reply.body) >= wanted or reply.is_over)
        # What is sent beyond it would come before the second of two answers.
        client.settle()
        client.settle()
        seen.append(len(reply.body))

    note(100_000)
    client.send(settings([(INITIAL_WINDOW, 10_000)]))
    note(100_000)
    client.send(window_update(stream, 50_000))
    note(100_000)
    client.send(window_update(stream, 100_000))
    note(160_000)
    client.send(settings([(INITIAL_WINDOW, 30_000)]))
    note(180_000)
    client.send(window_update(stream, 1 << 24))
    client.finish(stream)
    seen.append(len(reply.body))
    return {"seen": seen, "ended": reply.ended, "largest": max(reply.pieces)}


def fair(port, tls, large, small):
    """A small answer asked for in the middle of a large one."""
    client = Client(port, tls, announces=[(INITIAL_WINDOW, (1 << 31) - 1)])
    client.send(window_update(0, (1 << 31) - 1 - 65535))
    first = client.request(large)
    client.pump(lambda: len(client.reply(first).body) > 1 << 20)
    before = len(client.reply(first).body)
    second = client.finish(client.request(small))
    between = len(client.reply(first).body) - before
    over = client.reply(first).is_over
    reply = client.finish(first)
    return {"small": second.as_json(), "between": between, "over": over, "count": len(reply.body), "ended": reply.ended}


def belated(port, tls, large, small):
    """Takes a large answer whole before it gives back any credit: then for every frame of it, stream's and connection's."""
    client = Client(port, tls, credits=False, announces=[(INITIAL_WINDOW, (1 << 31) - 1 - (1 << 27))])
    client.send(window_update(0, (1 << 31) - 1 - 65535 - (1 << 27)))
    stream = client.request(large)
    held = client.request(small, method="POST", ends=False)
    reply = client.finish(stream)
    client.send(b"".join(window_update(0, size) + window_update(stream, size) for size in reply.pieces if size))
    client.data(held, b"", True)
    return {"count": len(reply.body), "frames": len(reply.pieces), "held": client.finish(held).as_json(),
            "after": client.get(small).status or 0, "goaway": client.goaway}


def in_order(port, tls, fill, requests, updates=()):
    """Asks while the connection's window is shut, opens it when every head is there, and tells whose DATA came when.

    `fill`: a page of exactly 65,535 bytes, which shuts the window; `requests`: `[[path, priority], …]`; `updates`:
    `[[index of the request, priority], …]`, sent as PRIORITY_UPDATE.
    """
    client = Client(port, tls, credits=False, announces=[(INITIAL_WINDOW, 1 << 20)])
    client.ready()
    filled = len(client.get(fill).body)
    streams = [client.request(path, ("priority", priority)) for path, priority in requests]
    client.pump(lambda: all(client.reply(stream).status for stream in streams))
    for index, priority in updates:
        client.send(priority_update(streams[index], priority))
    client.settle()
    before = sum(len(client.reply(stream).body) for stream in streams)
    start = len(client.trace)
    client.send(window_update(0, 1 << 24))
    client.finish(*streams)
    order = [streams.index(stream) for kind, _, stream, length in client.trace[start:]
             if kind == DATA and length and stream in streams]
    return {"filled": filled, "before": before, "order": order,
            "counts": [len(client.reply(stream).body) for stream in streams]}


def compressed(port, tls, path, size):
    """The same request over and over with a table of `size` bytes for what comes back."""
    client = Client(port, tls, announces=[(TABLE_SIZE, size)])
    client.decoder.max_allowed_table_size = size
    if size < 4096:
        client.decoder.header_table_size = min(size, client.decoder.header_table_size)
    blocks, fields = [], []
    for _ in range(4):
        start = len(client.trace)
        reply = client.get(path)
        blocks.append(sum(length for kind, _, _, length in client.trace[start:] if kind == HEADERS))
        fields.append(reply.fields)
    return {"blocks": blocks, "equal": all(dict(one).keys() == dict(fields[0]).keys() for one in fields),
            "status": reply.status}


def fragments(port, tls, path, padding):
    """A request whose block comes a byte a frame, on a connection that comes a byte a write."""
    client = Client(port, tls, begins=False)
    client.begin(1)
    client.next_stream = 3
    block = client.encode(client.fields("POST", path, None, [("x-odd", "value")]))
    out = PREFACE + settings([(0xFACE, 7), (INITIAL_WINDOW, 70_000)]) + frame(0xBE, 0xFF, 0, b"unknown")
    first = frame(HEADERS, 0, 1, block[:1])
    if padding:
        first = frame(HEADERS, PADDED | PRIORITIZED, 1, bytes((9,)) + b"\x00\x00\x00\x00\x0f" + block[:1] + bytes(9))
    out += first
    rest = block[1:]
    step = max(1, len(rest) // 40)
    for at in range(0, len(rest), step):
        out += frame(CONTINUATION, END_HEADERS if at + step >= len(rest) else 0, 1, rest[at:at + step])
    out += frame(0xEE, 0, 1, b"unknown too") + frame(PRIORITY, 0, 1, b"\x00\x00\x00\x07\x10")
    out += frame(DATA, PADDED, 1, bytes((200,)) + b"half " + bytes(200)) + frame(DATA, PADDED | END_STREAM, 1, b"\x00rest")
    for at in range(len(out)):
        client.send(out[at:at + 1])
    return {"reply": client.finish(1).as_json(), "goaway": client.goaway}


if __name__ == "__main__":
    play(globals())
