"""WebSockets over HTTP/2 (RFC 8441), frame by frame, and the origin that they end at: HTTP/1.1, by a library."""

import os
import threading

from wire import *

TEXT, BINARY, CLOSE, PING_FRAME, PONG_FRAME = 1, 2, 8, 9, 10


def serve(port):
    """Echoes; `/chat` picks a subprotocol, `/leave` closes with 4001, `/die` drops the connection, `/no` refuses."""
    from websockets.sync.server import serve as listen

    def refuse(connection, request):
        if request.path.endswith("/no"):
            return connection.respond(403, "not you\n")
        return None

    def handle(connection):
        path = connection.request.path
        say(opened=path, fields=[[key.lower(), value] for key, value in connection.request.headers.raw_items()])
        if path.endswith("/leave"):
            connection.send("goodbye")
            connection.close(4001, "enough")
        elif path.endswith("/die"):
            connection.send("last words")
            connection.socket.shutdown(socket.SHUT_RDWR)
        else:
            try:
                for message in connection:
                    connection.send(message)
            except Exception:
                pass
        say(ended=path, code=connection.close_code or 0)

    def pick(connection, offered):
        return offered[0] if offered else None

    server = listen(handle, "127.0.0.1", port, process_request=refuse, subprotocols=["superchat", "chat"],
                    select_subprotocol=pick, max_size=1 << 25, compression=None)
    say(serving=port)
    server.serve_forever()


def opening(client, path, *extra):
    """Extended CONNECT; the stream."""
    stream = client.open()
    head = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", client.scheme),
            (":authority", client.name), (":path", path), ("sec-websocket-version", "13")]
    client.head(stream, head + list(extra), ends=False)
    client.pump(lambda: client.reply(stream).status or client.reply(stream).is_over)
    return stream


def message(kind, payload, fin=True):
    """One frame of a client: masked (RFC 6455, section 5.3)."""
    mask = os.urandom(4)
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | kind])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += bytes([0x80 | 126]) + struct.pack(">H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", size)
    keyed = int.from_bytes(payload, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return head + mask + keyed.to_bytes(size, "big")


def whole(data):
    """The first whole frame in what came: kind, payload and how many bytes it took; None where there is none yet."""
    if len(data) < 2:
        return None
    size, at = data[1] & 0x7F, 2
    if size == 126:
        size, at = int.from_bytes(data[2:4], "big"), 4
    elif size == 127:
        size, at = int.from_bytes(data[2:10], "big"), 10
    if len(data) < at + size:
        return None
    return data[0] & 0x0F, bytes(data[at:at + size]), at + size


def hear(client, stream):
    """The next message on a stream; None where the stream ends first."""
    reply = client.reply(stream)
    client.pump(lambda: whole(reply.body) or reply.is_over)
    found = whole(reply.body)
    if found is None:
        return None
    del reply.body[:found[2]]
    return found[:2]


def tell(client, stream, kind, payload):
    client.upload(stream, message(kind, payload), ends=False)


def state(client, stream):
    reply = client.reply(stream)
    return {"status": reply.status or 0, "fields": reply.fields, "ended": reply.ended,
            "reset": -1 if reply.reset is None else reply.reset, "rest": len(reply.body)}


def echo(port, tls, path):
    """Messages of many sizes there and back, then a close."""
    client = Client(port, tls).ready()
    announced = client.settings.get(CONNECT_PROTOCOL, 0)
    stream = opening(client, path + "/chat", ("sec-websocket-protocol", "chat, superchat"), ("origin", "http://a.test"))
    opened = state(client, stream)
    equal = []
    for size in (0, 1, 125, 126, 70_000, 1_000_000):
        payload = os.urandom(size)
        tell(client, stream, BINARY, payload)
        equal.append(hear(client, stream) == (BINARY, payload))
    tell(client, stream, TEXT, "grüße".encode())
    words = hear(client, stream)
    beside = client.get(path).status
    tell(client, stream, PING_FRAME, b"are you there")
    pong = hear(client, stream)
    tell(client, stream, CLOSE, struct.pack(">H", 1000) + b"done")
    goodbye = hear(client, stream)
    client.data(stream, b"", True)
    client.finish(stream)
    return {"announced": announced, "opened": opened, "equal": equal, "words": words[1].decode(), "beside": beside,
            "pong": pong[1].decode(), "close": int.from_bytes(goodbye[1][:2], "big"), "end": state(client, stream),
            "after": client.get(path).status}


def several(port, tls, path, count):
    """Many on one connection, in turn."""
    client = Client(port, tls).ready()
    streams = [opening(client, f"{path}/{index}") for index in range(count)]
    right = 0
    for turn in range(3):
        for index, stream in enumerate(streams):
            tell(client, stream, TEXT, f"{index} {turn}".encode())
        for index, stream in enumerate(streams):
            right += hear(client, stream) == (TEXT, f"{index} {turn}".encode())
    return {"right": right, "statuses": [client.reply(stream).status for stream in streams]}


def ends(port, tls, path):
    """One that the origin closes, one that it drops, one that it refuses, one that the client resets."""
    client = Client(port, tls).ready()
    left = opening(client, path + "/leave")
    said, closed = hear(client, left), hear(client, left)
    if not client.reply(left).is_over:
        tell(client, left, CLOSE, closed[1][:2])
        client.data(left, b"", True)
    client.finish(left)
    died = opening(client, path + "/die")
    last = hear(client, died)
    client.finish(died)
    refused = opening(client, path + "/no")
    client.finish(refused)
    gone = opening(client, path + "/gone")
    tell(client, gone, TEXT, b"before")
    heard = hear(client, gone)
    client.send(rst_stream(gone))
    return {"said": said[1].decode(), "code": int.from_bytes(closed[1][:2], "big"), "left": state(client, left),
            "last": last[1].decode(), "died": state(client, died), "refused": state(client, refused),
            "body": client.reply(refused).body.decode("latin-1"), "heard": heard[1].decode(),
            "after": client.get(path).status, "goaway": client.goaway}


def lasting(port, tls, path):
    """One that stays open while the journey does something to the edge; told twice."""
    client = Client(port, tls).ready()
    stream = opening(client, path)
    tell(client, stream, TEXT, b"one")
    say(first=hear(client, stream)[1].decode())
    wait_for_word()
    tell(client, stream, TEXT, b"two")
    heard = hear(client, stream)
    return {"second": heard[1].decode() if heard else "", "goaway": client.goaway, "state": state(client, stream)}


def resting(port, tls, path):
    """Says one thing and then nothing, until it is ended."""
    client = Client(port, tls).ready()
    stream = opening(client, path)
    tell(client, stream, TEXT, b"one")
    hear(client, stream)
    client.finish(stream)
    return {"state": state(client, stream)}


def raw(port, tls, path):
    """Bytes there and back, whatever they are: the edge does not read them."""
    client = Client(port, tls).ready()
    stream = opening(client, path)
    opened = state(client, stream)
    sent = os.urandom(300_000)
    client.upload(stream, sent)
    reply = client.finish(stream)
    return {"opened": opened, "equal": bytes(reply.body) == sent, "end": state(client, stream)}


def flooded(port, tls, path, count):
    """Sends into an echo whose answers it does not take, until its windows are shut; then takes them."""
    client = Client(port, tls, credits=False).ready()
    stream = opening(client, path)
    payload = bytes(100_000)
    sent = 0
    data = b"".join(message(BINARY, payload) for _ in range(count))
    sent = client.upload(stream, data, ends=False, patience=2)
    say(stalled=sent)
    client.credits = True
    client.send(window_update(0, 1 << 24) + window_update(stream, 1 << 24))
    while sent < len(data):
        more = client.upload(stream, data[sent:], ends=False)
        if not more:
            break
        sent += more
    right = sum(hear(client, stream) == (BINARY, payload) for _ in range(count))
    return {"right": right, "sent": sent, "total": len(data)}


if __name__ == "__main__":
    play(globals())
