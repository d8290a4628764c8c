"""Records in memory: written to be read, and the judge of the other backends.

Rows lie in a dict by id, and their ids in a sorted list. A row is never changed in place, so that
a search looks at rows without a lock.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, final

from msgspec import Struct

from holdall.core.errors import HoldallError, InvalidConfig, Unsupported
from holdall.records.backends.memory_indexes import Indexes
from holdall.records.contract import RecordStore
from holdall.records.ordering import after_row, position_of, sort_rows
from holdall.records.predicate import ALL, compiled
from holdall.records.results import changed, new_versions, refusal, undone
from holdall.records.stored import RecordCapabilities, Stored, Written, reader
from holdall.records.values import adopt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from holdall.core.runtime import Runtime
    from holdall.records.contract import RecordTransaction
    from holdall.records.paths import Path
    from holdall.records.predicate import Node
    from holdall.records.stored import Found, Outcome, Removal, Write

_CHUNK_ROWS = 256


class MemoryRecordSettings(Struct, frozen=True):
    """Settings of a database in memory.

    Args:
        name: Databases of one name are the same, in this process; a new one when empty.
    """

    name: str = ""


class _Table:
    """What databases of one name share."""

    def __init__(self) -> None:
        self.guard = threading.RLock()
        self.rows: dict[str, Stored] = {}
        self.ids: list[str] = []
        self.indexes = Indexes(self.rows)


_shared: dict[str, _Table] = {}
_sharing = threading.Lock()


@final
class MemoryRecords(RecordStore):
    """A database in this process, gone with it."""

    settings_type = MemoryRecordSettings

    def __init__(self, settings: MemoryRecordSettings, runtime: Runtime) -> None:
        super().__init__(settings, runtime)
        self._name = settings.name
        with _sharing:
            self._table = _shared.setdefault(self._name, _Table()) if self._name else _Table()

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> MemoryRecords:
        assert isinstance(settings, MemoryRecordSettings)
        return cls(settings, runtime)

    @classmethod
    def settings_of(cls, url: str) -> Mapping[str, Any]:
        name = url.partition("://")[2]
        if "/" in name:
            raise InvalidConfig(f"{url} names more than a database: write memory://name")
        return {"name": name}

    @property
    def type(self) -> str:
        return "memory"

    @property
    def address(self) -> str:
        return f"memory://{self._name}"

    @property
    def capabilities(self) -> RecordCapabilities:
        return RecordCapabilities(atomic=True, indexes=True, durable=False)

    async def get(self, ids: Sequence[str]) -> Sequence[Stored | None]:
        rows = self._table.rows
        return [None if (row := rows.get(id_)) is None else _copied(row) for id_ in ids]

    async def put(self, writes: Sequence[Write]) -> Sequence[Outcome]:
        now = datetime.now(UTC)
        versions = new_versions(len(writes))
        staged: dict[str, Stored] = {}
        outcomes: list[Outcome] = []
        failed = False
        with self._table.guard:
            rows = self._table.rows
            for write, version in zip(writes, versions, strict=True):
                held = staged.get(write.id) or rows.get(write.id)
                error = refusal(write, held)
                if error is not None:
                    outcomes.append(error)
                    failed = True
                    continue
                created = now if held is None else held.created
                staged[write.id] = Stored(
                    write.id, write.fields, write.metadata, created, now, version
                )
                outcomes.append(Written(created, now, version))
            if failed:
                return undone(outcomes)
            self._apply(staged)
        return outcomes

    def _apply(self, staged: dict[str, Stored]) -> None:
        table = self._table
        new = [id_ for id_ in staged if id_ not in table.rows]
        table.indexes.change(staged)
        table.rows.update(staged)
        if len(new) * 16 > len(table.ids):
            table.ids.extend(new)
            table.ids.sort()
        else:
            for id_ in new:
                insort(table.ids, id_)

    async def delete(self, removals: Sequence[Removal]) -> Sequence[bool | HoldallError]:
        gone: set[str] = set()
        outcomes: list[bool | HoldallError] = []
        table = self._table
        with table.guard:
            for removal in removals:
                held = None if removal.id in gone else table.rows.get(removal.id)
                stale = removal.version is not None and (
                    held is None or held.version != removal.version
                )
                if stale:
                    outcomes.append(changed(removal.id, removal.version, held))
                else:
                    outcomes.append(held is not None)
                    if held is not None:
                        gone.add(removal.id)
            if any(isinstance(one, HoldallError) for one in outcomes):
                return undone(outcomes)
            table.indexes.forget(gone)
            for id_ in gone:
                del table.rows[id_]
            if len(gone) > 64:
                table.ids[:] = [id_ for id_ in table.ids if id_ not in gone]
            else:
                for id_ in gone:
                    del table.ids[bisect_left(table.ids, id_)]
        return outcomes

    async def find(self, found: Found) -> Sequence[Stored]:
        if found.size == 0:
            return []
        end = None if found.size is None else found.skip + found.size
        if found.sorts:
            rows: Iterable[Stored] = self._meant(found.predicate)
            if found.after is not None:
                position = position_of(found.sorts, reader)
                last = after_row(found.sorts, found.after)
                rows = (row for row in rows if position(row) > last)
            chosen: Iterable[Stored] = sort_rows(rows, found.sorts, reader)
        else:
            after = None if found.after is None else found.after[-1]
            chosen = self._meant_by_id(found.predicate, after)
        return [_copied(row) for row in islice(chosen, found.skip, end)]

    async def count(self, predicate: Node) -> int:
        if predicate == ALL:
            return len(self._table.rows)
        return sum(1 for _ in self._meant(predicate))

    def _meant(self, predicate: Node) -> Iterator[Stored]:
        """The rows that meet a condition, in any order."""
        with self._table.guard:
            candidates = self._table.indexes.candidates(predicate)
            if candidates is None:
                rows = list(self._table.rows.values())
            else:
                rows = [self._table.rows[id_] for id_ in candidates]
        return iter(rows) if predicate == ALL else filter(compiled(predicate, reader), rows)

    def _meant_by_id(self, predicate: Node, after: str | None) -> Iterator[Stored]:
        """The rows that meet a condition and come after an id, in the order of ids."""
        with self._table.guard:
            candidates = self._table.indexes.candidates(predicate)
            if candidates is not None:
                ids = sorted(candidates if after is None else filter(after.__lt__, candidates))
                chosen = [self._table.rows[id_] for id_ in ids]
                return filter(compiled(predicate, reader), chosen)
        return filter(compiled(predicate, reader), self._by_id(after))

    def _by_id(self, after: str | None) -> Iterator[Stored]:
        table = self._table
        while True:
            with table.guard:
                start = 0 if after is None else bisect_right(table.ids, after)
                ids = table.ids[start : start + _CHUNK_ROWS]
                rows = [table.rows[id_] for id_ in ids]
            yield from rows
            if not ids:
                return
            after = ids[-1]

    async def clear(self) -> int:
        table = self._table
        with table.guard:
            number = len(table.rows)
            table.rows.clear()
            table.ids.clear()
            table.indexes.clear()
        return number

    async def index(self, path: Path) -> None:
        with self._table.guard:
            self._table.indexes.add(path)

    async def begin(self) -> RecordTransaction:
        raise Unsupported(f"{self.address} has no transactions; a batch is written as a whole")

    async def close(self) -> None:
        return None


def _copied(row: Stored) -> Stored:
    """A row whose values the caller may change."""
    return Stored(
        row.id,
        _own(row.fields),
        _own(row.metadata),
        row.created,
        row.updated,
        row.version,
    )


def _own(values: dict[str, Any]) -> dict[str, Any]:
    own = dict(values)
    for name, value in own.items():
        if type(value) is list or type(value) is dict:
            own[name] = adopt(value, name)
    return own
