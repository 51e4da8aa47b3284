"""Kills a control plane, a relay and an edge with SIGKILL, one at a time and at any moment, while clients write through
the API without a pause. Then everything that was acknowledged must be there, once, in the API and at the edge, and
nothing else.

    kills.py BINARY DIRECTORY sqlite|postgres KILLS [SEED]

Prints its seed and what was done, and "done" when all of it held. Its children are in its own process group.
"""

import http.client
import http.server
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

WRITERS = 4
RECORDS = 6
# Only ends a run that would otherwise hang.
PATIENCE = 90
POSTGRES = "/usr/lib/postgresql/15/bin"


class Broken(Exception):
    pass


def until(what, condition, patience=PATIENCE):
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            raise Broken(f"{what}: not within {patience} s")
        time.sleep(0.02)


def free_ports(count):
    """Ports that were free just now, below those that the kernel gives to clients."""
    taken = [socket.socket() for _ in range(count)]
    try:
        for one in taken:
            while True:
                try:
                    one.bind(("127.0.0.1", random.SystemRandom().randrange(10_000, 17_900)))
                    break
                except OSError:
                    continue
        return [one.getsockname()[1] for one in taken]
    finally:
        for one in taken:
            one.close()


class Origin(http.server.BaseHTTPRequestHandler):
    """Says which of the two origins it is."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = str(self.server.server_port).encode()
        self.send_response(200)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def origin():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


class Member:
    """One process of the installation, started again and again."""

    def __init__(self, name, directory, command):
        self.name, self.command = name, command
        self.path = os.path.join(directory, name + ".log")
        self.process = None
        self.kills = 0

    def start(self, *more):
        with open(self.path, "ab") as log:
            self.process = subprocess.Popen(
                self.command + list(more), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        status = self.process.poll()
        if status is not None:
            raise Broken(f"{self.name} ended by itself with {status}:\n{self.tail()}")
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def tail(self):
        with open(self.path, "rb") as log:
            return log.read()[-3000:].decode(errors="replace")


class API:
    """One client of the API: asks again until it is answered, and says whether an answer got lost on the way."""

    def __init__(self, port, token):
        self.port, self.token = port, token
        self.connection = None
        self.lost = 0

    def call(self, method, path, body=None):
        """(status, answer, whether an attempt before may have been done)"""
        text = None if body is None else json.dumps(body)
        fields = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        may_be_done = False
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                    self.connection.connect()
            except OSError:
                self.connection = None
                time.sleep(0.03)
                continue
            try:
                self.connection.request(method, "/client/v4" + path, text, fields)
                response = self.connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError):
                self.connection.close()
                self.connection = None
                self.lost += 1
                may_be_done = True
                continue
            if response.status >= 500 or response.status == 429:
                may_be_done = True
                time.sleep(0.03)
                continue
            return response.status, answer, may_be_done
        raise Broken(f"{method} {path}: not answered within {PATIENCE} s")

    def result(self, method, path, body=None):
        status, answer, _ = self.call(method, path, body)
        if status != 200 or not answer["success"]:
            raise Broken(f"{method} {path}: {status} {answer}")
        return answer["result"]

    def create(self, path, body, codes, find):
        """Makes what may have been made by an attempt whose answer was lost; its id."""
        status, answer, may_be_done = self.call("POST", path, body)
        if status == 200:
            return answer["result"]["id"]
        if not may_be_done or answer["errors"][0]["code"] not in codes:
            raise Broken(f"POST {path} {body}: {status} {answer}")
        found = self.result("GET", find)
        if len(found) != 1:
            raise Broken(f"expected one of {find}, found {found}")
        return found[0]["id"]

    def pages(self, path, size):
        found, page = [], 1
        while True:
            more = self.result("GET", f"{path}?page={page}&per_page={size}")
            if not more:
                return found
            found += more
            page += 1


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


def postgres(directory):
    """A server of its own; what is killed here is Martlet, so it need not flush."""
    place = os.path.join(directory, "pg")
    os.mkdir(place)
    prefix = []
    if os.geteuid() == 0:
        # It refuses to run as root.
        shutil.chown(place, "postgres", "postgres")
        prefix = ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    def run(name, *arguments):
        subprocess.run(
            prefix + [f"{POSTGRES}/{name}", *arguments], check=True, cwd="/", stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run("initdb", "-D", f"{place}/data", "-A", "trust", "-U", "martlet", "-E", "UTF8", "--locale=C.UTF-8", "-N")
    with open(os.path.join(directory, "postgres.log"), "ab") as log:
        server = subprocess.Popen(
            prefix + [
                f"{POSTGRES}/postgres", "-D", f"{place}/data", "-k", place, "-c", "listen_addresses=", "-c", "fsync=off",
                "-c", "shared_buffers=32MB"], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    def is_ready():
        try:
            run("createdb", "-h", place, "-U", "martlet", "martlet")
            return True
        except subprocess.CalledProcessError:
            return False
    until("PostgreSQL", is_ready)
    return server, f"postgres://martlet@/martlet?host={place}"


class House:
    """The installation."""

    def __init__(self, binary, directory, store):
        api, root, relay, web, admin = free_ports(5)
        self.port, self.web, self.admin = api, web, admin
        self.data = os.path.join(directory, "control")
        options = ["--store", store] if store else []
        self.control = Member("control", directory, [
            binary, "control", "--api", f"127.0.0.1:{api}", "--data", self.data, "--rate", "0",
            "--distribution", f"127.0.0.1:{root}", *options])
        self.relay = Member("relay", directory, [
            binary, "relay", "--join", f"127.0.0.1:{root}", "--listen", f"127.0.0.1:{relay}",
            "--data", os.path.join(directory, "relay-1")])
        configuration = os.path.join(directory, "edge.yaml")
        with open(configuration, "w") as file:
            file.write(
                f'listen:\n  http: ["127.0.0.1:{web}"]\nadmin: "127.0.0.1:{admin}"\n'
                f'data: "{os.path.join(directory, "edge-1")}"\nthreads: 1\n')
        self.edge = Member("edge", directory, [
            binary, "edge", "--join", f"127.0.0.1:{relay},127.0.0.1:{root}", "-c", configuration])
        self.members = [self.control, self.relay, self.edge]
        self.token = ""

    def answers(self, port, path="/"):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None

    def start(self):
        self.control.start()
        token = os.path.join(self.data, "admin-token")
        until("the API", lambda: self.answers(self.port) is not None and os.path.exists(token))
        self.token = open(token).read().strip()
        api = API(self.port, self.token)
        self.account = api.result("GET", "/accounts")[0]["id"]
        for member, role, name in ((self.relay, "relay", "relay-1"), (self.edge, "edge", "edge-1")):
            made = api.result("POST", f"/accounts/{self.account}/martlet/join_tokens", {"role": role, "name": name})
            member.start("--token", made["token"])
        until("the edge", lambda: self.answers(self.admin, "/readyz") == 200)


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
        for member in house.members:
            if member.process:
                member.process.kill()
                member.process.wait()
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
