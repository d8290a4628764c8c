"""Bringing records together: from memory, from the snapshot, and by reading the others."""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, TypeAlias

from holdall.core.errors import (
    Corrupt,
    HoldallError,
    LimitExceeded,
    PartialFailure,
    PermissionDenied,
)
from holdall.records.backends.objects.access import closing, pieces_of
from holdall.records.backends.objects.bodies import Held, NoRecord, row_of
from holdall.records.backends.objects.snapshot import FEW_ROWS
from holdall.records.predicate import ALL, compiled
from holdall.records.stored import Stored, reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from holdall.records.backends.objects.access import Access
    from holdall.records.backends.objects.listing import Listing
    from holdall.records.backends.objects.shelf import Known
    from holdall.records.backends.objects.snapshot import Snapshot
    from holdall.records.predicate import Node

_CHUNK_ROWS = 512
_MOST_UNREAD = 20

_Kept: TypeAlias = tuple[str, Held | HoldallError | None, bool]
"""An id, its object, and whether that was in memory."""


class Gatherer:
    """Knows what is in memory of records, and reads the others.

    Args:
        access: Reads them.
        snapshot: Has what other processes read.
    """

    def __init__(self, access: Access, snapshot: Snapshot) -> None:
        self._access = access
        self._snapshot = snapshot
        self._turn = access.runtime.lock()

    @asynccontextmanager
    async def settled(
        self, listing: Listing, ids: Sequence[str] | None
    ) -> AsyncIterator[tuple[Known, list[str]]]:
        """What is known of these records, or of all of a listing, and what must be read."""
        known, missing = await self._looked(listing, ids)
        if not missing or (ids is not None and len(missing) <= FEW_ROWS):
            yield known, missing
            return
        # Of several that read all or much of it one reads it, and the others find it in memory.
        # That little is missing of all may mean that another has nearly read it.
        async with self._turn if self._access.settings.memory else nullcontext():
            known, missing = await self._looked(listing, ids)
            if len(missing) > FEW_ROWS:
                await self._snapshot.load(listing)
                known, missing = await self._looked(listing, ids)
            yield known, missing

    async def _looked(self, listing: Listing, ids: Sequence[str] | None) -> tuple[Known, list[str]]:
        call = self._access.runtime.call
        known = await call(self._access.shelf.known, None, listing.etags, ids)
        if ids is None and listing.of_id is None and known.number == len(listing.ids):
            return known, []
        return known, await call(known.missing, None, listing.ids if ids is None else ids)

    async def loose(
        self, ids: Sequence[str], held: Mapping[str, Held], predicate: Node
    ) -> AsyncIterator[list[Stored | None]]:
        """Go through single objects, those that are not in memory by reading them.

        Raises:
            Corrupt: One cannot be read.
        """
        test = None if predicate == ALL else compiled(predicate, reader)
        access = self._access
        pieces = pieces_of([id_ for id_ in ids if id_ not in held], access.workers)
        workers = min(access.workers, max(1, len(pieces)))
        unread: list[HoldallError] = []
        coming: deque[Held | HoldallError | None] = deque()
        async with closing(access.runtime.map(access.some, pieces, workers)) as some:
            done = 0
            while done < len(ids):
                chunk: list[_Kept] = []
                failed = 0
                for id_ in ids[done : done + _CHUNK_ROWS]:
                    if id_ in held:
                        chunk.append((id_, held[id_], True))
                        continue
                    if not coming:
                        coming.extend(await anext(some))
                    one = coming.popleft()
                    chunk.append((id_, one, False))
                    failed += isinstance(one, HoldallError)
                    if failed >= _MOST_UNREAD:
                        break  # enough to be told
                done += len(chunk)
                rows = await self._read(chunk, test, unread)
                if access.shelf.is_loose:
                    await access.runtime.call(access.shelf.pack, None)
                if len(unread) >= _MOST_UNREAD:
                    break
                if not unread:
                    yield rows
        if unread:
            raise _unread(unread)

    async def _read(
        self,
        chunk: list[_Kept],
        test: Callable[[Stored], bool] | None,
        unread: list[HoldallError],
    ) -> list[Stored | None]:
        """Answer what is meant, in its place; add to `unread` why a record cannot be read.

        What never was a record is passed over, with a warning.
        """
        found = await self._access.runtime.call(self._decoded, None, chunk, test)
        rows: list[Stored | None] = []
        for (id_, held, kept), row in zip(chunk, found, strict=True):
            if not isinstance(row, HoldallError):
                rows.append(row)
                continue
            fresh: Stored | None = None
            try:
                why = await self._access.judged(id_, held, row) if isinstance(held, Held) else row
                if not kept or isinstance(why, NoRecord):
                    raise why
                # It came from a snapshot that holds nonsense: the object itself decides.
                fresh = await self._access.row(id_)
            except NoRecord:
                pass
            except (Corrupt, LimitExceeded, PermissionDenied) as error:
                unread.append(error)
            rows.append(fresh if fresh is not None and (test is None or test(fresh)) else None)
        self._access.tell_passed()
        return rows

    def _decoded(
        self, chunk: list[_Kept], test: Callable[[Stored], bool] | None
    ) -> list[Stored | HoldallError | None]:
        rows: list[Stored | HoldallError | None] = []
        for id_, held, _ in chunk:
            if held is None or isinstance(held, HoldallError):
                rows.append(held)
                continue
            try:
                row = row_of(id_, held, self._access.ref)
            except Corrupt as error:
                rows.append(error)
            else:
                rows.append(row if test is None or test(row) else None)
        return rows


class UnreadRecords(PartialFailure, Corrupt):
    """Some records that a search may mean cannot be read.

    Args:
        errors: Why, of each; of the first ones when there are many.
    """

    def __init__(self, errors: Sequence[HoldallError]) -> None:
        more = " or more" if len(errors) >= _MOST_UNREAD else ""
        super().__init__(f"{len(errors)}{more} records cannot be read", errors)


def _unread(errors: list[HoldallError]) -> HoldallError:
    refused = all(isinstance(one, PermissionDenied) for one in errors)
    if len(errors) == 1 or (refused and len(errors) >= _MOST_UNREAD):
        return errors[0]  # a single one, or a right to read that is missing altogether
    return UnreadRecords(errors)
