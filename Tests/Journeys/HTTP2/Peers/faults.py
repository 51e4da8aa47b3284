"""What no honest client sends: requests and frames that break rules, each on a connection of its own."""

from wire import *


def outcome(client, stream, alive):
    """What became of the stream and of the connection: `after` is the status of a request behind the fault."""
    client.pump(lambda: client.reply(stream).is_over)
    after = 0
    if not client.closed and not client.goaways:
        after = client.get(alive).status or 0
    reply = client.reply(stream)
    client.close()
    return {
        "status": reply.status or 0, "reset": -1 if reply.reset is None else reply.reset, "ended": reply.ended,
        "goaway": client.goaway, "closed": client.closed, "after": after, "body": reply.body.decode("latin-1")[:300],
    }


def requests(port, tls, cases, alive):
    """Each case: `fields`, whether the head `ends` the stream, and what comes `then`: data or trailers."""
    found = []
    for case in cases:
        client = Client(port, tls)
        stream = client.open()
        scheme = client.scheme
        fields = [(name, value.replace("SCHEME", scheme)) for name, value in case["fields"]]
        # All of it in one write, so that no answer comes before the fault.
        client.is_flushing = True
        client.head(stream, fields, case["ends"])
        for part in case["then"]:
            if "trailers" in part:
                client.head(stream, [tuple(field) for field in part["trailers"]], part["ends"])
            else:
                client.data(stream, as_bytes(part["data"]), part["ends"])
        client.is_flushing = False
        client.send(b"")
        found.append(outcome(client, stream, alive))
    return {"outcomes": found}


def frames(port, tls, cases, alive):
    """Each case: bytes in hexadecimal behind the preface and SETTINGS (or, with `bare`, instead of them)."""
    found = []
    for case in cases:
        client = Client(port, tls, begins=False)
        client.begin(1)
        client.next_stream = 101
        start = b"" if case["bare"] else PREFACE + settings() + settings(flags=ACK)
        client.send(start + bytes.fromhex(case["hex"]))
        if case["connection"]:
            client.until_closed()
            found.append({"goaway": client.goaway, "closed": client.closed, "last": client.goaways[-1][0] if
                          client.goaways else -1, "debug": client.goaways[-1][2] if client.goaways else "",
                          "settings": client.settings is not None})
            client.close()
        else:
            found.append(outcome(client, 1, alive))
    return {"outcomes": found}


def beyond_windows(port, tls, path, per_stream):
    """More DATA than the stream's window, or than the connection's, allows (RFC 9113, section 6.9.1)."""
    client = Client(port, tls)
    client.ready()
    streams = [client.request(path, method="POST", ends=False)]
    if per_stream:
        amount = client.windows[streams[0]] + 1
        if amount > client.window:
            amount = client.window + 1
        client.data(streams[0], bytes(amount))
    else:
        left = client.window + 1
        while left > 0 and not client.closed:
            room = min(client.windows[streams[-1]], left)
            client.data(streams[-1], bytes(room))
            left -= room
            if left > 0:
                streams.append(client.request(path, method="POST", ends=False))
    client.pump(lambda: client.closed or client.goaways or any(client.reply(stream).reset is not None
                                                              for stream in streams))
    client.pump(lambda: client.closed, 1)
    resets = [client.reply(stream).reset for stream in streams if client.reply(stream).reset is not None]
    return {"resets": resets, "goaway": client.goaway}


def half_begun(port, tls, kind):
    """Begins and never ends: the preface, the first frame, a block; waits for the edge to give up."""
    client = Client(port, tls, begins=False)
    if kind == "preface":
        client.send(PREFACE[:10])
    elif kind == "settings":
        client.send(PREFACE)
    elif kind == "silent":
        client.send(PREFACE + settings())
    else:
        client.send(PREFACE + settings())
        block = client.encode(client.fields())
        client.begin(1)
        client.send(frame(HEADERS, END_STREAM, 1, block[:3]))
    client.until_closed()
    return {"closed": client.closed, "goaway": client.goaway, "status": client.replies[1].status if 1 in
            client.replies and client.replies[1].status else 0}


if __name__ == "__main__":
    play(globals())
