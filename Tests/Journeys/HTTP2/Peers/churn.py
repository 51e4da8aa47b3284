"""Clients that change their minds: what they begin is reset, cut or left at places that a seed decides."""

import random

from wire import *


def churn(port, tls, paths, rounds, seed):
    """Connections one after the other; on each a few dozen streams that end in every way there is."""
    dice = random.Random(seed)
    whole, resets, refused = 0, 0, 0
    faults = []
    for _ in range(rounds):
        client = Client(port, tls, credits=dice.random() < 0.8,
                        announces=[(INITIAL_WINDOW, dice.choice([0, 1, 1000, 65535, 1 << 20]))])
        streams = []
        for _ in range(dice.randrange(1, 40)):
            path = dice.choice(paths)
            posting = dice.random() < 0.3
            stream = client.request(path, method="POST" if posting else "GET", ends=not posting)
            streams.append(stream)
            if posting:
                client.data(stream, bytes(dice.choice([0, 1, 5000, 30_000])), dice.random() < 0.6)
            if dice.random() < 0.3:
                client.send(rst_stream(dice.choice(streams)))
                resets += 1
            if dice.random() < 0.2:
                client.send(window_update(dice.choice(streams), dice.choice([1, 100, 100_000])))
            if dice.random() < 0.2:
                client.absorb(dice.choice([0, 0.001, 0.01]))
        if dice.random() < 0.6 and not client.closed:
            # Leaves in order, once what was asked for without a body is there, if its windows let it be.
            client.absorb(0.02)
            client.settle()
        whole += sum(reply.ended for reply in client.replies.values())
        refused += sum(reply.reset == REFUSED_STREAM for reply in client.replies.values())
        faults += [one for one in client.goaways if one[1] != NO_ERROR]
        if dice.random() < 0.5:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    return {"whole": whole, "resets": resets, "refused": refused, "faults": [list(one) for one in faults]}


if __name__ == "__main__":
    play(globals())
