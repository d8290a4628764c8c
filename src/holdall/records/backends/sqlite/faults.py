"""From SQLite's errors to ours."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

from holdall.core.errors import (
    Corrupt,
    HoldallError,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    Timeout,
    Unavailable,
)

if TYPE_CHECKING:
    from types import TracebackType

    from holdall.records.backends.sqlite.settings import SqliteRecordSettings

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DENIED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_PASSING = {sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL}


class translated:  # noqa: N801 - reads as a word where it is used: `with translated(settings):`
    """Turns SQLite's errors about a database into ours, for `with`."""

    __slots__ = ("_settings",)

    def __init__(self, settings: SqliteRecordSettings) -> None:
        self._settings = settings

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, sqlite3.Error):
            raise translate(error, self._settings) from error


def translate(error: sqlite3.Error, settings: SqliteRecordSettings) -> HoldallError:
    """The error to raise for one of SQLite's about a database."""
    # The upper bytes say more than we tell apart.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    address = settings.address
    if code in _BUSY:
        return locked(settings)
    if code in _DENIED:
        return PermissionDenied(f"{address} cannot be written: {error}", reference=address)
    # SQLite's functions of JSON, or one of ours, met what is not ours.
    strange = "JSON" in str(error) or "user-defined function" in str(error)
    if code in _DAMAGED or strange:
        return Corrupt(f"{address}: {error}", reference=address)
    if code == sqlite3.SQLITE_TOOBIG:
        return LimitExceeded(
            f"{address}: {error}; SQLite keeps at most 1,000,000,000 bytes a record",
            reference=address,
        )
    if code == sqlite3.SQLITE_CANTOPEN:
        return _unopened(settings)
    return Unavailable(f"{address}: {error}", reference=address, transient=code in _PASSING)


def locked(settings: SqliteRecordSettings) -> Timeout:
    """Somebody else wrote all the time that may be waited."""
    return Timeout(
        f"{settings.address} was locked by another writer or an open transaction for "
        f"{settings.timeout:g} s (the setting timeout)",
        reference=settings.address,
    )


def _unopened(settings: SqliteRecordSettings) -> HoldallError:
    address = settings.address
    folder = os.path.dirname(settings.path) or "."
    if not os.path.isdir(folder):
        return NotFound(f"{address}: there is no folder {folder!r}", reference=address)
    if os.path.isdir(settings.path):
        return NotFound(f"{address} is a folder, and no file", reference=address)
    return PermissionDenied(f"{address} cannot be opened", reference=address)
