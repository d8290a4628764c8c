"""What a migration compares, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from holdall.core.errors import (
    Corrupt,
    HoldallError,
    InvalidConfig,
    InvalidKey,
    NotFound,
    PreconditionFailed,
)
from holdall.records.encoding import to_plain

if TYPE_CHECKING:
    from holdall.records.contract import RecordStore
    from holdall.records.stored import Stored, Write, Written

_encode = msgspec.json.Encoder(order="sorted").encode


def same(held: Stored, write: Write) -> bool:
    """Whether the target holds exactly what would be written; the order of names aside."""
    return _exact(held.fields) == _exact(write.fields) and (
        _exact(held.metadata) == _exact(write.metadata)
    )


def _exact(values: dict[str, Any]) -> bytes:
    # More than equal: 1 is not 1.0 here, and NaN is NaN.
    return _encode(to_plain(values))


def difference(
    write: Write, outcome: Written, held: Stored | HoldallError | None
) -> HoldallError | None:
    """Why what was written cannot be relied on; None when it can."""
    if isinstance(held, HoldallError):
        return held
    if held is not None and same(held, write):
        return None
    if held is None or held.version != outcome.version:
        way = "deleted" if held is None else "changed"
        return PreconditionFailed(
            f"the record {write.id!r} was {way} in the target by others right after it was written",
            reference=write.id,
        )
    return Corrupt(
        f"the record {write.id!r} reads back from the target otherwise than it was written",
        reference=write.id,
    )


def is_missing(write: Write, outcome: HoldallError) -> bool:
    """Whether somebody deleted what was to be replaced."""
    return write.mode == "update" and isinstance(outcome, NotFound)


def check_places(source: RecordStore, target: RecordStore) -> None:
    """Refuse one database in two places, as far as addresses say.

    Raises:
        InvalidConfig: They are the same.
    """
    # An address without a name, such as memory://, stands for a new database each time.
    named = source.address.partition("://")[2]
    if source is target or (
        named and source.type == target.type and source.address == target.address
    ):
        raise one_database(source, target)


def one_database(source: RecordStore, target: RecordStore) -> InvalidConfig:
    """The error of one database in two places."""
    return InvalidConfig(
        f"{source.address} and {target.address} are the same database, or one a copy of the "
        "other's files: a migration goes from one database to another"
    )


def changed_id(old: str, new: str) -> InvalidKey:
    """The error of an id that changes where records are replaced."""
    return InvalidKey(
        f"transform made the record {old!r} the record {new!r}, which on_conflict='replace' does "
        "not take, since one record could replace another of the same source: "
        "use 'skip' or 'fail', or keep the ids",
        reference=old,
    )
