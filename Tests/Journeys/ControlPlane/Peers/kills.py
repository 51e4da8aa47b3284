"""Kills a control plane, a relay and an edge with SIGKILL, one at a time and at any moment, while clients write through
the API without a pause. Then everything that was acknowledged must be there, once, in the API and at the edge, and
nothing else.

    kills.py BINARY DIRECTORY sqlite|postgres KILLS [SEED]

Prints its seed and what was done, and "done" when all of it held. Its children are in its own process group.
"""

import http.client
import json
import random
import signal
import sys
import threading
import time
import urllib.parse

from house import API, PATIENCE, Broken, House, origin, postgres, until

WRITERS = 4
RECORDS = 6


class Writer(threading.Thread):
    """Makes zones with a site and records, changes them, deletes some. Knows what must be there of them."""

    def __init__(self, number, api, origins, seed):
        super().__init__(daemon=True)
        self.number, self.api, self.origins = number, api, origins
        self.random = random.Random(f"{seed}/{number}")
        self.stopping = threading.Event()
        self.problem = None
        self.acknowledged = 0
        # name: (id, origin, {name of a record: address})
        self.zones = {}
        self.gone = []

    def run(self):
        try:
            count = 0
            while not self.stopping.is_set():
                self.zone(f"w{self.number}-{count}.test")
                count += 1
        except Exception as problem:  # told by who waits for it
            self.problem = problem

    def zone(self, name):
        api, chance = self.api, self.random
        identity = api.create("/zones", {"name": name}, [1061], f"/zones?name={name}")
        self.acknowledged += 1
        records = {}
        self.zones[name] = [identity, None, records]
        self.site(name)
        for index in range(RECORDS):
            if self.stopping.is_set():
                return
            label, address = f"r{index}.{name}", f"192.0.2.{chance.randrange(256)}"
            body = {"type": "A", "name": label, "content": address, "ttl": 300}
            api.create(
                f"/zones/{identity}/dns_records", body, [81057, 81058],
                f"/zones/{identity}/dns_records?name={urllib.parse.quote(label)}")
            records[label] = address
            self.acknowledged += 1
            if chance.random() < 0.2:
                self.site(name)
        if chance.random() < 0.15:
            status, answer, may_be_done = api.call("DELETE", f"/zones/{identity}")
            if status != 200 and not (status == 404 and may_be_done):
                raise Broken(f"DELETE of {name}: {status} {answer}")
            del self.zones[name]
            self.gone.append(name)
            self.acknowledged += 1

    def site(self, name):
        chosen = self.random.choice(self.origins)
        identity = self.zones[name][0]
        self.api.result(
            "PUT", f"/zones/{identity}/martlet/site", {"origins": [f"http://127.0.0.1:{chosen}"]})
        self.zones[name][1] = chosen
        self.acknowledged += 1


def massacre(house, writers, chance, kills):
    """One after the other, at any moment: also while the last one still starts."""
    for number in range(kills):
        before = sum(writer.acknowledged for writer in writers)
        time.sleep(chance.random() * 0.5)
        # Now and then the next one comes before anything went well again.
        if chance.random() < 0.7:
            until(f"a write after kill {number}", lambda: any(writer.problem for writer in writers) or sum(
                writer.acknowledged for writer in writers) > before + chance.randrange(12))
        for writer in writers:
            if writer.problem:
                raise writer.problem
        member = chance.choice(house.members)
        member.kill()
        member.start()


def check_api(api, wanted, records):
    zones = api.pages("/zones", 50)
    names = [zone["name"] for zone in zones]
    if sorted(names) != sorted(wanted):
        raise Broken(
            f"zones: lost {sorted(set(wanted) - set(names))}, not wanted {sorted(set(names) - set(wanted))}, "
            f"{len(names) - len(set(names))} twice")
    for zone in zones:
        identity, chosen, its_records = wanted[zone["name"]]
        if zone["id"] != identity:
            raise Broken(f"{zone['name']} is {zone['id']}, and {identity} was acknowledged")
        if chosen is not None:
            site = api.result("GET", f"/zones/{identity}/martlet/site")
            if f"127.0.0.1:{chosen}" not in json.dumps(site):
                raise Broken(f"{zone['name']}: expected origin {chosen}, found {site}")
        found = sorted(
            (record["name"], record["content"])
            for record in api.result("GET", f"/zones/{identity}/dns_records?per_page=100"))
        if found != sorted(its_records.items()):
            raise Broken(f"{zone['name']}: expected {sorted(its_records.items())}, found {found}")
        records[0] += len(found)


def check_edge(port, wanted, gone):
    """Names whose answer is not yet what was acknowledged."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    expected = {name: (200, str(entry[1])) for name, entry in wanted.items() if entry[1] is not None}
    expected.update({name: (421, None) for name in gone})
    expected["never-made.test"] = (421, None)
    wrong = {}
    for name, (status, body) in expected.items():
        try:
            connection.request("GET", "/", headers={"Host": name})
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            wrong[name] = str(problem)
            continue
        if response.status != status or (body is not None and text != body):
            wrong[name] = f"expected {status} {body}, found {response.status} {text[:80]}"
    return wrong


def play(binary, directory, backend, kills, seed):
    chance = random.Random(seed)
    server, store = postgres(directory) if backend == "postgres" else (None, None)
    house = House(binary, directory, store)
    origins = [origin(), origin()]
    try:
        house.start()
        writers = [Writer(number, API(house.port, house.token), origins, seed) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        start = time.monotonic()
        massacre(house, writers, chance, kills)
        seconds = time.monotonic() - start
        for writer in writers:
            writer.stopping.set()
        for writer in writers:
            writer.join(PATIENCE * 2)
            if writer.problem or writer.is_alive():
                raise writer.problem or Broken("a writer does not come to its end")
        wanted = {name: entry for writer in writers for name, entry in writer.zones.items()}
        gone = [name for writer in writers for name in writer.gone]
        api, records = API(house.port, house.token), [0]
        check_api(api, wanted, records)
        node = f"/accounts/{house.account}/martlet/nodes/edge-1"
        until("the edge to be where the log is", lambda: api.result("GET", node)["behind"] == 0)
        wrong = {}
        def is_right():
            wrong.clear()
            wrong.update(check_edge(house.web, wanted, gone))
            return not wrong
        try:
            until("the edge to serve what was acknowledged", is_right)
        except Broken as problem:
            raise Broken(f"{problem}: {dict(list(wrong.items())[:10])}") from None
        print(json.dumps({
            "kills": {member.name: member.kills for member in house.members}, "seconds": round(seconds, 1),
            "acknowledged": sum(writer.acknowledged for writer in writers),
            "lost answers": sum(writer.api.lost for writer in writers), "zones": len(wanted), "deleted": len(gone),
            "records": records[0]}))
    except Broken:
        for member in house.members:
            if member.process:
                print(f"--- {member.name}\n{member.tail()}")
        raise
    finally:
        house.end()
        if server:
            server.send_signal(signal.SIGINT)
            server.wait()


if __name__ == "__main__":
    binary, directory, backend, kills = sys.argv[1:5]
    seed = int(sys.argv[5]) if len(sys.argv) > 5 else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    try:
        play(binary, directory, backend, int(kills), seed)
        print("done", flush=True)
    except Broken as problem:
        print(f"seed {seed}: {problem}", flush=True)
