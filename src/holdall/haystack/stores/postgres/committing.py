"""What a commit writes.

It locks the entities that it is about, so that nobody else changes them before its end, and writes
the tables of values. Only then it takes the next number, which locks the one row of `hs_meta`:
whoever commits at the same time waits there, so that numbers become visible in their order. New
entities are written after that; of two who add one id, the later one finds it there.
"""

# ruff: noqa: S608 - values are parameters; names in the text are ours

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from holdall.core.errors import Corrupt
from holdall.haystack.codecs.hayson_reading import HaysonReading
from holdall.haystack.stores.bodies import UNREADABLE, note_name, read_body
from holdall.haystack.stores.drafts import Draft, id_of
from holdall.haystack.stores.entities import KEPT_MICROS, Note, Stored, StoredNote
from holdall.haystack.stores.postgres.keys import Keys
from holdall.haystack.stores.postgres.reading import NOW, entries
from holdall.haystack.stores.postgres.writing import (
    VALUES,
    Batch,
    write_entities,
    write_notes,
    write_values,
)
from holdall.records.backends.postgres.steps import Ask, Mark

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from holdall.haystack.stores.entities import Change, Entity
    from holdall.haystack.stores.postgres.database import Place
    from holdall.records.backends.postgres.steps import Steps

_NOT_YET: Final = 2**63 - 1
"""Stands for the number of a commit until it is known."""
_ADOPTED: Final = 2_000
"""How many entities of others are taken over by one commit."""


class Committed(Struct, frozen=True):
    """A commit that was made.

    Args:
        number: Its number.
        changed: The numbers `n` of what it changed and was there before.
        new: How many entities it added.
    """

    number: int
    changed: Sequence[int]
    new: int


class Row(Struct, frozen=True):
    """A row of the table of entities, as it was.

    Args:
        n: Its number.
        stored: What it means.
        keys: Those that the tables of values have of it.
    """

    n: int
    stored: Stored
    keys: Keys


def commit(place: Place, changes: Sequence[Change], due: int | None) -> Steps[Committed]:
    """Apply changes.

    Raises:
        AlreadyExists, NotFound, PreconditionFailed: See `EntityStore.commit`.
    """
    if not (yield from _still_expected(place, changes)):
        yield from _drafted(place, changes, "")
    yield Mark.BEGIN
    draft, rows, notes = yield from _drafted(place, changes, "FOR UPDATE")
    committed = yield from _written(place, draft.entities, rows, draft.notes, notes, due)
    yield Mark.END
    return committed


def _drafted(
    place: Place, changes: Sequence[Change], lock: str
) -> Steps[tuple[Draft, dict[str, Row], dict[str, StoredNote]]]:
    """Apply changes to what is there.

    Returns:
        What becomes of it; the rows and the notes as they are.
    """
    ids = list(dict.fromkeys(of for one in changes if (of := id_of(one)) is not None))
    names = [one.name for one in changes if isinstance(one, Note)]
    rows: dict[str, Row] = {}
    notes: dict[str, StoredNote] = {}
    if ids:
        rows = yield from _rows(place, f"e.id = ANY($1::text[]) ORDER BY e.id {lock}", (ids,))
    if names:
        notes = yield from _notes(place, names, lock)
    draft = Draft({of: row.stored for of, row in rows.items()}.get, notes, _NOT_YET)
    for change in changes:
        draft.apply(change)
    return draft, rows, notes


def surveyed(place: Place) -> Steps[None]:
    """Let PostgreSQL count what many new entities hold, which is how it chooses between indexes."""
    tables = ("entities", *VALUES)
    yield Ask(f"ANALYZE {', '.join(map(place.table, tables))}")


def adopt_foreign(place: Place) -> Steps[bool]:
    """Take over entities that others wrote, some thousands; answer whether that was all.

    Raises:
        Corrupt: One of them is no entity.
    """
    yield Mark.BEGIN
    where = f"e.version IS NULL ORDER BY e.id LIMIT {_ADOPTED} FOR UPDATE"
    rows = yield from _rows(place, where, ())
    if rows:
        entities = {of: row.stored for of, row in rows.items()}
        yield from _written(place, entities, rows, {}, (), None)
    yield Mark.END
    return len(rows) < _ADOPTED


def _still_expected(place: Place, changes: Sequence[Change]) -> Steps[bool]:
    """Whether notes are as they are expected, so that nobody waits for locks in vain."""
    expected = [one for one in changes if isinstance(one, Note) and one.expected is not None]
    if expected:
        reply = yield Ask(
            f"SELECT name, version FROM {place.table('hs_notes')} WHERE name = ANY($1::bytea[])",
            ([note_name(one.name) for one in expected],),
        )
        versions = dict(reply.rows)
        return all(one.expected == versions.get(note_name(one.name), 0) for one in expected)
    return True


def _plain(name: bytes) -> str:
    return name.decode("utf-8", "surrogatepass")


def _rows(place: Place, where: str, values: Sequence[Any]) -> Steps[dict[str, Row]]:
    """Rows by their ids; locked in the order of ids they let nobody wait for ever."""
    reply = yield Ask(
        "SELECT e.n, e.id, e.version, CASE WHEN e.version IS NULL THEN e.tags::text ELSE e.body "
        f"END, e.body FROM {place.table('entities')} AS e WHERE {where}",
        values,
    )
    loaded = entries(reply.rows)
    former = {n: body for n, _, version, _, body in reply.rows if version is None}
    found: dict[str, Row] = {}
    for n, (of, stored, _) in loaded.items():
        keyed: Entity | None = stored.entity
        if n in former:
            keyed = None if former[n] is None else _read(of, former[n])
        found[of] = Row(n, stored, Keys.of(keyed))
    return found


def _read(of: str, body: str) -> Entity:
    try:
        return read_body(HaysonReading(), body.encode())
    except UNREADABLE as error:
        raise Corrupt(f"@{of} is not as it was written: {error}", reference=of) from error


def _notes(place: Place, names: Sequence[str], lock: str) -> Steps[dict[str, StoredNote]]:
    reply = yield Ask(
        f"SELECT name, value, version FROM {place.table('hs_notes')} "
        f"WHERE name = ANY($1::bytea[]) ORDER BY name {lock}",
        (list(map(note_name, names)),),
    )
    return {_plain(name): StoredNote(value, version) for name, value, version in reply.rows}


def _written(
    place: Place,
    entities: Mapping[str, Stored | None],
    rows: Mapping[str, Row],
    notes: Mapping[str, StoredNote | None],
    known: Container[str],
    due: int | None,
) -> Steps[Committed]:
    """Write what a commit makes of entities and notes."""
    new = sorted(of for of, now in entities.items() if now is not None and of not in rows)
    numbers = {of: row.n for of, row in rows.items()}
    if new:
        reply = yield Ask(
            "SELECT nextval(pg_get_serial_sequence($1::text, 'n')) FROM "
            "generate_series(1, $2::int)",
            (place.table("entities"), len(new)),
        )
        numbers.update(zip(new, (n for (n,) in reply.rows), strict=True))
    batch = Batch.of(entities, numbers, {of: row.keys for of, row in rows.items()})
    yield from write_values(place, batch)
    number = yield from _numbered(place, due)
    yield from write_entities(place, batch, number)
    yield from write_notes(place, notes, known, number)
    return Committed(number, [numbers[of] for of in rows if of in entities], len(new))


def _numbered(place: Place, due: int | None) -> Steps[int]:
    """Take the number of the commit, and forget removals of long ago."""
    reply = yield Ask(
        f"WITH old AS (DELETE FROM {place.table('hs_removed')} WHERE at < {NOW} - $3::bigint "
        f"RETURNING version) UPDATE {place.table('hs_meta')} SET number = number + 1, "
        "due = CASE WHEN $1::boolean THEN $2::bigint ELSE due END, "
        "forgotten = greatest(forgotten, (SELECT max(version) FROM old)) "
        # What it deletes from now on was not deleted by others.
        "RETURNING number, set_config('holdall.own', 'on', TRUE)",
        (due is not None, due or None, KEPT_MICROS),
    )
    number: int = reply.rows[0][0]
    return number
