"""Indexes of a database in memory: which rows may meet a condition.

They answer candidates, of which the condition is then asked. An index of a path holds, by value,
the ids of the rows that have it there, alone or in a list; and, once a range was asked for, the
values in order. A path that is often asked for gets an index by itself.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, final

from holdall.records.paths import ABSENT
from holdall.records.predicate import And, Between, Compares, Equals, In
from holdall.records.stored import reader
from holdall.records.values import TEXT, is_nan, kind_of, ordered, place, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from holdall.records.paths import Path
    from holdall.records.predicate import Node
    from holdall.records.stored import Stored

_FEW_ROWS = 500
_MOST_BY_ITSELF = 16
_OFTEN = 2


@final
class Index:
    """The values at one path."""

    def __init__(self, path: Path, rows: Iterable[Stored]) -> None:
        self._read = reader(path)
        self._ids: dict[Any, set[str]] = {}
        self._places: list[Any] | None = None
        for row in rows:
            value = self._read(row)
            if type(value) is str:  # what is indexed most
                self._ids.setdefault((TEXT, value), set()).add(row.id)
            else:
                self.add(row)

    def add(self, row: Stored) -> None:
        for key in _keys(self._read(row)):
            ids = self._ids.get(key)
            if ids is None:
                self._ids[key] = {row.id}
                self._places = None
            else:
                ids.add(row.id)

    def remove(self, row: Stored) -> None:
        for key in _keys(self._read(row)):
            ids = self._ids.get(key)
            if ids is not None:
                ids.discard(row.id)
                if not ids:
                    del self._ids[key]
                    self._places = None

    def equal(self, value: Any) -> AbstractSet[str]:
        """The ids of rows that may equal a value."""
        return self._ids.get((kind_of(value), plain(value)), frozenset())

    def within(self, node: Compares | Between) -> set[str]:
        """The ids of rows that may lie in a range."""
        if self._places is None:
            self._places = sorted(place(value) for kind, value in self._ids if ordered(kind))
        low, high = 0, len(self._places)
        kind = kind_of(node.low if isinstance(node, Between) else node.value)
        if isinstance(node, Between) or node.op in {"ge", "gt"}:
            start = node.low if isinstance(node, Between) else node.value
            low = bisect_left(self._places, place(start))
        if isinstance(node, Between) or node.op in {"le", "lt"}:
            end = node.high if isinstance(node, Between) else node.value
            high = bisect_right(self._places, place(end))
        low = max(low, bisect_left(self._places, (kind,)))
        high = min(high, bisect_left(self._places, (kind + 1,)))
        found: set[str] = set()
        for _, _, value in self._places[low:high]:
            found |= self._ids[(kind, value)]
        return found


def _keys(value: Any) -> Iterable[Any]:
    """What a value is found under: its kind and itself, or those of the items of a list."""
    for one in value if type(value) is list else (value,):
        if one is not ABSENT and not is_nan(one):
            kind = kind_of(one)
            if ordered(kind) or one is None:
                yield kind, plain(one)


@final
class Indexes:
    """All indexes over some rows; not safe for threads by itself."""

    def __init__(self, rows: Mapping[str, Stored]) -> None:
        self._rows = rows
        self._indexes: dict[Path, Index] = {}
        self._asked: dict[Path, int] = {}

    def add(self, path: Path) -> None:
        """Index a path."""
        if path not in self._indexes:
            self._indexes[path] = Index(path, self._rows.values())

    def change(self, staged: Mapping[str, Stored]) -> None:
        """Take in rows that are about to be written."""
        for index in self._indexes.values():
            for id_, row in staged.items():
                held = self._rows.get(id_)
                if held is not None:
                    index.remove(held)
                index.add(row)

    def forget(self, ids: Collection[str]) -> None:
        """Let go of rows that are about to be deleted."""
        for index in self._indexes.values():
            for id_ in ids:
                index.remove(self._rows[id_])

    def clear(self) -> None:
        """Let go of all rows, which were deleted."""
        for path in self._indexes:
            self._indexes[path] = Index(path, ())

    def candidates(self, predicate: Node) -> Collection[str] | None:
        """The ids of rows that may meet a condition; None when it may be any."""
        best: Collection[str] | None = None
        for node in predicate.nodes if isinstance(predicate, And) else (predicate,):
            ids = self._of(node)
            if ids is not None and (best is None or len(ids) < len(best)):
                best = ids
        return best

    def _of(self, node: Node) -> Collection[str] | None:
        if isinstance(node, (Equals, In)):
            wanted = (node.value,) if isinstance(node, Equals) else node.values
            if node.path == ("id",):
                return [one for one in {*filter(_is_text, wanted)} if one in self._rows]
            if not all(one is None or ordered(kind_of(one)) for one in wanted):
                return None
            index = self._index(node.path)
            if index is None:
                return None
            if len(wanted) == 1:
                return index.equal(wanted[0])
            return {id_ for one in wanted for id_ in index.equal(one)}
        if isinstance(node, (Compares, Between)):
            index = self._indexes.get(node.path)
            return None if index is None else index.within(node)
        return None

    def _index(self, path: Path) -> Index | None:
        index = self._indexes.get(path)
        if index is None and len(self._rows) > _FEW_ROWS and len(self._asked) < _MOST_BY_ITSELF:
            asked = self._asked[path] = self._asked.get(path, 0) + 1
            if asked >= _OFTEN:
                self.add(path)
                index = self._indexes[path]
        return index


def _is_text(value: Any) -> bool:
    return type(value) is str
