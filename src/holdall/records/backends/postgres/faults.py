"""From the server's answers, and psycopg's exceptions, to our errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from holdall.core.errors import (
    Corrupt,
    HoldallError,
    InvalidConfig,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    Timeout,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    import psycopg

# While a connection is made libpq tells no code of the error, only its text.
_UNKNOWN_USER = re.compile(
    r"password authentication failed|authentication failed for user|no password supplied"
    r"|role \".*\" does not exist|no pg_hba\.conf entry|not permitted to log in"
    r"|certificate authentication failed|password retrieved from file"
)
_NO_DATABASE = re.compile(r"database \".*\" does not exist")
_DENIED = re.compile(r"permission denied for database|not currently accepting connections")
_UNCERTAIN = (
    "; the change may have been applied: read the records and decide before it is done again"
)


def translate_connecting(error: psycopg.Error | OSError, address: str) -> HoldallError:
    """The error for a connection that could not be made.

    Args:
        error: What psycopg raised.
        address: Where it was to lead, without secrets.
    """
    from psycopg.errors import ConnectionTimeout

    text = " ".join(str(error).split())
    if isinstance(error, ConnectionTimeout) or "timeout expired" in text:
        return Timeout(f"{address}: a connection took longer than 'connect_timeout' allows")
    if _UNKNOWN_USER.search(text):
        return Unauthenticated(
            f"{address}: the server does not accept these credentials; check 'user' and "
            f"'password', or PGPASSWORD: {text}"
        )
    if _NO_DATABASE.search(text):
        return InvalidConfig(f"{address}: there is no such database: {text}")
    if _DENIED.search(text):
        return PermissionDenied(f"{address}: {text}")
    passing = "certificate verify failed" not in text
    return Unavailable(f"{address}: the server cannot be reached: {text}", transient=passing)


def translate(error: Exception, address: str, *, lost: bool, changing: bool) -> HoldallError:
    """The error for a statement that failed.

    Args:
        error: What psycopg raised.
        address: Where the records are, without secrets.
        lost: Whether the connection is gone.
        changing: Whether the statement may have changed something by then.
    """
    code = getattr(error, "sqlstate", None) or ""
    text = " ".join(str(error).split())
    kind = code[:2]
    if kind == "57" and code != "57014":
        lost = True  # the server ends this connection
    if lost or kind == "08":
        gone = Unavailable(
            f"{address}: the connection broke off{_UNCERTAIN if changing else ''}",
            transient=not changing,
        )
        gone.uncertain = changing
        return gone
    if code in {"40001", "40P01", "23505"}:
        return PreconditionFailed(
            f"{address}: somebody else wrote the same records at the same time; do it again from "
            f"the start: {text}",
            transient=True,
        )
    if code == "57014":
        return Timeout(f"{address}: a statement took longer than the setting 'timeout' allows")
    if kind == "28":
        return Unauthenticated(f"{address}: {text}")
    if code in {"42501", "25006"}:
        return PermissionDenied(f"{address}: the server does not permit this: {text}")
    if code == "42P01":
        return NotFound(f"{address}: the table is gone; open the database again to make it anew")
    if kind == "54":
        return LimitExceeded(f"{address}: more than PostgreSQL takes: {text}")
    if kind in {"53", "55", "58"}:
        # Too many connections or locks pass; a disk that is full does not.
        return Unavailable(f"{address}: {text}", transient=code in {"53300", "55P03"})
    if kind == "22":
        return Corrupt(f"{address}: somebody wrote a row that is no record: {text}")
    return HoldallError(f"{address}: {text}")


def is_duplicate(error: Exception) -> bool:
    """Whether a row was there already."""
    return getattr(error, "sqlstate", None) == "23505"


def is_passing(error: Exception) -> bool:
    """Whether two who wrote at the same time were in each other's way, and nothing was done."""
    return getattr(error, "sqlstate", None) in {"40001", "40P01"}
