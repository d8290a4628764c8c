"""What a migration is asked, and what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from msgspec import Struct, field

from holdall.core.errors import HoldallError, InvalidQuery, PartialFailure
from holdall.records.predicate import ALL, Node

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.records.query import Query
    from holdall.records.record import Record

    Transform: TypeAlias = Callable[[Record], Record | None]
    OnProgress: TypeAlias = Callable[[int, int | None], object]

OnConflict: TypeAlias = Literal["skip", "replace", "fail"]

BATCH = 1000
"""How many records are taken together, when the caller names no number."""


class MigrationFailure(Struct, frozen=True):
    """One record that something went wrong with.

    Args:
        id: Its id in the source.
        error: What.
    """

    id: str
    error: HoldallError


class MigrationReport(Struct, kw_only=True):
    """What a migration did. Each record that was read counts once, from `written` to `failed`.

    Args:
        read: How many records of the source were met.
        written: How many the target did not have, and has now.
        replaced: How many the target had otherwise, and has now as the source had them.
        same: How many the target had already: written by a run before this one, or by others.
        skipped: How many the target has otherwise and keeps, as `on_conflict="skip"` asks.
        left_out: How many `transform` left out.
        failed: Those that the target does not have, or not for sure, and why.
        deleted: How many the source let go of, once the target had them.
        kept: Those that the target has and the source keeps although it should not, and why:
            most often somebody changed them meanwhile.
    """

    read: int = 0
    written: int = 0
    replaced: int = 0
    same: int = 0
    skipped: int = 0
    left_out: int = 0
    failed: list[MigrationFailure] = field(default_factory=list)
    deleted: int = 0
    kept: list[MigrationFailure] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all went well; a record that was skipped or left out was meant to be."""
        return not self.failed and not self.kept

    def check(self) -> None:
        """Raise `PartialFailure`, with all errors, unless all went well."""
        if not self.ok:
            errors = [failure.error for failure in (*self.failed, *self.kept)]
            raise PartialFailure(
                f"{len(self.failed)} of {self.read} records were not migrated, and "
                f"{len(self.kept)} that were not deleted:",
                errors,
            )

    def add(self, part: MigrationReport) -> None:
        """Count what another report counts."""
        self.read += part.read
        self.written += part.written
        self.replaced += part.replaced
        self.same += part.same
        self.skipped += part.skipped
        self.left_out += part.left_out
        self.failed += part.failed
        self.deleted += part.deleted
        self.kept += part.kept


class MigrationOptions(Struct, frozen=True, kw_only=True):
    """How to migrate; see `holdall.records.migration.migrate`.

    Args:
        predicate: Which records.
        on_conflict: What to do where the target has another record of the same id.
        batch: How many records are taken together.
        workers: How many batches are on the way at a time.
        delete_source: Whether the source lets go of what the target has.
        verify: Whether what was written is read back and compared.

    Raises:
        ValueError: A number is below 1, `on_conflict` none of these, or what is not verified
            would be deleted.
    """

    predicate: Node = ALL
    on_conflict: OnConflict = "skip"
    batch: int = BATCH
    workers: int = 1
    delete_source: bool = False
    verify: bool = True

    def __post_init__(self) -> None:
        if self.on_conflict not in get_args(OnConflict):
            known = ", ".join(get_args(OnConflict))
            raise ValueError(f"on_conflict={self.on_conflict!r} is unknown; there are {known}")
        for name, number in (("batch", self.batch), ("workers", self.workers)):
            if number < 1:
                raise ValueError(f"{name}={number} must be at least 1")
        if self.delete_source and not self.verify:
            raise ValueError("delete_source deletes only what was verified: leave verify=True")


def predicate_of(query: Query | None) -> Node:
    """The condition of a query that says which records, and nothing else.

    Raises:
        InvalidQuery: It has a sort, a limit, an offset, a selection of fields, or distinct.
    """
    if query is None:
        return ALL
    given = {
        "sort": query.sorts,
        "limit": query.maximum is not None,
        "offset": query.skipped,
        "select": query.fields is not None,
        "distinct": query.unique,
    }
    for name, there in given.items():
        if there:
            raise InvalidQuery(
                f"a migration moves whole records, all that a condition means, and takes no {name}"
            )
    return query.predicate
