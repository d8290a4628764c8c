"""The file as of one commit, as a reader or the writer sees it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, final

import msgspec

from holdall.core.errors import Corrupt
from holdall.haystack.codecs.hayson_reading import HaysonReading
from holdall.haystack.stores.bodies import UNREADABLE, note_name, read_body
from holdall.haystack.stores.entities import State, Stored, StoredNote
from holdall.haystack.stores.views import view

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from holdall.haystack.stores.entities import Entity
    from holdall.haystack.stores.kept import Entry, Kept

_MANY: Final = 20_000
_FEW: Final = 3

_LOAD: Final = (
    "SELECT e.n,e.id,e.version,CAST(b.tags AS BLOB) FROM json_each(?) AS wanted"
    " CROSS JOIN hs_entities AS e ON e.n=wanted.value CROSS JOIN hs_bodies AS b ON b.n=e.n"
)


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "DEFERRED") -> Iterator[None]:
    """A transaction, for `with`; an error undoes it."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@final
class Snapshot:
    """What a connection sees within a transaction.

    Args:
        connection: In a transaction.
        kept: What is kept ready of this file.
    """

    def __init__(self, connection: sqlite3.Connection, kept: Kept) -> None:
        self.connection = connection
        self.kept = kept
        asked = "SELECT epoch,number,due,forgotten,next FROM hs_meta"
        self.epoch, self.number, self.due, self.forgotten, self.next = connection.execute(
            asked
        ).fetchone()
        kept.follow(self.epoch, self.number, self._changed_after)
        self._found: dict[str, Entity | None] = {}

    @property
    def state(self) -> State:
        """What the store says of itself."""
        return State(self.epoch, self.number, time.time_ns() // 1000, self.due)

    def tag(self, name: str) -> int | None:
        """The number of a tag; None where no entity has it."""
        tag = self.kept.tags.get(name)
        if tag is None:
            asked = "SELECT t FROM hs_names WHERE name=?"
            row = self.connection.execute(asked, (name,)).fetchone()
            if row is None:
                return None
            tag = int(row[0])
            self.kept.tags[name] = tag
        return tag

    def is_odd(self, tag: int) -> bool:
        """Whether a tag has numbers that SQLite does not hold."""
        asked = "SELECT EXISTS (SELECT 1 FROM hs_odd WHERE t=?)"
        return bool(self.connection.execute(asked, (tag,)).fetchone()[0])

    def numbers_of(self, ids: Sequence[str]) -> dict[str, int]:
        """The numbers of entities, by id, of those that are there."""
        if len(ids) <= _FEW:
            asked = "SELECT n FROM hs_entities WHERE id=?"
            rows = [(of, self.connection.execute(asked, (of,)).fetchone()) for of in ids]
            return {of: row[0] for of, row in rows if row is not None}
        asked = (
            "SELECT e.id,e.n FROM json_each(?) AS wanted"
            " CROSS JOIN hs_entities AS e ON e.id=wanted.value"
        )
        return dict(self.connection.execute(asked, (msgspec.json.encode(ids).decode(),)))

    def ids_of(self, numbers: Sequence[int]) -> list[tuple[str, int]]:
        """The ids of entities and their numbers, in no order."""
        entries = self.kept.entries
        pairs, missing = [], []
        for n in numbers:
            entry = entries.get(n)
            if entry is None or entry[1].version > self.number:
                missing.append(n)
            else:
                pairs.append((entry[0], n))
        if missing:
            asked = (
                "SELECT e.id,e.n FROM json_each(?) AS wanted"
                " CROSS JOIN hs_entities AS e ON e.n=wanted.value"
            )
            pairs += self.connection.execute(asked, (msgspec.json.encode(missing).decode(),))
        return pairs

    def entries_of(self, numbers: Sequence[int]) -> list[Entry]:
        """Entities by their numbers, in their order.

        Raises:
            Corrupt: One of them is not there, or not readable.
        """
        entries, number = self.kept.entries, self.number
        found: list[Any] = list(map(entries.get, numbers))
        # A list is twice as fast as what is made one by one.
        if None not in found and all([entry[1].version <= number for entry in found]):  # noqa: C419
            return found
        missing = [
            n
            for n, entry in zip(numbers, found, strict=True)
            if entry is None or entry[1].version > number
        ]
        loaded = self._loaded(missing)
        self.kept.put(self.epoch, number, loaded)
        try:
            return [
                entry if entry is not None and entry[1].version <= number else loaded[n]
                for n, entry in zip(numbers, found, strict=True)
            ]
        except KeyError as error:
            raise Corrupt(f"an entity of the number {error} is not there") from error

    def entities(self, ids: Sequence[str]) -> dict[str, Stored]:
        """Entities by id, of those that are there."""
        numbers = self.numbers_of(ids)
        entries = self.entries_of(list(numbers.values()))
        return {of: entry[1] for of, entry in zip(numbers, entries, strict=True)}

    def resolve(self, of: str) -> Entity | None:
        """The tags of an entity, for a path that leads to it."""
        if of not in self._found:
            stored = self.entities([of]).get(of)
            self._found[of] = None if stored is None else stored.entity
        return self._found[of]

    def notes(self, names: Sequence[str]) -> dict[str, StoredNote]:
        """Notes by name, of those that are there."""
        asked = "SELECT value,version FROM hs_notes WHERE name=?"
        rows = [
            (name, self.connection.execute(asked, (note_name(name),)).fetchone()) for name in names
        ]
        return {name: StoredNote(*row) for name, row in rows if row is not None}

    def _changed_after(self, number: int) -> list[int] | None:
        asked = "SELECT n FROM hs_entities WHERE version>? LIMIT ?"
        rows = self.connection.execute(asked, (number, _MANY)).fetchall()
        return [n for (n,) in rows] if len(rows) < _MANY else None

    def _loaded(self, numbers: Sequence[int]) -> dict[int, Entry]:
        rows = self.connection.execute(_LOAD, (msgspec.json.encode(numbers).decode(),))
        reading = HaysonReading()
        loaded: dict[int, Entry] = {}
        of = ""
        try:
            for n, of, version, text in rows:
                tags = view(read_body(reading, text))
                loaded[n] = (of, Stored(tags, version), len(text))
        except UNREADABLE as error:
            raise Corrupt(f"@{of} is not as it was written: {error}", reference=of) from error
        return loaded
