"""The load generators. Each is run to its end on the client's CPU and answers with one `Load`.

Any answer that is not the expected one is an error, and any error makes the run worthless: a server that refuses is
always the cheapest.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Callable

from . import machine
from .origins import body_bytes
from .processes import BrokenRun, running

CLIENTS = Path(__file__).resolve().parent / "clients"
HANDSHAKE_PROCESSES = 8
_END_SECONDS = 60
# The longest that filling a cache may take.
_FILL_SECONDS = 120


@dataclass(frozen=True)
class Load:
    """What a client saw of one run."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    extra: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Streams:
    """The shape of a load over HTTP/2: so many connections, and so many requests under way on each of them."""

    connections: int
    streams: int
    # Requests a second on each connection; None: the next as soon as one is answered.
    rate: int | None = None
    # What each request sends, and the fields that say what that is.
    body: Path | None = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Generator:
    """Where clients run and what they may write in."""

    directory: Path
    cpus: set[int] | None
    connections: int

    def wrk(self, port: int, path: str, seconds: float) -> Load:
        """Keep-alive in the clear."""
        seen = self._wrk("report.lua", port, path, seconds, {})
        _check_bytes(seen["bytes"], seen["requests"], body_bytes(path))
        return _load(seen)

    def mixed(self, port: int, paths: list[str], skew: float, seconds: float) -> Load:
        """Keep-alive in the clear, for paths of unequal popularity: the k-th with a weight of 1 / k^`skew`."""
        variables = {
            "BENCH_WRK_PATHS": str(self._listing(paths)), "BENCH_WRK_CLIENTS": str(CLIENTS),
            "BENCH_WRK_SKEW": str(skew),
        }
        seen = self._wrk("mixed.lua", port, "/", seconds, variables)
        # What was asked for last was not answered when the time was up: at most one body for each connection.
        unanswered = self.connections * max(map(body_bytes, paths))
        if seen["bytes"] < seen["asked_bytes"] - unanswered:
            raise BrokenRun(f"{seen['bytes']} bytes are too few for {seen['asked_bytes']} asked for")
        return _load(seen)

    def bodies(self, port: int, paths: list[str], connections: int, seconds: float = 0) -> Load:
        """Keep-alive in the clear, each path once, or round and round for `seconds`; `extra` has the bytes of the
        bodies. The client throws them away unread."""
        arguments = [str(port), str(self._listing(paths)), str(connections), str(seconds)]
        load = _load(json.loads(self._run(_client("bodies", arguments), seconds + _FILL_SECONDS)))
        if not seconds and load.requests != len(paths):
            raise BrokenRun(f"{load.requests} of {len(paths)} paths were answered")
        return load

    def purge(self, port: int, field: str, purge: dict[str, object], paths: list[str]) -> dict:
        """clients/purge.py's report: a purge, and what the cache said of `paths` before and after."""
        request = self.directory / "purge.json"
        request.write_text(json.dumps(purge))
        arguments = [str(port), field, str(request), str(self._listing(paths))]
        return json.loads(self._run(_client("purge", arguments), _FILL_SECONDS))

    def h2load(self, port: int, path: str, seconds: float) -> Load:
        """Keep-alive over TLS and HTTP/1.1."""
        options = ["--h1", f"-c{self.connections}", "-D", str(_whole(seconds))]
        with self._h2load(port, path, options) as process:
            output = self._output(process, seconds)
        return self._h2load_report(output, body_bytes(path), seconds)

    def http2(self, port: int, path: str, seconds: float, shape: Streams) -> Load:
        """HTTP/2 over TLS. `extra` has what the head of a response took on the wire. Where requests have a body it is
        expected back."""
        with self._h2load(port, path, [*_options(shape), "-D", str(_whole(seconds))]) as process:
            output = self._output(process, seconds)
        size = shape.body.stat().st_size if shape.body else body_bytes(path)
        return self._http2_report(output, size, seconds)

    def http2_warm(
        self, port: int, path: str, warm_up_seconds: float, seconds: float, shape: Streams, mark: Callable[[], None]
    ) -> Load:
        """The same for connections that are open and warm when the load is measured; `mark` is called when that begins
        and when it ends. Bodies are not added up: h2load counts those of the warm-up in."""
        options = [*_options(shape), "-D", str(_whole(seconds)), f"--warm-up-time={_whole(warm_up_seconds)}"]
        with self._h2load(port, path, options) as process:
            lines = []
            for line in _pipe(process.stdout):
                if "Main benchmark duration is" in line:
                    mark()
                lines.append(line)
            lines.append(self._output(process, _END_SECONDS))
        return self._http2_report("".join(lines), None, seconds)

    def _http2_report(self, output: str, size: int | None, seconds: float) -> Load:
        if "Application protocol: h2" not in output:
            raise BrokenRun("h2load did not speak HTTP/2")
        load = self._h2load_report(output, size, seconds)
        heads = re.search(r"\((\d+)\) headers", output)
        if size is not None and heads:
            load.extra["head_bytes"] = int(heads[1]) / load.requests
        return load

    def _h2load(self, port: int, path: str, options: list[str]):
        """h2load, with the same cipher and key exchange whatever the server prefers."""
        self._h2load_log.unlink(missing_ok=True)
        command = [
            machine.find_program("h2load"), "-t1", *options,
            "--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519", f"--log-file={self._h2load_log}",
            f"--connect-to=127.0.0.1:{port}", f"https://bench.test:{port}{path}",
        ]
        return running(command, self.cpus, self.directory / "client.log", stdout=subprocess.PIPE, text=True)

    @property
    def _h2load_log(self) -> Path:
        return self.directory / "h2load.tsv"

    def _h2load_report(self, output: str, size: int | None, seconds: float) -> Load:
        if "TLS Protocol: TLSv1.3" not in output:
            raise BrokenRun("h2load did not speak TLS 1.3")
        load = _h2load_latencies(self._h2load_log, _whole(seconds))
        if size is not None:
            data = re.search(r"\((\d+)\) data", output)
            _check_bytes(int(data[1]) if data else 0, load.requests, size)
        return load

    def handshakes(self, port: int, path: str, seconds: float) -> Load:
        """A new connection with a full TLS 1.3 handshake for each request."""
        arguments = [str(port), path, str(body_bytes(path)), str(seconds), str(HANDSHAKE_PROCESSES)]
        return _load(json.loads(self._run(_client("handshakes", arguments), seconds)))

    def upload(self, port: int, path: str, size: int) -> float:
        """One body of `size` bytes; the seconds the origin read for."""
        # A tenth of a GiB per second is far below any server here, and far above a hang.
        output = self._run(_client("upload", [str(port), path, str(size)]), size / 1e8)
        report = json.loads(output)
        if report["counted"] != size:
            raise BrokenRun(f"the origin counted {report['counted']} of {size} bytes")
        return report["seconds"]

    def _wrk(self, script: str, port: int, path: str, seconds: float, variables: dict[str, str]) -> dict:
        """The report of one run of wrk."""
        report = self.directory / "wrk.json"
        command = [
            machine.find_program("wrk"), "-t1", f"-c{self.connections}", f"-d{_whole(seconds)}s", "--timeout", "20s",
            "-s", str(CLIENTS / script), f"http://127.0.0.1:{port}{path}",
        ]
        self._run(command, seconds, env=os.environ | variables | {"BENCH_WRK_REPORT": str(report)})
        return json.loads(report.read_text())

    def _listing(self, paths: list[str]) -> Path:
        """The file in which clients read paths and the lengths of their bodies."""
        file = self.directory / "paths.txt"
        file.write_text("".join(f"{path} {body_bytes(path)}\n" for path in paths))
        return file

    def _run(self, command: list[str], seconds: float, **options) -> str:
        """The output of a client that ended well. Raises BrokenRun."""
        with running(command, self.cpus, self.directory / "client.log", stdout=subprocess.PIPE, text=True,
                     **options) as process:
            return self._output(process, seconds)

    def _output(self, process: subprocess.Popen, seconds: float) -> str:
        """What is left of the output of a client that ends well, in so many seconds or a little later."""
        try:
            output, _ = process.communicate(timeout=seconds + _END_SECONDS)
        except subprocess.TimeoutExpired:
            raise BrokenRun(f"{Path(process.args[0]).name} did not end") from None
        if process.returncode != 0:
            raise BrokenRun(f"the client failed: {_last_line(self.directory / 'client.log')}")
        return output


    def attack(self, port: int, options: dict[str, object]) -> dict:
        """clients/attack.py's report of one attack, whose options it explains."""
        command = self.attack_command(port, options)
        return json.loads(self._run(command, float(options["seconds"])))

    def ended_attack(self, process: subprocess.Popen, seconds: float) -> dict:
        """The report of an attack that was begun by itself."""
        return json.loads(self._output(process, seconds))

    @staticmethod
    def attack_command(port: int, options: dict[str, object]) -> list[str]:
        return _client("attack", [json.dumps({"port": port, **options})])


class TalkingClient:
    """A client that speaks with the harness in lines, so that things are measured while it does nothing."""

    def __init__(self, process: subprocess.Popen, log: Path) -> None:
        self._process = process
        self._log = log

    def _tell(self, word: str) -> str:
        _pipe(self._process.stdin).write(word + "\n")
        _pipe(self._process.stdin).flush()
        return self._line()

    def _line(self) -> str:
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise BrokenRun(f"the client failed: {_last_line(self._log)}")
        return line


class IdleClient(TalkingClient):
    """The other end of clients/idle.py's conversation."""

    @staticmethod
    def command(port: int, path: str, count: int, kind: str) -> list[str]:
        return _client("idle", [str(port), path, str(body_bytes(path)), str(count), kind])

    def warmed(self) -> None:
        self._line()

    def open(self) -> float:
        """Opens all connections; the seconds it took."""
        return float(self._tell("open").split()[1])

    def closed_by_server(self) -> int:
        return int(self._tell("count"))


class CrowdClient(TalkingClient):
    """The other end of clients/crowd.py's conversation."""

    @staticmethod
    def command(port: int, path: str, count: int) -> list[str]:
        return _client("crowd", [str(port), path, str(body_bytes(path)), str(count)])

    def opened(self) -> None:
        self._line()

    def ask(self) -> Load:
        """Sends all requests at once; what came of them."""
        return _load(json.loads(self._tell("ask")))


def _client(name: str, arguments: list[str]) -> list[str]:
    return [sys.executable, str(CLIENTS / f"{name}.py"), *arguments]


def _load(report: dict) -> Load:
    errors = {kind: count for kind, count in report.pop("errors").items() if count}
    if errors:
        raise BrokenRun(f"errors at the client: {errors} in {report['requests']} requests")
    known = {name: report.pop(name) for name in ("requests", "seconds", "p50_ms", "p99_ms")}
    if known["requests"] == 0:
        raise BrokenRun("not one request was answered")
    return Load(**known, extra=report)


def _options(shape: Streams) -> list[str]:
    """h2load's, but for how long."""
    options = [f"-c{shape.connections}", f"-m{shape.streams}"]
    if shape.rate is not None:
        options.append(f"--rps={shape.rate}")
    if shape.body is not None:
        options += ["-d", str(shape.body)]
    return options + [word for field in shape.fields for word in ("-H", field)]


def _h2load_latencies(log: Path, seconds: float) -> Load:
    """One line for each request: start in microseconds, status (-1: failed), microseconds it took."""
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    wrong = sum(1 for row in rows if row[1] != "200")
    if wrong or not rows:
        raise BrokenRun(f"errors at the client: {wrong} of {len(rows)} requests over TLS were not answered 200")
    taken = sorted(int(row[2]) / 1000 for row in rows)
    return Load(len(rows), seconds, taken[len(taken) // 2], taken[len(taken) * 99 // 100])


def _check_bytes(got: int, requests: int, size: int) -> None:
    """Neither wrk nor h2load looks at bodies: a server that sends short ones is found by the sum."""
    if got < requests * size:
        raise BrokenRun(f"{got} bytes are too few for {requests} times {size}")


def _whole(seconds: float) -> int:
    """wrk and h2load take whole seconds."""
    return max(1, round(seconds))


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise BrokenRun("the client was started without pipes")
    return stream


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
