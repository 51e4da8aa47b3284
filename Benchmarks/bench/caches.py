"""What a row asks of a server's cache, and how each server is told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CacheSetup:
    """A cache, in the terms that all servers have. nginx keeps every object in a file and the kernel's page cache
    keeps the files in memory: its one bound is the disk's where there is one, else the memory's."""

    memory_mib: int = 512
    # None: memory alone (but for nginx). All directories lie in the server's own, on one file system.
    disk_mib: int | None = None
    # How many objects the bound has room for, on average. nginx looks at the bytes every ten seconds only, and at the
    # number of objects at once.
    objects_max: int | None = None
    # How long a stale object is served while it is validated in the background, where the origin says nothing.
    stale_seconds: int = 0
    # Whether responses are remembered by their Cache-Tag; Varnish keeps tags only where told to.
    has_tags: bool = False

    # The load is on objects of a few KiB, which nginx serves cheaper without sendfile.
    has_small_objects: bool = False

    @property
    def bytes_max_mib(self) -> int:
        return self.disk_mib or self.memory_mib
