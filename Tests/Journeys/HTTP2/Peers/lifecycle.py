"""How a connection lives and ends: GOAWAY, idleness, other hosts on it."""

from wire import *


def drained(port, tls, held, quick):
    """A stream under way when GOAWAY comes, and one that begins afterwards."""
    client = Client(port, tls)
    stream = client.request(held)
    reply = client.reply(stream)
    client.pump(lambda: len(reply.body) == 5)
    say(begun=True)
    client.pump(lambda: client.goaways)
    # The first GOAWAY may name the largest id, so that what is on its way is not lost; the second tells.
    say(goaway=client.goaway)
    late = client.request(quick)
    client.finish(stream)
    client.until_closed()
    return {"reply": reply.as_json(), "closed": client.closed, "late": client.reply(late).status or 0,
            "last": client.goaways[-1][0] if client.goaways else -1, "goaways": [list(one) for one in client.goaways]}


def idle(port, tls, path):
    client = Client(port, tls)
    say(served=client.get(path).status)
    client.until_closed()
    return {"closed": client.closed, "goaway": client.goaway}


def reloaded(port, tls, path):
    client = Client(port, tls)
    say(before=client.get(path).status)
    wait_for_word()
    after = client.get(path).status
    client.settle()
    return {"after": after, "goaway": client.goaway, "closed": client.closed}


def counted(port, tls, path):
    """One request more than a connection has; each is sent when the one before is answered."""
    client = Client(port, tls)
    statuses = []
    for _ in range(5):
        statuses.append(client.get(path).status or 0)
    client.pump(lambda: client.goaways, 10)
    if not client.closed:
        client.request(path)
    client.until_closed()
    return {"statuses": statuses, "goaway": client.goaway, "closed": client.closed,
            "last": client.goaways[-1][0] if client.goaways else -1}


def stalled_body(port, tls, path):
    client = Client(port, tls)
    stream = client.request(path, ("content-length", "10"), method="POST", ends=False)
    client.data(stream, b"half")
    reply = client.finish(stream)
    return {"status": reply.status or 0, "reset": -1 if reply.reset is None else reply.reset,
            "after": client.get(path).status, "goaway": client.goaway}


def hosts(port, tls, path, hosts):
    client = Client(port, tls)
    return {"statuses": [client.get(path, authority=host).status for host in hosts], "goaway": client.goaway}


def proxied(port, tls, line):
    client = Client(port, tls, begins=False)
    client.send(line.encode() + PREFACE + settings())
    reply = client.get("/")
    return {"status": reply.status or 0, "ray": reply.field("martlet-ray") or ""}


if __name__ == "__main__":
    play(globals())
