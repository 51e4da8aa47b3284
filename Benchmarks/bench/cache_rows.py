"""The rows of what a cache does. A hit is believed when the server says so itself and when the origin was not asked.

Every row starts with an empty cache, on the file system of the run's temporary directory for all servers.
"""

import os
import random
import subprocess
import time
from dataclasses import replace

from .caches import CacheSetup
from .evidence import hits, one_object, require_hit, without_origin
from .lab import Lab, Server
from .loads import CrowdClient
from .origins import body_bytes, fetch, slow_origin
from .peers import Peer
from .processes import BrokenRun, cpu_seconds, running
from .row import WITH_SENDFILE, WITHOUT_VARNISH, Bar, Measurement, Row
from .steady import steady

# Rows without a bar on their CPU figure: what they show is plain in less time.
_SHORT_SECONDS = 4.0
_FILL_CONNECTIONS = 16
_SETTLE_SECONDS = 1.5

_DISK_OBJECTS = 24
_DISK_CONNECTIONS = 8

_ZIPF_OBJECTS = 20_000
_ZIPF_SKEW = 0.9
# Size and how often: 24 KiB on average, half a gigabyte in all.
_ZIPF_SIZES = {"1k": 8, "4k": 5, "16k": 4, "64k": 2, "256k": 1}
_ZIPF_MEMORY_MIB = 64
_ZIPF_WARM_REQUESTS = 40_000

_STORM_OBJECTS = 100
_STORM_ORIGIN_SECONDS = 0.05
_STORM_STALE_SECONDS = 10

_CROWD_ORIGIN_SECONDS = 1.0
_CROWD_ACCEPT_SECONDS = 20

_PURGE_OTHERS = 1000
_PURGE_PROBES_MAX = 15_000
_PURGE_CHECKED = 500

_RSS_BOUND_MIB = 256
_RSS_TIMES = 6
_RSS_SIZES = {"1k": 30, "4k": 25, "16k": 20, "64k": 15, "256k": 7, "1m": 3}
_RSS_CHECKED = 400


# MARK: One hot object


def cached_1k(lab: Lab, peer: Peer) -> Measurement:
    setup = CacheSetup(has_small_objects=True)
    return one_object(lab, peer, "/cached/1k", lab.generator.wrk, lab.settings.duration_seconds, setup)


def cached_100k(lab: Lab, peer: Peer) -> Measurement:
    return one_object(lab, peer, "/cached/100k", lab.generator.wrk, _short(lab), CacheSetup())


def cached_1k_tls(lab: Lab, peer: Peer) -> Measurement:
    setup = CacheSetup(has_small_objects=True)
    return one_object(lab, peer, "/cached/1k", lab.generator.h2load, lab.settings.duration_seconds, setup, secure=True)


# MARK: Large objects on the disk


def cached_10m_disk(lab: Lab, peer: Peer) -> Measurement:
    """Throughput of objects that are larger than memory holds. The kernel's page cache has them: the row is about the
    way from there to the socket, not about the device."""
    paths = [f"/object/{number}/10m" for number in range(_DISK_OBJECTS)]
    with lab.serving(peer, cache=CacheSetup(memory_mib=64, disk_mib=1024)) as server:
        port = server.site.http_port
        lab.generator.bodies(port, paths, 4)
        os.sync()
        said = require_hit(server, paths[0])
        lab.check_answer(server, paths[-1])
        lab.generator.bodies(port, paths, _DISK_CONNECTIONS, lab.settings.warm_up_seconds)
        load, measurement = steady(
            server,
            lambda: without_origin(lab, lambda: lab.generator.bodies(port, paths, _DISK_CONNECTIONS, _short(lab))),
        )
        mib = float(load.extra["bytes"]) / 2**20
        each = measurement.figure * load.requests / mib
        return replace(
            measurement,
            figure=mib / load.seconds,
            extra={**measurement.extra, "cpu_us_per_mib": each, "cache_said": said},
        )


# MARK: Many objects


def cached_zipf(lab: Lab, peer: Peer) -> Measurement:
    mean = sum(body_bytes(f"/{size}") * share for size, share in _ZIPF_SIZES.items()) / sum(_ZIPF_SIZES.values())
    room = int(_ZIPF_MEMORY_MIB * 2**20 / mean)
    return _zipf(lab, peer, CacheSetup(memory_mib=_ZIPF_MEMORY_MIB, objects_max=room))


def cached_zipf_disk(lab: Lab, peer: Peer) -> Measurement:
    return _zipf(lab, peer, CacheSetup(memory_mib=_ZIPF_MEMORY_MIB, disk_mib=1024))


def _zipf(lab: Lab, peer: Peer, cache: CacheSetup) -> Measurement:
    """CPU per request, and how many requests the cache answered by itself. With a disk it was asked for everything
    before."""
    source = random.Random(2)
    sizes = source.choices(list(_ZIPF_SIZES), list(_ZIPF_SIZES.values()), k=_ZIPF_OBJECTS)
    paths = [f"/object/{number}/{size}" for number, size in enumerate(sizes)]
    with lab.serving(peer, cache=cache) as server:
        port = server.site.http_port
        if cache.disk_mib:
            lab.generator.bodies(port, source.sample(paths, len(paths)), _FILL_CONNECTIONS)
        # The same requests for all, however long each takes for them.
        weights = [(number + 1) ** -_ZIPF_SKEW for number in range(len(paths))]
        lab.generator.bodies(port, source.choices(paths, weights, k=_ZIPF_WARM_REQUESTS), _FILL_CONNECTIONS)
        before = lab.origin.count().requests
        load, measurement = steady(server, lambda: lab.generator.mixed(port, paths, _ZIPF_SKEW, _short(lab)))
        asked = lab.origin.count().requests - before
        stored = sum(file.stat().st_size for file in (server.site.directory / "cache").rglob("*") if file.is_file())
        hit_percent = 100 * (1 - asked / load.requests)
        return replace(
            measurement,
            extra={
                **measurement.extra,
                "hit_percent": hit_percent, "files_mib": stored / 2**20, "mib": sum(map(body_bytes, paths)) / 2**20,
            },
        )


def revalidation_storm(lab: Lab, peer: Peer) -> Measurement:
    """Requests at the origin each second while all objects expire each second. Nobody has to wait: all servers may
    serve what is stale while they ask."""
    paths = [f"/storm/{number}/1k" for number in range(_STORM_OBJECTS)]
    with (
        slow_origin(lab.directory, lab.placement.origin, _STORM_ORIGIN_SECONDS, "max-age=1") as origin,
        lab.serving(peer, origin_port=origin.port, cache=CacheSetup(stale_seconds=_STORM_STALE_SECONDS)) as server,
    ):
        port = server.site.http_port
        lab.generator.bodies(port, paths, _FILL_CONNECTIONS)
        lab.generator.mixed(port, paths, 0, lab.settings.warm_up_seconds)
        before = origin.count()
        load, measurement = steady(server, lambda: lab.generator.mixed(port, paths, 0, _short(lab)))
        after = origin.count()
        whole, validated = after["200"] - before["200"], after["304"] - before["304"]
        return replace(
            measurement,
            figure=(whole + validated) / load.seconds,
            extra={
                **measurement.extra,
                "origin_200": whole, "origin_304": validated,
                "validated_percent": 100 * validated / max(1, whole + validated),
            },
        )


# MARK: One cold object


def cold_crowd(lab: Lab, peer: Peer) -> Measurement:
    """How often the origin is asked when everybody wants the same object at once."""
    count, path = lab.settings.idle_connections, "/crowd/1k"
    log = lab.directory / "client.log"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        slow_origin(lab.directory, lab.placement.origin, _CROWD_ORIGIN_SECONDS, "max-age=3600") as origin,
        lab.serving(peer, clients=count, origin_port=origin.port, cache=CacheSetup()) as server,
    ):
        # Another object first, so that nothing is done for the first time.
        fetch(server.site.http_port, "/warm/1k")
        descriptors = server.tree.descriptors()
        with running(CrowdClient.command(server.site.http_port, path, count), lab.placement.client, log,
                     **pipes) as process:
            client = CrowdClient(process, log)
            client.opened()
            _wait_accepted(server, descriptors + count - _CROWD_CLOSING)
            before, cpu_before = origin.count(), server.tree.cpu_ticks()
            load = client.ask()
            cpu, after = cpu_seconds(cpu_before, server.tree.cpu_ticks()), origin.count()
        if load.requests != count:
            raise BrokenRun(f"{load.requests} of {count} requests were answered")
        if not load.extra["all_waited"]:
            raise BrokenRun("the first answer came before the last request was sent")
        said = require_hit(server, path)
        return Measurement(
            figure=after["200"] - before["200"],
            p50_ms=load.p50_ms,
            p99_ms=load.p99_ms,
            peak_rss_mib=server.tree.peak_rss_kib() / 1024,
            extra={
                **load.extra,
                "requests_at_once": count,
                "origin_seconds": after["slowest"],
                "p99_over_origin": load.p99_ms / 1000 / after["slowest"],
                "cpu_us": cpu / count * 1e6,
                "cache_said": said,
            },
        )


# Connections that were counted while they were closing.
_CROWD_CLOSING = 16


def _wait_accepted(server: Server, descriptors: int) -> None:
    deadline = time.monotonic() + _CROWD_ACCEPT_SECONDS
    while server.tree.descriptors() < descriptors:
        if time.monotonic() > deadline:
            raise BrokenRun(f"the server did not accept all connections within {_CROWD_ACCEPT_SECONDS} s")
        time.sleep(0.05)


# MARK: Purge


def purge_tag(lab: Lab, peer: Peer) -> Measurement:
    """The time from sending a purge by tag until a client has seen that nothing purged is served any more."""
    source = random.Random(3)
    tagged = [f"/tagged/crowd/{number}/1k" for number in range(lab.settings.purge_objects)]
    others = [f"/tagged/other/{number}/1k" for number in range(_PURGE_OTHERS)]
    with lab.serving(peer, cache=CacheSetup(memory_mib=1024, has_tags=True)) as server:
        port = server.site.http_port
        before = lab.origin.count().requests
        lab.generator.bodies(port, tagged + others, _FILL_CONNECTIONS)
        filled = lab.origin.count().requests - before
        source.shuffle(tagged)
        checked, probed = tagged[:_PURGE_CHECKED], tagged[_PURGE_CHECKED:][:_PURGE_PROBES_MAX]
        if filled < len(tagged) + len(others) or not all(hits(server, checked + others)):
            raise BrokenRun("not all objects are in the cache before the purge")
        report = lab.generator.purge(port, peer.evidence(server.site)[1], peer.purge_tag(server.site, "crowd"), probed)
        if report["status"] != 200:
            raise BrokenRun(f"the purge was answered {report['answer'][:200]!r}")
        kept, lost = sum(hits(server, checked)), len(others) - sum(hits(server, others))
        if kept or lost:
            raise BrokenRun(f"{kept} of {len(checked)} purged objects are served, {lost} of {len(others)} others are lost")
        probes = [(sent, answered, peer.says_hit(said)) for sent, answered, said in report["probes"]]
        if not all(is_hit for sent, _, is_hit in probes if sent < 0):
            raise BrokenRun("an object was not in the cache before the purge")
        last_hit = max(sent for sent, _, is_hit in probes if is_hit)
        effective = min((answered for sent, answered, _ in probes if sent > last_hit), default=None)
        if effective is None:
            raise BrokenRun("all objects that were asked for were still served after the purge was answered")
        return Measurement(
            figure=effective,
            peak_rss_mib=server.tree.peak_rss_kib() / 1024,
            extra={
                "objects": len(tagged), "answer_ms": report["answer_ms"], "last_hit_ms": last_hit,
                "probes": len(probes), "answer": report["answer"].rpartition("\r\n\r\n")[2][:400],
            },
        )


# MARK: Memory


def cache_rss(lab: Lab, peer: Peer) -> Measurement:
    """Resident memory over the bound on the cache's, after several times as much went through it."""
    source = random.Random(4)
    paths: list[str] = []
    total = 0
    while total < _RSS_TIMES * _RSS_BOUND_MIB * 2**20:
        paths.append(f"/object/{len(paths)}/{source.choices(list(_RSS_SIZES), list(_RSS_SIZES.values()))[0]}")
        total += body_bytes(paths[-1])
    with lab.serving(peer, cache=CacheSetup(memory_mib=_RSS_BOUND_MIB)) as server:
        port = server.site.http_port
        lab.check_answer(server, "/1k")
        base = server.tree.rss_kib() / 1024
        lab.generator.bodies(port, paths, _FILL_CONNECTIONS)
        time.sleep(_SETTLE_SECONDS)
        after = server.tree.rss_kib() / 1024
        # A server that keeps nothing stays below any bound.
        sample = source.sample(paths, _RSS_CHECKED)
        sizes = list(map(body_bytes, sample))
        kept = sum(size for size, hit in zip(sizes, hits(server, sample)) if hit)
        return Measurement(
            figure=after / _RSS_BOUND_MIB,
            peak_rss_mib=server.tree.peak_rss_kib() / 1024,
            extra={
                "rss_mib": after, "base_rss_mib": base, "over_base": (after - base) / _RSS_BOUND_MIB,
                "objects": len(paths), "filled_mib": total / 2**20,
                "kept_percent": 100 * kept / sum(sizes),
            },
        )


def _short(lab: Lab) -> float:
    return min(_SHORT_SECONDS, lab.settings.duration_seconds)


CACHE_ROWS = (
    Row("cached-1k", "cache hit 1 KiB, keep-alive", "µs CPU/req", cached_1k, WITH_SENDFILE,
        bars=(Bar(0.62, of="nginx"), Bar(0.5, of="varnish"))),
    Row("cached-1k-tls", "cache hit 1 KiB, TLS keep-alive", "µs CPU/req", cached_1k_tls, WITHOUT_VARNISH,
        (Bar(0.75, of="nginx"),)),
    Row("cached-100k", "cache hit 100 KiB, keep-alive", "µs CPU/req", cached_100k, rounds_max=1),
    Row("cached-10m-disk", "cache hit 10 MiB from disk", "MiB/s", cached_10m_disk,
        bars=(Bar(1.0, of="nginx", at_least=True),), rounds_max=2, note="{cpu_us_per_mib:.1f} µs CPU/MiB"),
    Row("cached-zipf", "Zipf 0.9, 7 × memory", "µs CPU/req", cached_zipf, rounds_max=1,
        note="{hit_percent:.1f} % hits"),
    Row("cached-zipf-disk", "Zipf 0.9, 7 × memory, disk", "µs CPU/req", cached_zipf_disk, rounds_max=1,
        note="{hit_percent:.1f} % hits"),
    Row("revalidation-storm", f"{_STORM_OBJECTS} objects of max-age=1 under load", "origin req/s", revalidation_storm,
        rounds_max=1, note="{validated_percent:.0f} % by 304, {cpu_us:.1f} µs CPU/req"),
    Row("cold-crowd", "all at once for one cold object", "origin fetches", cold_crowd, bars=(Bar(1),), rounds_max=2,
        has_ratio=False, note="{requests_at_once:,.0f} requests"),
    Row("cold-crowd-p99", "p99 of cold-crowd", "× the origin's time", None, bars=(Bar(1.2),), has_ratio=False,
        taken_from=("cold-crowd", "p99_over_origin")),
    Row("purge-tag", "purge by tag, until effective", "ms", purge_tag, ("martlet", "varnish"), (Bar(50),),
        rounds_max=1, note="{objects:,.0f} objects"),
    Row("purge-tag-answer", "purge by tag, until answered", "ms", None, ("martlet", "varnish"), (Bar(50),),
        taken_from=("purge-tag", "answer_ms")),
    Row("cache-rss", f"RSS over a bound of {_RSS_BOUND_MIB} MiB", "× the bound", cache_rss, ("martlet", "varnish"),
        (Bar(1.1),), rounds_max=1, has_ratio=False,
        note="{over_base:.2f} beyond the {base_rss_mib:.1f} MiB of an empty one; about {kept_percent:.0f} % kept"),
)
