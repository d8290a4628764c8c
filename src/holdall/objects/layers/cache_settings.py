"""The settings of a cache, and what it counts."""

from __future__ import annotations

import os
from datetime import timedelta

from msgspec import Struct


class CacheSettings(Struct, frozen=True, kw_only=True):
    """Settings of the layer `cache`.

    Args:
        max_bytes: How many bytes of memory it takes at most, 64 MiB unless set; 0 for no cache.
        share: An object is kept in memory when it is no larger than one part in so many of
            `max_bytes`.
        ttl: For how long an object is answered without asking the store whether it changed; 0 to
            ask each time.
        disk: The absolute path of a folder for objects that are too large for the memory; empty
            for none.
        disk_bytes: How many bytes the folder takes at most, 1 GiB unless set. An object above a
            quarter of it is not kept.
    """

    max_bytes: int = 64 * 1024 * 1024
    share: int = 16
    ttl: timedelta = timedelta(seconds=5)
    disk: str = ""
    disk_bytes: int = 1024 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.max_bytes < 0:
            raise ValueError(f"max_bytes is {self.max_bytes}: below 0")
        if self.share < 1:
            raise ValueError(f"share is {self.share}: it must be at least 1")
        if self.ttl < timedelta(0):
            raise ValueError(f"ttl is {self.ttl}: below 0")
        if self.disk and not os.path.isabs(self.disk):
            raise ValueError(f"disk is {self.disk!r}: it must be an absolute path")
        if self.disk and os.name != "posix":
            raise ValueError("disk needs a POSIX system")
        if self.disk_bytes < 0:
            raise ValueError(f"disk_bytes is {self.disk_bytes}: below 0")


class CacheStats(Struct, frozen=True, kw_only=True):
    """What a cache has counted.

    Args:
        hits: How many calls of `get` and `head` were served from the cache, from the disk, or by
            a request that another call had sent; those that were checked first among them.
        misses: How many were sent to the store.
        checks: How many times the store was asked whether an object changed.
        write_errors: How many bodies could not be kept on the disk. The reads went well.
        fetch_seconds: How long the gets among the misses took together, until the body was open,
            or was here where it came with the answer.
        entries: How many objects are known in memory now.
        bytes: How many bytes of memory they take, all that belongs to them included.
    """

    hits: int
    misses: int
    checks: int
    write_errors: int
    fetch_seconds: float
    entries: int
    bytes: int
