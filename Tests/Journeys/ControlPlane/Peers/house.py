"""An installation of real processes for programs that need one: a control plane, a relay, an edge, the way to the API,
and a PostgreSQL of its own. Whoever starts them ends them.
"""

import http.client
import http.server
import json
import os
import random
import shutil
import socket
import subprocess
import threading
import time

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
    # Head and body in one write: apart, the second waits for the acknowledgement of the first, 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True

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


def postgres(directory, flushes=False):
    """A server of its own, and its URL.

    `flushes`: whether it keeps what it said through a loss of power; one that is never killed need not.
    """
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
                f"{POSTGRES}/postgres", "-D", f"{place}/data", "-k", place, "-c", "listen_addresses=",
                "-c", f"fsync={'on' if flushes else 'off'}", "-c", "shared_buffers=64MB",
            ], cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)

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

    def start_control(self):
        self.control.start()
        token = os.path.join(self.data, "admin-token")
        until("the API", lambda: self.answers(self.port) is not None and os.path.exists(token))
        with open(token) as file:
            self.token = file.read().strip()
        api = API(self.port, self.token)
        self.account = api.result("GET", "/accounts")[0]["id"]
        return api

    def start(self):
        api = self.start_control()
        for member, role, name in ((self.relay, "relay", "relay-1"), (self.edge, "edge", "edge-1")):
            made = api.result("POST", f"/accounts/{self.account}/martlet/join_tokens", {"role": role, "name": name})
            member.start("--token", made["token"])
        until("the edge", lambda: self.answers(self.admin, "/readyz") == 200)

    def end(self):
        for member in self.members:
            if member.process:
                member.process.kill()
                member.process.wait()
