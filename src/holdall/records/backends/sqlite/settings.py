"""The settings of a database in a file."""

from __future__ import annotations

import re

from msgspec import Struct

from holdall.core.errors import InvalidConfig

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class SqliteRecordSettings(Struct, frozen=True):
    """Settings of a database in a file of SQLite.

    Args:
        path: The file; made when it is not there, in a folder that is.
        table: The table that holds the records, made when it is not there. Other tables of the
            file are left alone.
        timeout: How many seconds to wait while others write.
        durable: Whether a write that was answered outlives a power cut; without it, it outlives
            the end of the process only, and is faster.
    """

    path: str
    table: str = "records"
    timeout: float = 30.0
    durable: bool = True

    @property
    def address(self) -> str:
        """The file and the table, as text for messages."""
        table = "" if self.table == "records" else f"?table={self.table}"
        return f"sqlite:///{self.path}{table}"


def check_settings(settings: SqliteRecordSettings) -> None:
    """Refuse what cannot be.

    Raises:
        InvalidConfig: The path is no name of a file, the table no plain name, or the time-out
            negative.
    """
    if not settings.path or "\0" in settings.path:
        raise InvalidConfig(f"path {settings.path!r}: this is the name of a file")
    if settings.path == ":memory:":
        raise InvalidConfig("path ':memory:': a database in memory is memory://, and faster")
    table = settings.table
    if not _TABLE.fullmatch(table) or table.lower().startswith("sqlite_"):
        raise InvalidConfig(
            f"table {table!r}: write letters, digits and underscores, at most 63, with no digit "
            "first and no sqlite_"
        )
    if not 0 <= settings.timeout <= 1_000_000:
        raise InvalidConfig(f"timeout {settings.timeout!r}: write seconds from 0 on")


def settings_of_address(url: str) -> dict[str, str]:
    """The settings that an address stands for: `sqlite:///relative.db`, `sqlite:////absolute.db`.

    Raises:
        InvalidConfig: It names no file.
    """
    path = url.partition("://")[2]
    if len(path) < 2 or not path.startswith("/"):
        raise InvalidConfig(
            f"{url}: write sqlite:///app.db for a file in the working folder, "
            "or sqlite:////srv/app.db"
        )
    return {"path": path[1:]}
