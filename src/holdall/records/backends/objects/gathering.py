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
from holdall.records.backends.objects.access import closing
from holdall.records.backends.objects.bodies import Held, NoRecord, row_of
from holdall.records.backends.objects.snapshot import FEW_ROWS
from holdall.records.predicate import ALL, compiled
from holdall.records.stored import Stored, reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from holdall.records.backends.objects.access import Access
    from holdall.records.backends.objects.listing import Listing
    from holdall.records.backends.objects.shelf import Known
    from holdall.records.backends.objects.snapshot import Snapshot
    from holdall.records.predicate import Node

_CHUNK_ROWS = 512
_CHUNK_BYTES = 8 * 1024 * 1024
_MOST_UNREAD = 20
_FIRST_PIECE, _MOST_PIECE = 8, 32
_PIECE_BYTES = 64 * 1024

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
        pieces = Pieces([id_ for id_ in ids if id_ not in held], access.workers)
        workers = min(access.workers, max(1, pieces.number))
        unread: list[HoldallError] = []
        coming: deque[Held | HoldallError | None] = deque()
        async with closing(access.runtime.map(access.some, pieces, workers)) as some:
            done = 0
            while done < len(ids):
                chunk: list[_Kept] = []
                failed = read_bytes = 0
                for id_ in ids[done : done + _CHUNK_ROWS]:
                    if id_ in held:
                        chunk.append((id_, held[id_], True))
                        continue
                    if not coming:
                        coming.extend(await anext(some))
                    one = coming.popleft()
                    chunk.append((id_, one, False))
                    if isinstance(one, Held):
                        read_bytes += pieces.note(one)
                    failed += isinstance(one, HoldallError)
                    if failed >= _MOST_UNREAD or read_bytes >= _CHUNK_BYTES:
                        break  # enough to be told, or to be kept at once
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


class Pieces:
    """Ids in pieces for workers, since handing over each alone takes as long as reading it.

    A worker has the bodies of a piece in memory. So the pieces are as large as what was read so
    far says that bodies are.

    Args:
        ids: What to read.
        workers: How many read at once.
    """

    def __init__(self, ids: Sequence[str], workers: int) -> None:
        self._ids = ids
        self._most = max(1, min(_MOST_PIECE, len(ids) // (4 * workers)))
        self._read = self._bytes = 0

    @property
    def number(self) -> int:
        """How many there may be."""
        return -(-len(self._ids) // self._most)

    def note(self, held: Held) -> int:
        """Note that a body was read; answer how many bytes it has."""
        self._read += 1
        self._bytes += len(held.body)
        return len(held.body)

    def __iter__(self) -> Iterator[Sequence[str]]:
        at = 0
        while at < len(self._ids):
            size = _FIRST_PIECE
            if self._read:
                size = _PIECE_BYTES * self._read // (self._bytes + 1)
            piece = self._ids[at : at + max(1, min(size, self._most))]
            at += len(piece)
            yield piece


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
