"""What a commit writes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from holdall.haystack.codecs.hayson_writing import HaysonWriting
from holdall.haystack.stores.bodies import note_name, write_body
from holdall.haystack.stores.drafts import Draft, id_of
from holdall.haystack.stores.entities import KEPT_MICROS, Note
from holdall.haystack.stores.keys import Rows

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from holdall.haystack.stores.entities import Change, Stored, StoredNote
    from holdall.haystack.stores.sqlite.snapshot import Snapshot

_AT_ONCE: Final = 5_000


def write_commit(snapshot: Snapshot, changes: Sequence[Change], due: int | None) -> list[int]:
    """Apply changes in a transaction that writes; answer the numbers of what changed.

    Raises:
        AlreadyExists, NotFound, PreconditionFailed: See `EntityStore.commit`.
    """
    number = snapshot.number + 1
    ids = list(dict.fromkeys(of for one in changes if (of := id_of(one)) is not None))
    known = snapshot.numbers_of(ids)
    stored = dict(zip(known, _stored(snapshot, list(known.values())), strict=True))
    names = [one.name for one in changes if isinstance(one, Note)]
    notes = snapshot.notes(names)
    draft = Draft(stored.get, notes, number)
    for change in changes:
        draft.apply(change)
    _Writing(snapshot, number).write(draft.entities, known, stored)
    _write_notes(snapshot, draft.notes, notes)
    if due is not None:
        snapshot.due = due or None
    _forget_removals(snapshot)
    snapshot.connection.execute(
        "UPDATE hs_meta SET number=?,due=?,forgotten=?,next=?",
        (number, snapshot.due, snapshot.forgotten, snapshot.next),
    )
    return list(known.values())


def _stored(snapshot: Snapshot, numbers: list[int]) -> list[Stored]:
    return [entry[1] for entry in snapshot.entries_of(numbers)]


def _write_notes(
    snapshot: Snapshot, notes: Mapping[str, StoredNote | None], known: Container[str]
) -> None:
    for name, note in notes.items():
        if note is not None:
            snapshot.connection.execute(
                "INSERT OR REPLACE INTO hs_notes VALUES (?,?,?)",
                (note_name(name), note.value, note.version),
            )
        elif name in known:
            snapshot.connection.execute("DELETE FROM hs_notes WHERE name=?", (note_name(name),))


def _forget_removals(snapshot: Snapshot) -> None:
    before = time.time_ns() // 1000 - KEPT_MICROS
    asked = "SELECT max(version) FROM hs_removed WHERE at<?"
    (version,) = snapshot.connection.execute(asked, (before,)).fetchone()
    if version is not None:
        snapshot.connection.execute("DELETE FROM hs_removed WHERE at<?", (before,))
        snapshot.forgotten = max(snapshot.forgotten, version)


class _Tags(dict[str, int]):
    """The numbers of tags, which are given out when first asked for.

    They are of one transaction: those that it makes are known to nobody else until its end.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self._snapshot = snapshot

    def __missing__(self, name: str) -> int:
        tag = self._snapshot.tag(name)
        if tag is None:
            asked = "INSERT INTO hs_names (name) VALUES (?)"
            tag = self._snapshot.connection.execute(asked, (name,)).lastrowid
            assert tag is not None
        self[name] = tag
        return tag


class _Writing:
    """What is written of the entities of a commit, some thousands at once.

    Args:
        snapshot: Of a transaction that writes.
        number: The commit.
    """

    def __init__(self, snapshot: Snapshot, number: int) -> None:
        self._snapshot = snapshot
        self._many = snapshot.connection.executemany
        self._number = number
        self._hayson = HaysonWriting()
        self._tags = _Tags(snapshot)
        self._added = Rows()
        self._gone = Rows()
        self._new: list[tuple[int, str, int]] = []
        self._changed: list[tuple[int, int]] = []
        self._bodies: list[tuple[int, str]] = []
        self._removed: list[tuple[int, str]] = []

    def write(
        self,
        entities: Mapping[str, Stored | None],
        known: Mapping[str, int],
        stored: Mapping[str, Stored],
    ) -> None:
        """Write entities.

        Args:
            entities: What they are now, by id; None where they are gone.
            known: The numbers of those that were there.
            stored: What those were.
        """
        for at, (of, now) in enumerate(entities.items(), 1):
            self._take(of, now, known.get(of), stored.get(of))
            if at % _AT_ONCE == 0:
                self._flush()
        self._flush()

    def _take(self, of: str, now: Stored | None, n: int | None, former: Stored | None) -> None:
        if now is None and n is None:
            return  # added and deleted in one commit
        if n is None:
            n = self._snapshot.next
            self._snapshot.next += 1
            self._new.append((n, of, self._number))
        elif now is None:
            self._removed.append((n, of))
        else:
            self._changed.append((self._number, n))
        if now is not None:
            self._bodies.append((n, write_body(self._hayson, now.entity)))
        if former is None:
            if now is not None:
                self._added.take(now.entity, n, self._tags)
            return
        old, new = Rows(), Rows()
        old.take(former.entity, n, self._tags)
        if now is not None:
            new.take(now.entity, n, self._tags)
        self._gone.add_new(old, new)
        self._added.add_new(new, old)

    def _flush(self) -> None:
        many = self._many
        removed = [(n,) for n, _ in self._removed]
        many("DELETE FROM hs_entities WHERE n=?", removed)
        many("DELETE FROM hs_bodies WHERE n=?", removed)
        now = time.time_ns() // 1000
        many(
            "INSERT OR REPLACE INTO hs_removed VALUES (?,?,?)",
            [(of, self._number, now) for _, of in self._removed],
        )
        many("DELETE FROM hs_removed WHERE id=?", [(of,) for _, of, _ in self._new])
        many("INSERT INTO hs_entities VALUES (?,?,?)", self._new)
        many("UPDATE hs_entities SET version=? WHERE n=?", self._changed)
        many("INSERT OR REPLACE INTO hs_bodies VALUES (?,?)", self._bodies)
        for table, statement in _DELETE.items():
            many(statement, getattr(self._gone, table))
        for table, statement in _INSERT.items():
            # Sorted, they come to lie beside one another.
            many(statement, sorted(getattr(self._added, table)))
        self._gone.clear()
        self._added.clear()
        for done in (self._removed, self._new, self._changed, self._bodies):
            done.clear()


_DELETE: Final = {
    "has": "DELETE FROM hs_has WHERE t=? AND n=?",
    "refs": "DELETE FROM hs_refs WHERE t=? AND target=? AND n=?",
    "values": "DELETE FROM hs_values WHERE t=? AND val=? AND n=?",
    "numbers": "DELETE FROM hs_numbers WHERE t=? AND val=? AND unit=? AND n=?",
    "odd": "DELETE FROM hs_odd WHERE t=? AND n=?",
}
# An item may be twice in a list.
_INSERT: Final = {
    "has": "INSERT INTO hs_has VALUES (?,?)",
    "refs": "INSERT OR IGNORE INTO hs_refs VALUES (?,?,?)",
    "values": "INSERT OR IGNORE INTO hs_values VALUES (?,?,?)",
    "numbers": "INSERT OR IGNORE INTO hs_numbers VALUES (?,?,?,?)",
    "odd": "INSERT OR IGNORE INTO hs_odd VALUES (?,?)",
}
