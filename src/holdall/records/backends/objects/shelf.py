"""What searches have read, kept in memory until it changes."""

from __future__ import annotations

import threading
from bisect import bisect_left
from heapq import merge
from typing import TYPE_CHECKING

from holdall.records.backends.objects.blocks import DAMAGED, Block, Reading
from holdall.records.backends.objects.bodies import packable, row_of
from holdall.records.backends.objects.packing import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from holdall.core.reference import Reference
    from holdall.records.backends.objects.blocks import Row
    from holdall.records.backends.objects.bodies import Held
    from holdall.records.stored import Stored

_ENTRY_BYTES = 300
"""What an object takes beside its body: the dict's place, id, etag, objects around them."""

_MOST_READINGS = 8
_FEW_BLOCKS = 4
_LOOSE_BYTES = 32 * 1024 * 1024
"""More than this in single objects is put into blocks."""


class Shelved:
    """A block on the shelf.

    Args:
        block: The block.
        turn: Which one it is, counted from 1: what was kept or dropped later counts instead.
        dead: Ids whose rows do not count, since they changed while it was packed.
        saved: Whether it is in the snapshot.
    """

    __slots__ = ("block", "dead", "saved", "turn")

    def __init__(self, block: Block, turn: int, dead: frozenset[str], *, saved: bool) -> None:
        self.block = block
        self.turn = turn
        self.dead = dead
        self.saved = saved

    @property
    def bytes(self) -> int:
        """About how many bytes it takes."""
        return len(self.block.data) + _ENTRY_BYTES


class Known:
    """What is known of the records of a listing, each of them once.

    Args:
        parts: Blocks, and the numbers of their rows that count.
        held: Single objects, by id.
    """

    __slots__ = ("held", "parts")

    def __init__(self, parts: list[tuple[Shelved, Sequence[int]]], held: dict[str, Held]) -> None:
        self.parts = parts
        self.held = held

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.held) + sum(len(rows) for _, rows in self.parts)

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Those of these ids that nothing is known of, in order."""
        unknown = set(ids)
        unknown.difference_update(self.held)
        for shelved, rows in self.parts:
            block_ids = Reading(shelved.block).ids
            unknown.difference_update(map(block_ids.__getitem__, rows))
        return sorted(unknown)


class Shelf:
    """The objects of records by id, each with the etag it was read under.

    What comes is kept as it is, and put into blocks when there is much of it. A row of a block and
    a single object are right as long as a listing shows their etag, whoever put them there and
    when; no record is there twice under the same one.

    Args:
        limit: How many bytes it may take; what does not fit is not kept.

    Attributes:
        active: Whether there was a search: before that, what is written is not kept.
        damaged: Whether a block of the snapshot turned out to hold nonsense.
    """

    def __init__(self, limit: int) -> None:
        self.active = False
        self.damaged = False
        self._limit = limit
        self._guard = threading.Lock()
        self._held: dict[str, Held] = {}
        self._unpackable: set[str] = set()
        self._blocks: tuple[Shelved, ...] = ()
        self._last = ""
        # The turn up to which the rows of an id in blocks do not count any more.
        self._hidden: dict[str, int] = {}
        self._turn = 0
        self._readings: dict[Shelved, Reading] = {}
        self._order: tuple[tuple[Shelved, ...], frozenset[Shelved]] | None = None
        self._bytes = 0
        self._held_bytes = 0
        self._changes = 0
        # What was known of a listing last, and after how many changes.
        self._latest: tuple[Mapping[str, str], int, Known] | None = None

    @property
    def unsaved(self) -> int:
        """How many rows are not known to be in the snapshot; some may be gone from the store."""
        loose = len(self._held) - len(self._unpackable)
        return loose + sum(one.block.rows for one in self._blocks if not one.saved)

    @property
    def is_wide(self) -> bool:
        """Whether there are many blocks, so that unpacking all of them takes its time."""
        return len(self._blocks) > _FEW_BLOCKS

    @property
    def is_loose(self) -> bool:
        """Whether so many objects are kept one by one that they should be packed."""
        return self._held_bytes > min(_LOOSE_BYTES, self._limit // 4)

    def row(self, id: str, etag: str, ref: Callable[[str], Reference]) -> Stored | None:  # noqa: A002
        """The record that was read under this etag; None when that is not kept.

        Its values are those that the next call answers too: they are to be read only.
        """
        with self._guard:
            held, blocks, hidden = self._held.get(id), self._blocks, self._hidden.get(id, 0)
        if held is not None:
            return row_of(id, held, ref) if held.etag == etag else None
        for shelved in _spanning(blocks, [id]):
            if id in shelved.dead or hidden >= shelved.turn:
                continue
            try:
                reading = self._reading(shelved)
                at = bisect_left(reading.ids, id)
                if reading.ids[at] == id and reading.etags[at] == etag:
                    return reading.rows([at])[0]
            except DAMAGED:
                self.discard(shelved)
        return None

    def _reading(self, shelved: Shelved) -> Reading:
        """What was unpacked of a block, which several calls in a row may need."""
        with self._guard:
            found = self._readings.pop(shelved, None) or Reading(shelved.block)
            self._readings[shelved] = found
            if len(self._readings) > _MOST_READINGS:
                del self._readings[next(iter(self._readings))]
        return found

    def keep(self, id: str, held: Held) -> None:  # noqa: A002
        """Keep an object, instead of what was kept of this id."""
        self.keep_all([(id, held)])

    def keep_all(self, found: Iterable[tuple[str, Held | None]]) -> None:
        """Keep objects by id, instead of what was kept of these; None when there is none."""
        with self._guard:
            for id_, held in found:
                self._remove(id_)
                if held is None:
                    continue
                size = len(held.body) + _ENTRY_BYTES
                if self._bytes + size <= self._limit:
                    self._held[id_] = held
                    self._bytes += size
                    self._held_bytes += size

    def drop(self, id: str) -> None:  # noqa: A002
        """Forget what is kept of an id."""
        with self._guard:
            self._remove(id)

    def known(self, etags: Mapping[str, str], ids: Sequence[str] | None = None) -> Known:
        """What is kept under these etags.

        Args:
            etags: The etags of all records, by id.
            ids: Only of these, which may be in any order; None for all.
        """
        wanted = None if ids is None else set(ids)
        with self._guard:
            changes = self._changes
            if ids is None and self._latest is not None:
                before, then, known = self._latest
                if before is etags and then == changes:
                    return known
            blocks, main = self._arranged()
            loose = self._held if wanted is None else self._held.keys() & wanted
            held = {id_: self._held[id_] for id_ in loose}
            hidden = dict(self._hidden)
        held = {id_: one for id_, one in held.items() if etags.get(id_) == one.etag}
        parts: list[tuple[Shelved, Sequence[int]]] = []
        taken: set[str] = set()
        for shelved in blocks if wanted is None else _spanning(blocks, wanted):
            try:
                rows, ids = _current(shelved, etags, hidden, wanted)
            except DAMAGED:
                self.discard(shelved)
                continue
            if taken:
                rows = [at for at in rows if ids[at] not in taken]
            if shelved not in main:
                taken.update(map(ids.__getitem__, rows))
            if rows:
                parts.append((shelved, rows))
        known = Known(parts, held)
        if wanted is None:
            self._latest = etags, changes, known
        return known

    def add(self, block: Block, etags: Mapping[str, str]) -> None:
        """Keep a block of the snapshot, as far as its rows are not here yet.

        Args:
            block: The block; it is left out when none of its rows counts.
            etags: The etags of all records now, by id.
        """
        reading = Reading(block)
        mine = dict(zip(reading.ids, reading.etags, strict=True))
        if not mine.items() & etags.items():
            return
        with self._guard:
            for id_ in self._held.keys() & mine.keys():
                if self._held[id_].etag == mine[id_]:
                    self._take(id_)
            self._add(block, frozenset(), saved=True)

    def pack(self) -> None:
        """Put what is kept as single objects into blocks."""
        with self._guard:
            loose = {id_: self._held[id_] for id_ in self._held.keys() - self._unpackable}
        rows = (packable(id_, loose[id_]) for id_ in sorted(loose))
        packed = [(block, Reading(block).ids) for block in pack(filter(None, rows))]
        with self._guard:
            for block, ids in packed:
                # What was kept or dropped meanwhile counts instead.
                changed = {id_ for id_ in ids if self._held.get(id_) is not loose.pop(id_)}
                for id_ in ids:
                    if id_ not in changed:
                        self._take(id_)
                self._add(block, frozenset(changed), saved=False)
            self._unpackable.update(id_ for id_ in loose if self._held.get(id_) is loose[id_])

    def repack(self, etags: Mapping[str, str]) -> None:
        """Write all blocks anew, with only those rows that are kept under these etags."""
        before, turn = self._blocks, self._turn
        known = self.known(etags)
        # Rows of blocks that do not overlap come one block after the other.
        runs: list[list[tuple[Shelved, Sequence[int]]]] = []
        for part in sorted(known.parts, key=lambda part: part[0].block.first):
            for run in runs:
                if run[-1][0].block.last < part[0].block.first:
                    run.append(part)
                    break
            else:
                runs.append([part])
        blocks = list(pack(merge(*map(_rows_of, runs), key=lambda row: row.id)))
        old = {*before, *(shelved for shelved, _ in known.parts)}
        with self._guard:
            self._blocks = tuple(one for one in self._blocks if one not in old)
            self._blocks += tuple(
                Shelved(block, turn, frozenset(), saved=False) for block in blocks
            )
            oldest = min((one.turn for one in self._blocks), default=0)
            self._hidden = {id_: at for id_, at in self._hidden.items() if at >= oldest}
            self._measure()

    @property
    def unsaved_blocks(self) -> list[Shelved]:
        """The blocks that are not known to be in the snapshot."""
        return [one for one in self._blocks if not one.saved]

    @property
    def rows(self) -> int:
        """How many rows the blocks have, also those that do not count any more."""
        return sum(one.block.rows for one in self._blocks)

    def discard(self, shelved: Shelved) -> None:
        """Forget a block that cannot be read."""
        with self._guard:
            self.damaged = True
            self._blocks = tuple(one for one in self._blocks if one is not shelved)
            self._measure()

    def distrust(self) -> None:
        """Forget all blocks, as one of them turned out to hold nonsense."""
        with self._guard:
            self.damaged = True
            self._blocks = ()
            self._measure()

    def prune(self, etags: Mapping[str, str]) -> None:
        """Forget the objects that are not among the ids of these etags."""
        with self._guard:
            if self._latest is not None and self._latest[0] is not etags:
                self._latest = None  # it would hold a listing that nobody needs any more
            for id_ in self._held.keys() - etags.keys():
                self._take(id_)

    def clear(self) -> None:
        """Forget everything."""
        with self._guard:
            self._held.clear()
            self._unpackable.clear()
            self._blocks = ()
            self._hidden.clear()
            self._held_bytes = 0
            self._measure()

    def _arranged(self) -> tuple[tuple[Shelved, ...], frozenset[Shelved]]:
        """All blocks, and as many of them, which come last, as do not overlap one another.

        A row may be in several blocks, when several processes added it to the snapshot. It counts
        in the first of them, and only the ids of the others need to be remembered for that.
        """
        if self._order is None:
            main: list[Shelved] = []
            others: list[Shelved] = []
            for one in sorted(self._blocks, key=lambda one: one.block.last):
                apart = not main or main[-1].block.last < one.block.first
                (main if apart else others).append(one)
            self._order = (*others, *main), frozenset(main)
        return self._order

    def _add(self, block: Block, dead: frozenset[str], *, saved: bool) -> None:
        self._changes += 1
        self._turn += 1
        shelved = Shelved(block, self._turn, dead, saved=saved)
        if self._bytes + shelved.bytes <= self._limit:
            self._blocks = (*self._blocks, shelved)
            self._bytes += shelved.bytes
            self._last = max(self._last, block.last)
            self._order = None

    def _remove(self, id_: str) -> None:
        self._changes += 1
        self._take(id_)
        if id_ <= self._last:
            self._hidden[id_] = self._turn

    def _take(self, id_: str) -> None:
        held = self._held.pop(id_, None)
        if held is not None:
            self._changes += 1
            self._bytes -= len(held.body) + _ENTRY_BYTES
            self._held_bytes -= len(held.body) + _ENTRY_BYTES
            self._unpackable.discard(id_)

    def _measure(self) -> None:
        self._changes += 1
        self._latest = None
        self._readings.clear()
        self._order = None
        self._last = max((one.block.last for one in self._blocks), default="")
        self._bytes = self._held_bytes + sum(one.bytes for one in self._blocks)


def _rows_of(parts: Iterable[tuple[Shelved, Sequence[int]]]) -> Iterator[Row]:
    for shelved, rows in parts:
        try:
            yield from Reading(shelved.block).plain(rows)
        except DAMAGED:
            continue  # what it holds is read again


def _current(
    shelved: Shelved,
    etags: Mapping[str, str],
    hidden: Mapping[str, int],
    wanted: Collection[str] | None,
) -> tuple[Sequence[int], Sequence[str]]:
    """The numbers of the rows of a block that count, and the ids of all."""
    reading = Reading(shelved.block)
    ids = reading.ids
    now = list(map(etags.get, ids))
    if now == reading.etags:
        rows: Sequence[int] = range(len(ids))
    else:
        pairs = zip(now, reading.etags, strict=True)
        rows = [at for at, (one, other) in enumerate(pairs) if one == other]
    if shelved.dead:
        rows = [at for at in rows if ids[at] not in shelved.dead]
    if hidden:
        turn = shelved.turn
        rows = [at for at in rows if hidden.get(ids[at], 0) < turn]
    if wanted is not None:
        rows = [at for at in rows if ids[at] in wanted]
    return rows, ids


def _spanning(blocks: Iterable[Shelved], ids: Iterable[str]) -> Iterator[Shelved]:
    """The blocks that may hold any of these ids."""
    wanted = sorted(ids)
    for one in blocks:
        at = bisect_left(wanted, one.block.first)
        if at < len(wanted) and wanted[at] <= one.block.last:
            yield one
