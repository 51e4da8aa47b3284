"""The machine: packages that are missing, descriptor limits, and which CPU belongs to whom.

Only `install_missing` changes anything outside the benchmark's own temporary directory.
"""

import os
import platform
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

# Debian's sbin directories are not on every user's PATH, and nginx and varnishd live there.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])

# Program to Debian package.
PACKAGES = {
    "nginx": "nginx",
    "varnishd": "varnish",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
    "openssl": "openssl",
    "curl": "curl",
    "gcc": "gcc",
    "libvmod_xkey.so": "varnish-modules",
}


class MissingProgram(Exception):
    """A program the run needs is neither here nor could be installed."""


def find_program(name: str) -> str:
    """The path of `name`. Raises MissingProgram."""
    path = shutil.which(name, path=SEARCH_PATH)
    if path is None:
        raise MissingProgram(f"{name} is not installed (Debian: apt-get install {PACKAGES.get(name, name)})")
    return path


def varnish_module(name: str) -> Path | None:
    """The file of one of Varnish's modules, wherever this architecture keeps them."""
    return next(Path("/usr/lib").glob(f"*/varnish/vmods/libvmod_{name}.so"), None)


def install_missing(programs: list[str]) -> None:
    """Installs the Debian packages of those programs and modules that are not here. Raises MissingProgram."""
    missing = [name for name in programs if shutil.which(name, path=SEARCH_PATH) is None]
    missing = [name for name in missing if not _is_module(name)]
    if not missing:
        return
    packages = [PACKAGES[name] for name in missing]
    prefix = [] if os.geteuid() == 0 else ["sudo"]
    if shutil.which("apt-get", path=SEARCH_PATH) is None or (prefix and shutil.which("sudo") is None):
        raise MissingProgram(f"not installed: {', '.join(missing)}; they come from {' '.join(packages)}")
    print(f"installing {' '.join(packages)}", flush=True)
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    for command in (["apt-get", "update", "-qq"], install):
        if subprocess.run([*prefix, *environment, *command], stdout=subprocess.DEVNULL).returncode != 0:
            raise MissingProgram(f"{' '.join(command)} failed; install {' '.join(packages)} by hand")


def _is_module(name: str) -> bool:
    return name.startswith("libvmod_") and varnish_module(name.removeprefix("libvmod_").removesuffix(".so")) is not None


def compile_c(source: Path, directory: Path) -> Path:
    """The program of one C file, built into `directory` unless it is there already. Raises MissingProgram."""
    program = directory / source.stem
    if not program.exists():
        command = [find_program("gcc"), "-O2", "-o", str(program), str(source)]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode != 0:
            raise MissingProgram(f"{source.name} does not compile (libc6-dev?): {made.stderr.strip()[-300:]}")
    return program


def raise_descriptor_limit() -> int:
    """Raises the soft limit to the hard one, for this process and all it starts; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@dataclass(frozen=True)
class Placement:
    """CPUs of the server under test, of the origin and of the clients. None: wherever the kernel likes."""

    server: set[int] | None
    origin: set[int] | None
    client: set[int] | None

    def describe(self) -> str:
        if self.server is None:
            return "not pinned"
        shown = {name: ",".join(map(str, sorted(cpus))) for name, cpus in vars(self).items() if cpus}
        return "; ".join(f"{name} on CPU {cpus}" for name, cpus in shown.items())


def place(pin: bool) -> Placement:
    """One CPU for the server alone; origin and client share the other when there are only two."""
    cpus = sorted(os.sched_getaffinity(0))
    if not pin or len(cpus) < 2:
        return Placement(None, None, None)
    server = cpus[0]
    others = [cpu for cpu in cpus[1:] if cpu not in _siblings(server)] or cpus[1:]
    return Placement({server}, {others[0]}, {others[1] if len(others) > 1 else others[0]})


def _siblings(cpu: int) -> set[int]:
    """Hardware threads on the core of `cpu`; work on one of them slows the others."""
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:
        return set()
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def describe() -> dict[str, object]:
    """What a reader of the figures should know of the machine; nothing that names it."""
    return {
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "load_average": os.getloadavg()[0],
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
