"""What is read of the tables of entities: statements, and what their rows mean."""

# ruff: noqa: S608 - values are parameters; names in the text are ours

from __future__ import annotations

from array import array
from sys import byteorder
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from holdall.core.errors import Corrupt
from holdall.haystack.codecs.hayson_reading import HaysonReading
from holdall.haystack.kinds import Ref
from holdall.haystack.stores.bodies import UNREADABLE, read_body
from holdall.haystack.stores.entities import State, Stored
from holdall.haystack.stores.views import view

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holdall.haystack.stores.kept import Entry
    from holdall.haystack.stores.postgres.database import Place

NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
# Since it was started, commits may be gone that somebody knows of, and their numbers come again.
_STARTED: Final = "'-' || (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"
NUMBERS_OF: Final = "(SELECT string_agg(int8send(n), ''::bytea) FROM ({}) AS listed)"
"""The numbers of a statement that answers some, as one value: bytes that `unpacked` reads."""


class Seen(Struct, frozen=True):
    """What a statement says of the store besides its answer.

    Args:
        state: The store.
        forgotten: The last number of whose removals not all are known.
        foreign: Whether there are entities that others wrote and nobody took over.
    """

    state: State
    forgotten: int
    foreign: bool


SEEN_COLUMNS: Final = 6


def seen_sql(place: Place) -> str:
    """The columns that `seen` reads, of `hs_meta AS m`."""
    return (
        f"m.epoch || {_STARTED}, m.number, {NOW}, m.due, m.forgotten, "
        f"EXISTS (SELECT FROM {place.table('entities')} WHERE version IS NULL)"
    )


def seen(row: Sequence[Any]) -> Seen:
    """What the first columns of a row say."""
    epoch, number, now, due, forgotten, foreign = row[:SEEN_COLUMNS]
    return Seen(State(epoch, number, now, due), forgotten, foreign)


def unpacked(packed: bytes | None) -> list[int]:
    """The numbers of `NUMBERS_OF`."""
    numbers = array("q", packed or b"")
    if byteorder == "little":
        numbers.byteswap()
    return numbers.tolist()


BODY: Final = "e.n, e.id, e.version, coalesce(e.body, e.tags::text)"
"""The columns that `entries` reads."""


def load_sql(place: Place) -> str:
    """The entities of some numbers, which come as text."""
    # As a query of its own the text is read once, not for each row where all rows are looked at.
    listed = "(SELECT $1::bigint[])::bigint[]"
    return f"SELECT {BODY} FROM {place.table('entities')} AS e WHERE e.n = ANY({listed})"


def entries(rows: Iterable[Sequence[Any]]) -> dict[int, Entry]:
    """Entities by their numbers.

    Args:
        rows: Of the columns `BODY`, and possibly more.

    Raises:
        Corrupt: One of them is not as it was written.
    """
    reading = HaysonReading()
    loaded: dict[int, Entry] = {}
    of = ""
    try:
        for n, of, version, body, *_ in rows:
            tags = read_body(reading, body.encode())
            ref = tags.get("id")
            if type(ref) is not Ref or ref.val != of:  # as others may have written it
                tags = {**tags, "id": Ref(of)}
            loaded[n] = (of, Stored(view(tags), version or 0), len(body))
    except UNREADABLE as error:
        raise Corrupt(f"@{of} is not as it was written: {error}", reference=of) from error
    return loaded


def first_after(after: str) -> str:
    """What all ids after a text are greater than, as PostgreSQL takes it.

    Ids are of ASCII without control characters, so that what follows a NUL or half of a surrogate
    pair only says whether an id that goes on there comes before or after.
    """
    for at, letter in enumerate(after):
        if letter == "\0":
            return after[:at]
        if "\ud800" <= letter <= "\udfff":
            return after[:at] + "\ue000"
    return after


def by_id(loaded: Mapping[int, Entry]) -> dict[str, Stored]:
    """Entities by their ids."""
    return {entry[0]: entry[1] for entry in loaded.values()}
