"""The snapshot: what searches have read, kept beside the records for the next process.

    .holdall/snapshots/current.json       names the segments, and where the listing can be cut
    .holdall/snapshots/<32 digits>.rows   a segment: see `segments` and `blocks`

On a service it lies in the folder `!`, which comes before all records: their listing begins behind.

A segment is written once and never changed. `current.json` is replaced only if nobody else did so
meanwhile; who comes too late takes back the segments it wrote. A row counts only where a listing
shows its etag, so that what is old, missing or damaged is read again and never answered.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from holdall.core.errors import HoldallError, LimitExceeded, NotFound, PreconditionFailed
from holdall.core.reference import MAX_SEGMENT_BYTES as MAX_NAME_BYTES
from holdall.objects.options import DELETE, HEAD, GetOptions, ListOptions, WriteOptions
from holdall.records.backends.objects.access import closing
from holdall.records.backends.objects.blocks import DAMAGED
from holdall.records.backends.objects.keys import FRONT
from holdall.records.backends.objects.ranges import RANGES
from holdall.records.backends.objects.segments import MAX_SEGMENT_BYTES, join, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.core.reference import Reference
    from holdall.objects.results import ObjectMeta
    from holdall.records.backends.objects.access import Access
    from holdall.records.backends.objects.listing import Listing

_log = logging.getLogger("holdall.records")

FEW_ROWS = 32
"""Below so many unknown records a snapshot is neither looked for nor written."""

_FOLDER = "snapshots"
_POINTER_BYTES = 256 * 1024
_MOST_SEGMENTS = 2048
_SMALL_BYTES = 1024 * 1024
_MOST_SMALL = 16
_ORPHAN_NS = 24 * 3600 * 10**9
_READERS = 4
_FRESH_SECONDS = 60.0

_Bound: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=MAX_NAME_BYTES + 1)
]  # of a folder, too


class _Segment(Struct, frozen=True):
    name: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    rows: Annotated[int, Meta(ge=0)]
    bytes: Annotated[int, Meta(ge=0)]


class _Pointer(Struct, frozen=True, tag_field="kind", tag="holdall snapshot"):
    format: Literal[2]
    segments: Annotated[tuple[_Segment, ...], Meta(max_length=_MOST_SEGMENTS)] = ()
    bounds: Annotated[tuple[_Bound, ...], Meta(max_length=RANGES)] = ()


_read_pointer = msgspec.json.Decoder(_Pointer).decode


class Snapshot:
    """Reads and renews the snapshot of a database.

    Args:
        access: Knows the store, and what is kept in memory.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._store = access.store
        root = access.store.root
        self._former = root.reserved(_FOLDER)
        self._folder = (
            root.known_child(FRONT).reserved(_FOLDER) if access.in_front else self._former
        )
        self._pointer_ref = self._folder.known_child("current.json")
        self._pointer = _Pointer(2)
        self._etag: str | None = None
        self._fresh_until = 0.0
        self._read: set[str] = set()
        self._lost: set[str] = set()
        self._damaged = False
        self._off = not access.settings.snapshot or access.settings.memory == 0
        self._turn = access.runtime.lock()

    async def bounds(self) -> tuple[str, ...]:
        """Answer the last keys of ranges in which the records may be listed.

        There are none where the snapshot has few records, or cannot be read.
        """
        if self._off:
            return ()
        async with self._turn:
            await self._look()
            # What was looked at now serves the search that lists the records.
            self._fresh_until = time.monotonic() + _FRESH_SECONDS
            return tuple(sorted(set(self._pointer.bounds)))

    async def load(self, listing: Listing) -> None:
        """Take what the snapshot has of these records into memory."""
        if self._off:
            return
        async with self._turn:
            if time.monotonic() >= self._fresh_until:
                await self._look()
            self._fresh_until = 0.0
            wanted = [one for one in self._pointer.segments if one.name not in self._read]
            call = self._access.runtime.call

            async def load(segment: _Segment) -> bool:
                data = await self._bytes(self._segment_ref(segment))
                if data is None:
                    return False
                return await call(self._take, None, data, listing)

            async with closing(self._access.runtime.map(load, wanted, _READERS)) as loaded:
                segments = iter(wanted)
                async for whole in loaded:
                    name = next(segments).name
                    self._read.add(name)
                    if not whole:
                        self._lost.add(name)

    def _take(self, data: bytes, listing: Listing) -> bool:
        blocks, whole = split(data)
        try:
            for block in blocks:
                self._access.shelf.add(block, listing.etags)
        except DAMAGED:
            return False
        return whole

    async def renew(self, listing: Listing) -> None:
        """Write what was read since, where that is more than a hundredth of the records."""
        least = max(FEW_ROWS, len(listing.etags) // 100)
        shelf = self._access.shelf
        if self._off or shelf.unsaved <= least:
            return
        async with self._turn:
            await self._access.runtime.call(shelf.pack, None)
            known = await self._access.runtime.call(shelf.known, None, listing.etags)
            rows = sum(len(rows) for shelved, rows in known.parts if not shelved.saved)
            if rows <= least:
                return
            try:
                await self._renew(rows, listing)
            except HoldallError as error:
                # Who may only read searches all the same, and has what was read in memory.
                self._off = not (error.transient or error.uncertain)
                _log.info("%s: no snapshot is kept: %s", self._store.root, error)

    async def drop(self) -> None:
        """Delete the snapshot."""
        async with self._turn:
            self._forget()
            try:
                kept = await self._kept()
                if self._access.in_front:
                    kept += await self._kept(self._former)
                refs = [meta.ref for meta in kept]
                if refs:
                    await self._store.delete(refs, DELETE)
            except HoldallError as error:
                _log.warning("%s: the snapshot is still there: %s", self._store.root, error)

    async def _renew(self, rows: int, listing: Listing) -> None:
        await self._look()
        before = kept = self._pointer.segments
        shelf = self._access.shelf
        whole = self._is_worn(kept, rows, len(listing.etags))
        if whole:
            kept = ()
            await self._access.runtime.call(shelf.repack, None, listing.etags)
        unsaved = shelf.unsaved_blocks
        written: list[_Segment] = []
        try:
            for data, number in join(one.block for one in unsaved):
                segment = _Segment(os.urandom(16).hex(), number, len(data))
                written.append(segment)
                await self._store.put(self._segment_ref(segment), data, WriteOptions())
            pointer = _Pointer(2, (*kept, *written), listing.bounds)
            is_new = self._etag is None
            await self._point(pointer)
        except PreconditionFailed:
            await self._discard(written)  # another process was faster
            self._forget()
            return
        except HoldallError as error:
            if not error.uncertain:
                await self._discard(written)
            raise
        self._read.update(one.name for one in written)
        for one in unsaved:
            one.saved = True
        self._damaged = shelf.damaged = False
        if whole:
            await self._sweep(pointer, before)
        if is_new and self._access.in_front:
            await self._sweep_former()

    def _is_worn(self, kept: Sequence[_Segment], new: int, live: int) -> bool:
        """Whether to write it anew: most of it is old, or it is in many pieces, or damaged."""
        small = sum(one.bytes < _SMALL_BYTES for one in kept)
        rows = sum(one.rows for one in kept)
        lost = (
            self._damaged
            or self._access.shelf.damaged
            or any(one.name in self._lost for one in kept)
        )
        return lost or small >= _MOST_SMALL or rows + new > 2 * live

    async def _point(self, pointer: _Pointer) -> None:
        body = msgspec.json.encode(pointer)
        options = WriteOptions(
            if_match=self._etag, if_none_match="*" if self._etag is None else None
        )
        meta = await self._store.put(self._pointer_ref, body, options)
        self._pointer, self._etag = pointer, meta.etag

    async def _look(self) -> None:
        """Read which segments there are."""
        try:
            stream = await self._store.get(self._pointer_ref, GetOptions(max_size=_POINTER_BYTES))
            self._etag = stream.meta.etag
            self._pointer = _read_pointer(await stream.read_all())
        except NotFound:
            self._forget()
        except (LimitExceeded, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._pointer, self._damaged = _Pointer(2), True
            if isinstance(error, LimitExceeded):
                await self._note_etag()
        except HoldallError as error:
            self._tell_unread(error)

    async def _note_etag(self) -> None:
        """Ask for the etag of what names the segments, without reading it."""
        try:
            self._etag = (await self._store.head(self._pointer_ref, HEAD)).etag
        except HoldallError as error:
            self._tell_unread(error)

    def _tell_unread(self, error: HoldallError) -> None:
        _log.info("%s: the snapshot cannot be read: %s", self._store.root, error)
        self._forget()

    async def _bytes(self, ref: Reference) -> bytes | None:
        """Read a segment; None when it cannot be read, which only costs time."""
        try:
            stream = await self._store.get(ref, GetOptions(max_size=MAX_SEGMENT_BYTES))
            return await stream.read_all()
        except HoldallError as error:
            _log.info("%s: a part of the snapshot cannot be read: %s", self._store.root, error)
            return None

    async def _discard(self, segments: Sequence[_Segment]) -> None:
        refs = [self._segment_ref(one) for one in segments]
        if refs:
            await self._store.delete(refs, DELETE)

    async def _sweep(self, pointer: _Pointer, before: Sequence[_Segment]) -> None:
        """Delete segments that nothing names any more, and those of processes that were killed."""
        self._read -= {one.name for one in before}
        self._lost.clear()
        named = {self._segment_ref(one) for one in pointer.segments} | {self._pointer_ref}
        replaced = {self._segment_ref(one) for one in before}
        long_ago = time.time_ns() - _ORPHAN_NS
        refs = [
            meta.ref
            for meta in await self._kept()
            if meta.ref not in named and (meta.ref in replaced or meta.modified_ns < long_ago)
        ]
        if refs:
            await self._store.delete(refs, DELETE)

    async def _sweep_former(self) -> None:
        """Delete what earlier versions left among the records, where it makes listings longer."""
        try:
            refs = [meta.ref for meta in await self._kept(self._former)]
            if refs:
                await self._store.delete(refs, DELETE)
        except HoldallError as error:
            _log.info("%s: an earlier snapshot is still there: %s", self._store.root, error)

    async def _kept(self, folder: Reference | None = None) -> list[ObjectMeta]:
        found: list[ObjectMeta] = []
        token: str | None = None
        folder = folder or self._folder
        while True:
            page = await self._store.list(folder, ListOptions(token=token))
            found += page.objects
            token = page.token
            if token is None:
                return found

    def _forget(self) -> None:
        self._pointer, self._etag = _Pointer(2), None
        self._fresh_until = 0.0
        self._read.clear()
        self._lost.clear()

    def _segment_ref(self, segment: _Segment) -> Reference:
        return self._folder.known_child(f"{segment.name}.rows")
