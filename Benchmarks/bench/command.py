"""The command: options, the order of the run, exit status.

Rounds are interleaved: within a row the servers take turns, round after round, so that whatever else the machine does
meets all of them. The exit status speaks of the run, not of the figures: 0 when every measurement is sound, 1 when one
is not (a wrong answer, a server that ended), 2 when it could not start.
"""

import argparse
import datetime
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import machine, processes, report
from .lab import Lab, Settings
from .origins import file_origin
from .peers import Martlet, Nginx, NginxSendfile, Peer, Varnish
from .processes import BrokenRun
from .report import Result
from .row import EVERYONE, WITH_SENDFILE, Measurement, Row
from .rows import ROWS

BENCHMARKS = Path(__file__).resolve().parent.parent
RESULTS = BENCHMARKS / "results"
MARTLET = BENCHMARKS.parent / ".build" / "release" / "martlet"
# Descriptors a server needs beside its idle connections, and the client beside its own.
_DESCRIPTORS_SPARE = 600
# What --quick changes unless it is asked for by its own option.
_FULL = {"duration": 4.0, "rounds": 3, "idle": 10_000, "upload_mib": 1024, "objects": 100_000}
_QUICK = {"duration": 2.0, "rounds": 1, "idle": 2000, "upload_mib": 256, "objects": 20_000}


def main() -> int:
    options = _parse()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        return _run(options)
    except (machine.MissingProgram, BrokenRun) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parse() -> argparse.Namespace:
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(
        prog="Benchmarks/run",
        description="Martlet beside nginx and Varnish, one server thread each, in one run and one table.",
        epilog=f"rows: {', '.join(names)}. Benchmarks/README.md says how each figure comes about.",
    )
    parser.add_argument("--rows", type=_names(names), default=names, metavar="A,B", help="only these rows")
    parser.add_argument("--only", type=_names(list(WITH_SENDFILE)), metavar="A,B", help="only these servers")
    parser.add_argument("--duration", type=float, metavar="S", help="seconds of each load (default 4)")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds; medians are shown (default 3)")
    parser.add_argument("--connections", type=int, default=32, metavar="N", help="clients of each load (default 32)")
    parser.add_argument("--idle", type=int, metavar="N", help="idle connections (default 10000)")
    parser.add_argument("--upload-mib", type=int, metavar="N", help="upload's size (default 1024)")
    parser.add_argument("--objects", type=int, metavar="N", help="objects that purge-tag purges (default 100000)")
    parser.add_argument("--quick", action="store_true",
                        help="for a first look: one round of 2 s, 2000 idle, 256 MiB, 20000 objects")
    parser.add_argument("--martlet", type=Path, default=MARTLET, metavar="FILE", help="the binary to measure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write here instead of Benchmarks/results/")
    parser.add_argument("--no-install", action="store_true", help="never call apt-get")
    parser.add_argument("--no-pin", action="store_true", help="leave placement on CPUs to the kernel")
    parser.add_argument("--ahead", action="store_true",
                        help="run all before anything else on the machine, which stands still meanwhile (SCHED_RR; root)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary directory (configurations, logs)")
    options = parser.parse_args()
    for name, value in (_QUICK if options.quick else _FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if min(options.duration, options.rounds, options.connections, options.idle, options.upload_mib,
           options.objects) < 1:
        parser.error("durations and counts start at 1")
    return options


def _names(known: list[str]):
    def parse(text: str) -> list[str]:
        asked = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in asked if name not in known]
        if unknown or not asked:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown) or 'nothing'}: expected some of {', '.join(known)}")
        return asked

    return parse


def _run(options: argparse.Namespace) -> int:
    errors: list[str] = []
    limit = machine.raise_descriptor_limit()
    if options.ahead:
        processes.run_ahead()
    if not options.no_install:
        wanted = ["nginx", "wrk", "h2load", "openssl", "curl", "gcc"]
        if "varnish" in (options.only or EVERYONE):
            wanted += ["varnishd", "libvmod_xkey.so"]
        machine.install_missing(wanted)
    peers, versions = _available(options, errors)
    placement = machine.place(not options.no_pin)
    settings = Settings(
        duration_seconds=options.duration,
        warm_up_seconds=max(1.0, min(2.0, options.duration / 3)),
        rounds=options.rounds,
        connections=options.connections,
        idle_connections=min(options.idle, limit - _DESCRIPTORS_SPARE),
        upload_bytes=options.upload_mib * 2**20,
        purge_objects=options.objects,
    )
    if settings.idle_connections < options.idle:
        print(f"bench: the descriptor limit of {limit} allows {settings.idle_connections} idle connections only")
    about = {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "placement": placement.describe() + ("; ahead of all else" if options.ahead else ""),
        "versions": versions,
        "settings": vars(settings),
    }
    _print_heading(about)

    directory = Path(tempfile.mkdtemp(prefix="martlet-bench-"))
    try:
        with file_origin(_made(directory / "origin"), placement.origin) as origin:
            lab = Lab(directory, placement, origin, settings)
            results = _measure_all(lab, _chosen(options.rows), peers, errors)
    finally:
        if options.keep:
            print(f"kept {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    _finish(options, results, about, errors)
    return 1 if errors else 0


def _available(options: argparse.Namespace, errors: list[str]) -> tuple[list[Peer], dict[str, str]]:
    """The servers that are here, with their versions. Martlet missing is an error unless --only leaves it out."""
    peers: list[Peer] = []
    versions: dict[str, str] = {}
    for peer in (Martlet(options.martlet), Nginx(), NginxSendfile(), Varnish()):
        if options.only and peer.name not in options.only:
            continue
        try:
            versions[peer.name] = peer.version()
            peers.append(peer)
        except machine.MissingProgram as error:
            errors.append(str(error))
            print(f"bench: {error}; measuring the others", file=sys.stderr)
    if not peers:
        raise machine.MissingProgram("no server to measure")
    return peers, versions


def _chosen(names: list[str]) -> list[Row]:
    """The rows asked for, and those they are taken from."""
    wanted = set(names) | {row.taken_from[0] for row in ROWS if row.name in names and row.taken_from}
    return [row for row in ROWS if row.name in wanted]


def _measure_all(lab: Lab, rows: list[Row], peers: list[Peer], errors: list[str]) -> list[Result]:
    results: dict[str, Result] = {}
    for row in rows:
        if row.taken_from is not None:
            source, member = row.taken_from
            servers = {name: report.taken_from(summary, member) for name, summary in results[source].servers.items()}
        else:
            measured = _measure(lab, row, [peer for peer in peers if peer.name in row.peers], errors)
            servers = {name: report.summarise(rounds) for name, rounds in measured.items() if rounds}
        results[row.name] = Result(row, servers)
    return list(results.values())


def _measure(lab: Lab, row: Row, peers: list[Peer], errors: list[str]) -> dict[str, list[Measurement]]:
    """The rounds of one row. A server that fails a round is not asked again in this row."""
    measured: dict[str, list[Measurement]] = {peer.name: [] for peer in peers}
    failed: set[str] = set()
    for number in range(min(lab.settings.rounds, row.rounds_max or lab.settings.rounds)):
        for peer in peers:
            if peer.name in failed or row.measure is None:
                continue
            start = time.monotonic()
            try:
                measurement = row.measure(lab, peer)
            except BrokenRun as error:
                failed.add(peer.name)
                errors.append(f"{row.name}, {peer.name}, round {number + 1}: {error}")
                print(f"bench: {errors[-1]}", file=sys.stderr, flush=True)
                continue
            measured[peer.name].append(measurement)
            taken = time.monotonic() - start
            print(f"  {row.name} {peer.name} {measurement.figure:.2f} {row.unit} ({taken:.0f} s)", flush=True)
    return measured


def _print_heading(about: dict) -> None:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    facts = about["machine"]
    print(f"{versions}\n{facts['cpu']}, {facts['cpus']} CPUs, Linux {facts['kernel']}, load average "
          f"{facts['load_average']:.1f}; {about['placement']}", flush=True)


def _finish(options: argparse.Namespace, results: list[Result], about: dict, errors: list[str]) -> None:
    print("\n" + report.table(results) + "\n")
    if options.json is not None:
        files = [options.json]
    else:
        stamp = about["time"].replace(":", "").replace("+0000", "Z")
        files = [RESULTS / f"{stamp}.json", RESULTS / "latest.json"]
    for file in files:
        report.write_json(file, results, about, errors)
    print(f"written: {', '.join(str(file) for file in files)}")
    missed = [result.row.name for result in results if result.met is False]
    if missed:
        print(f"bars missed: {', '.join(missed)}")
    if errors:
        print(f"NOT SOUND: {len(errors)} measurement(s) failed; the figures above are without them", file=sys.stderr)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
