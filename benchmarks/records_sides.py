"""What is compared in `records.py`: ways of keeping records, filled and searched alike."""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from itertools import count
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from harness import Contender, Goal, compare, each

import holdall
from holdall import Query, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

Rows: TypeAlias = "list[dict[str, Any]]"

PEER = "dataknobs-data"
DEPARTMENT = "d7"
BATCH_OF_THE_PEER = 10_000  # 100,000 at once are too many for its SQLite
OURS = "holdall"
SHORT_SECONDS, TIMES = 0.02, 50


@dataclass(eq=False)
class Side:
    """One way of keeping records.

    Args:
        name: What the tables show.
        prepare: Makes of the rows what its batch takes; not timed.
        create: Makes a new database in a place and writes all of them; answers the database.
        search: Finds those of one department, as the part says.
        id_of: Answers the id of what was found.
        arranged: Puts ids in order, where it sorts by ids of its own.
        index: Makes that search fast; None where that is not measured.
        close: Lets go of the database.
        database: The one that was filled last.
    """

    name: str
    prepare: Callable[[Rows], Any]
    create: Callable[[Any, Path], Any]
    search: Callable[[Any], Sequence[Any]]
    id_of: Callable[[Any], str] = itemgetter("id")
    arranged: Callable[[list[str]], list[str]] = list
    index: Callable[[Any], object] | None = None
    close: Callable[[Any], object] = lambda database: database.close()
    database: Any = field(default=None, init=False)

    def fill(self, rows: Rows, place: Path) -> float:
        """Write all rows into a new database; answer the seconds."""
        if self.database is not None:
            self.close(self.database)
            self.database = None
        prepared = self.prepare(rows)
        gc.collect()
        begin = time.perf_counter()
        self.database = self.create(prepared, place)
        return time.perf_counter() - begin

    def find(self) -> Sequence[Any]:
        """Search in the database that was filled last."""
        return self.search(self.database)

    def ids(self, found: Sequence[Any]) -> list[str]:
        """The ids of what it found."""
        return self.arranged([self.id_of(one) for one in found])


def employees(number: int) -> Rows:
    """Rows of which a thousandth is of one department; no two of them earn the same."""
    return [
        {
            "id": f"emp-{at:07}",
            "name": f"Person {at}",
            "email": f"person.{at}@example.org",
            "department": f"d{at % 1000}",
            "age": 18 + at % 50,
            "salary": 30_000.5 + at * 7919 % 1_000_003,
            "active": at % 3 > 0,
        }
        for at in range(number)
    ]


def peer(module: str) -> Any:
    """A module of another project; None, with a line that says so, where it cannot be imported."""
    try:
        return import_module(module)
    except ImportError as error:
        print(f"\n{module} is left out: {error}")
        return None


def created(
    title: str, sides: list[Side], goals: list[Goal], rows: Rows, folder: Path, rounds: int = 3
) -> bool:
    """Compare what filling takes; the sides keep what they filled last."""
    numbers = count()

    def contender(side: Side) -> Contender:
        return Contender(side.name, lambda _: side.fill(rows, folder / str(next(numbers))))

    contenders = [contender(side) for side in sides]
    return compare(title, contenders, _present(goals, contenders), count=1, rounds=rounds)


@contextmanager
def closed(sides: list[Side]) -> Iterator[None]:
    """Close what the sides hold when the block ends."""
    try:
        yield
    finally:
        for side in sides:
            if side.database is not None:
                side.close(side.database)


def searched(
    title: str, functions: dict[Side, Callable[[], Sequence[Any]]], goals: list[Goal]
) -> bool:
    """Compare searches, of which short ones are asked many times a round; the first is ours.

    All must have found the same, in the same order.
    """
    contenders: list[Contender] = []
    expected: list[str] = []
    for side, function in functions.items():
        function()
        begin = time.perf_counter()
        found = side.ids(function())
        often = TIMES if time.perf_counter() - begin < SHORT_SECONDS else 1
        expected = expected or found
        assert found == expected, f"{side.name} found {found[:5]}, and not {expected[:5]}"
        contenders.append(Contender(side.name, _often(function, often)))
    return compare(title, contenders, _present(goals, contenders), count=1, rounds=5)


def _often(function: Callable[[], object], times: int) -> Callable[[int], float]:
    return lambda count: each(function)(count * times) / times


def _present(goals: list[Goal], contenders: list[Contender]) -> list[Goal]:
    names = {contender.name for contender in contenders}
    return [goal for goal in goals if goal.against in names]


def records_of(rows: Rows) -> list[Record]:
    """The rows as our records."""
    return [Record(row) for row in rows]


def our_side(open_at: Callable[[Path], holdall.Database], query: Query) -> Side:
    """Holdall, with one of its backends."""

    def create(records: list[Record], place: Path) -> holdall.Database:
        database = open_at(place)
        database.batch_create(records)
        return database

    return Side(
        OURS,
        records_of,
        create,
        lambda database: database.search(query),
        attrgetter("id"),
        index=lambda database: database.create_index("department"),
    )


def peer_side(
    module: Any,
    open_at: Callable[[Path], Any],
    query: Any,
    arranged: Callable[[list[str]], list[str]] = list,
) -> Side:
    """dataknobs-data, with one of its backends.

    Args:
        module: Its package.
        open_at: Opens a new database.
        query: What is searched.
        arranged: As a side has it.
    """

    def prepare(rows: Rows) -> list[list[Any]]:
        batches = range(0, len(rows), BATCH_OF_THE_PEER)
        return [[module.Record(row) for row in rows[at : at + BATCH_OF_THE_PEER]] for at in batches]

    def create(batches: list[list[Any]], place: Path) -> Any:
        database = open_at(place)
        database.connect()
        for batch in batches:
            database.create_batch(batch)
        return database

    return Side(
        PEER,
        prepare,
        create,
        lambda database: database.search(query),
        lambda record: record.get_value("id"),
        arranged,
    )
