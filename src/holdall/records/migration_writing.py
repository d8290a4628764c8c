"""Writing and deleting many records, of which each fails or succeeds by itself.

A database whose batches are all or nothing undoes those of which one fails. Who wants the others
to count writes them again without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdall.core.errors import (
    CodecError,
    Corrupt,
    HoldallError,
    InvalidKey,
    KeyConflict,
    LimitExceeded,
    PermissionDenied,
    PreconditionFailed,
    Unauthenticated,
    Unsupported,
)
from holdall.records.results import Undone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holdall.records.contract import RecordStore
    from holdall.records.stored import Removal, Write, Written

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Errors that are about one record. Raised for a batch, they say nothing of the others in it.
_OF_ONE = (
    CodecError,
    Corrupt,
    InvalidKey,
    KeyConflict,
    LimitExceeded,
    PreconditionFailed,
    Unsupported,
)

OUTAGES_IN_A_ROW = 20
"""How many records may meet an outage, none being written between, before it is raised."""


def is_outage(error: HoldallError) -> bool:
    """Whether an error is about the database, so that other records would meet it as well."""
    return error.transient or isinstance(error, (PermissionDenied, Unauthenticated))


async def write_each(store: RecordStore, writes: Sequence[Write]) -> list[Written | HoldallError]:
    """Write records; answer what came of each, in order.

    Raises:
        HoldallError: The database cannot be reached or used. Some may be written.
    """
    return await _each(store.put, writes)


async def delete_each(store: RecordStore, removals: Sequence[Removal]) -> list[bool | HoldallError]:
    """Delete records; answer for each whether there was one. Raises as `write_each`."""
    return await _each(store.delete, removals)


async def _each(
    do: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | HoldallError]]],
    items: Sequence[Item],
) -> list[Answer | HoldallError]:
    answers: list[Answer | HoldallError] = [Undone("not done")] * len(items)
    left = list(range(len(items)))
    while left:
        outcomes = await _halving(do, [items[at] for at in left])
        again = []
        for at, outcome in zip(left, outcomes, strict=True):
            answers[at] = outcome
            if isinstance(outcome, Undone):
                again.append(at)
        if len(again) == len(left):
            break  # nothing failed by itself: another round would end the same way
        left = again
    return answers


async def _halving(
    do: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | HoldallError]]],
    items: Sequence[Item],
) -> Sequence[Answer | HoldallError]:
    """Do it for a batch; where that raises the error of one record, for its halves."""
    try:
        return await do(items)
    except _OF_ONE as error:
        if len(items) == 1:
            return [error]
    middle = len(items) // 2
    return [*await _halving(do, items[:middle]), *await _halving(do, items[middle:])]
