"""The settings of entities and histories in a file."""

from __future__ import annotations

from msgspec import Struct

from holdall.core.errors import InvalidConfig
from holdall.haystack.stores.kept import CACHE_BYTES
from holdall.records.backends.sqlite.settings import SqliteRecordSettings, check_settings


class SqliteHaystackSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of entities and histories in a file of SQLite.

    Args:
        path: The file; made when it is not there, in a folder that is. Tables of the file whose
            names do not begin with `hs_` are left alone.
        timeout: How many seconds to wait while others write.
        durable: Whether a write that was answered outlives a power cut; without it, it outlives
            the end of the process only, and is faster.
        cache: Of how many bytes of JSON the entities that were read are kept ready in memory,
            where they take about five times as many.
    """

    path: str
    timeout: float = 30.0
    durable: bool = True
    cache: int = CACHE_BYTES

    @property
    def address(self) -> str:
        """The file, as text for messages."""
        return f"sqlite:///{self.path}"


def file_settings(settings: SqliteHaystackSettings) -> SqliteRecordSettings:
    """What connections are opened with.

    Raises:
        InvalidConfig: The path is no name of a file, or a number is none that can be.
    """
    if settings.path == ":memory:":
        raise InvalidConfig("path ':memory:': entities in memory are InMemoryAdapter, and faster")
    if settings.cache < 0:
        raise InvalidConfig(f"cache {settings.cache!r}: write bytes from 0 on")
    made = SqliteRecordSettings(
        path=settings.path, timeout=settings.timeout, durable=settings.durable
    )
    check_settings(made)
    return made
