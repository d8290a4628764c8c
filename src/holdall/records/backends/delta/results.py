"""What came of upkeep."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Compacted(Struct, frozen=True):
    """What `compact` did.

    Args:
        before: How many files there were.
        after: How many there are.
    """

    before: int
    after: int


class Vacuumed(Struct, frozen=True):
    """What `vacuum` deleted, or would delete.

    Args:
        files: The files, relative to the table.
        deleted: Whether they were deleted.
    """

    files: tuple[str, ...]
    deleted: bool


class Version(Struct, frozen=True):
    """One version of the table.

    Args:
        number: Its number: the setting `at_version`.
        written: When it was written, in UTC.
        operation: What made it, as the log calls it: `WRITE`, `MERGE`, `OPTIMIZE`, …
    """

    number: int
    written: datetime
    operation: str
