"""Starting and ending processes, and what /proc says of a server's whole tree.

Every process started here is the leader of its own session, is ended with its whole group when its `with` block
is left, and is told by the kernel to end when the harness dies without leaving it.

CPU time is utime+stime of /proc/PID/stat: it covers all threads of the process, those that ended included. The
kernel scales the two so that their sum is the scheduler's exact run time; only the last 10 ms are rounded away.
"""

import ctypes
import os
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

CLOCK_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
END_GRACE_SECONDS = 5
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class BrokenRun(Exception):
    """The measurement is worth nothing: a wrong answer, a lost connection, a server that ended."""


# Whether what is started runs before anything else on the machine: by the real-time scheduler, round robin.
_runs_ahead = False


def run_ahead() -> None:
    """From now on, for the harness too: it reads the servers' CPU time at the moment the load ends. Raises BrokenRun."""
    global _runs_ahead
    try:
        # Not for what is started without being told to.
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(2))
    except PermissionError:
        raise BrokenRun("to run ahead of all else is root's to ask for") from None
    _runs_ahead = True


@contextmanager
def running(
    command: list[str], cpus: set[int] | None, log: Path, is_last: bool = False, **options
) -> Iterator[subprocess.Popen]:
    """Runs `command` on `cpus`, its output in `log` unless `options` says otherwise, and ends it at the end. `is_last`:
    with what the others of this run leave of their CPU."""

    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if cpus:
            os.sched_setaffinity(0, cpus)
        if is_last and not _runs_ahead:
            _come_last()
        elif _runs_ahead and not is_last:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

    with open(log, "ab") as output:
        settings = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output} | options
        process = subprocess.Popen(command, preexec_fn=prepare, start_new_session=True, **settings)
    try:
        yield process
    finally:
        end(process)


def _come_last() -> None:
    """The kernel may group processes by session and weigh the groups against each other: then it is the group's niceness
    that counts."""
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    try:
        Path("/proc/self/autogroup").write_text("19")
    except OSError:
        # A kernel without groups, or one that takes no more of these for now.
        pass


def end(process: subprocess.Popen) -> None:
    """Asks politely, then kills the whole group; returns when the process is gone."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


@dataclass(frozen=True)
class ProcessTree:
    """A server and all its descendants, looked up anew at each question."""

    root: int

    def processes(self) -> list[int]:
        parents = _parents()
        if self.root not in parents:
            raise BrokenRun("the server has ended")
        found = [self.root]
        for process in found:
            found.extend(child for child, parent in parents.items() if parent == process)
        return found

    def cpu_ticks(self) -> dict[int, int]:
        """User and system time of each process, in clock ticks."""
        return {process: _cpu_ticks(process) for process in self.processes()}

    def run_seconds(self) -> float:
        """The scheduler's exact run time of all threads that there are: for costs of less than a clock tick, of a server
        whose threads stay."""
        return sum(_run_nanoseconds(process) for process in self.processes()) / 1e9

    def rss_kib(self) -> int:
        """Resident memory now, in KiB."""
        return sum(_rss_kib(process) for process in self.processes())

    def peak_rss_kib(self) -> int:
        """Sum of what each process held at its fullest since it started, in KiB."""
        return sum(_status_kib(process, "VmHWM") for process in self.processes())

    def descriptors(self) -> int:
        """Open descriptors of all processes."""
        return sum(len(os.listdir(f"/proc/{process}/fd")) for process in self.processes())


def cpu_seconds(before: dict[int, int], after: dict[int, int]) -> float:
    """CPU time between two readings of `cpu_ticks`. A process lost in between makes the run worthless."""
    lost = before.keys() - after.keys()
    if lost:
        raise BrokenRun("a process of the server ended during the measurement")
    return sum(ticks - before.get(process, 0) for process, ticks in after.items()) / CLOCK_TICKS_PER_SECOND


def _parents() -> dict[int, int]:
    parents = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            fields = _stat_fields(int(name))
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] not in "ZX":
            parents[int(name)] = int(fields[1])
    return parents


def _stat_fields(process: int) -> list[str]:
    """Fields of /proc/PID/stat from the third (state) on: the second may itself hold spaces and brackets."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def _cpu_ticks(process: int) -> int:
    fields = _stat_fields(process)
    return int(fields[11]) + int(fields[12])


def _run_nanoseconds(process: int) -> int:
    threads = f"/proc/{process}/task"
    return sum(int(Path(threads, thread, "schedstat").read_text().split()[0]) for thread in os.listdir(threads))


def _rss_kib(process: int) -> int:
    # smaps_rollup walks the page tables; VmRSS lags by up to 64 pages for each CPU.
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return _status_kib(process, "VmRSS")


def _status_kib(process: int, field: str) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise BrokenRun(f"/proc/{process}/status has no {field}")
