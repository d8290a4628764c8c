"""What the faces answer, and the error of a batch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from holdall.core.errors import (
    AlreadyExists,
    Corrupt,
    HoldallError,
    LimitExceeded,
    NotFound,
    PartialFailure,
    PreconditionFailed,
)
from holdall.records.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.records.stored import Stored, Write


class RecordPage(Struct, frozen=True):
    """One page of a search.

    Args:
        records: The records, in order.
        token: Asks for the next page; None when this is the last one.
    """

    records: list[Record]
    token: str | None


class BatchFailed(PartialFailure):
    """Some records of a batch could not be read, written or deleted.

    Args:
        message: How many of how many, and what was asked.
        results: What came of each, in order: an error, or what the call would have answered.

    Attributes:
        results: As given.
        errors: The errors among them.
    """

    def __init__(self, message: str, results: Sequence[Any]) -> None:
        super().__init__(message, [one for one in results if isinstance(one, HoldallError)])
        self.results = tuple(results)


class Undone(HoldallError):
    """Nothing was wrong with this one, and it was not written: another one of the batch failed."""


def check_outage(results: Sequence[Any]) -> None:
    """Raise what kept records from being read, unless they are damaged or too large themselves."""
    for one in results:
        if isinstance(one, HoldallError) and not isinstance(one, (Corrupt, LimitExceeded)):
            raise one


def undone(outcomes: Sequence[Any]) -> list[Any]:
    """The outcomes of a batch that is whole or not at all, of which some have failed."""
    failed = next(at for at, one in enumerate(outcomes) if isinstance(one, HoldallError))
    reason = f"not done, as item {failed} of the batch failed, and a batch is all or nothing here"
    return [one if isinstance(one, HoldallError) else Undone(reason) for one in outcomes]


def new_versions(number: int) -> list[str]:
    """Versions that were never there before."""
    digits = os.urandom(8 * number).hex()
    return [digits[at : at + 16] for at in range(0, 16 * number, 16)]


def refusal(write: Write, held: Stored | None) -> HoldallError | None:
    """Why a write cannot be, when this is held under its id; None when it can."""
    if write.mode == "create" and held is not None:
        return AlreadyExists(f"there is a record {write.id!r} already", reference=write.id)
    if write.mode == "update" and held is None:
        return NotFound(f"there is no record {write.id!r} to update", reference=write.id)
    if write.version is not None and (held is None or held.version != write.version):
        return changed(write.id, write.version, held)
    return None


def changed(id: str, version: str | None, held: Stored | None) -> PreconditionFailed:  # noqa: A002
    """The error of a version that does not hold."""
    now = "is gone" if held is None else "was changed"
    return PreconditionFailed(
        f"the record {id!r} {now} since version {version} was read: read it again and decide",
        reference=id,
    )
