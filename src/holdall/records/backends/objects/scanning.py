"""Going through blocks: which rows are meant, where they stand, and what is in them."""

from __future__ import annotations

from heapq import nsmallest
from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from holdall.core.errors import Corrupt
from holdall.records.backends.objects.blocks import DAMAGED, Reading
from holdall.records.ordering import position_of
from holdall.records.predicate import ALL, And, Equals, Node, compiled
from holdall.records.query import Sort
from holdall.records.stored import Stored, reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from holdall.records.backends.objects.shelf import Shelved
    from holdall.records.ordering import Position
    from holdall.records.paths import Path


class DamagedBlock(Corrupt):
    """A block of the snapshot holds nonsense: the records themselves decide."""


class Line:
    """A row of a block.

    Args:
        shelved: The block.
        at: Its number there.
        id: Its id.
    """

    __slots__ = ("at", "id", "shelved")

    def __init__(self, shelved: Shelved, at: int, id: str) -> None:  # noqa: A002
        self.shelved = shelved
        self.at = at
        self.id = id


Place: TypeAlias = "tuple[Position, Stored | Line]"
"""A row that is meant, after where it stands; no two stand in the same place."""


class Scan(Struct, frozen=True):
    """What is asked of all rows.

    Args:
        predicate: What they must meet.
        sorts: What they are sorted by, and by the id last.
        most: How many of the first ones are wanted; None for all.
        whole: Whether all that is in them is wanted too.
    """

    predicate: Node
    sorts: tuple[Sort, ...] = ()
    most: int | None = None
    whole: bool = False

    def of_block(
        self, shelved: Shelved, rows: Sequence[int], of_id: Callable[[str], bool] | None
    ) -> list[Place]:
        """Answer the rows of a block that are meant.

        Args:
            shelved: The block.
            rows: The numbers of the rows that count.
            of_id: What their ids must meet beside that.

        Raises:
            DamagedBlock: The block cannot be read.
        """
        try:
            reading = Reading(shelved.block)
            rows = _meant(reading, rows, self.predicate)
            ids = reading.ids
            lines = [Line(shelved, at, ids[at]) for at in rows if of_id is None or of_id(ids[at])]

            def read(path: Path) -> Callable[[Any], Any]:
                get = reading.reader(path)
                return lambda line: get(line.at)

            position = position_of(self.sorts, read)
            places: list[Place] = [(position(line), line) for line in lines]  # type: ignore[arg-type]
            if self.most is not None:
                return nsmallest(self.most, places, key=itemgetter(0))
            if self.whole:
                found = reading.rows([line.at for line in lines])
                return [(place, row) for (place, _), row in zip(places, found, strict=True)]
        except DAMAGED as error:
            raise DamagedBlock("a block of the snapshot is damaged") from error
        return places

    def of_rows(self, rows: Iterable[Stored | None]) -> list[Place]:
        """The same of rows that were tested already."""
        position = position_of(self.sorts, reader)
        places: list[Place] = [(position(row), row) for row in rows if row is not None]
        return places if self.most is None else nsmallest(self.most, places, key=itemgetter(0))


def rows_of(places: Iterable[Place]) -> list[Stored]:
    """What is in rows, in their order.

    Raises:
        DamagedBlock: A block cannot be read.
    """
    rows = [row for _, row in places]
    of_block: dict[Shelved, list[int]] = {}
    for number, row in enumerate(rows):
        if isinstance(row, Line):
            of_block.setdefault(row.shelved, []).append(number)
    for shelved, numbers in of_block.items():
        lines = [row.at for row in map(rows.__getitem__, numbers) if isinstance(row, Line)]
        for number, row in zip(numbers, _read(shelved, lines), strict=True):
            rows[number] = row
    return [row for row in rows if isinstance(row, Stored)]


def tested(shelved: Shelved, rows: Sequence[int], predicate: Node) -> dict[str, Stored | None]:
    """Answer rows of a block by their ids; None for one that is not meant.

    Raises:
        DamagedBlock: The block cannot be read.
    """
    try:
        reading = Reading(shelved.block)
        ids = reading.ids
        found: dict[str, Stored | None] = dict.fromkeys(map(ids.__getitem__, rows))
        meant = reading.rows(_meant(reading, rows, predicate))
    except DAMAGED as error:
        raise DamagedBlock("a block of the snapshot is damaged") from error
    found.update((row.id, row) for row in meant)
    return found


def _read(shelved: Shelved, rows: Sequence[int]) -> list[Stored]:
    try:
        return Reading(shelved.block).rows(rows)
    except DAMAGED as error:
        raise DamagedBlock("a block of the snapshot is damaged") from error


def _meant(reading: Reading, rows: Sequence[int], predicate: Node) -> Sequence[int]:
    match predicate:
        case And(nodes):
            for node in nodes:
                rows = _meant(reading, rows, node)
            return rows
        case Equals(path, str(text)):
            # What is asked most, as `predicate` means it: a call for each row would be most of it.
            values = reading.values(path)
            if values is not None:
                return [
                    at
                    for at in rows
                    if (value := values[at]) == text or (type(value) is list and text in value)
                ]
    return rows if predicate == ALL else list(filter(compiled(predicate, reading.reader), rows))
